"""What can go wrong in the pure core.

StatesError
├── TableError        the table contradicts itself (found when it is built, not while a child plays)
├── ReentryError      we were misused: step() was called from within step()
├── EventError        we were misused: an event's fields are not those of its vocabulary
└── JournalError      the world failed: a journal cannot be believed
    ├── TornJournal       its last line is cut short (tolerated: power was lost while writing it)
    ├── BrokenJournal     a line in its middle is missing, altered or out of order
    └── ForeignJournal    not a journal, or of a format this code does not read
"""

from __future__ import annotations


class StatesError(Exception):
    """Root of everything raised by this package."""


class TableError(StatesError):
    """The table contradicts itself; the message names the row and what to change."""


class ReentryError(StatesError):
    """``step`` was called while a step was under way; effects must come back as queued events."""


class EventError(StatesError):
    """An event's fields differ from those its vocabulary gives; the message names both."""


class JournalError(StatesError):
    """A journal cannot be believed from some line on."""

    def __init__(self, message: str, line: int) -> None:
        """Keep the 1-based ``line`` at which belief ends."""
        super().__init__(message)
        self.line = line


class TornJournal(JournalError):  # noqa: N818 - named for the thing found, as a person would say it
    """The last line is cut short: what is before it stands."""


class BrokenJournal(JournalError):  # noqa: N818 - as above
    """A line is altered, missing or out of order: nothing from it on can be believed."""


class ForeignJournal(JournalError):  # noqa: N818 - as above
    """Not a journal of a format that this code reads."""
