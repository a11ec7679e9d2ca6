"""The lock record: what keeps a toy locked through a power cut.

Two copies, each with its checksum and a counter, written one after the other. A write is atomic, so
a power cut leaves each copy old or new, never torn: a copy that cannot be believed is damage. A
damaged copy beside one that says *free* or *pause* decides nothing, because the damaged one may
have been a newer lock.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final, Literal, NamedTuple

from firmware.errors import LockStoreError
from firmware.store.files import write_durably

COPIES: Final = ("lock.a.json", "lock.b.json")
RECORD_BYTES_MAX: Final = 4_096

Verdict = Literal["free", "pause", "lock", "unreadable", "missing"]
_WRITTEN: Final = ("free", "pause", "lock")


class LockRecord(NamedTuple):
    """What the disk says; what follows the verdict means something for ``pause`` and ``lock``."""

    verdict: Verdict
    lock_id: str = ""
    pause_ms: int = 0
    cause: str = ""


class _Copy(NamedTuple):
    counter: int
    record: LockRecord


class LockStore:
    """Reads and writes the lock record in ``folder``. It blocks: call it on a worker's thread."""

    def __init__(self, folder: Path) -> None:
        self._paths = tuple(folder / name for name in COPIES)

    def read(self) -> LockRecord:
        """Return what is on the disk; it never raises, because unreadable is an answer too."""
        copies = [_read(path) for path in self._paths]
        believed = [copy for copy in copies if isinstance(copy, _Copy)]
        if not believed:
            return LockRecord("missing" if copies == ["missing", "missing"] else "unreadable")
        newest = max(believed, key=lambda copy: copy.counter).record
        # The first copy is written first, so it alone may stand without the other.
        whole = len(believed) == len(copies) or copies[1] == "missing"
        return newest if whole or newest.verdict == "lock" else LockRecord("unreadable")

    def write(self, lock_id: str, kind: str, pause_ms: int, cause: str) -> None:
        """Make a lock durable.

        A pause never takes the place of what is stronger: a held lock, or a record that cannot be
        read and so counts as one. Raises LockStoreError when it is not durable.
        """
        if kind == "pause" and self.read().verdict in {"lock", "unreadable"}:
            return
        verdict: Verdict = "pause" if kind == "pause" else "lock"
        self._write(LockRecord(verdict, lock_id, pause_ms, cause))

    def clear(self, lock_id: str) -> None:
        """Free the toy from the lock ``lock_id``; another lock stays. Raises LockStoreError."""
        present = self.read()
        if present.verdict in ("pause", "lock") and present.lock_id == lock_id:
            self._write(LockRecord("free"))

    def found(self) -> None:
        """Write the first record of a toy, if there is none: it is free.

        For a folder in which no toy has lived yet: elsewhere a record that is missing was lost, and
        that is a reason to lock. Raises LockStoreError.
        """
        if self.read().verdict == "missing":
            self._write(LockRecord("free"))

    def _write(self, record: LockRecord) -> None:
        counters = [copy.counter for copy in map(_read, self._paths) if isinstance(copy, _Copy)]
        content = _encoded(_Copy(max(counters, default=0) + 1, record))
        for path in self._paths:
            try:
                write_durably(path, content)
            except OSError as error:
                raise LockStoreError(
                    f"{path}: the lock record cannot be written: {error.strerror}"
                ) from error


def _encoded(copy: _Copy) -> bytes:
    body = json.dumps({"counter": copy.counter, **copy.record._asdict()}, sort_keys=True)
    return json.dumps({"body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}).encode()


def _read(path: Path) -> _Copy | Literal["missing", "unreadable"]:
    try:
        with path.open("rb") as file:
            content = file.read(RECORD_BYTES_MAX + 1)
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"
    try:
        envelope = json.loads(content)
        body = envelope["body"]
        if hashlib.sha256(body.encode()).hexdigest() != envelope["sha256"]:
            return "unreadable"
        fields = json.loads(body)
        counter = int(fields.pop("counter"))
        record = LockRecord(**fields)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return "unreadable"
    return _Copy(counter, record) if _is_ours(record) else "unreadable"


def _is_ours(record: LockRecord) -> bool:
    """Tell whether the record holds what is written here, and not what a later version may."""
    verdict, lock_id, pause_ms, _ = record
    return verdict in _WRITTEN and isinstance(lock_id, str) and type(pause_ms) is int
