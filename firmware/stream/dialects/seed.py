"""The dialect of the project's seed: JSON texts, packets in hex, no turn field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from firmware.ports import SpeechFormat
from firmware.stream.dialects import fields as f
from firmware.stream.dialects.fields import Fields
from firmware.stream.dialects.text import TextCodec, reply
from firmware.stream.messages import (
    ConfigurationHint,
    FinalMarker,
    Handshake,
    HandshakeAck,
    Incoming,
    Ping,
    Pong,
    ReplyText,
    SpeechPacket,
    Transcript,
)

COMMON: Final[Mapping[str, Callable[[Fields], Incoming]]] = {
    "command": f.command,
    "error": f.error,
    "handshake_ack": lambda fields: HandshakeAck(f.lenient_text(fields, "dialect")),
    "ping": lambda _: Ping(),
    "pong": lambda _: Pong(),
    "safety_override": f.override,
    "text_response": lambda fields: ReplyText(f.text(fields)),
    "toy_config_update": lambda _: ConfigurationHint(),
    "transcript": lambda fields: Transcript(f.text(fields)),
}
"""All that is said beside the sound."""


class SeedCodec(TextCodec):
    """The seed dialect."""

    decoders: ClassVar[Mapping[str, Callable[[Fields], Incoming]]] = {
        **COMMON,
        "audio_response": lambda fields: reply(fields, fields, is_numbered=True),
    }

    @property
    def speech_format(self) -> SpeechFormat:
        """In which format it takes speech."""
        return "opus"

    def _handshake(self, message: Handshake) -> dict[str, object]:
        return handshake(message)

    def _speech(self, message: SpeechPacket) -> dict[str, object]:
        return {
            "type": "audio_chunk",
            "data": f.checked_packet(message.packet).hex(),
            "timestamp": message.captured_ms / 1000,
            "sequence": message.sequence,
        }

    def _final(self, message: FinalMarker) -> dict[str, object]:
        return {
            "type": "audio_chunk",
            "data": "",
            "timestamp": message.ended_ms / 1000,
            "sequence": message.sequence,
            "isFinal": True,
        }


def handshake(message: Handshake) -> dict[str, object]:
    """Return the handshake, which is the same in the dialect that it may lead to."""
    capabilities: dict[str, object] = {"audio": ["opus"], "sampleRate": 16_000, "frameMs": 20}
    if message.offers_binary:
        capabilities["binary"] = 1
    return {
        "type": "handshake",
        "deviceId": message.device_id,
        "toyId": message.toy_id,
        "capabilities": capabilities,
    }
