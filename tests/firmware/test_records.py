"""Reading and writing what decides at start, off the loop and in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.records import Records
from firmware.store.lock import LockRecord, LockStore
from hardware.sim.clock import run_virtual
from states.events import EVENTS
from tests.firmware.voice.rig import Posted


def posted_by(folder: Path, ask: Callable[[Records], None], *, has_identity: bool = True) -> Posted:
    """Return what is posted when something is asked of records in a folder, once all is done."""
    posted = Posted()

    async def main() -> None:
        records = Records(LockStore(folder), posted, has_identity=has_identity)
        ask(records)
        await asyncio.sleep(0.001)
        records.close()

    run_virtual(main())
    return posted


def write(records: Records, lock_id: str, kind: str = "lock", pause_ms: int = 0) -> None:
    """Ask for a lock to be written."""
    records.effects["write_lock"](lock_id=lock_id, kind=kind, pause_ms=pause_ms, cause="press")


def read(records: Records) -> None:
    """Ask for the records."""
    records.effects["read_records"]()


@pytest.mark.parametrize("has_identity", [True, False])
def test_what_is_read_is_posted(tmp_path: Path, *, has_identity: bool) -> None:
    """Identity and lock record in one event, whose fields are those of the vocabulary."""
    LockStore(tmp_path).write("a1", "pause", 300_000, "press")
    ((name, fields),) = posted_by(tmp_path, read, has_identity=has_identity)
    assert name == "records_read"
    assert fields == {
        "identity": has_identity,
        "lock": "pause",
        "lock_id": "a1",
        "pause_ms": 300_000,
    }
    assert fields.keys() == EVENTS["records_read"].fields.keys()


def test_a_lock_is_told_written_when_it_is_on_disk(tmp_path: Path) -> None:
    """Never before."""
    posted = posted_by(tmp_path, lambda records: write(records, "a1"))
    assert posted == [("lock_written", {"lock_id": "a1"})]
    assert LockStore(tmp_path).read() == LockRecord("lock", "a1", 0, "press")


def test_what_was_asked_for_first_is_done_first(tmp_path: Path) -> None:
    """A reading that was asked for after a writing finds it."""

    def ask(records: Records) -> None:
        write(records, "a1")
        read(records)
        records.effects["clear_lock"](lock_id="a1")
        read(records)
        write(records, "b2", "pause", 300_000)
        read(records)

    posted = posted_by(tmp_path, ask)
    found = [fields.get("lock", name) for name, fields in posted]
    assert found == ["lock_written", "lock", "free", "lock_written", "pause"]


def test_closing_finishes_what_was_begun(tmp_path: Path) -> None:
    """A lock that was asked for just before the end is on disk when the end has come."""

    async def main() -> None:
        records = Records(LockStore(tmp_path), Posted(), has_identity=True)
        write(records, "a1")
        records.close()
        assert LockStore(tmp_path).read().verdict == "lock"

    run_virtual(main())


def test_nothing_of_it_happens_on_the_loops_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop goes on while a card takes its time."""
    threads: set[threading.Thread] = set()
    really_read = LockStore.read

    def watched(store: LockStore) -> LockRecord:
        threads.add(threading.current_thread())
        return really_read(store)

    monkeypatch.setattr(LockStore, "read", watched)

    def ask(records: Records) -> None:
        read(records)
        write(records, "a1", "pause")
        records.effects["clear_lock"](lock_id="a1")

    posted_by(tmp_path, ask)
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_a_lock_that_cannot_be_written_is_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With one line in the log, and no trace."""
    folder = tmp_path / "data"
    folder.write_text("a file where the folder should be")
    posted = posted_by(folder, lambda records: write(records, "a1"))
    assert posted == [("lock_write_failed", {"lock_id": "a1"})]
    (record,) = caplog.records
    assert "the lock is held in memory only" in record.getMessage()
    assert "Not a directory" in record.getMessage()
    assert record.exc_info is None


def test_a_lock_that_cannot_be_cleared_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next start may still be locked, which is safe; somebody should know why."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    LockStore(tmp_path).write("a1", "lock", 0, "press")
    monkeypatch.setattr("firmware.store.lock.write_durably", fail)
    posted = posted_by(tmp_path, lambda records: records.effects["clear_lock"](lock_id="a1"))
    assert posted == []
    (record,) = caplog.records
    assert "No space left on device" in record.getMessage()
    assert LockStore(tmp_path).read().verdict == "lock"


def test_a_defect_on_the_worker_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that nobody expected does not vanish in a thread, and the next work is done."""

    def fail(_: LockStore) -> LockRecord:
        raise ZeroDivisionError

    monkeypatch.setattr(LockStore, "read", fail)

    def ask(records: Records) -> None:
        read(records)
        write(records, "a1")

    assert posted_by(tmp_path, ask) == [("lock_written", {"lock_id": "a1"})]
    (record,) = caplog.records
    assert record.getMessage() == "the records' worker failed"
    assert record.exc_info is not None
