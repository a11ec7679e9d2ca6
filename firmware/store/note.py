"""A note: a few facts in a file of their own, which outlive a restart."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from firmware.errors import NoteError
from firmware.store.files import sync_folder, write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOTE_BYTES_MAX: Final = 16_384
"""Longest file that is read."""


class Note:
    """One JSON object in one file, with its checksum: whole or not at all, and never half believed.

    All methods block for as long as the card takes: call them on a worker's thread, or before the
    loop has anything to do.

    Args:
        path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, object] | None:
        """Return the facts, unchecked; None if none were stored.

        Raises:
            NoteError: There is a file, but it cannot be read or is damaged.
        """
        try:
            with self._path.open("rb") as file:
                content = file.read(NOTE_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise NoteError(f"{self._path}: cannot be read: {error.strerror}") from error
        digest, _, body = content.partition(b"\n")
        try:
            facts = json.loads(body)
        except (ValueError, RecursionError):
            facts = None
        if digest != _digest(body) or not isinstance(facts, dict):
            raise NoteError(f"{self._path}: is damaged")
        return facts

    def store(self, facts: Mapping[str, object]) -> None:
        """Put facts in place of those before; they are durable on return.

        Raises:
            NoteError: They could not be written.
        """
        body = json.dumps(facts, sort_keys=True).encode()
        try:
            write_durably(self._path, _digest(body) + b"\n" + body)
        except OSError as error:
            raise NoteError(f"{self._path}: cannot be written: {error.strerror}") from error

    def remove(self) -> None:
        """Remove it, durably; harmless where there is none.

        Raises:
            NoteError: It could not be removed.
        """
        try:
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except OSError as error:
            raise NoteError(f"{self._path}: cannot be removed: {error.strerror}") from error


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
