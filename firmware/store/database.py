"""Records in a SQLite database.

Two ways of being safe are used (https://sqlite.org/pragma.html#pragma_synchronous). ``FULL`` in
WAL mode syncs the log at each commit: what was committed survives a power cut. ``OFF`` never waits
for the disk: for a folder in memory, where nothing survives one anyway.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, Literal

from firmware.errors import RecordStoreError
from firmware.store.changes import ASIDE_MAX, Changes, Found
from firmware.store.record import (
    ACKNOWLEDGE_FUNCTION,
    CONVERSATION_FUNCTION,
    LOCK_REPORTS,
    REPORT_FUNCTION,
    Private,
    Record,
)

SCHEMA_VERSION: Final = 1
REMEMBERED_MAX: Final = 4_096
"""Ids of records done with that are kept: a command is not carried out again after a restart."""
DAMAGED_MAX: Final = 3
"""Damaged databases that are kept beside the present one; the oldest gives way."""
BUSY_TIMEOUT_S: Final = 1.0
WAL_BYTES_MAX: Final = 1_048_576
"""What is left of the write-ahead log's file once its content is in the database."""

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE: Final = 0xFF  # of an extended result code: https://sqlite.org/rescode.html
_SCHEMA: Final = (
    """CREATE TABLE waiting (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        record_id TEXT NOT NULL UNIQUE,
        bytes INTEGER NOT NULL,
        body TEXT NOT NULL,
        storage_id TEXT NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE done (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        record_id TEXT NOT NULL UNIQUE
    )""",
    """CREATE TABLE aside (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        record_id TEXT NOT NULL,
        body TEXT NOT NULL,
        code TEXT NOT NULL
    )""",
    "CREATE TABLE origin (boot_id TEXT NOT NULL)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_TABLES: Final = ("waiting", "done", "aside", "origin")
# A body that was damaged is no JSON: asking for a part of it would fail the whole statement.
_FUNCTION: Final = "CASE WHEN json_valid(body) THEN json_extract(body, '$.function') END"
_AUDIO: Final = "CASE WHEN json_valid(body) THEN json_extract(body, '$.audio') END"
_MAY_BE_CONVERSATION: Final = f"coalesce({_FUNCTION}, '') IN (?, '')"
_EVENT: Final = "CASE WHEN json_valid(body) THEN json_extract(body, '$.arguments.eventType') END"

_log = logging.getLogger(__name__)


class _DamagedError(RecordStoreError):
    """The file is no database of ours, or no longer."""


class RecordDatabase:
    """A `firmware.store.changes.RecordStore` in one SQLite database.

    When a database is damaged, or was made by a later version, another one is begun with whatever
    could still be read of it.

    Args:
        path: The file; folders above it are made.
        synchronous: Whether a commit waits for the disk.
        boot_id: Believe the database only if it was begun under this one; empty: always.
        keeps_damaged: Whether a damaged one is put beside for a person to look at (``.damaged1`` is
            the newest). Not where it may hold words: no erasing would find them there.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Literal["FULL", "OFF"],
        boot_id: str = "",
        keeps_damaged: bool = True,
    ) -> None:
        self.is_new = False
        """Whether the last ``open`` began it."""
        self._path = path
        self._synchronous = synchronous
        self._boot_id = boot_id
        self._keeps_damaged = keeps_damaged
        self._connection: sqlite3.Connection | None = None

    def open(self) -> Found:
        """Open the database, or begin one: see `RecordStore`."""
        self.close()
        self.is_new = False
        with self._world():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = self._connect()
            except _DamagedError as damage:
                _log.error(
                    "%s is damaged (%s): another one is begun",
                    self._path,
                    damage,
                )
                saved = self._put_beside() if self._keeps_damaged else self._rescued()
                self._connection = self._connect()
                self.apply(Changes(put={record.record_id: record for record in saved}))
                return self._found(is_damaged=True)
            return self._found(is_damaged=False)

    def apply(self, changes: Changes) -> None:
        """Make the changes in one transaction: see `RecordStore`."""
        with self._transaction() as database:
            database.executemany(
                "INSERT OR IGNORE INTO waiting (record_id, bytes, body, storage_id) "
                "SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM done WHERE record_id = ?)",
                [(*_row(record), record.record_id) for record in changes.put.values()],
            )
            if changes.forgotten:
                _take_out(changes.forgotten, database)
            database.executemany(
                "UPDATE waiting SET storage_id = ? WHERE record_id = ?",
                [(storage_id, record_id) for record_id, storage_id in changes.stored.items()],
            )
            database.executemany(
                "INSERT INTO aside (record_id, body, code) "
                "SELECT record_id, body, ? FROM waiting WHERE record_id = ?",
                [(code, record_id) for record_id, code in changes.aside.items()],
            )
            gone = [(record_id,) for record_id in (*changes.aside, *changes.done)]
            database.executemany("DELETE FROM waiting WHERE record_id = ?", gone)
            database.executemany("INSERT OR IGNORE INTO done (record_id) VALUES (?)", gone)
            for table, rows_max in (("done", REMEMBERED_MAX), ("aside", ASIDE_MAX)):
                database.execute(
                    f"DELETE FROM {table} WHERE place <= "  # noqa: S608 - names of our own
                    f"(SELECT max(place) FROM {table}) - {rows_max}"
                )
        if changes.forgotten:
            self._clear_wal()

    def read(self, record_ids: tuple[str, ...]) -> dict[str, Record]:
        """Return those of the records that can be read: see `RecordStore`."""
        with self._world():
            rows = (
                self._open_database()
                .execute(
                    "SELECT body, storage_id FROM waiting WHERE record_id = ?",  # one by one: few
                    (record_id,),
                )
                .fetchone()
                for record_id in record_ids
            )
            records = [_record(*row) for row in rows if row is not None]
        return {record.record_id: record for record in records if record is not None}

    def storage_ids(self) -> dict[str, str]:
        """Return by id what waits, oldest first, with what the cloud calls its audio."""
        with self._world():
            rows = self._open_database().execute(
                "SELECT record_id, storage_id FROM waiting ORDER BY place"
            )
            return dict(rows.fetchall())

    def bytes_waiting(self) -> int:
        """Return the size of what waits."""
        with self._world():
            (size,) = (
                self._open_database()
                .execute("SELECT coalesce(sum(bytes), 0) FROM waiting")
                .fetchone()
            )
            return int(size)

    def audio_names(self) -> set[str]:
        """Return the names of the audio that goes with what waits: see `RecordStore`."""
        with self._world():
            rows = self._open_database().execute(f"SELECT {_AUDIO} FROM waiting")  # noqa: S608
            return {name for (name,) in rows if name}

    def save(self) -> None:
        """Do nothing: a commit is as safe as this can make it."""

    def erase(self) -> None:
        """Remove everything, and what SQLite leaves of it in free pages."""
        with self._transaction() as database:
            for table in ("waiting", "done", "aside"):
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
        with self._world():
            self._open_database().execute("VACUUM")
        self._clear_wal()

    def close(self) -> None:
        """Close the database: see `RecordStore`."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _clear_wal(self) -> None:
        """Have nothing of what was removed stay in the write-ahead log."""
        with self._world():
            self._open_database().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connect(self) -> sqlite3.Connection:
        """Return a connection to a database that is whole and ours. Raises _DamagedError."""
        is_there = self._path.exists()
        database = self._bare()
        try:
            version = _is_ours(database)
            if is_there and version and self._boot_id not in {"", _boot_id(database)}:
                database.close()
                self._remove()
                database = self._bare()
                version = 0
            if not version:
                self._begin(database)
        except sqlite3.Error as error:
            database.close()
            if _is_damage(error):
                raise _DamagedError(error.sqlite_errorname) from error
            raise
        except BaseException:
            database.close()
            raise
        return database

    def _bare(self) -> sqlite3.Connection:
        """Return a connection; the file is made with a mode that keeps others out."""
        with open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)):  # noqa: PTH123 - for its mode
            pass
        database = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            for pragma in (
                "journal_mode = WAL",
                f"synchronous = {self._synchronous}",
                f"journal_size_limit = {WAL_BYTES_MAX}",
                "secure_delete = ON",  # what is done with was perhaps a child's words
                "trusted_schema = OFF",
            ):
                database.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            database.close()
            if _is_damage(error):
                raise _DamagedError(error.sqlite_errorname) from error
            raise
        return database

    def _begin(self, database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            database.execute(statement)
        database.execute("INSERT INTO origin VALUES (?)", (self._boot_id,))
        database.execute("COMMIT")
        self.is_new = True

    def _found(self, *, is_damaged: bool) -> Found:
        database = self._open_database()
        waiting = database.execute("SELECT record_id, bytes FROM waiting ORDER BY place")
        done = database.execute("SELECT record_id FROM done ORDER BY place")
        reports = ", ".join("?" * len(LOCK_REPORTS))
        passing = database.execute(
            f"SELECT record_id FROM waiting WHERE {_FUNCTION} = ? "  # noqa: S608 - our own
            f"OR ({_FUNCTION} = ? AND {_EVENT} IN ({reports}))",
            (ACKNOWLEDGE_FUNCTION, REPORT_FUNCTION, *sorted(LOCK_REPORTS)),
        )
        return Found(
            tuple(waiting.fetchall()),
            tuple(record_id for (record_id,) in done.fetchall()),
            is_damaged,
            passing=tuple(record_id for (record_id,) in passing.fetchall()),
        )

    def _rescued(self) -> list[Record]:
        """Remove the damaged database, and return the records that can still be read in it."""
        records = list(_readable(self._path))
        self._remove()
        return records

    def _put_beside(self) -> list[Record]:
        """Rename the damaged database, and return the records that can still be read in it."""
        for number in range(DAMAGED_MAX, 0, -1):
            for end in ("", "-wal", "-shm"):
                older = self._beside(number, end)
                if not older.exists():
                    continue
                if number == DAMAGED_MAX:
                    older.unlink()
                else:
                    older.replace(self._beside(number + 1, end))
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + end).replace(self._beside(1, end))
        return list(_readable(self._beside(1, "")))

    def _beside(self, number: int, end: str) -> Path:
        return self._path.with_name(f"{self._path.name}.damaged{number}{end}")

    def _remove(self) -> None:
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def _open_database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RecordStoreError(f"{self._path} is not open")
        return self._connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._world():
            database = self._open_database()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # it may have ended by itself
                    database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _world(self) -> Iterator[None]:
        """Turn whatever the disk or SQLite has to say into a RecordStoreError."""
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise RecordStoreError(f"{self._path}: {name}") from error
        except OSError as error:
            raise RecordStoreError(f"{self._path}: {error.strerror}") from error


def _is_ours(database: sqlite3.Connection) -> int:
    """Return the version of the schema; 0 for an empty file. Raises _DamagedError."""
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _DamagedError("it contradicts itself")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    found = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    tables = {name for (name,) in found}
    if version == 0 and not tables:
        return 0
    if version != SCHEMA_VERSION or not tables.issuperset(_TABLES):
        raise _DamagedError(f"its schema is of version {version}")
    return SCHEMA_VERSION


def _boot_id(database: sqlite3.Connection) -> str:
    row = database.execute("SELECT boot_id FROM origin").fetchone()
    return "" if row is None else str(row[0])


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _DAMAGE


def _take_out(private: Collection[Private], database: sqlite3.Connection) -> None:
    """Take something out of every conversation; of those set aside nothing is kept."""
    rows = database.execute(
        f"SELECT place, body, storage_id FROM waiting WHERE {_MAY_BE_CONVERSATION}",  # noqa: S608
        (CONVERSATION_FUNCTION,),
    ).fetchall()
    for place, body, storage_id in rows:
        record = _record(body, storage_id)
        if record is None:  # nobody can take anything out of it, and nobody will ever read it
            database.execute("DELETE FROM waiting WHERE place = ?", (place,))
        else:
            less = record.without(private)
            database.execute(
                "UPDATE waiting SET body = ?, storage_id = ? WHERE place = ?",
                (less.encoded(), less.storage_id, place),
            )
    database.execute(
        f"DELETE FROM aside WHERE {_MAY_BE_CONVERSATION}",  # noqa: S608 - names of our own
        (CONVERSATION_FUNCTION,),
    )


def _row(record: Record) -> tuple[str, int, str, str]:
    body = record.encoded()
    return record.record_id, len(body), body, record.storage_id


def _record(body: object, storage_id: object) -> Record | None:
    record = Record.decode(body) if isinstance(body, str) else None
    if record is None or not isinstance(storage_id, str):
        return None
    return record.with_storage_id(storage_id)


def _readable(path: Path) -> Iterator[Record]:
    """Yield the records of a damaged database for as long as it gives any."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            for row in database.execute("SELECT body, storage_id FROM waiting ORDER BY place"):
                if (record := _record(*row)) is not None:
                    yield record
    except sqlite3.Error:
        return
