"""The outbox: what is put, kept, refused and told."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest

from firmware.store.lane import Lane
from firmware.store.outbox import Class, Outbox
from firmware.store.record import Stamp
from hardware.sim.clock import run_virtual
from tests.firmware.store.shelf import BOOT, WALL_S, World, ids, make, opened, put


def found_in(folder: Path, words: bytes) -> list[Path]:
    """Return the files that hold these words."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if words in path.read_bytes()]


CLASSES: tuple[Class, ...] = ("urgent", "bulk")


@pytest.mark.parametrize("of", CLASSES)
def test_records_come_out_in_the_order_in_which_they_were_put(tmp_path: Path, of: Class) -> None:
    """Of each class by itself."""
    names = [f"r{number}" for number in range(50)]

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            for name in names:
                put(outbox, name, urgent=of == "urgent")
                put(outbox, f"other-{name}", urgent=of != "urgent")
            assert await ids(outbox, of) == names
            assert [record.record_id for record in await outbox.head(of, 3)] == names[:3]

    run_virtual(main())


@pytest.mark.parametrize("of", CLASSES)
@pytest.mark.parametrize("boot", [BOOT, "boot-two"], ids=["restart", "reboot"])
def test_records_are_there_after_a_restart(tmp_path: Path, of: Class, boot: str) -> None:
    """Those that are done with are not, and are known all the same."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            for name in ("a", "b", "c"):
                put(outbox, name, urgent=of == "urgent")
            outbox.finish(of, "b")
        async with opened(tmp_path, boot_id=boot) as outbox:
            assert await ids(outbox, of) == ["a", "c"]
            assert outbox.knows("a")
            assert outbox.knows("b") or (of == "bulk" and boot != BOOT)
            put(outbox, "d", urgent=of == "urgent")
            assert await ids(outbox, of) == ["a", "c", "d"]

    run_virtual(main())


def test_a_record_that_was_put_before_is_not_put_again(tmp_path: Path) -> None:
    """Whether it waits, is done with, or was done with before a restart."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            put(outbox, "a", n=1)
            put(outbox, "a", n=2)
            (record,) = await outbox.head("urgent", 2)
            assert '"n":1' in record.arguments
            outbox.finish("urgent", "a")
            put(outbox, "a")
            assert outbox.is_empty("urgent")
        async with opened(tmp_path) as outbox:
            put(outbox, "a")
            assert outbox.is_empty("urgent")

    run_virtual(main())


def test_what_is_put_before_it_is_open_is_not_lost_and_comes_last(tmp_path: Path) -> None:
    """The disk may be slow at a start."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            put(outbox, "old")
            put(outbox, "delivered")
            outbox.finish("urgent", "delivered")
        outbox = make(tmp_path)
        put(outbox, "new")
        put(outbox, "old")
        put(outbox, "delivered")
        await outbox.open()
        assert await ids(outbox) == ["old", "new"]
        assert outbox.counts.urgent_records == 2
        await outbox.close()

    run_virtual(main())


def test_a_record_says_whose_it_is_and_when_it_was_made(tmp_path: Path) -> None:
    """As of the moment it was put."""
    world = World()

    async def main() -> None:
        async with opened(tmp_path, world) as outbox:
            put(outbox, "a")
            world.toy, world.is_clock_set, world.wall_s = "toy-2", False, 1.5
            outbox.put("logs:create", {}, urgent=True, audio="sound-1")
            first, second = await outbox.head("urgent", 2)
            assert (first.toy_id, second.toy_id) == ("toy-1", "toy-2")
            assert first.stamp == Stamp(int(WALL_S * 1000), True, BOOT, 0)  # noqa: FBT003
            assert second.stamp == Stamp(1_500, False, BOOT, 0)  # noqa: FBT003
            assert second.audio == "sound-1"
            assert len(second.record_id) == 32

    run_virtual(main())


def test_the_name_that_the_cloud_gave_audio_stays_with_its_record(tmp_path: Path) -> None:
    """So a cut between upload and record uploads nothing twice."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            outbox.put("conversations:create", {}, urgent=False, record_id="a", audio="s")
            await outbox.settle("bulk")
            outbox.store_audio("bulk", "a", "stored-1")
            assert [record.storage_id for record in await outbox.head("bulk")] == ["stored-1"]
        for boot in (BOOT, "boot-two"):
            async with opened(tmp_path, boot_id=boot) as outbox:
                assert [record.storage_id for record in await outbox.head("bulk")] == ["stored-1"]

    run_virtual(main())


@pytest.mark.parametrize(
    ("arguments", "record_id"),
    [
        ({"deviceId": "x"}, "a"),
        ({"recordId": "x"}, "a"),
        ({"x": float("nan")}, "a"),
        ({"x": b""}, "a"),
        ({}, "a b"),
        ({}, "x" * 129),
        ({}, "ä"),
    ],
)
def test_what_cannot_be_sent_is_a_defect_and_said_at_once(
    tmp_path: Path, arguments: dict[str, object], record_id: str
) -> None:
    """And not when it comes out again, a week later."""

    async def main() -> None:
        outbox = make(tmp_path)
        with pytest.raises((ValueError, TypeError)):
            outbox.put("a:b", arguments, urgent=True, record_id=record_id)
        assert outbox.is_empty("urgent")

    run_virtual(main())


def test_a_record_that_is_too_long_is_refused_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its content."""

    async def main() -> None:
        async with opened(tmp_path, record_bytes_max=1_024) as outbox:
            put(outbox, "long", words="canary " * 200)
            assert outbox.is_empty("urgent")
            assert outbox.counts.refused == 1
            assert not outbox.knows("long")

    run_virtual(main())
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert line.startswith("the record long of guardian:reportEvent is refused")
    assert "canary" not in line


def test_a_full_urgent_queue_is_told_once_and_again_after_it_was_below_half(
    tmp_path: Path,
) -> None:
    """At the edge, not for each record beyond it."""
    world = World()

    async def main() -> None:
        async with opened(tmp_path, world, urgent_records_max=10) as outbox:
            for number in range(9):
                put(outbox, f"r{number}")
            assert world.posted == []
            for number in range(9, 15):
                put(outbox, f"r{number}")
            assert world.posted == ["urgent_full"]
            outbox.finish("urgent", *(f"r{number}" for number in range(10)))
            assert world.posted == ["urgent_full"]
            outbox.finish("urgent", "r10")
            assert world.posted == ["urgent_full", "urgent_low"]
            for number in range(20, 26):
                put(outbox, f"r{number}")
            assert world.posted == ["urgent_full", "urgent_low", "urgent_full"]
            assert len(await ids(outbox)) == 10

    run_virtual(main())


def test_a_queue_that_is_full_in_bytes_is_full(tmp_path: Path) -> None:
    """Few and long ones fill it as many short ones do."""
    world = World()

    async def main() -> None:
        async with opened(tmp_path, world, urgent_bytes_max=65_536) as outbox:
            for number in range(8):
                put(outbox, f"r{number}", words="x" * 10_000)
            assert world.posted == ["urgent_full"]
            assert outbox.counts.refused == 0

    run_virtual(main())


def test_a_queue_that_was_full_before_a_restart_is_told_again(tmp_path: Path) -> None:
    """The machine that starts knows nothing of it."""
    world = World()

    async def main() -> None:
        async with opened(tmp_path, urgent_records_max=10) as outbox:
            for number in range(10):
                put(outbox, f"r{number}")
        async with opened(tmp_path, world, urgent_records_max=10) as outbox:
            assert world.posted == ["urgent_full"]

    run_virtual(main())


def test_places_are_kept_for_reports_of_locks(tmp_path: Path) -> None:
    """Half of them for nothing else; whatever finds no place is refused out loud."""

    async def main() -> None:
        async with opened(tmp_path, urgent_records_max=10, urgent_records_reserved=6) as outbox:
            for number in range(20):
                put(outbox, f"r{number}")
            assert outbox.counts.urgent_records == 13
            assert outbox.counts.refused == 7
            for kind in ("emergency_stop", "safety_violation", "locked_at_start", "emergency_stop"):
                outbox.put("guardian:reportEvent", {"eventType": kind}, urgent=True)
            assert outbox.counts.urgent_records == 16
            assert outbox.counts.refused == 8

    run_virtual(main())


def test_the_oldest_bulk_records_give_way_and_the_cloud_is_told_how_many(tmp_path: Path) -> None:
    """Once there is room again to say so."""

    async def main() -> None:
        async with opened(tmp_path, bulk_records_max=10) as outbox:
            for number in range(14):
                put(outbox, f"r{number}", urgent=False)
            assert await ids(outbox, "bulk") == [f"r{number}" for number in range(4, 14)]
            assert outbox.counts.gave_way == 4
            outbox.finish("bulk", *(f"r{number}" for number in range(4, 14)))
            (told,) = await outbox.head("bulk", 2)
            assert told.function == "logs:create"
            assert '"code":"records_gave_way","context":{"count":4}' in told.arguments

    run_virtual(main())


def test_bulk_never_takes_the_place_of_what_is_urgent(tmp_path: Path) -> None:
    """Nor does it lock the toy."""
    world = World()

    async def main() -> None:
        async with opened(tmp_path, world, bulk_records_max=10, bulk_bytes_max=65_536) as outbox:
            put(outbox, "urgent")
            for number in range(100):
                put(outbox, f"r{number}", urgent=False, words="x" * 9_000)
            assert outbox.counts.bulk_bytes <= 65_536
            assert await ids(outbox) == ["urgent"]
            assert world.posted == []

    run_virtual(main())


def test_a_record_that_is_set_aside_is_told_by_name_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And is out of the line, on disk."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            put(outbox, "poison", words="canary")
            put(outbox, "next")
            (record,) = await outbox.head("urgent")
            outbox.set_aside("urgent", record, "BAD_ARGUMENTS")
            assert await ids(outbox) == ["next"]
            assert outbox.knows("poison")
            assert outbox.counts.set_aside == 1
            (told,) = await outbox.head("bulk")
            assert told.function == "logs:create"
            for part in ("record_set_aside", "poison", "BAD_ARGUMENTS", "guardian:reportEvent"):
                assert part in told.arguments
            assert "canary" not in told.arguments
            outbox.set_aside("bulk", told, "BAD_ARGUMENTS")
            assert outbox.is_empty("bulk"), "a log of a log of a log"
            assert outbox.counts.set_aside == 2
        async with opened(tmp_path) as outbox:
            assert await ids(outbox) == ["next"]

    run_virtual(main())
    assert "canary" not in caplog.text
    database = sqlite3.connect(tmp_path / "urgent.db")
    assert database.execute("SELECT record_id, code FROM aside").fetchall() == [
        ("poison", "BAD_ARGUMENTS")
    ]
    database.close()


def test_erasing_leaves_nothing_of_what_was_said_and_all_that_is_urgent(tmp_path: Path) -> None:
    """Not even in the free pages of a file."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            put(outbox, "lock")
            put(outbox, "said", urgent=False, words="canary")
            put(outbox, "delivered", urgent=False, words="canary")
            await outbox.save()
            outbox.finish("bulk", "delivered")
            await outbox.erase()
            assert outbox.is_empty("bulk")
            assert not outbox.knows("said")
            put(outbox, "after", urgent=False)
            assert found_in(tmp_path, b"canary") == []
        async with opened(tmp_path, boot_id="boot-two") as outbox:
            assert await ids(outbox) == ["lock"]
            assert await ids(outbox, "bulk") == ["after"]

    run_virtual(main())


def test_one_saving_that_fails_unexpectedly_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be lost would be lost for good at the next power cut."""
    tries: list[bool] = []

    async def save(_: Outbox) -> None:
        tries.append(True)
        if len(tries) == 1:
            raise MemoryError

    monkeypatch.setattr(Lane, "save", save)

    async def main() -> None:
        async with opened(tmp_path, persist_interval_s=60):
            await asyncio.sleep(300)
            assert len(tries) >= 4

    run_virtual(main())


def test_a_record_is_about_the_toy_that_it_is_said_to_be_about(tmp_path: Path) -> None:
    """Or about the present one."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            outbox.put("logs:create", {}, urgent=False)
            outbox.put("logs:create", {}, urgent=False, toy_id="toy-before")
            assert [record.toy_id for record in await outbox.head("bulk", 9)] == [
                "toy-1",
                "toy-before",
            ]

    run_virtual(main())
