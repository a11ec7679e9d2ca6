"""One class of records, on a disk that does not do what it should."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from firmware.backoff import Backoff
from firmware.errors import RecordStoreError
from firmware.store.changes import Found
from firmware.store.database import RecordDatabase
from firmware.store.lane import UNREADABLE, Lane
from firmware.store.record import Record, Stamp
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.store.faulty import GATE_TIMEOUT_S, FaultyStore
from tests.firmware.store.shelf import World, ids, opened, put

CLOSE_S = 0.9


def record(name: str, words: str = "") -> Record:
    """Return a record of this id."""
    stamp = Stamp(1, True, "boot", 2)  # noqa: FBT003 - as on disk
    return Record(name, "logs:create", f'{{"words":"{words}"}}', "toy", stamp)


def put_in(lane: Lane, name: str) -> None:
    """Put a record of this id."""
    lane.put(record(name), len(record(name).encoded()))


def make(store: FaultyStore, found: list[Found] | None = None) -> Lane:
    """Return a lane that is not started."""
    told = found if found is not None else []
    chance = Random(1)  # noqa: S311 - the same each time
    return Lane("urgent", store, Backoff(1_000, 60_000, chance), told.append)


@asynccontextmanager
async def running(store: FaultyStore) -> AsyncIterator[Lane]:
    """Run a lane."""
    lane = make(store)
    lane.start()
    try:
        yield lane
    finally:
        await lane.close(CLOSE_S)


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    """A store that does not fail yet."""
    return FaultyStore(RecordDatabase(tmp_path / "records.db", synchronous="FULL"))


async def names(lane: Lane, count: int = 100) -> list[str]:
    """Return the ids of what waits, as it would be delivered."""
    return [record.record_id for record in await lane.head(count)]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said as an error."""
    return [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.ERROR]


def test_nothing_counts_as_kept_before_the_disk_has_it(store: FaultyStore) -> None:
    """Whoever waits for it waits until the commit has returned."""

    async def main() -> None:
        async with running(store) as lane:
            assert await lane.settle()
            store.gate.clear()
            put_in(lane, "a")
            kept = asyncio.create_task(lane.settle())
            assert await asyncio.to_thread(store.hangs.wait, GATE_TIMEOUT_S)
            assert store.asked[-1] == "apply"
            assert not kept.done()
            put_in(lane, "b")
            store.gate.set()
            assert await kept
            assert await names(lane) == ["a", "b"]

    asyncio.run(main())


def test_all_that_is_put_while_the_disk_is_busy_goes_in_one_commit(store: FaultyStore) -> None:
    """A burst wears the card once."""

    async def main() -> None:
        async with running(store) as lane:
            for number in range(100):
                put_in(lane, f"r{number}")
            await lane.settle()
            assert store.asked.count("apply") <= 2
            assert await names(lane) == [f"r{number}" for number in range(100)]

    run_virtual(main())


@pytest.mark.parametrize("broken", ["open", "apply", "read"])
def test_while_the_disk_fails_records_are_delivered_from_memory_and_kept_later(
    store: FaultyStore, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """That it fails is said once, and that it works again."""
    store.failing = {"open", "apply", "read"} if broken == "open" else {broken}

    async def main() -> None:
        async with running(store) as lane:
            for name in ("a", "b", "c"):
                put_in(lane, name)
            if broken == "read":
                await lane.settle()
                assert await names(lane) == []
            else:
                assert not await lane.settle()
                assert await names(lane, 2) == ["a", "b"]
                lane.finish(["a"])
            await asyncio.sleep(3_600)
            assert len([line for line in errors(caplog) if "stay in memory" in line]) == 1
            store.failing = set()
            await asyncio.sleep(120)
            assert await lane.settle()
            assert store.asked.count("open") > 1, "it may be another card"
            expected = ["a", "b", "c"] if broken == "read" else ["b", "c"]
            assert await names(lane) == expected
            assert lane.knows("a")
        async with running(store) as lane:
            assert await lane.settle()
            assert await names(lane) == expected
            assert lane.knows("a")

    run_virtual(main())
    assert "on the disk again" in caplog.text


def test_a_defect_of_the_store_does_not_end_the_keeping_of_records(
    store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again, and nothing of a record is in the log."""
    store.defects = ["apply"]

    async def main() -> None:
        async with running(store) as lane:
            put_in(lane, "a")
            assert not await lane.settle()
            await asyncio.sleep(60)
            assert await lane.settle()
            assert await names(lane) == ["a"]

    run_virtual(main())
    assert "ValueError: urgent records stay in memory" in caplog.text
    assert "canary" not in caplog.text


def test_what_was_on_disk_comes_before_what_was_put_while_it_failed(store: FaultyStore) -> None:
    """Order is kept within a class, whatever happens."""

    async def main() -> None:
        async with running(store) as lane:
            put_in(lane, "a")
            put_in(lane, "b")
        store.failing = {"open"}
        async with running(store) as lane:
            put_in(lane, "c")
            put_in(lane, "b")
            assert not await lane.settle()
            store.failing = set()
            await asyncio.sleep(60)
            assert await names(lane) == ["a", "b", "c"]
            assert lane.bytes == sum(len(record(name).encoded()) for name in "abc")

    run_virtual(main())


def test_a_removal_that_could_not_be_written_is_not_forgotten(store: FaultyStore) -> None:
    """What was delivered is not delivered again as soon as the disk is back."""

    async def main() -> None:
        async with running(store) as lane:
            for name in ("a", "b"):
                put_in(lane, name)
            await lane.settle()
            store.failing = {"apply"}
            lane.finish(["a"])
            assert not await lane.settle()
            assert await names(lane) == ["b"]
            store.failing = set()
            await asyncio.sleep(60)
            assert await lane.settle()
        async with running(store) as lane:
            await lane.settle()
            assert await names(lane) == ["b"]

    run_virtual(main())


def test_a_record_that_cannot_be_read_is_set_aside(store: FaultyStore, tmp_path: Path) -> None:
    """The others go on."""

    async def main() -> None:
        async with running(store) as lane:
            put_in(lane, "a")
            put_in(lane, "b")
            await lane.settle()
            store.unreadable = {"a"}
            assert await names(lane) == ["b"]
            assert lane.aside == 1

    run_virtual(main())
    database = RecordDatabase(tmp_path / "records.db", synchronous="FULL")
    database.open()
    kept = database._open_database().execute("SELECT record_id, code FROM aside").fetchall()
    assert kept == [("a", UNREADABLE)]
    database.close()


def test_a_disk_that_hangs_does_not_hold_up_the_end(store: FaultyStore) -> None:
    """Nor the loop, before."""

    async def main() -> None:
        lane = make(store)
        lane.start()
        await lane.settle()
        store.gate.clear()
        put_in(lane, "a")
        clock = Clock()
        since_ms = clock.monotonic_ms()
        await lane.close(0.2)
        assert clock.monotonic_ms() - since_ms < 1_000
        store.gate.set()

    asyncio.run(main())


def test_an_erasing_that_fails_raises_and_what_was_there_is_there_again(store: FaultyStore) -> None:
    """Whoever asked for it tells the guardian."""

    async def main() -> None:
        async with running(store) as lane:
            put_in(lane, "a")
            await lane.settle()
            store.failing = {"erase"}
            with pytest.raises(RecordStoreError):
                await lane.erase()
            await asyncio.sleep(60)
            assert await names(lane) == ["a"]
            store.failing = set()
            await lane.erase()
            assert await names(lane) == []

    run_virtual(main())


def test_a_folder_that_appears_late_is_used_as_soon_as_it_does(tmp_path: Path) -> None:
    """As a card that is mounted late, or read-only for a time."""
    (tmp_path / "data").write_text("in the way")

    async def main() -> None:
        async with opened(tmp_path / "data") as outbox:
            put(outbox, "a")
            assert not await outbox.settle()
            assert await ids(outbox) == ["a"]
            await asyncio.to_thread((tmp_path / "data").unlink)
            await asyncio.sleep(60)
            assert await outbox.settle()
        async with opened(tmp_path / "data") as outbox:
            assert await ids(outbox) == ["a"]

    run_virtual(main())


def test_on_a_disk_that_is_full_nothing_urgent_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Until the toy locks for want of room; and all is written once there is room again."""
    world = World()
    everything = [f"r{number:02}" for number in range(60)]

    async def main() -> None:
        async with opened(tmp_path, world, urgent_bytes_max=400_000) as outbox:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
            try:
                for name in everything:
                    put(outbox, name, words="x" * 8_000)
                    await outbox.settle()
                assert not await outbox.settle()
                assert world.posted == ["urgent_full"]
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            await asyncio.sleep(120)
            assert await outbox.settle()
        async with opened(tmp_path) as outbox:
            assert await ids(outbox) == everything

    run_virtual(main())
    assert len([line for line in errors(caplog) if "stay in memory" in line]) == 1


def test_a_lost_database_is_reported_as_urgent(tmp_path: Path) -> None:
    """A guardian should know that something may be missing."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            put(outbox, "a")
        await asyncio.to_thread((tmp_path / "urgent.db").write_bytes, b"damage")
        async with opened(tmp_path) as outbox:
            (told,) = await outbox.head("urgent", 2)
            assert told.function == "guardian:reportEvent"
            assert '"eventType":"urgent_store_lost"' in told.arguments
            assert '"isUrgent":true' in told.arguments
        async with opened(tmp_path) as outbox:
            assert await ids(outbox) == [told.record_id]

    run_virtual(main())


def test_a_torn_log_is_told_to_the_cloud(tmp_path: Path) -> None:
    """With how much of it was cut off."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            put(outbox, "a", urgent=False)
        log = tmp_path / "bulk.log"
        await asyncio.to_thread(lambda: log.write_bytes(log.read_bytes() + b"torn"))
        async with opened(tmp_path, boot_id="boot-two") as outbox:
            first, told = await outbox.head("bulk", 2)
            assert first.record_id == "a"
            assert '"code":"bulk_log_torn","context":{"bytes":4}' in told.arguments

    run_virtual(main())


def test_bulk_is_saved_at_each_interval_and_at_the_end(tmp_path: Path) -> None:
    """What a power cut may take is what came since."""

    async def survivors() -> list[str]:
        copy = tmp_path / "cut"
        await asyncio.to_thread(_copy_log, tmp_path / "data", copy)
        async with opened(copy, boot_id="boot-two") as outbox:
            return await ids(outbox, "bulk")

    async def main() -> None:
        async with opened(tmp_path / "data", persist_interval_s=60) as outbox:
            put(outbox, "a", urgent=False)
            await asyncio.sleep(59)
            assert await survivors() == []
            await asyncio.sleep(2)
            await outbox.settle("bulk")
            put(outbox, "b", urgent=False)
            assert await survivors() == ["a"]
            put(outbox, "c", urgent=False)
        assert await survivors() == ["a", "b", "c"]

    run_virtual(main())


def test_what_refers_to_speech_is_taken_out_wherever_it_is(tmp_path: Path) -> None:
    """Not yet uploaded or uploaded already, in memory or on disk; words stay."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            for name in ("a", "b", "c"):
                outbox.put(
                    "conversations:create",
                    {"transcript": "hello"},
                    urgent=False,
                    record_id=name,
                    audio=f"canary-{name}",
                )
                if name == "b":
                    outbox.store_audio("bulk", "b", "canary-stored")
                    await outbox.save()
            outbox.store_audio("bulk", "a", "canary-stored")
            outbox.forget_speech()
            records = await outbox.head("bulk", 3)
            assert {(record.audio, record.storage_id) for record in records} == {("", "")}
            assert {record.arguments for record in records} == {'{"transcript":"hello"}'}
            assert await outbox.audio_names() == set()
            await outbox.settle("bulk")
            assert await asyncio.to_thread(_files_with, tmp_path, b"canary") == []
        async with opened(tmp_path, boot_id="boot-two") as outbox:
            assert await outbox.head("bulk", 3) == records

    run_virtual(main())


def test_words_are_taken_out_of_what_is_in_memory_too(tmp_path: Path) -> None:
    """Before and after it is on disk, and for whoever asks in between."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            for name in ("a", "b"):
                outbox.put(
                    "conversations:create",
                    {"transcript": "canary", "outcome": "answered"},
                    urgent=False,
                    record_id=name,
                    audio=f"sound-{name}",
                )
                if name == "a":
                    await outbox.save()
            outbox.forget_words()
            for record in await outbox.head("bulk", 2):
                assert record.arguments == '{"transcript":null,"outcome":"answered"}'
            assert await outbox.audio_names() == {"sound-a", "sound-b"}
            outbox.finish("bulk", "a")
            assert await outbox.audio_names() == {"sound-b"}
            await outbox.settle("bulk")
            assert await asyncio.to_thread(_files_with, tmp_path, b"canary") == []

    run_virtual(main())


def _copy_log(data: Path, copy: Path) -> None:
    copy.mkdir(exist_ok=True)
    for path in copy.rglob("*.*"):
        path.unlink()
    if (data / "bulk.log").exists():
        (copy / "bulk.log").write_bytes((data / "bulk.log").read_bytes())


def _files_with(folder: Path, words: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if words in path.read_bytes()]


def test_what_is_erased_while_the_disk_is_opened_anew_does_not_come_back(
    store: FaultyStore,
) -> None:
    """What was found before the erasing is not there any more."""

    async def main() -> None:
        async with running(store) as lane:
            put_in(lane, "a")
            assert await lane.settle()
            store.failing.add("apply")
            put_in(lane, "b")
            assert not await lane.settle()
            await lane.settle()
            store.failing.clear()
            store.gate.clear()
            while not store.hangs.is_set():  # the next attempt, after its wait
                await asyncio.to_thread(store.hangs.wait, GATE_TIMEOUT_S)
            assert store.asked[-1] == "open"
            erased = asyncio.create_task(lane.erase())
            put_later = asyncio.Event()
            asyncio.get_running_loop().call_soon(put_later.set)
            await put_later.wait()
            put_in(lane, "c")
            store.gate.set()
            await erased
            assert await lane.settle()
            assert await names(lane) == ["c"]
            assert not lane.knows("a")

    asyncio.run(main())


def test_what_is_put_off_comes_after_all_others_and_no_longer_counts_as_waiting_first(
    store: FaultyStore,
) -> None:
    """Until the next start, which begins with the order in which they were put."""

    async def main() -> None:
        async with running(store) as lane:
            for name in ("a", "b"):
                put_in(lane, name)
            assert lane.put_off("a") == 1
            put_in(lane, "c")
            assert await names(lane) == ["b", "c", "a"]
            assert not lane.is_clear
            lane.finish(["b", "c"])
            assert lane.is_clear
            assert lane.put_off("a") == 2
            assert await names(lane) == ["a"]
            put_in(lane, "d")
            assert not lane.is_clear
            assert await names(lane) == ["d", "a"]
        async with running(store) as lane:
            await lane.settle()
            assert await names(lane) == ["a", "d"]

    run_virtual(main())


def test_everything_is_everything_or_an_error(store: FaultyStore) -> None:
    """An export that leaves something out must not look whole."""

    async def main() -> None:
        async with running(store) as lane:
            put_in(lane, "a")
            await lane.settle()
            put_in(lane, "b")
            assert [record.record_id for record in await lane.everything()] == ["a", "b"]
            for cause in (store.unreadable, store.failing):
                cause.update({"a", "read"})
                with pytest.raises(RecordStoreError):
                    await lane.everything()
                cause.clear()

    run_virtual(main())
