"""What device and gateway say to each other, whatever the dialect.

Packets and words are left out of every `repr`: a child's voice and a reply's text belong in no log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias, get_args

ErrorCode = Literal[
    "AUTH_FAILED", "TOY_NOT_FOUND", "RATE_LIMITED", "AUDIO_ERROR", "SAFETY_VIOLATION", "OTHER"
]
"""What a gateway can complain of; `OTHER` stands for every code that is not known here."""

ERROR_CODES: Final[tuple[ErrorCode, ...]] = get_args(ErrorCode)


@dataclass(frozen=True, slots=True)
class Handshake:
    """Who the device is; the first message of a connection. The token has proved it already.

    `offered_ms` is monotonic; `offers_binary` leaves the choice of the dialect to the gateway.
    """

    device_id: str
    toy_id: str
    offered_ms: int = 0
    offers_binary: bool = False


@dataclass(frozen=True, slots=True)
class SpeechPacket:
    """One 20 ms frame of the utterance, 16 kHz mono, in the format that the dialect takes.

    `captured_ms` is monotonic; `sequence` counts from 0 in each utterance, and skips what had to be
    dropped on the device. The turn is written where the dialect has a place for it.
    """

    packet: bytes = field(repr=False)
    captured_ms: int
    sequence: int
    turn: int = 0


@dataclass(frozen=True, slots=True)
class FinalMarker:
    """The end of the utterance; `sequence` is the number its next packet would have had."""

    ended_ms: int
    sequence: int
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nothing more of that turn is wanted. Only where the dialect's messages name their turn."""

    turn: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a `Pong`."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a `Ping`."""


@dataclass(frozen=True, slots=True)
class HandshakeAck:
    """The gateway has taken the handshake, and names the dialect that it speaks."""

    dialect: str


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """Something that asks for nothing, but shows that the gateway is there."""


# What belongs to a turn names it where the dialect has a place for it; else `turn` is None, and the
# connection tells.


@dataclass(frozen=True, slots=True)
class ReplyPacket:
    """One Opus packet of the reply; `sequence` is as the gateway counts, or None if it does not."""

    packet: bytes = field(repr=False)
    sample_rate_hz: int
    sequence: int | None
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class ReplyPcm:
    """A piece of the reply as mono samples, 16-bit little-endian; it may end in half a sample."""

    pcm: bytes = field(repr=False)
    sample_rate_hz: int
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class ReplyWav:
    """A piece of the reply as a WAV file, or the continuation of one: unread, see `stream.wav`."""

    data: bytes = field(repr=False)
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class ReplyUnplayable:
    """A piece of the reply in a format that is not played here, such as MP3."""

    turn: int | None = None


ReplyPiece: TypeAlias = ReplyPacket | ReplyPcm | ReplyWav | ReplyUnplayable


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The reply is complete; `last` is a piece that came with its end, if one did.

    `pieces` is how many the gateway has sent in all, where it says so.
    """

    last: ReplyPiece | None = None
    turn: int | None = None
    pieces: int | None = None


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The reply's words."""

    text: str = field(repr=False)
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was recognised of the utterance; empty where nothing was."""

    text: str = field(repr=False)
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class GatewayError:
    """The gateway cannot or will not go on."""

    code: ErrorCode
    message: str = field(repr=False)
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class SafetyOverride:
    """The server stops the toy; `duration_s` is 0 to 86,400, and 0 where it says nothing usable."""

    action: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class GuardianCommand:
    """A copy of a guardian's command; `duration_s` as in `SafetyOverride`."""

    command: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class ConfigurationHint:
    """The toy's configuration has changed; what it is now comes by another way."""


class DropReason(StrEnum):
    """Why a message was not used."""

    NOT_TEXT = "binary, where the dialect has text only"
    TOO_LONG = "longer than the limit"
    TOO_DEEP = "nested deeper than the limit"
    TOO_MANY_VALUES = "more values than the limit"
    NOT_JSON = "not JSON"
    NOT_AN_OBJECT = "not a JSON object"
    UNKNOWN_TYPE = "a type that the dialect does not have"
    BAD_FIELD = "a field is missing or out of range"
    BAD_PACKET = "not a piece of a reply, or not in hex"
    BAD_SAMPLE_RATE = "a sample rate that is not played"
    BAD_HEADER = "a binary message whose header is not understood"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that was not used, and the name of the field that was at fault, if it was one."""

    reason: DropReason
    field: str = ""


Outgoing: TypeAlias = Handshake | SpeechPacket | FinalMarker | Cancel | Ping | Pong
Incoming: TypeAlias = (
    HandshakeAck
    | SignOfLife
    | ReplyPacket
    | ReplyPcm
    | ReplyWav
    | ReplyUnplayable
    | ReplyEnd
    | ReplyText
    | Transcript
    | GatewayError
    | SafetyOverride
    | GuardianCommand
    | ConfigurationHint
    | Ping
    | Pong
)
