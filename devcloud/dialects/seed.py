"""The seed dialect of the audio stream: JSON texts, audio in hex.

From the device: ``handshake`` (first of all), ``audio_chunk`` (one hex Opus packet each, numbered
from 0 in every utterance, less those that a slow link cost; ``isFinal`` ends it), ``ping`` and
``pong``. To the device:
``handshake_ack``, ``transcript``, ``text_response``, ``audio_response`` (one packet each, numbered
from 0 in every reply; ``isFinal`` ends it), ``error`` and ``pong``. There is no turn field: a
device that cancels or interrupts closes the connection and opens another.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from devcloud.audio import FRAME_MS, PACKET_BYTES_MAX, SAMPLE_RATE_HZ, AudioFormat
from devcloud.dialects.messages import (
    AudioChunk,
    ErrorCode,
    Handshake,
    Message,
    Piece,
    Ping,
    Pong,
    Wire,
    hex_bytes,
    ids,
    sequence_number,
)
from devcloud.errors import MalformedMessageError
from devcloud.json_text import JsonObject, field, number_field, parse_object

if TYPE_CHECKING:
    from typing import Final


class SeedDialect:
    """What the seed's devices speak, and every device until something else is agreed on."""

    name = "seed"
    reply_format = AudioFormat.OPUS

    def read(self, message: Wire) -> Message:
        """Read a message from the device; a binary one is none, whatever is in it."""
        fields = parse_object(message if isinstance(message, str) else "")
        kind = field(fields, "type", str)
        if kind == "audio_chunk":
            return _read_audio_chunk(fields)
        return read_control(kind, fields)

    def handshake_ack(self, session: str) -> Wire:
        """Write the answer to a handshake: which dialect is spoken from here on."""
        del session  # the seed has no name for a connection
        return json.dumps({"type": "handshake_ack", "dialect": self.name})

    def thinking(self) -> Wire | None:
        """Say nothing: the transcript is the first that a device hears."""
        return None

    def transcript(self, text: str, turn: int | None) -> Wire:
        """Write what was recognised; empty when nothing was."""
        return json.dumps({"type": "transcript", "text": text, **_turn(turn)})

    def text_response(self, text: str, turn: int | None) -> Wire:
        """Write the words of the reply."""
        return json.dumps({"type": "text_response", "text": text, **_turn(turn)})

    def audio(self, piece: Piece, turn: int | None) -> Wire:
        """Write one piece of the reply, or its end."""
        del turn  # the connection is the fence
        return json.dumps(
            {
                "type": "audio_response",
                "data": piece.data.hex(),
                "sequence": piece.sequence,
                "format": piece.format.value,
                "sampleRate": piece.rate_hz,
                "isFinal": piece.is_final,
            }
        )

    def error(self, code: ErrorCode, message: str, turn: int | None) -> Wire:
        """Write that something is wrong, and what to do about it."""
        return json.dumps({"type": "error", "code": code.value, "message": message, **_turn(turn)})

    def pong(self) -> Wire:
        """Write the answer to a ping."""
        return json.dumps({"type": "pong"})

    def push(self, message: JsonObject) -> Wire:
        """Write a message as it is given."""
        return json.dumps(message)


def read_control(kind: str, fields: JsonObject) -> Message:
    """Read a message that has no audio in it, as the seed and its binary form share them.

    Raises:
        MalformedMessageError: there is no such message, or a field of it is wrong.
    """
    match kind:
        case "handshake":
            return _read_handshake(fields)
        case "ping":
            return Ping()
        case "pong":
            return Pong()
        case _:
            raise MalformedMessageError(f"there is no message of type {kind[:32]!r}")


def _read_handshake(fields: JsonObject) -> Handshake:
    device_id, toy_id = ids(fields)
    capabilities = field(fields, "capabilities", dict)
    if "opus" not in field(capabilities, "audio", list):
        raise MalformedMessageError("'capabilities.audio' must offer 'opus'")
    if field(capabilities, "sampleRate", int) != SAMPLE_RATE_HZ:
        raise MalformedMessageError(f"'capabilities.sampleRate' must be {SAMPLE_RATE_HZ}")
    if field(capabilities, "frameMs", int) != FRAME_MS:
        raise MalformedMessageError(f"'capabilities.frameMs' must be {FRAME_MS}")
    # The version that the device has; a later one than ours understands ours too.
    binary = "binary" in capabilities and field(capabilities, "binary", int) > 0
    return Handshake(device_id, toy_id, binary)


_DIGITS_MAX: Final = 2 * PACKET_BYTES_MAX


def _read_audio_chunk(fields: JsonObject) -> AudioChunk:
    data = field(fields, "data", str)
    if len(data) > _DIGITS_MAX:
        raise MalformedMessageError(
            f"'data' must be one packet of {PACKET_BYTES_MAX} bytes at most"
        )
    packet = hex_bytes(data)
    sequence = sequence_number(fields)
    is_final = field(fields, "isFinal", bool) if "isFinal" in fields else False
    if not (packet or is_final):
        raise MalformedMessageError("'data' may be empty only with 'isFinal'")
    return AudioChunk(packet, number_field(fields, "timestamp"), sequence, is_final)


def _turn(turn: int | None) -> dict[str, int]:
    return {} if turn is None else {"turn": turn}
