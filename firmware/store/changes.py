"""What is yet to be done to the records on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from firmware.store.record import Private, Record

DONE_MAX: Final = 8_192
"""Ids of records done with that a failing disk is yet to be told; the oldest give way. What is on
that disk under such an id is delivered once more, and the cloud knows it again."""
ASIDE_MAX: Final = 100
"""Records that were set aside and are kept for a person to look at; the oldest give way."""


@dataclass(slots=True)
class Changes:
    """Changes to the records on disk, made in this order: put, forgotten, stored, aside, done.

    Attributes:
        put: Records by id, oldest first.
        forgotten: What is taken out of every conversation that waits.
        stored: By a record's id, what the cloud calls its audio.
        aside: By a record's id, the code for which it is set aside.
        done: Ids of records that are done with, and are remembered for a time.
    """

    put: dict[str, Record] = field(default_factory=dict)
    forgotten: frozenset[Private] = frozenset()
    stored: dict[str, str] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)
    done: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.put or self.forgotten or self.stored or self.aside or self.done)

    def finish(self, record_id: str) -> None:
        """Have a record removed, and remembered; one that is not on disk never gets there."""
        self.put.pop(record_id, None)
        self.stored.pop(record_id, None)
        self.done[record_id] = None
        if len(self.done) > DONE_MAX:
            del self.done[next(iter(self.done))]

    def set_aside(self, record_id: str, code: str) -> None:
        """Have a record taken out of those that wait, and kept."""
        self.aside[record_id] = code
        if len(self.aside) > ASIDE_MAX:
            oldest = next(iter(self.aside))
            del self.aside[oldest]
            self.finish(oldest)

    def forget(self, *private: Private) -> None:
        """Have something taken out of every conversation."""
        self.put = {record_id: record.without(private) for record_id, record in self.put.items()}
        self.forgotten |= set(private)
        if "speech" in private:
            self.stored.clear()

    def followed_by(self, later: Changes) -> Changes:
        """Return these changes and then the later ones."""
        both = Changes(
            dict(self.put),
            self.forgotten,
            dict(self.stored),
            dict(self.aside),
            dict(self.done),
        )
        both.forget(*later.forgotten)
        both.put |= later.put
        both.stored |= later.stored
        for record_id, code in later.aside.items():
            both.set_aside(record_id, code)
        for record_id in later.done:
            both.finish(record_id)
        return both


class Found(NamedTuple):
    """What a store held when it was opened.

    Attributes:
        waiting: Records that wait, oldest first: id and size in bytes.
        remembered: Ids of records that are done with, oldest first.
        is_damaged: Something that was stored cannot be had any more.
        cut_bytes: What was cut off a log whose end was torn.
        passing: Ids of those that wait which go past one that fails.
    """

    waiting: tuple[tuple[str, int], ...] = ()
    remembered: tuple[str, ...] = ()
    is_damaged: bool = False
    cut_bytes: int = 0
    passing: tuple[str, ...] = ()


class RecordStore(Protocol):
    """Records on disk. All of it blocks, and is called on one worker's thread.

    Each method raises RecordStoreError when the disk does not do what it should; nothing of what
    it was asked for has then happened, as far as a later ``open`` can tell.
    """

    def open(self) -> Found:
        """Open it, anew if it was open, and tell what is there."""
        ...

    def apply(self, changes: Changes) -> None:
        """Make changes; they are as safe as this store makes anything when this returns."""
        ...

    def read(self, record_ids: tuple[str, ...]) -> dict[str, Record]:
        """Return those of these records that are there and can be read."""
        ...

    def audio_names(self) -> set[str]:
        """Return the names of the audio that goes with what waits."""
        ...

    def save(self) -> None:
        """Make what was changed survive a power cut."""
        ...

    def erase(self) -> None:
        """Remove every record and every trace of those that are done with."""
        ...

    def close(self) -> None:
        """Let go of the files; it does nothing twice. Raises nothing."""
        ...
