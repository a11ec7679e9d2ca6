"""The journal's files: appended line by line, rotated by size, never growing without end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from firmware.errors import JournalFileError
from firmware.store.files import sync_folder
from states.derive import Situation
from states.journal import Header, Recorder
from states.machine import Step

BYTES_MAX: Final = 4_000_000
"""A file's size, at which another is begun: about 10,000 steps."""
FILES_MAX: Final = 8
"""Files kept besides the one that is written; the oldest gives way."""

_log = logging.getLogger(__name__)

MakeHeader = Callable[[Situation], Header]


class JournalFile:
    """Records steps in ``path``; older files are ``path`` with ``.1`` (the newest), ``.2`` and on.

    Each file begins with a header that holds the situation its first step starts from, so each can
    be replayed by itself. When the disk fails, that is said once in the log; steps are then lost
    until another file can be begun, and those that were recorded before stay where they are.

    Call ``begin`` before the first step.
    """

    def __init__(
        self,
        path: Path,
        make_header: MakeHeader,
        situation: Callable[[], Situation],
        *,
        bytes_max: int = BYTES_MAX,
        files_max: int = FILES_MAX,
    ) -> None:
        self.steps = 0
        """Steps since the start."""
        self.failed = 0
        """Those of them that could not be written."""
        self._path = path
        self._make_header = make_header
        self._situation = situation
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._file: _LineFile | None = None
        self._recorder = Recorder()
        self._is_failing = False
        self._is_closed = False

    def begin(self) -> None:
        """Begin the first file. Raises JournalFileError when that cannot be."""
        try:
            self._begin()
        except OSError as error:
            raise JournalFileError(
                f"{self._path}: the journal cannot be written: {error.strerror}"
            ) from error

    def record(self, step: Step) -> None:
        """Append ``step``, before its effects are performed; see `firmware.loop.Recording`."""
        self.steps += 1
        if self._file is None:
            self.failed += 1
            return
        try:
            self._file.append(self._recorder.line(step))
        except OSError as error:
            self.failed += 1
            self._give_up(error)

    def after(self, _: Step) -> None:
        """Begin another file where this one is full; an observer of the loop, so between steps."""
        is_full = self._file is None or self._file.bytes >= self._bytes_max
        if self._is_closed or not is_full:
            return
        try:
            self._begin()
        except OSError as error:
            self._give_up(error)

    async def erase(self) -> None:
        """Remove all that was recorded, and begin anew with the present situation.

        Raises:
            JournalFileError: Something of it is left.
        """
        try:
            await asyncio.to_thread(self._remove_older)  # first, should the disk be full
            if not self._is_closed:
                self._begin()
            await asyncio.to_thread(self._remove_older)
        except OSError as error:
            raise JournalFileError(
                f"{self._path}: the journal cannot be erased: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Close the file; nothing is recorded from now on."""
        self._is_closed = True
        self._leave()

    def _begin(self) -> None:
        """Begin a file; the older ones make room only when its header is written."""
        recorder = Recorder()
        header = recorder.header(self._make_header(self._situation()))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(self._path.name + ".new")
        file = _LineFile(new)
        try:
            file.append(header)
            self._rotate()
            new.replace(self._path)
        except OSError:
            file.close()
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        self._leave()
        self._file, self._recorder, self._is_failing = file, recorder, False

    def _give_up(self, error: OSError) -> None:
        """Leave the file, in which half a line may stand, until another can be begun."""
        self._leave()
        if not self._is_failing:
            _log.error("%s: the journal cannot be written: %s", self._path, error.strerror)
        self._is_failing = True

    def _leave(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotate(self) -> None:
        if not self._path.exists():
            return
        for number in range(self._files_max - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _remove_older(self) -> None:
        for number in range(1, self._files_max + 1):
            self._numbered(number).unlink(missing_ok=True)
        sync_folder(self._path.parent)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class _LineFile:
    """A new file of lines, each of which the system has when ``append`` returns. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.bytes = 0
        self._file = path.open("wb", buffering=0)  # what failed must not wait in a buffer

    def append(self, line: str) -> None:
        content = line.encode("ascii") + b"\n"
        written = self._file.write(content)
        self.bytes += written
        if written < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
