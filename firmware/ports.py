"""What the parts of the firmware expect of each other, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, Protocol, TypeAlias

from states.events import FieldValue

PerformEffect = Callable[..., None]
"""Performs one effect; called on the loop with the effect's fields as keyword arguments.

It must return within a millisecond or so: what takes longer is started here and its result posted.
It may raise only what shows a defect; the loop records that and goes on.
"""


class Performer(Protocol):
    """A subsystem that performs some of the effects."""

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs, by name (``states.effects``)."""
        ...


class Post(Protocol):
    """Puts an event (``states.events``) into the loop's queue. On the loop's thread only."""

    def __call__(self, name: str, /, **fields: FieldValue) -> None:
        """Post the event ``name`` with its fields."""
        ...


class Acknowledge(Protocol):
    """Tells the cloud what became of a guardian's command; on the loop's thread only."""

    def __call__(
        self, command: str, outcome: str, details: Mapping[str, object] | None = None, /
    ) -> None:
        """Answer ``command``, with details in plain JSON if there are any."""
        ...


class Outlet(Protocol):
    """Where records for the cloud go: the outbox."""

    def put(  # noqa: PLR0913 - all that there is to say of a record
        self,
        function: str,
        arguments: Mapping[str, object],
        *,
        urgent: bool,
        record_id: str | None = None,
        audio: str = "",
        toy_id: str | None = None,
    ) -> None:
        """Queue a record; returns at once, loop thread only. Order is kept within a class.

        `function` is the mutation it becomes. `arguments` is plain JSON without `deviceId`,
        `toyId`, `recordId` and `timestamp`, which are added. `record_id` makes it idempotent: one
        that was put before, delivered or not, is not put again; a fresh one is drawn if left out.
        `audio` names the stored audio (firmware.store.audio) that goes with a conversation.
        `toy_id` is the toy that it is about: the present one, if left out.
        """
        ...

    def knows(self, record_id: str) -> bool:
        """Whether a record of that id was put before (delivered ones are remembered for a time)."""
        ...


SpeechFormat: TypeAlias = Literal["opus", "pcm16"]
"""How speech is sent: Opus packets, or samples as they are (16-bit little-endian)."""


class LinkQuality(NamedTuple):
    """How the connection does.

    `loss_percent` is what share of the last replies' packets never came; None before the first
    reply whose packets are numbered. `backlog_ms` is how much speech waits for the network.
    """

    loss_percent: float | None
    backlog_ms: int


class Uplink(Protocol):
    """Where captured speech goes: the stream."""

    @property
    def speech_format(self) -> SpeechFormat:
        """In which format the present connection takes speech; it stays so for a whole turn."""
        ...

    @property
    def quality(self) -> LinkQuality:
        """How the present connection does."""
        ...

    def send(self, frame: bytes, captured_ms: int) -> None:
        """Queue one frame (20 ms, 16 kHz mono) in that format for the present turn's connection."""
        ...

    def finish(self) -> None:
        """Queue the final marker; ``uplink_flushed`` is posted once the socket has everything."""
        ...


class Ear(Protocol):
    """Listens for the wake word while the microphone only samples. On the loop's thread."""

    @property
    def heard_ms(self) -> int | None:
        """Monotonic ms at which the word ended that was heard last; None before the first."""
        ...

    def begin(self) -> None:
        """Sampling begins: what is heard from now on is one piece."""
        ...

    def hear(self, frame: bytes, captured_ms: int) -> None:
        """Take the next frame (20 ms of 16 kHz mono s16le) and return at once.

        `captured_ms` is the monotonic time at which its first sample was captured.
        """
        ...

    def end(self) -> None:
        """Sampling is over: nothing that was heard before counts any more."""
        ...


class ReplySink(Protocol):
    """Where a reply goes: playback. What belongs to an older turn is dropped by the stream."""

    def reply_packet(
        self,
        turn: int,
        connection: int,
        packet: bytes,
        sample_rate_hz: int,
        number: int | None = None,
    ) -> None:
        """Take one Opus packet of the reply to ``turn``; ``number`` is as the gateway counts."""
        ...

    def reply_pcm(
        self, turn: int, connection: int, pcm: bytes, sample_rate_hz: int, channels: int = 1
    ) -> None:
        """Take samples of the reply to ``turn``: 16-bit little-endian, the channels interleaved.

        There are whole samples of every channel, of one or two, at any rate of 8 to 48 kHz, for as
        long a time as one message can hold.
        """
        ...

    def reply_end(self, turn: int, connection: int, pieces: int | None = None) -> None:
        """Note that the reply to ``turn`` is complete; of how many pieces, if that is known.

        Packets that are missing then may still come.
        """
        ...
