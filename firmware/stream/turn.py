"""What the stream knows of the present turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.stream.wav import Joiner

if TYPE_CHECKING:
    import asyncio


@dataclass(slots=True)
class Turn:
    """One turn: from `open_stream` to its end or the end of its connection."""

    number: int
    connection: int = 0
    """The generation of its connection; 0 until it has one."""
    deadline: asyncio.TimerHandle | None = None
    """When it stops waiting for one."""
    has_dialled: bool = False
    """A connection was dialled on its behalf, rather than found under way."""
    packets: int = 0
    """Packets of speech so far; the number of the next."""
    is_finished: bool = False
    """Its final marker is queued."""
    is_flushed: bool = False
    """Its final marker was handed to the socket: what comes now may be its reply."""
    is_replied: bool = False
    """Its reply is complete."""
    is_failed: bool = False
    """The gateway gave it up, or its reply cannot be played."""
    words: int = 0
    """Pieces of transcript and reply text so far."""
    pieces: int = 0
    """Pieces of its reply so far."""
    first_number: int | None = None
    """The number of the first of them that has one."""
    pieces_numbered: int = 0
    """How many there should be, by their numbers."""
    pieces_awaited: int = 0
    """How many of its reply, which is complete, were overtaken by its end and may still come."""
    has_sounded: bool = False
    """Something of its reply was passed on."""
    joiner: Joiner = field(default_factory=Joiner)
    """Puts its reply together, where that comes as samples."""

    @property
    def takes_speech(self) -> bool:
        """Whether speech can be sent."""
        return self.connection > 0 and not self.is_finished

    @property
    def has_spoken(self) -> bool:
        """Whether the gateway may have something of it, and so something to say to it."""
        return self.packets > 0 or self.is_finished

    @property
    def takes_reply(self) -> bool:
        """Whether what comes is its reply."""
        return self.is_flushed and not self.is_replied and not self.is_failed

    @property
    def takes_late(self) -> bool:
        """Whether something of its reply may still come though the reply is complete."""
        return self.is_replied and not self.is_failed and self.pieces_awaited > 0

    def count(self, number: int | None) -> None:
        """Count a piece of its reply, and see from its number how many there should be."""
        self.pieces += 1
        self.pieces_awaited -= self.is_replied
        if number is not None:
            if self.first_number is None:
                self.first_number = number
            self.pieces_numbered = max(self.pieces_numbered, number - self.first_number + 1)

    def pieces_missing(self, announced: int | None) -> int:
        """Return how many pieces of its reply never came; `announced` are all, if that is known."""
        return max(0, max(self.pieces_numbered, announced or 0) - self.pieces)

    def stop_waiting(self) -> None:
        """Disarm the deadline."""
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
