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
    """Who the device is; the first message of a connection. The token has proved it already."""

    device_id: str
    toy_id: str


@dataclass(frozen=True, slots=True)
class SpeechPacket:
    """One 20 ms frame of the utterance: Opus, 16 kHz mono.

    `captured_ms` is monotonic; `sequence` counts from 0 in each utterance, and skips what had to be
    dropped on the device.
    """

    packet: bytes = field(repr=False)
    captured_ms: int
    sequence: int


@dataclass(frozen=True, slots=True)
class FinalMarker:
    """The end of the utterance; `sequence` is the number its next packet would have had."""

    ended_ms: int
    sequence: int


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
class ReplyPacket:
    """One Opus packet of the reply; `sequence` is as the gateway counts."""

    packet: bytes = field(repr=False)
    sample_rate_hz: int
    sequence: int


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The reply is complete; `last` is a packet that came with its end, if one did."""

    last: ReplyPacket | None = None


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The reply's words."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was recognised of the utterance; empty where nothing was."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GatewayError:
    """The gateway cannot or will not go on."""

    code: ErrorCode
    message: str = field(repr=False)


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
    BAD_PACKET = "not one Opus packet in hex"
    BAD_SAMPLE_RATE = "a sample rate that is not played"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that was not used, and the name of the field that was at fault, if it was one."""

    reason: DropReason
    field: str = ""


Outgoing: TypeAlias = Handshake | SpeechPacket | FinalMarker | Ping | Pong
Incoming: TypeAlias = (
    HandshakeAck
    | ReplyPacket
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
