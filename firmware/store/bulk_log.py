r"""The log that records which may be lost are saved to: appended to now and then, never in place.

The file begins with `MAGIC`. Frames follow, each a big-endian u32 with the length of what it holds,
the SHA-256 of that, and that: a JSON array of operations, ``["put", {…record…}]``,
``["stored", id, storage id]``, ``["done", id]``. Whatever a power cut leaves of the file, frames
are believed up to the first that is not whole: what survives is a prefix of what was done.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from firmware.errors import RecordStoreError
from firmware.store.files import (
    append_durably,
    clear_half_written,
    remove_durably,
    write_durably,
)
from firmware.store.record import Record

MAGIC: Final = b"pommai-bulk 1\n"
FRAME_BYTES_MAX: Final = 1_048_576
"""Longest content of a frame; more is written as several."""

_HEAD: Final = struct.Struct(">I32s")

Operation = tuple[str, str] | tuple[str, str, str]
"""``("put", encoded record)``, ``("stored", id, storage id)`` or ``("done", id)``."""


class BulkLog:
    """The log in one file. It blocks: call it on a worker's thread.

    Attributes:
        bytes: How long the file is.
        cut_bytes: What ``read`` found behind the last whole frame. The next append takes its place.
    """

    def __init__(self, path: Path) -> None:
        self.bytes = 0
        self.cut_bytes = 0
        self._path = path

    def read(self) -> dict[str, Record]:
        """Return what waits by what the log says, by id, oldest first; empty without a file.

        Raises RecordStoreError if the file is there and cannot be read.
        """
        records: dict[str, Record] = {}
        self.bytes = self.cut_bytes = 0
        try:
            clear_half_written(self._path)
            with self._path.open("rb") as file:
                for operations, end in _frames(file):
                    self.bytes = end
                    for operation in operations:
                        _perform(operation, records)
                self.cut_bytes = os.fstat(file.fileno()).st_size - self.bytes
        except FileNotFoundError:
            pass
        except OSError as error:
            raise RecordStoreError(f"{self._path} cannot be read: {error.strerror}") from error
        return records

    def append(self, operations: Iterable[Operation]) -> None:
        """Append operations; they are on the disk when this returns.

        Raises RecordStoreError. What a failed append left is overwritten by the next.
        """
        content = b"".join(_framed(operations))
        try:
            if not self.bytes:
                write_durably(self._path, MAGIC + content)
                self.bytes = len(MAGIC) + len(content)
                return
            # Whatever stands behind the last whole frame would hide what comes after it.
            append_durably(self._path, self.bytes, content)
        except OSError as error:
            raise RecordStoreError(f"{self._path} cannot be written: {error.strerror}") from error
        self.bytes += len(content)

    def replace(self, records: Iterable[Record]) -> None:
        """Have the log say that these records wait, and nothing else; it is then on the disk.

        Raises RecordStoreError; the log then says what it said, or this.
        """
        puts: Iterable[Operation] = (("put", record.encoded()) for record in records)
        content = MAGIC + b"".join(_framed(puts))
        try:
            write_durably(self._path, content)
        except OSError as error:
            raise RecordStoreError(f"{self._path} cannot be written: {error.strerror}") from error
        self.bytes = len(content)

    def remove(self) -> None:
        """Remove the log; no power cut brings it back. Raises RecordStoreError."""
        try:
            remove_durably(self._path)
        except OSError as error:
            raise RecordStoreError(f"{self._path} cannot be removed: {error.strerror}") from error
        self.bytes = 0


def _framed(operations: Iterable[Operation]) -> Iterator[bytes]:
    """Yield operations as frames that are no longer than they may be."""
    texts: list[str] = []
    length = 0
    for operation in operations:
        text = _text(operation)
        if texts and length + len(text) >= FRAME_BYTES_MAX:
            yield _frame(texts)
            texts, length = [], 0
        texts.append(text)
        length += len(text) + 1
    if texts:
        yield _frame(texts)


def _text(operation: Operation) -> str:
    if operation[0] == "put":
        return f'["put",{operation[1]}]'
    return json.dumps(operation, separators=(",", ":"))


def _frame(texts: list[str]) -> bytes:
    content = f"[{','.join(texts)}]".encode("ascii")
    return _HEAD.pack(len(content), hashlib.sha256(content).digest()) + content


def _frames(file: BinaryIO) -> Iterator[tuple[list[object], int]]:
    """Yield the operations of each whole frame, and where in the file it ends."""
    if file.read(len(MAGIC)) != MAGIC:
        return
    end = len(MAGIC)
    yield [], end
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, digest = _HEAD.unpack(head)
        if length > FRAME_BYTES_MAX:
            return
        content = file.read(length)
        if len(content) < length or hashlib.sha256(content).digest() != digest:
            return
        end += _HEAD.size + length
        try:
            operations = json.loads(content)
        except (ValueError, RecursionError):
            return
        if not isinstance(operations, list):
            return
        yield operations, end


def _perform(operation: object, records: dict[str, Record]) -> None:
    """Do to ``records`` what an operation says; one that is not known here does nothing."""
    match operation:
        case ["put", dict() as values]:
            record = Record.decode(json.dumps(values))
            if record is not None:
                records.setdefault(record.record_id, record)
        case ["stored", str(record_id), str(storage_id)] if record_id in records:
            records[record_id] = records[record_id].with_storage_id(storage_id)
        case ["done", str(record_id)]:
            records.pop(record_id, None)
