"""Records in SQLite: how safe they are, and what becomes of a file that is damaged."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import RecordStoreError
from firmware.store import database as database_module
from firmware.store.changes import ASIDE_MAX, DONE_MAX, Changes, Found
from firmware.store.database import DAMAGED_MAX, REMEMBERED_MAX, RecordDatabase
from firmware.store.record import Record, Stamp

Synchronous = Literal["FULL", "OFF"]

STAMP = Stamp(1, True, "boot", 2)  # noqa: FBT003 - as on disk


def record(name: str, words: str = "") -> Record:
    """Return a record of this id."""
    return Record(name, "logs:create", f'{{"words":"{words}"}}', "toy", STAMP)


def puts(*names: str, words: str = "") -> Changes:
    """Return the changes that put these records."""
    return Changes(put={name: record(name, words) for name in names})


def done(*names: str) -> Changes:
    """Return the changes that finish these records."""
    return Changes(done=dict.fromkeys(names))


def ids(found: Found) -> list[str]:
    """Return the ids of what waits."""
    return [name for name, _ in found.waiting]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[RecordDatabase]:
    """An open database at ``records.db``."""
    database = RecordDatabase(tmp_path / "records.db", synchronous="FULL")
    database.open()
    yield database
    database.close()


@pytest.mark.parametrize(("synchronous", "level"), [("FULL", 2), ("OFF", 0)])
def test_a_commit_waits_for_the_disk_or_does_not(
    tmp_path: Path, synchronous: Synchronous, level: int
) -> None:
    """The connection itself says how it is set: that a process dies shows nothing of the disk."""
    database = RecordDatabase(tmp_path / "records.db", synchronous=synchronous)
    database.open()
    connection = database._open_database()
    assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_a_change_is_committed_when_it_returns(database: RecordDatabase, tmp_path: Path) -> None:
    """Another connection sees it, and no transaction is left open."""
    database.apply(puts("a", "b"))
    assert not database._open_database().in_transaction
    other = sqlite3.connect(tmp_path / "records.db")
    assert other.execute("SELECT record_id FROM waiting ORDER BY place").fetchall() == [
        ("a",),
        ("b",),
    ]
    other.close()


@pytest.mark.parametrize("synchronous", ["FULL", "OFF"])
def test_what_was_committed_survives_the_death_of_the_process(
    tmp_path: Path, synchronous: Synchronous
) -> None:
    """Of a power cut this says nothing, as the second case shows: see the first test."""
    child = (
        "import sys; from pathlib import Path\n"
        "from firmware.store.database import RecordDatabase\n"
        "from tests.firmware.store.test_database import puts\n"
        "database = RecordDatabase(Path(sys.argv[1]), synchronous=sys.argv[2])\n"
        "database.open()\n"
        "database.apply(puts('a'))\n"
        "print('kept', flush=True)\n"
        "sys.stdin.read()\n"
    )
    path = tmp_path / "records.db"
    with subprocess.Popen(
        [sys.executable, "-c", child, str(path), synchronous],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"kept\n"
        process.kill()
    database = RecordDatabase(path, synchronous="FULL")
    assert ids(database.open()) == ["a"]
    database.close()


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, list[int]]:
    """A database and its write-ahead log after ten commits, and how long that was after each."""
    path = tmp_path_factory.mktemp("committed") / "records.db"
    wal = path.with_name("records.db-wal")
    database = RecordDatabase(path, synchronous="FULL")
    database.open()
    lengths = [wal.stat().st_size]
    for number in range(10):
        database.apply(puts(f"r{number}", words="x" * 1_500))
        lengths.append(wal.stat().st_size)
    content = path.read_bytes(), wal.read_bytes()
    database.close()
    return *content, lengths


@given(data=st.data(), tail=st.binary(max_size=64))
def test_a_power_cut_takes_nothing_that_was_committed_and_is_no_damage(
    tmp_path_factory: pytest.TempPathFactory,
    committed: tuple[bytes, bytes, list[int]],
    data: st.DataObject,
    tail: bytes,
) -> None:
    """Each commit has the log on the disk as far as it was; behind that may be anything."""
    base, wal, lengths = committed
    kept = data.draw(st.integers(lengths[0], len(wal)), label="bytes of the log")
    path = tmp_path_factory.mktemp("cut") / "records.db"
    path.write_bytes(base)
    path.with_name("records.db-wal").write_bytes(wal[:kept] + tail)
    database = RecordDatabase(path, synchronous="OFF")
    found = database.open()
    database.close()
    safe = max(number for number, length in enumerate(lengths) if length <= kept)
    assert not found.is_damaged
    assert ids(found) == [f"r{number}" for number in range(safe)]


def test_changes_are_made_all_or_none(database: RecordDatabase) -> None:
    """A disk that fails in between leaves what was there."""
    database.apply(puts("a"))
    connection = database._open_database()
    connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON done BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    changes = puts("b")
    changes.done["a"] = None
    with pytest.raises(RecordStoreError, match="SQLITE_CONSTRAINT_TRIGGER"):
        database.apply(changes)
    assert list(database.storage_ids()) == ["a"]
    connection.execute("DROP TRIGGER full")
    database.apply(changes)
    assert list(database.storage_ids()) == ["b"]


def test_changes_that_are_made_twice_are_made_once(database: RecordDatabase) -> None:
    """Nobody knows whether a commit that failed was made."""
    changes = puts("a", "b", "c")
    changes.done["b"] = None
    changes.aside["c"] = "BAD"
    changes.stored["a"] = "s-1"
    database.apply(changes)
    database.apply(changes)
    assert database.storage_ids() == {"a": "s-1"}
    assert ids(database.open()) == ["a"]
    assert database._open_database().execute("SELECT count(*) FROM aside").fetchone() == (1,)


def test_only_the_owner_may_read_its_files(database: RecordDatabase, tmp_path: Path) -> None:
    """A lock's id is what a release must name."""
    database.apply(puts("a"))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_what_is_remembered_and_set_aside_is_bounded(
    database: RecordDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest stay."""
    assert (REMEMBERED_MAX, ASIDE_MAX) == (4_096, 100)
    monkeypatch.setattr(database_module, "REMEMBERED_MAX", 5)
    monkeypatch.setattr(database_module, "ASIDE_MAX", 3)
    for number in range(20):
        name = f"r{number}"
        database.apply(puts(name, f"poison{number}"))
        database.apply(Changes(done={name: None}, aside={f"poison{number}": "BAD"}))
    aside = database._open_database().execute("SELECT record_id FROM aside").fetchall()
    assert aside == [("poison17",), ("poison18",), ("poison19",)]
    assert set(database.open().remembered) == {"r17", "poison18", "r18", "poison19", "r19"}


@pytest.mark.parametrize("place", ["head", "whole", "schema", "text"])
def test_a_damaged_database_is_put_beside_and_another_one_begun(
    tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was damaged is kept, and said out loud."""
    path = tmp_path / "records.db"
    database = RecordDatabase(path, synchronous="FULL")
    database.open()
    database.apply(puts(*(f"r{number}" for number in range(200)), words="x" * 100))
    database.close()
    content = bytearray(path.read_bytes())
    match place:
        case "head":
            content[:16] = b"not a database!!"
        case "whole":
            content[:] = bytes(len(content))
        case "schema":
            content[100:200] = b"\xff" * 100
        case "text":
            content[:] = b"hello"
    path.write_bytes(content)
    found = database.open()
    assert found.is_damaged
    assert path.with_name("records.db.damaged1").read_bytes() == bytes(content)
    assert "records.db is damaged" in caplog.text
    database.apply(puts("new"))
    assert ids(database.open())[-1] == "new"
    assert not database.open().is_damaged
    database.close()


def test_what_can_be_read_of_a_damaged_database_is_saved(tmp_path: Path) -> None:
    """Records before the damage are as good as ever."""
    path = tmp_path / "records.db"
    names = [f"r{number:04}" for number in range(400)]
    database = RecordDatabase(path, synchronous="FULL")
    database.open()
    database.apply(puts(*names, words="x" * 100))
    database.close()
    content = bytearray(path.read_bytes())
    middle = content.index(b"r0200")
    content[middle - middle % 4096 : middle - middle % 4096 + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    found = database.open()
    assert found.is_damaged
    saved = ids(found)
    assert saved == names[: len(saved)]
    assert 50 < len(saved) < 200
    assert database.read((saved[-1],))[saved[-1]] == record(saved[-1], "x" * 100)
    database.close()


def test_a_database_of_a_later_version_is_put_beside_unharmed(tmp_path: Path) -> None:
    """After a firmware was rolled back; the later one finds it again under its other name."""
    path = tmp_path / "records.db"
    database = RecordDatabase(path, synchronous="FULL")
    database.open()
    database.apply(puts("a"))
    database._open_database().execute("PRAGMA user_version = 2")
    found = database.open()
    assert found.is_damaged
    assert ids(found) == ["a"], "it could be read all the same"
    later = sqlite3.connect(tmp_path / "records.db.damaged1")
    assert later.execute("SELECT record_id FROM waiting").fetchall() == [("a",)]
    later.close()
    database.close()


def test_damaged_databases_do_not_fill_the_card(tmp_path: Path) -> None:
    """The newest are kept."""
    path = tmp_path / "records.db"
    database = RecordDatabase(path, synchronous="FULL")
    for number in range(DAMAGED_MAX + 2):
        database.close()
        path.write_bytes(b"damage %d" % number)
        database.open()
    database.close()
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.damaged?")}
    assert kept == {
        "records.db.damaged1": b"damage 4",
        "records.db.damaged2": b"damage 3",
        "records.db.damaged3": b"damage 2",
    }


def test_a_database_of_another_start_is_begun_anew_where_that_is_asked(tmp_path: Path) -> None:
    """What did not wait for the disk cannot be believed after a power cut."""
    path = tmp_path / "records.db"
    for boot, expected, is_new in (
        ("one", [], True),
        ("one", ["a"], False),
        ("two", [], True),
    ):
        database = RecordDatabase(path, synchronous="OFF", boot_id=boot)
        assert ids(database.open()) == expected
        assert database.is_new is is_new
        database.apply(puts("a"))
        database.close()


def test_a_record_that_cannot_be_read_is_left_out(database: RecordDatabase) -> None:
    """The others are not its victims."""
    database.apply(puts("a", "b"))
    database._open_database().execute("UPDATE waiting SET body = '{' WHERE record_id = 'a'")
    assert list(database.read(("a", "b", "c"))) == ["b"]


def test_what_is_not_open_says_so(tmp_path: Path) -> None:
    """And a folder that cannot be made."""
    database = RecordDatabase(tmp_path / "records.db", synchronous="FULL")
    with pytest.raises(RecordStoreError, match="is not open"):
        database.apply(done("a"))
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordStoreError, match=r"Not a directory|File exists"):
        RecordDatabase(tmp_path / "file" / "records.db", synchronous="FULL").open()


def test_a_damaged_database_is_said_once_and_as_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For the person who reads the log."""
    (tmp_path / "records.db").write_bytes(b"hello")
    database = RecordDatabase(tmp_path / "records.db", synchronous="FULL")
    database.open()
    database.close()
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR]


def conversation(name: str, words: str) -> Record:
    """Return a conversation in which this was said."""
    return Record(name, "conversations:create", f'{{"transcript":"{words}"}}', "toy", STAMP)


def test_one_damaged_body_keeps_nothing_else_from_being_forgotten_or_told(tmp_path: Path) -> None:
    """And goes with what is forgotten: what was said may be in it."""
    database = RecordDatabase(tmp_path / "records.db", synchronous="OFF")
    database.open()
    talks = {name: conversation(name, "canary") for name in ("a", "b", "c")}
    talks["c"] = replace(talks["c"], audio="speech")
    database.apply(Changes(put=talks))
    database._open_database().execute(
        "UPDATE waiting SET body = replace(body, ':', ' ') WHERE record_id = 'b'"
    )
    assert database.audio_names() == {"speech"}
    database.apply(Changes(forgotten=frozenset({"words"}), done={"x": None}))
    assert list(database.read(("a", "b", "c"))) == ["a", "c"]
    assert ids(database.open()) == ["a", "c"]
    database.close()
    assert b"canary" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_what_may_hold_words_is_not_kept_when_it_is_damaged(tmp_path: Path) -> None:
    """No erasing would find it; what can be read of it is taken over."""
    database = RecordDatabase(tmp_path / "records.db", synchronous="OFF", keeps_damaged=False)
    database.open()
    database.apply(Changes(put={"a": conversation("a", "canary")}))
    database._open_database().execute("PRAGMA user_version = 7")
    found = database.open()
    assert found.is_damaged
    assert ids(found) == ["a"]
    database.erase()
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == ["records.db"]
    assert b"canary" not in (tmp_path / "records.db").read_bytes()


def test_what_goes_past_a_record_that_fails_is_known_after_a_restart(tmp_path: Path) -> None:
    """Reports of locks, and answers to commands."""
    database = RecordDatabase(tmp_path / "records.db", synchronous="FULL")
    database.open()
    functions = {
        "other": ("guardian:reportEvent", '{"eventType":"said_by_guardian"}'),
        "lock": ("guardian:reportEvent", '{"eventType":"emergency_stop"}'),
        "answer": ("devices:ackCommand", '{"commandId":"c"}'),
        "log": ("logs:create", '{"eventType":"emergency_stop"}'),
    }
    put = {name: Record(name, *said, "toy", STAMP) for name, said in functions.items()}
    database.apply(Changes(put=put))
    assert database.open().passing == ("lock", "answer")
    database.close()


def test_what_a_failing_disk_is_yet_to_be_told_has_a_limit() -> None:
    """A card that never answers again must not take all memory."""
    changes = Changes()
    for number in range(DONE_MAX + 10):
        changes.finish(f"r{number}")
    for number in range(ASIDE_MAX + 10):
        changes.put[f"a{number}"] = record(f"a{number}")
        changes.set_aside(f"a{number}", "CODE")
    both = changes.followed_by(changes)
    assert len(both.done) == DONE_MAX
    assert len(both.aside) == len(both.put) == ASIDE_MAX
