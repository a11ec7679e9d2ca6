"""A lane against a plain list, through failing disks, restarts and crashes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from firmware.backoff import Backoff
from firmware.store.database import RecordDatabase
from firmware.store.lane import Lane
from firmware.store.record import Record, Stamp
from hardware.sim.clock import run_virtual
from tests.firmware.store.faulty import FaultyStore

OPERATIONS = st.lists(
    st.one_of(
        st.just("put"),
        st.just("put"),
        st.just("finish"),
        st.just("aside"),
        st.just("look"),
        st.just("settle"),
        st.just("save"),
        st.sampled_from(["fail apply", "fail read", "fail open", "mend"]),
        st.sampled_from(["wait", "restart", "crash"]),
    ),
    max_size=40,
)


def record(name: str) -> Record:
    """Return a record of this id."""
    stamp = Stamp(1, clock_set=True, boot_id="boot", monotonic_ms=2)
    return Record(name, "a:b", "{}", "toy", stamp)


class Model:
    """A lane, and what must be true of it.

    Attributes:
        waits: Ids that wait, in order.
        kept: Of those, the ones that are certainly on disk.
        gone: Ids that are done with, and may come back after a crash of a failing disk.
    """

    def __init__(self, path: Path) -> None:
        self.waits: list[str] = []
        self.kept: list[str] = []
        self.gone: list[str] = []
        self.store = FaultyStore(RecordDatabase(path, synchronous="OFF"))
        self._count = 0
        self.lane = self._begin()

    def _begin(self) -> Lane:
        chance = Random(1)  # noqa: S311 - the same each time
        lane = Lane("urgent", self.store, Backoff(1_000, 60_000, chance), lambda _: None)
        lane.start()
        return lane

    async def perform(self, operation: str) -> None:
        """Do something, and hold the lane against the list."""
        if operation.startswith("fail "):
            self.store.failing.add(operation.removeprefix("fail "))
        elif operation in {"put", "finish", "aside"}:
            self._change(operation)
        else:
            await self._live(operation)
        assert len(self.lane) == len(self.waits)
        assert self.lane.bytes == sum(len(record(name).encoded()) for name in self.waits)

    def _change(self, operation: str) -> None:
        match operation:
            case "put":
                self._put()
            case "finish" if self.waits:
                self.lane.finish([self._leave()])
            case "aside" if self.waits:
                self.lane.set_aside(self._leave(), "BAD")

    async def _live(self, operation: str) -> None:
        match operation:
            case "look":
                await self._look()
            case "settle":
                await self._settle()
            case "save":
                await self.lane.save()
            case "mend":
                self.store.failing.clear()
            case "wait":
                await asyncio.sleep(70)
            case "restart":
                await self._settle()
                await self.lane.close(0.9)
                await self._start_again()
            case "crash":
                await self.lane._stop()
                await self._start_again()

    async def mended(self) -> None:
        """See that all is well again by itself, and on disk."""
        self.store.failing.clear()
        await asyncio.sleep(200)
        assert await self.lane.settle()
        assert await self._seen() == self.waits
        await self.lane.close(0.9)
        self.lane = self._begin()
        assert await self.lane.settle()
        assert await self._seen() == self.waits
        assert all(self.lane.knows(name) for name in (*self.waits, *self.gone))
        await self.lane.close(0.9)

    def _put(self) -> None:
        self._count += 1
        name = f"r{self._count}"
        self.lane.put(record(name), len(record(name).encoded()))
        self.waits.append(name)

    def _leave(self) -> str:
        name = self.waits.pop(0)
        self.gone.append(name)
        return name

    async def _settle(self) -> None:
        if await self.lane.settle():
            self.kept = list(self.waits)

    async def _look(self) -> None:
        seen = await self._seen()
        assert seen == [name for name in self.waits if name in seen]
        if not self.store.failing and await self.lane.settle():
            assert await self._seen() == self.waits

    async def _seen(self) -> list[str]:
        return [found.record_id for found in await self.lane.head(1_000)]

    async def _start_again(self) -> None:
        """Start on what is on disk; what was certainly there must be, in order."""
        self.store.failing.clear()
        self.lane = self._begin()
        assert await self.lane.settle()
        seen = await self._seen()
        everything = [f"r{number + 1}" for number in range(self._count)]
        assert seen == [name for name in everything if name in seen]
        assert [name for name in self.kept if name not in self.gone] == [
            name for name in seen if name in self.kept and name not in self.gone
        ]
        assert set(seen) <= {*self.waits, *self.gone}
        self.gone = [name for name in self.gone if name not in seen and self.lane.knows(name)]
        self.waits = seen
        self.kept = list(seen)


@hypothesis_settings(max_examples=150)
@example(["put", "settle", "fail apply", "finish", "wait", "wait"])
@example(["put", "fail apply", "wait", "put", "aside", "wait", "mend", "wait", "put"])
@example(["put", "fail open", "crash", "put", "fail apply", "put", "wait", "mend", "look"])
@given(OPERATIONS)
def test_whatever_happens_nothing_that_was_kept_is_lost_or_out_of_order(
    tmp_path_factory: pytest.TempPathFactory, operations: list[str]
) -> None:
    """And when the disk is mended, all that waits is on it."""
    path = tmp_path_factory.mktemp("lane") / "records.db"

    async def main() -> None:
        model = Model(path)
        for operation in operations:
            await model.perform(operation)
        await model.mended()

    run_virtual(main())
