"""Where the deployment's data lies: SQLite, in a file or in memory, over one connection.

The tables are declared here and written by whoever they belong to: ``deployment`` (devices, toys,
configurations), ``commands``, ``records`` and ``uploads``. JSON in a column is written as Convex
writes it. Times are in milliseconds since 1970, but for the commit's own.
"""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from devcloud.errors import DataFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE clock (timestamp_ns INTEGER NOT NULL) STRICT;
CREATE TABLE devices (
    device_id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL,
    toy_id TEXT NOT NULL
) STRICT;
CREATE TABLE toys (
    toy_id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL
) STRICT;
CREATE TABLE configurations (
    toy_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    PRIMARY KEY (toy_id, version)
) STRICT;
CREATE TABLE commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    command_id TEXT NOT NULL UNIQUE,
    device_id TEXT NOT NULL,
    command TEXT NOT NULL,
    outcome TEXT
) STRICT;
CREATE TABLE records (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    place TEXT NOT NULL,
    device_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    function TEXT NOT NULL,
    arguments TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 1,
    UNIQUE (device_id, place, record_id)
) STRICT;
CREATE TABLE upload_urls (
    token_sha256 BLOB PRIMARY KEY,
    device_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE uploads (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    storage_id TEXT NOT NULL UNIQUE,
    device_id TEXT NOT NULL,
    content_type TEXT,
    user_agent TEXT,
    sha256 TEXT NOT NULL,
    content BLOB NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
"""

Cell: TypeAlias = "str | int | bytes | None"


class Database:
    """A deployment's tables.

    With a ``path``, what was committed is still there after the process was killed; a power cut may
    lose the last commits, for this is a desk. Only one cloud at a time may have the file.

    Raises:
        DataFileError: the file cannot be opened, is none of ours, or another cloud has it.
    """

    def __init__(self, path: Path | None = None) -> None:
        try:
            self._connection = _open(path)
        except sqlite3.Error as error:
            is_taken = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            reason = "another development cloud has it" if is_taken else str(error)
            raise DataFileError(f"{path}: {reason}; name another file") from error
        # Many a deployment lives for one test, and nobody closes it.
        self.close = weakref.finalize(self, self._connection.close)

    def rows(self, sql: str, *cells: Cell) -> list[sqlite3.Row]:
        """Read rows; their columns have the names they were asked by."""
        return self._connection.execute(sql, cells).fetchall()

    def row(self, sql: str, *cells: Cell) -> sqlite3.Row | None:
        """Read the first row, if there is one."""
        row: sqlite3.Row | None = self._connection.execute(sql, cells).fetchone()
        return row

    def write(self, sql: str, *cells: Cell) -> int:
        """Change rows, and say how many. Outside a transaction it is one of its own."""
        return self._connection.execute(sql, cells).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is written in the context, or none of it if an error leaves it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _open(path: Path | None) -> sqlite3.Connection:
    # The loop's thread makes all calls; but the cloud may have been made in another.
    connection = sqlite3.connect(
        path or ":memory:", isolation_level=None, check_same_thread=False, timeout=0
    )
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path | None) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    is_new = version == 0 and tables == 0
    if not (is_new or version == SCHEMA_VERSION):
        raise DataFileError(
            f"{path}: not data of this development cloud (version {version}, wanted"
            f" {SCHEMA_VERSION}); name another file"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if is_new:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
