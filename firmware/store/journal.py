"""The journal's files: appended line by line, rotated by size, never growing without end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from firmware.errors import JournalFileError
from states.derive import Situation
from states.journal import FORMAT, Header, Recorder
from states.machine import Step

BYTES_MAX: Final = 4_000_000
"""A file's size, at which another is begun: about 10,000 steps."""
FILES_MAX: Final = 8
"""Files kept besides the one that is written; the oldest gives way."""

_log = logging.getLogger(__name__)

MakeHeader = Callable[[Situation], Header]


class JournalFile:
    """Records steps in ``path``; older files are ``path`` with ``.1`` (the newest), ``.2`` …

    Each file begins with a header that holds the situation its first step starts from, so each can
    be replayed by itself. A failing disk is said once in the log; recording then goes on in vain.

    Raises JournalFileError when the file cannot be begun.
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
        """Steps recorded since the start."""
        self.failed = 0
        """Steps that could not be written."""
        self._path = path
        self._make_header = make_header
        self._situation = situation
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._bytes = 0
        try:
            self._begin()
        except OSError as error:
            raise JournalFileError(f"{path}: the journal cannot be written: {error.strerror}") from error

    def record(self, step: Step) -> None:
        """Append ``step``, before its effects are performed; see `firmware.loop.Recording`."""
        self.steps += 1
        try:
            self._write(self._recorder.line(step))
            self._file.flush()
        except OSError as error:
            if not self.failed:
                _log.error("%s: the journal cannot be written: %s", self._path, error.strerror)  # noqa: TRY400 - the trace says nothing more
            self.failed += 1
            self._bytes = self._bytes_max  # half a line may stand there: go on in a file of its own

    def after(self, _: Step) -> None:
        """Begin another file where this one is full; an observer of the loop, so between steps."""
        if self._bytes < self._bytes_max:
            return
        try:
            self._file.close()
            self._begin()
        except OSError as error:
            _log.error("%s: no new journal file: %s", self._path, error.strerror)  # noqa: TRY400 - as above

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _begin(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rotate()
        self._recorder = Recorder()
        self._file: TextIO = self._path.open("x", encoding="ascii")
        self._bytes = 0
        self._write(self._recorder.header(self._make_header(self._situation())))
        self._file.flush()

    def _rotate(self) -> None:
        if not self._path.exists():
            return
        for number in range(self._files_max - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _write(self, line: str) -> None:
        self._bytes += self._file.write(line + "\n")

