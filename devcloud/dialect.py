"""The seed dialect of the audio stream, without I/O: JSON texts to typed messages and back.

From the device: ``handshake`` (first of all), ``audio_chunk`` (one hex Opus packet each, numbered
from 0 in every utterance; ``isFinal`` ends it), ``ping`` and ``pong``. To the device:
``handshake_ack``, ``transcript``, ``text_response``, ``audio_response`` (one packet each, numbered
from 0 in every reply; ``isFinal`` ends it), ``error`` and ``pong``. There is no turn field: a
device that cancels or interrupts closes the connection and opens another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from devcloud.errors import MalformedMessageError
from devcloud.json_text import JsonObject, field, number_field, parse_object
from devcloud.settings import ID_CHARS_MAX

SAMPLE_RATE_HZ: Final = 16_000
FRAME_MS: Final = 20
FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * FRAME_MS // 1000
PACKET_BYTES_MAX: Final = 1276
"""The longest Opus packet of one frame: its header byte and 1275 more (RFC 6716, section 3.2)."""

BURST_PACKETS: Final = 10
"""A reply begins with this many packets at once and goes on in real time, so that a barge-in meets
a reply that is still under way."""

SEQUENCE_MAX: Final = 2**31 - 1


class ErrorCode(Enum):
    """What an ``error`` message can say."""

    AUTH_FAILED = "AUTH_FAILED"
    TOY_NOT_FOUND = "TOY_NOT_FOUND"
    RATE_LIMITED = "RATE_LIMITED"
    AUDIO_ERROR = "AUDIO_ERROR"


@dataclass(frozen=True, slots=True)
class Handshake:
    """The device says who it is; the token already has."""

    device_id: str
    toy_id: str


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """One packet of an utterance; ``packet`` is empty when there is only its end to tell."""

    packet: bytes
    timestamp_s: float
    sequence: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """The device asks whether we live."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The device says that it lives."""


Message: TypeAlias = Handshake | AudioChunk | Ping | Pong


def parse(text: str) -> Message:
    """Read a message from the device.

    Raises:
        MalformedMessageError: the dialect has no such message; the text names what is wrong.
    """
    message = parse_object(text)
    match field(message, "type", str):
        case "audio_chunk":
            return _parse_audio_chunk(message)
        case "handshake":
            return _parse_handshake(message)
        case "ping":
            return Ping()
        case "pong":
            return Pong()
        case kind:
            raise MalformedMessageError(f"there is no message of type {kind[:32]!r}")


def handshake_ack() -> str:
    """Write the answer to a handshake."""
    return json.dumps({"type": "handshake_ack", "dialect": "seed"})


def transcript(text: str) -> str:
    """Write what was recognised; empty when nothing was."""
    return json.dumps({"type": "transcript", "text": text})


def text_response(text: str) -> str:
    """Write the words of the reply."""
    return json.dumps({"type": "text_response", "text": text})


def audio_response(packet: bytes, sequence: int, *, is_final: bool = False) -> str:
    """Write one packet of the reply, or its end."""
    return json.dumps(
        {
            "type": "audio_response",
            "data": packet.hex(),
            "sequence": sequence,
            "format": "opus",
            "sampleRate": SAMPLE_RATE_HZ,
            "isFinal": is_final,
        }
    )


def error(code: ErrorCode, message: str) -> str:
    """Write that something is wrong, and what to do about it."""
    return json.dumps({"type": "error", "code": code.value, "message": message})


def pong() -> str:
    """Write the answer to a ping."""
    return json.dumps({"type": "pong"})


def packet_due_s(sequence: int) -> float:
    """Tell how long after the reply's first packet the one with that number is due."""
    return max(0, sequence - BURST_PACKETS + 1) * FRAME_MS / 1000


def _parse_handshake(message: JsonObject) -> Handshake:
    device_id, toy_id = field(message, "deviceId", str), field(message, "toyId", str)
    if max(len(device_id), len(toy_id)) > ID_CHARS_MAX:
        raise MalformedMessageError(f"ids have at most {ID_CHARS_MAX} characters")
    capabilities = field(message, "capabilities", dict)
    if "opus" not in field(capabilities, "audio", list):
        raise MalformedMessageError("'capabilities.audio' must offer 'opus'")
    if field(capabilities, "sampleRate", int) != SAMPLE_RATE_HZ:
        raise MalformedMessageError(f"'capabilities.sampleRate' must be {SAMPLE_RATE_HZ}")
    if field(capabilities, "frameMs", int) != FRAME_MS:
        raise MalformedMessageError(f"'capabilities.frameMs' must be {FRAME_MS}")
    return Handshake(device_id, toy_id)


def _parse_audio_chunk(message: JsonObject) -> AudioChunk:
    data = field(message, "data", str)
    if len(data) > 2 * PACKET_BYTES_MAX:
        raise MalformedMessageError(
            f"'data' must be one packet of {PACKET_BYTES_MAX} bytes at most"
        )
    try:
        packet = bytes.fromhex(data)
    except ValueError:
        raise MalformedMessageError("'data' must be hex") from None
    sequence = field(message, "sequence", int)
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise MalformedMessageError(f"'sequence' must be 0 to {SEQUENCE_MAX}")
    is_final = field(message, "isFinal", bool) if "isFinal" in message else False
    if not (packet or is_final):
        raise MalformedMessageError("'data' may be empty only with 'isFinal'")
    return AudioChunk(packet, number_field(message, "timestamp"), sequence, is_final)
