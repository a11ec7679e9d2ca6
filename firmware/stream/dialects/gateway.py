"""The dialect of the gateways there are: JSON texts whose contents are wrapped, no turn field.

Those gateways wrap samples into a WAV file for their recogniser but hand Opus to it undecoded, so
speech goes up as samples. They reply in WAV, mostly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from firmware.ports import SpeechFormat
from firmware.stream.codec import TEXT_CHARS_MAX
from firmware.stream.dialects import fields as f
from firmware.stream.dialects.fields import Fields
from firmware.stream.dialects.text import TextCodec, reply
from firmware.stream.messages import (
    ConfigurationHint,
    FinalMarker,
    GatewayError,
    Handshake,
    HandshakeAck,
    Incoming,
    Ping,
    Pong,
    ReplyEnd,
    ReplyPiece,
    ReplyText,
    SignOfLife,
    SpeechPacket,
    Transcript,
)

_CAPABILITIES: Final = {
    "audio": True,
    "opus": True,
    "pcm16": True,
    "wav": True,
    "sampleRate": 16_000,
}


def _payload(fields: Fields) -> Fields:
    return f.nested(fields, "payload")


def _reply(fields: Fields) -> ReplyPiece | ReplyEnd:
    body = _payload(fields)
    return reply(body, f.nested(body, "metadata"), is_numbered=False)


def _error(fields: Fields) -> GatewayError:
    """Take a code where any of these gateways has one; `error` may hold one, or words."""
    payload = _payload(fields)
    told = [where.get(name) for name in ("code", "error") for where in (fields, payload)]
    message = f.lenient_text(payload, "message", TEXT_CHARS_MAX)
    return GatewayError(f.error_code(*told), message)


class GatewayCodec(TextCodec):
    """The dialect of existing gateways."""

    decoders: ClassVar[Mapping[str, Callable[[Fields], Incoming]]] = {
        "audio_response": _reply,
        "command": lambda fields: f.command(_payload(fields)),
        "config_update": lambda _: ConfigurationHint(),
        "control_ack": lambda _: SignOfLife(),
        "error": _error,
        "handshake_ack": lambda _: HandshakeAck("gateway"),
        "ping": lambda _: Ping(),
        "pong": lambda _: Pong(),
        "safety_override": lambda fields: f.override(_payload(fields)),
        "status": lambda _: SignOfLife(),
        "text_response": lambda fields: ReplyText(f.text(_payload(fields))),
        "transcript": lambda fields: Transcript(f.text(_payload(fields))),
    }

    @property
    def speech_format(self) -> SpeechFormat:
        """In which format it takes speech."""
        return "pcm16"

    def _handshake(self, message: Handshake) -> dict[str, object]:
        return {
            "type": "handshake",
            "deviceId": message.device_id,
            "toyId": message.toy_id,
            "capabilities": _CAPABILITIES,
            "timestamp": message.offered_ms / 1000,
        }

    def _speech(self, message: SpeechPacket) -> dict[str, object]:
        data = f.checked_frame(message.packet).hex()
        return self._chunk(data, message.captured_ms, message.sequence, is_final=False)

    def _final(self, message: FinalMarker) -> dict[str, object]:
        return self._chunk("", message.ended_ms, message.sequence, is_final=True)

    def _chunk(self, data: str, at_ms: int, sequence: int, *, is_final: bool) -> dict[str, object]:
        return {
            "type": "audio_chunk",
            "payload": {
                "data": data,
                "metadata": {
                    "isFinal": is_final,
                    "format": self.speech_format,
                    "sampleRate": 16_000,
                    "timestamp": at_ms / 1000,
                    "sequence": sequence,
                },
            },
        }
