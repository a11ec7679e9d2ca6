"""The lock record: no power cut, failing disk or damaged copy frees a toy that was locked."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

from firmware.errors import LockStoreError
from firmware.store.lock import COPIES, RECORD_BYTES_MAX, LockRecord, LockStore
from tests.firmware.store.disk import Disk, Files, put

FREE: Final = LockRecord("free")
PAUSE: Final = LockRecord("pause", "p1", 300_000, "press")
LOCK: Final = LockRecord("lock", "l1", 0, "emergency_stop")
STEPS_OF_A_RECORD: Final = 12
MISSING, DAMAGED = LockRecord("missing"), LockRecord("unreadable")
RECORDS: Final = {"free": FREE, "pause": PAUSE, "lock": LOCK}

Copy = tuple[str, int]
"""A copy on the disk: its verdict, or missing or damaged, and its counter."""

POSSIBLE: Final = (
    ("missing", 0),
    ("damaged", 0),
    *itertools.product(("free", "pause", "lock"), (1, 2)),
)


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for this machine's disk: what syncing does is `disk.Disk`'s to say."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def content(copy: Copy) -> bytes | None:
    """Return what such a copy consists of, as another program would write it; None for no file."""
    verdict, counter = copy
    if verdict == "missing":
        return None
    if verdict == "damaged":
        return b"\0" * 100
    body = json.dumps({"counter": counter, **RECORDS[verdict]._asdict()}, sort_keys=True)
    digest = hashlib.sha256(body.encode()).hexdigest()
    return json.dumps({"body": body, "sha256": digest}).encode()


def store_with(folder: Path, *copies: Copy) -> LockStore:
    """Return a store whose copies are these."""
    contents = {name: content(copy) for name, copy in zip(COPIES, copies, strict=True)}
    put({name: body for name, body in contents.items() if body is not None}, folder)
    return LockStore(folder)


def believed(first: Copy, second: Copy) -> LockRecord:
    """Return what two copies mean, in the words of the specification."""
    verdicts = {first[0], second[0]}
    if verdicts == {"missing"}:
        return MISSING
    if verdicts <= {"missing", "damaged"}:
        return DAMAGED
    if verdicts <= RECORDS.keys():
        return RECORDS[second[0] if second[1] > first[1] else first[0]]
    if second[0] == "missing":  # the first record that was ever written, cut short between copies
        return RECORDS[first[0]]
    # One copy is lost that may have held a newer lock.
    return LOCK if "lock" in verdicts else DAMAGED


@pytest.mark.parametrize("second", POSSIBLE, ids=lambda copy: f"{copy[0]}{copy[1]}")
@pytest.mark.parametrize("first", POSSIBLE, ids=lambda copy: f"{copy[0]}{copy[1]}")
def test_two_copies_mean_what_the_newer_says_unless_one_is_lost(
    tmp_path: Path, first: Copy, second: Copy
) -> None:
    """Every combination of missing, damaged, old and new copies that are free, paused or locked."""
    assert store_with(tmp_path, first, second).read() == believed(first, second)


@pytest.mark.parametrize("second", POSSIBLE, ids=lambda copy: f"{copy[0]}{copy[1]}")
@pytest.mark.parametrize("first", POSSIBLE, ids=lambda copy: f"{copy[0]}{copy[1]}")
def test_a_lock_is_written_and_a_pause_never_over_a_lock_whatever_is_there(
    tmp_path: Path, first: Copy, second: Copy
) -> None:
    """Both copies are whole afterwards, unless what is there locks more than a pause would."""
    before = believed(first, second)
    store = store_with(tmp_path, first, second)
    store.write("p2", "pause", 600_000, "pause")
    stronger = before in {LOCK, DAMAGED}
    assert store.read() == (before if stronger else LockRecord("pause", "p2", 600_000, "pause"))
    store.write("l2", "lock", 0, "lock")
    assert store.read() == LockRecord("lock", "l2", 0, "lock")
    for name in COPIES:
        assert LockStore(put({COPIES[0]: (tmp_path / name).read_bytes()}, tmp_path / "one")).read()[
            :2
        ] == ("lock", "l2")


@pytest.mark.parametrize("record", [PAUSE, LOCK], ids=["pause", "lock"])
def test_a_release_frees_from_the_lock_that_it_names_and_from_no_other(
    tmp_path: Path, record: LockRecord
) -> None:
    """An id that is old, or anybody's, frees nothing."""
    store = store_with(tmp_path, (record.verdict, 1), (record.verdict, 1))
    for other in ("", "x", record.lock_id + "1"):
        store.clear(other)
        assert store.read() == record
    store.clear(record.lock_id)
    assert store.read() == FREE


@pytest.mark.parametrize("copy", [("missing", 0), ("damaged", 0)], ids=["missing", "damaged"])
def test_clearing_does_not_make_a_lost_record_a_free_one(tmp_path: Path, copy: Copy) -> None:
    """Nobody knows which lock it was."""
    store = store_with(tmp_path, copy, copy)
    store.clear("")
    assert store.read().verdict != "free"


def test_a_new_toy_is_founded_free_and_only_once(tmp_path: Path) -> None:
    """What stands there already, stays, damage too."""
    store = LockStore(tmp_path)
    assert store.read() == MISSING
    store.found()
    assert store.read() == FREE
    for copy in (("lock", 1), ("pause", 1), ("damaged", 0)):
        store = store_with(tmp_path, copy, copy)
        before = store.read()
        store.found()
        assert store.read() == before


def test_what_was_written_is_read_by_another_start(tmp_path: Path) -> None:
    """Verdict, id, length and cause; nothing is held in memory."""
    LockStore(tmp_path).write("a1", "pause", 600_000, "safety_override")
    assert LockStore(tmp_path).read() == LockRecord("pause", "a1", 600_000, "safety_override")


def envelope(body: object, digest: str | None = None) -> bytes:
    """Return a copy's bytes around any body, with the checksum that fits or with another."""
    text = body if isinstance(body, str) else json.dumps(body)
    return json.dumps(
        {"body": text, "sha256": digest or hashlib.sha256(text.encode()).hexdigest()}
    ).encode()


HONEST: Final = {"counter": 1, **FREE._asdict()}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff" * 50,
        b"[]",
        b"3",
        b'{"body": 3, "sha256": "x"}',
        b'{"body": "{}"}',
        b"[" * RECORD_BYTES_MAX,
        b" " * (RECORD_BYTES_MAX + 1) + envelope(HONEST),
        envelope(HONEST, "0" * 64),
        envelope(HONEST)[:-1],
        envelope("{}"),
        envelope("[]"),
        envelope("x"),
        envelope(HONEST | {"verdict": "released"}),
        envelope(HONEST | {"verdict": "missing"}),
        envelope(HONEST | {"verdict": ["lock"]}),
        envelope(HONEST | {"lock_id": 3}),
        envelope(HONEST | {"pause_ms": "long"}),
        envelope(HONEST | {"pause_ms": True}),
        envelope(HONEST | {"counter": "many"}),
        envelope(HONEST | {"counter": float("inf")}),
        envelope(HONEST | {"key": "of a later version"}),
    ],
)
def test_whatever_cannot_be_believed_is_unreadable(tmp_path: Path, damage: bytes) -> None:
    """No content of a file raises, and none but our own is taken for a record."""
    store = LockStore(put(dict.fromkeys(COPIES, damage), tmp_path))
    assert store.read() == DAMAGED


@pytest.mark.parametrize("position", range(0, len(content(("lock", 1)) or b""), 7))
def test_a_flipped_bit_anywhere_is_damage_or_changes_nothing(tmp_path: Path, position: int) -> None:
    """The checksum covers all that is believed."""
    flipped = bytearray(content(("lock", 1)) or b"")
    flipped[position] ^= 1
    store = LockStore(put(dict.fromkeys(COPIES, bytes(flipped)), tmp_path))
    assert store.read() in {DAMAGED, LOCK}


def test_a_copy_that_is_no_file_is_unreadable(tmp_path: Path) -> None:
    """A folder in its place, for instance."""
    for name in COPIES:
        (tmp_path / name).mkdir()
    assert LockStore(tmp_path).read() == DAMAGED


def test_a_folder_that_is_gone_reads_as_missing_and_cannot_be_written(tmp_path: Path) -> None:
    """One line names the file and the reason."""
    store = LockStore(tmp_path / "gone")
    assert store.read() == MISSING
    with pytest.raises(LockStoreError) as caught:
        store.write("a1", "lock", 0, "lock")
    assert str(caught.value) == (
        f"{tmp_path / 'gone' / COPIES[0]}: the lock record cannot be written: "
        "No such file or directory"
    )


def test_a_folder_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    """It reads as unreadable, and so as locked."""
    (tmp_path / "data").write_text("no folder")
    store = LockStore(tmp_path / "data")
    assert store.read() == DAMAGED
    with pytest.raises(LockStoreError, match="Not a directory"):
        store.write("a1", "lock", 0, "lock")


Deed = Callable[[LockStore], None]
DEEDS: Final[dict[str, tuple[LockRecord, Deed, LockRecord]]] = {
    "founded": (MISSING, LockStore.found, FREE),
    "locked": (
        FREE,
        lambda store: store.write("l2", "lock", 0, "lock"),
        LockRecord("lock", "l2", 0, "lock"),
    ),
    "paused": (
        FREE,
        lambda store: store.write("p2", "pause", 9, "press"),
        LockRecord("pause", "p2", 9, "press"),
    ),
    "pause becomes lock": (
        PAUSE,
        lambda store: store.write("l2", "lock", 0, "lock"),
        LockRecord("lock", "l2", 0, "lock"),
    ),
    "pause is lengthened": (
        PAUSE,
        lambda store: store.write("p1", "pause", 600_000, "press"),
        PAUSE._replace(pause_ms=600_000),
    ),
    "lock is replaced": (
        LOCK,
        lambda store: store.write("l2", "lock", 0, "lock"),
        LockRecord("lock", "l2", 0, "lock"),
    ),
    "lock is kept": (LOCK, lambda store: store.write("p2", "pause", 9, "press"), LOCK),
    "lock is released": (LOCK, lambda store: store.clear("l1"), FREE),
    "pause is released": (PAUSE, lambda store: store.clear("p1"), FREE),
}
"""What is done, from which record and to which."""


def begun(folder: Path, record: LockRecord) -> LockStore:
    """Return a store whose copies both hold ``record``, for the fifth time."""
    copy = (record.verdict, 5)
    return store_with(folder, copy, copy)


def readings(cuts: Iterable[Files], folder: Path) -> set[LockRecord]:
    """Return what the next start reads after each of these power cuts."""
    return {LockStore(put(left, folder)).read() for left in cuts}


@pytest.mark.parametrize("deed", DEEDS)
def test_whenever_the_power_goes_the_next_start_reads_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """At every step of the writing; the new, for certain, once it was acknowledged."""
    before, do, after = DEEDS[deed]
    store = begun(tmp_path / "data", before)
    disk = Disk(tmp_path / "data", monkeypatch)
    do(store)
    monkeypatch.undo()
    found = readings((left for cut in disk.cuts for left in cut), tmp_path / "cut")
    assert found <= {before, after}
    assert readings(disk.found(), tmp_path / "cut") == {after}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_disk_that_fails_at_any_step_leaves_the_old_or_the_new_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """And doing it again, when the disk works again, does it."""
    before, do, after = DEEDS[deed]
    store = begun(tmp_path / "data", before)
    with monkeypatch.context() as patched:
        disk = Disk(tmp_path / "data", patched)
        do(store)
        steps = len(disk.steps)
    for step in range(1, steps + 1):
        store = begun(tmp_path / "data", before)
        with monkeypatch.context() as patched:
            disk = Disk(tmp_path / "data", patched)
            disk.fails_at = step
            with pytest.raises(LockStoreError, match="cannot be written: Input/output error"):
                do(store)
        found = readings(
            (left for cut in [*disk.cuts, [*disk.found()]] for left in cut), tmp_path / "cut"
        )
        assert found <= {before, after}
        is_in_first_copy = step > STEPS_OF_A_RECORD / 2
        assert store.read() == after or not is_in_first_copy
        do(store)
        assert store.read() == after


def test_a_toy_whose_lock_was_acknowledged_is_never_found_free_until_it_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through pauses, other locks and failing disks; any power cut boots locked."""
    store = begun(tmp_path / "data", FREE)
    store.write("l1", "lock", 0, "lock")
    disk = Disk(tmp_path / "data", monkeypatch)
    store.write("p1", "pause", 9, "press")
    store.write("l2", "lock", 0, "urgent_full")
    store.clear("l1")
    store.found()
    for step in range(1, STEPS_OF_A_RECORD + 1):
        disk.fails_at = len(disk.steps) + step
        with pytest.raises(LockStoreError):
            store.write("l3", "lock", 0, "lock")
    store.clear("l2")
    monkeypatch.undo()
    found = readings((left for cut in disk.cuts for left in cut), tmp_path / "cut")
    assert {record.verdict for record in found} == {"lock"}
