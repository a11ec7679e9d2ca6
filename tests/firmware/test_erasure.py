"""Erasing all personal data."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from firmware.erasure import ERASE_MS_MAX, Erasure
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from states.table import STATES
from tests.firmware.cloud.scripted import Table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Rig:
    """An erasure of two kinds of data, and what came of it."""

    def __init__(self) -> None:
        self.table = Table(Clock())
        self.told: list[Any] = []
        self.faults: dict[str, Exception] = {}
        self.takes_s = 1.0
        self.erasure = Erasure(
            {name: self._erasing(name) for name in ("words", "sounds")},
            post=self._post,
            acknowledge=lambda *answer: self.told.append(answer),
            begin_anew=[lambda: self.told.append("anew")],
            go_on=[lambda: self.told.append("asked again")],
        )

    def _post(self, name: str, /, **fields: Any) -> None:  # noqa: ANN401 - as Post
        self.told.append(name)
        self.table.post(name, **fields)

    def _erasing(self, name: str) -> Callable[[], Awaitable[None]]:
        async def erase() -> None:
            self.told.append(f"{name} …")
            await asyncio.sleep(self.takes_s)
            if name in self.faults:
                raise self.faults[name]
            self.told.append(name)

        return erase

    def erase(self, command: str | None = "c1") -> None:
        """As the table asks for it."""
        self.erasure.effects["erase"](command=command)


def with_rig(test: Callable[[Rig], Awaitable[None]]) -> None:
    """Run a test on virtual time."""

    async def main() -> None:
        rig = Rig()
        await test(rig)
        await rig.erasure.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def test_everything_is_erased_and_forgotten_before_it_is_told() -> None:
    """One kind after the other; then the machine hears of it, and the guardian."""

    async def test(rig: Rig) -> None:
        rig.erase()
        await rig.table.until("erased")
        assert rig.told == [
            *("words …", "words", "sounds …", "sounds", "anew", "erased"),
            ("c1", "done", None),
        ]

    with_rig(test)


def test_what_cannot_be_erased_keeps_nothing_else_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is named to the guardian; what it said itself is in no log."""

    async def test(rig: Rig) -> None:
        rig.faults["words"] = ValueError("canary words")
        rig.erase()
        await rig.table.until("erase_failed")
        assert rig.told == [
            *("words …", "sounds …", "sounds", "asked again", "erase_failed"),
            ("c1", "failed", {"left": "words"}),
        ]

    with_rig(test)
    assert caplog.messages == ["words could not be erased (ValueError)"]


def test_an_erase_by_hand_is_no_commands() -> None:
    """Nobody is answered."""

    async def test(rig: Rig) -> None:
        rig.erase(None)
        await rig.table.until("erased")
        assert rig.told[-1] == "erased"

    with_rig(test)


def test_it_gives_up_before_the_state_does() -> None:
    """What hangs is left, and so is what would have come after it."""
    (erasing,) = (state for state in STATES if state.name == "boot.erasing")
    assert erasing.timeout_ms is not None
    assert erasing.timeout_ms > ERASE_MS_MAX

    async def test(rig: Rig) -> None:
        rig.takes_s = 3_600
        rig.erase()
        await rig.table.until("erase_failed")
        assert rig.table.times_ms("erase_failed") == [ERASE_MS_MAX]
        assert rig.told[-1] == ("c1", "failed", {"left": "words, sounds"})

    with_rig(test)


def test_two_at_once_are_one_after_the_other() -> None:
    """As when a guardian asks again of a toy that takes its time."""

    async def test(rig: Rig) -> None:
        rig.erase("c1")
        rig.erase("c2")
        await rig.table.until("erased", count=2)
        assert rig.table.times_ms("erased") == [2_000, 4_000]

    with_rig(test)


def test_closing_ends_it() -> None:
    """Nothing is claimed; the command is still open at the cloud."""

    async def test(rig: Rig) -> None:
        rig.erase()
        await asyncio.sleep(0.5)
        await rig.erasure.close()
        assert rig.told == ["words …"]

    with_rig(test)
