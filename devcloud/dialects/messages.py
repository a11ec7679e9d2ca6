"""What can be said over the stream, whatever the dialect that writes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from devcloud.audio import FRAME_MS, AudioFormat
from devcloud.errors import MalformedMessageError
from devcloud.json_text import JsonObject, field
from devcloud.settings import ID_CHARS_MAX

SEQUENCE_MAX: Final = 2**31 - 1
TURN_MAX: Final = 2**32 - 1
BINARY_VERSION: Final = 1
"""The version of the binary dialect that is offered and understood."""

Wire: TypeAlias = str | bytes
"""One message as it goes over the WebSocket: text or binary."""


class ErrorCode(Enum):
    """What an ``error`` message can say."""

    AUTH_FAILED = "AUTH_FAILED"
    TOY_NOT_FOUND = "TOY_NOT_FOUND"
    RATE_LIMITED = "RATE_LIMITED"
    AUDIO_ERROR = "AUDIO_ERROR"
    SAFETY_VIOLATION = "SAFETY_VIOLATION"


@dataclass(frozen=True, slots=True)
class Handshake:
    """The device says who it is; the token already has. ``binary``: it offers that dialect."""

    device_id: str
    toy_id: str
    binary: bool = False


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """One piece of an utterance; ``packet`` is empty when there is only its end to tell.

    ``turn`` is None in a dialect that has no such field.
    """

    packet: bytes
    timestamp_s: float
    sequence: int
    is_final: bool
    format: AudioFormat = AudioFormat.OPUS
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The device wants nothing more of that turn."""

    turn: int


@dataclass(frozen=True, slots=True)
class Ping:
    """The device asks whether we live."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The device says that it lives."""


Message: TypeAlias = Handshake | AudioChunk | Cancel | Ping | Pong


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a reply's audio.

    ``media_ms`` is where in the reply it begins. ``data`` is one Opus packet of 20 ms, mono
    samples, or a part of a WAV; empty at the reply's end.
    """

    data: bytes
    sequence: int
    format: AudioFormat
    rate_hz: int
    media_ms: int = 0
    is_final: bool = False


def ids(message: JsonObject) -> tuple[str, str]:
    """Take the device's and the toy's id out of a handshake.

    Raises:
        MalformedMessageError: one is missing, or too long to be one.
    """
    device_id, toy_id = field(message, "deviceId", str), field(message, "toyId", str)
    if max(len(device_id), len(toy_id)) > ID_CHARS_MAX:
        raise MalformedMessageError(f"ids have at most {ID_CHARS_MAX} characters")
    return device_id, toy_id


def hex_bytes(text: str) -> bytes:
    """Read the hex that audio is written in.

    Raises:
        MalformedMessageError: it is none.
    """
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedMessageError("'data' must be hex") from None


def sequence_number(fields: JsonObject) -> int:
    """Take the number of a chunk.

    Raises:
        MalformedMessageError: it is missing or out of range.
    """
    sequence = field(fields, "sequence", int)
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise MalformedMessageError(f"'sequence' must be 0 to {SEQUENCE_MAX}")
    return sequence


def is_newer(turn: int, than: int) -> bool:
    """Tell whether a turn came after another, although numbers wrap around at 2^32."""
    return 0 < (turn - than) % (TURN_MAX + 1) <= TURN_MAX // 2


BURST_MS: Final = 200
"""A reply begins with this much at once and goes on in real time, so that a barge-in meets a reply
that is still under way."""


def due_s(media_ms: int) -> float:
    """Tell how long after the reply's first piece the one that begins there is due."""
    return max(0, media_ms - BURST_MS + FRAME_MS) / 1000
