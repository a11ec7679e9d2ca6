"""What a dialect is, without I/O: messages to what goes over the wire, and back.

The dialects themselves are in `firmware.stream.dialects`. Every limit on what may come in is named
here; what exceeds one is counted and dropped, and never raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from firmware.ports import SpeechFormat
from firmware.stream.messages import Dropped, DropReason, Incoming, Outgoing

MESSAGE_BYTES_MAX: Final = 1_000_000
"""Longest message, in UTF-8."""

WIDE_CHARS_MAX: Final = 131_072
"""Longest message where not all of it is ASCII: sound is hexadecimal, words are short, and a single
character beyond makes Python hold every other in up to four bytes."""

DEPTH_MAX: Final = 8
"""Arrays and objects within each other."""

VALUES_MAX: Final = 4_096
"""Values and separators in a message."""

SAMPLE_RATES_HZ: Final = (16_000, 24_000, 48_000)
"""Sample rates in which a reply may come as Opus."""

PCM_RATE_HZ_MIN: Final = 8_000
PCM_RATE_HZ_MAX: Final = 48_000
"""Sample rates in which a reply may come as samples: these and all between."""

SEQUENCE_MAX: Final = 2**31 - 1
"""Highest number of a packet."""

TURN_MAX: Final = 2**32 - 1
"""Highest number of a turn on the wire; after it comes 0."""

TEXT_CHARS_MAX: Final = 16_384
"""Longest words of a reply or transcript."""

NAME_CHARS_MAX: Final = 64
"""Longest name: of a command, an action, a dialect."""

DURATION_S_MAX: Final = 86_400
"""Longest pause that a server can ask for: a day. Asking for more means this much."""


class Codec(Protocol):
    """A dialect: how messages are written. One for all connections, since it keeps no state."""

    @property
    def speech_format(self) -> SpeechFormat:
        """In which format it takes speech."""
        ...

    @property
    def names_turns(self) -> bool:
        """Whether every message of a turn names it.

        Where it does, a turn that is over is fenced by its number, and told to the gateway as a
        `Cancel`. Where it does not, the connection is the fence.
        """
        ...

    @property
    def drops(self) -> Mapping[DropReason, int]:
        """Messages that were not used, by reason; every reason is there."""
        ...

    def encode(self, message: Outgoing) -> str | bytes:
        """Return the message as it goes out; `PacketError` if its packet cannot."""
        ...

    def receive(self, data: str | bytes) -> Incoming | Dropped:
        """Return what `data` says, or why it is not used. Never raises, whatever it is given."""
        ...


def utf8_bytes(data: str | bytes) -> int:
    """Return how many bytes `data` is on the wire. Takes no time for ASCII, which speech is."""
    if isinstance(data, bytes) or data.isascii():
        return len(data)
    return len(data.encode("utf-8", "surrogatepass"))
