"""The gateway dialect of the audio stream: the JSON that existing Pommai gateways speak.

The address names the device and the toy (``/ws/{deviceId}/{toyId}``), and most of what is said
stands in ``payload``. Audio is hex, and beside it stands how it is written: from the device
``pcm16`` (which existing gateways recognise), ``wav``, or ``opus`` (one packet of 20 ms each; most
existing gateways pass it on undecoded, this one understands it), all of it 16 kHz mono. A WAV may
come whole in every chunk, or its header in the first and samples in the others. Chunks are numbered
as the seed's are. Replies are WAV unless something else is asked for. There is no turn field: a
device that cancels or interrupts closes the connection and opens another.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from devcloud.audio import PACKET_BYTES_MAX, SAMPLE_RATE_HZ, AudioFormat
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
    from collections.abc import Mapping

_FORMATS: Final[Mapping[str, AudioFormat]] = {format_.value: format_ for format_ in AudioFormat}

_OTHER_NAMES: Final[Mapping[str, str]] = {"toy_config_update": "config_update"}
"""What the seed calls differently."""


class GatewayDialect:
    """What existing Pommai gateways speak."""

    name = "gateway"
    reply_format = AudioFormat.WAV

    def read(self, message: Wire) -> Message:
        """Read a message from the device; a binary one is none, whatever is in it."""
        fields = parse_object(message if isinstance(message, str) else "")
        match field(fields, "type", str):
            case "audio_chunk":
                return _read_audio_chunk(field(fields, "payload", dict))
            case "handshake":
                return _read_handshake(fields)
            case "ping":
                return Ping()
            case "pong":
                return Pong()
            case kind:
                raise MalformedMessageError(f"there is no message of type {kind[:32]!r}")

    def handshake_ack(self, session: str) -> Wire:
        """Write the answer to a handshake."""
        return json.dumps({"type": "handshake_ack", "status": "connected", "session_id": session})

    def thinking(self) -> Wire | None:
        """Write that the utterance is being worked on."""
        return json.dumps({"type": "status", "payload": {"status": "processing"}})

    def transcript(self, text: str, turn: int | None) -> Wire:
        """Write what was recognised; empty when nothing was."""
        del turn  # the connection is the fence
        return json.dumps({"type": "transcript", "payload": {"text": text}})

    def text_response(self, text: str, turn: int | None) -> Wire:
        """Write the words of the reply."""
        del turn
        return json.dumps({"type": "text_response", "payload": {"text": text}})

    def audio(self, piece: Piece, turn: int | None) -> Wire:
        """Write one piece of the reply, or its end."""
        del turn
        metadata = {
            "format": piece.format.value,
            "sampleRate": piece.rate_hz,
            "isFinal": piece.is_final,
            "sequence": piece.sequence,
        }
        payload = {"data": piece.data.hex(), "metadata": metadata}
        return json.dumps({"type": "audio_response", "payload": payload})

    def error(self, code: ErrorCode, message: str, turn: int | None) -> Wire:
        """Write that something is wrong: in both forms that existing gateways have."""
        del turn
        return json.dumps(
            {
                "type": "error",
                "code": code.value,
                "error": message,
                "payload": {"error": code.value, "message": message},
            }
        )

    def pong(self) -> Wire:
        """Write the answer to a ping."""
        return json.dumps({"type": "pong"})

    def push(self, message: JsonObject) -> Wire:
        """Write a message of the seed with its fields in ``payload``; one that has it, as it is."""
        kind = message.get("type")
        if not isinstance(kind, str) or "payload" in message:
            return json.dumps(message)
        payload = {name: value for name, value in message.items() if name != "type"}
        return json.dumps({"type": _OTHER_NAMES.get(kind, kind), "payload": payload})


def _read_handshake(fields: JsonObject) -> Handshake:
    device_id, toy_id = ids(fields)
    number_field(fields, "timestamp")
    capabilities = field(fields, "capabilities", dict)
    if not field(capabilities, "audio", bool):
        raise MalformedMessageError("'capabilities.audio' must be true")
    if field(capabilities, "sampleRate", int) != SAMPLE_RATE_HZ:
        raise MalformedMessageError(f"'capabilities.sampleRate' must be {SAMPLE_RATE_HZ}")
    return Handshake(device_id, toy_id)


def _read_audio_chunk(payload: JsonObject) -> AudioChunk:
    metadata = field(payload, "metadata", dict)
    name = field(metadata, "format", str)
    if name not in _FORMATS:
        raise MalformedMessageError(f"'format' must be one of {', '.join(_FORMATS)}")
    if field(metadata, "sampleRate", int) != SAMPLE_RATE_HZ:
        raise MalformedMessageError(f"'sampleRate' must be {SAMPLE_RATE_HZ}")
    data = hex_bytes(field(payload, "data", str))
    is_final = field(metadata, "isFinal", bool)
    if not (data or is_final):
        raise MalformedMessageError("'data' may be empty only with 'isFinal'")
    if _FORMATS[name] is AudioFormat.OPUS and len(data) > PACKET_BYTES_MAX:
        raise MalformedMessageError(
            f"'data' must be one packet of {PACKET_BYTES_MAX} bytes at most"
        )
    timestamp_s = number_field(metadata, "timestamp")
    return AudioChunk(data, timestamp_s, sequence_number(metadata), is_final, _FORMATS[name])
