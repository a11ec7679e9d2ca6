"""The dialects of the stream, without I/O: messages to text and back.

`SeedCodec` is the dialect of the project's seed: JSON texts, packets in hex, no turn field. Every
limit on what may come in is named here; what exceeds one is counted and dropped, and never raises.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias, TypeGuard, cast

from firmware.stream import bounded_json
from firmware.stream.errors import MessageError, PacketError
from firmware.stream.messages import (
    ERROR_CODES,
    ConfigurationHint,
    Dropped,
    DropReason,
    ErrorCode,
    FinalMarker,
    GatewayError,
    GuardianCommand,
    Handshake,
    HandshakeAck,
    Incoming,
    Outgoing,
    Ping,
    Pong,
    ReplyEnd,
    ReplyPacket,
    ReplyText,
    SafetyOverride,
    SpeechPacket,
    Transcript,
)
from hardware.codec import PACKET_BYTES_MAX

MESSAGE_BYTES_MAX: Final = 1_000_000
"""Longest message, in UTF-8."""

DEPTH_MAX: Final = 8
"""Arrays and objects within each other."""

VALUES_MAX: Final = 4_096
"""Values and separators in a message."""

SAMPLE_RATES_HZ: Final = (16_000, 24_000, 48_000)
"""Sample rates in which a reply may come."""

SEQUENCE_MAX: Final = 2**31 - 1
"""Highest number of a packet."""

TEXT_CHARS_MAX: Final = 16_384
"""Longest words of a reply or transcript."""

NAME_CHARS_MAX: Final = 64
"""Longest name: of a command, an action, a dialect."""

DURATION_S_MAX: Final = 86_400
"""Longest pause that a server can ask for: a day. Asking for more means this much."""


_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
"""Half a character, as JSON can escape one: no text that can be written anywhere."""


class Codec(Protocol):
    """A dialect: how messages are written. One for all connections, since it keeps the counts."""

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


Fields: TypeAlias = Mapping[str, object]


class SeedCodec:
    """The seed dialect.

    Args:
        message_bytes_max: Longest message that is looked at.
    """

    def __init__(self, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._message_bytes_max = message_bytes_max
        self._drops = dict.fromkeys(DropReason, 0)

    @property
    def drops(self) -> Mapping[DropReason, int]:
        """Messages that were not used, by reason; every reason is there."""
        return self._drops

    def encode(self, message: Outgoing) -> str:
        """Return the message as one JSON text.

        Raises:
            PacketError: A speech packet is empty or longer than `PACKET_BYTES_MAX`.
        """
        return json.dumps(_fields(message), separators=(",", ":"), allow_nan=False)

    def receive(self, data: str | bytes) -> Incoming | Dropped:
        """Return what `data` says, or why it is not used; that is counted.

        Never raises. It takes memory in proportion to the data, and keeps none of it for what it
        drops.
        """
        try:
            return self._decode(data)
        except MessageError as error:
            self._drops[error.reason] += 1
            return Dropped(error.reason, error.field)

    def _decode(self, data: str | bytes) -> Incoming:
        if not isinstance(data, str):
            raise MessageError(DropReason.NOT_TEXT)
        if utf8_bytes(data) > self._message_bytes_max:
            raise MessageError(DropReason.TOO_LONG)
        value = bounded_json.parse(data, depth_max=DEPTH_MAX, values_max=VALUES_MAX)
        if not isinstance(value, dict):
            raise MessageError(DropReason.NOT_AN_OBJECT)
        fields = cast("Fields", value)
        kind = fields.get("type")
        decode = _DECODERS.get(kind) if isinstance(kind, str) else None
        if decode is None:
            raise MessageError(DropReason.UNKNOWN_TYPE)
        return decode(fields)


def utf8_bytes(data: str | bytes) -> int:
    """Return how many bytes `data` is on the wire. Takes no time for ASCII, which speech is."""
    if isinstance(data, bytes) or data.isascii():
        return len(data)
    return len(data.encode("utf-8", "surrogatepass"))


def _fields(message: Outgoing) -> dict[str, object]:
    match message:
        case SpeechPacket():
            if not 0 < len(message.packet) <= PACKET_BYTES_MAX:
                raise PacketError(
                    f"a packet of {len(message.packet)} bytes cannot be sent: "
                    f"give 1 to {PACKET_BYTES_MAX}"
                )
            return {
                "type": "audio_chunk",
                "data": message.packet.hex(),
                "timestamp": message.captured_ms / 1000,
                "sequence": message.sequence,
            }
        case FinalMarker():
            return {
                "type": "audio_chunk",
                "data": "",
                "timestamp": message.ended_ms / 1000,
                "sequence": message.sequence,
                "isFinal": True,
            }
        case Handshake():
            return {
                "type": "handshake",
                "deviceId": message.device_id,
                "toyId": message.toy_id,
                "capabilities": {"audio": ["opus"], "sampleRate": 16_000, "frameMs": 20},
            }
        case Ping():
            return {"type": "ping"}
        case Pong():
            return {"type": "pong"}


# What must be exact is dropped when it is not. What stops the toy is not: a stop with a malformed
# duration or an unknown word is still a stop.


def _reply(fields: Fields) -> ReplyPacket | ReplyEnd:
    is_final = fields.get("isFinal", False)
    if not isinstance(is_final, bool):
        raise MessageError(DropReason.BAD_FIELD, "isFinal")
    if not is_final:
        return _reply_packet(fields)
    return ReplyEnd(_reply_packet(fields) if fields.get("data", "") != "" else None)


def _reply_packet(fields: Fields) -> ReplyPacket:
    if fields.get("format") != "opus":
        raise MessageError(DropReason.BAD_FIELD, "format")
    sample_rate_hz = fields.get("sampleRate")
    if not _is_integer(sample_rate_hz) or sample_rate_hz not in SAMPLE_RATES_HZ:
        raise MessageError(DropReason.BAD_SAMPLE_RATE, "sampleRate")
    sequence = fields.get("sequence")
    if not _is_integer(sequence) or not 0 <= sequence <= SEQUENCE_MAX:
        raise MessageError(DropReason.BAD_FIELD, "sequence")
    return ReplyPacket(_packet(fields.get("data")), sample_rate_hz, sequence)


def _packet(data: object) -> bytes:
    if not isinstance(data, str) or not 0 < len(data) <= 2 * PACKET_BYTES_MAX:
        raise MessageError(DropReason.BAD_PACKET, "data")
    try:
        # Unlike `bytes.fromhex` it takes no white space.
        return binascii.unhexlify(data)
    except ValueError:
        raise MessageError(DropReason.BAD_PACKET, "data") from None


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(fields: Fields, name: str) -> str:
    text = _lenient_text(fields, name, TEXT_CHARS_MAX)
    if text != fields.get(name):
        raise MessageError(DropReason.BAD_FIELD, name)
    return text


def _lenient_text(fields: Fields, name: str, chars_max: int) -> str:
    """Return the field, or nothing where it is no text, too long or not sound Unicode."""
    text = fields.get(name)
    if not isinstance(text, str) or len(text) > chars_max or _SURROGATE.search(text):
        return ""
    return text


def _duration_s(fields: Fields) -> float:
    """Return the field, held within its range; 0 where it says nothing usable."""
    duration_s = fields.get("duration")
    if isinstance(duration_s, bool) or not isinstance(duration_s, int | float):
        return 0.0
    return float(min(max(duration_s, 0), DURATION_S_MAX))


def _error(fields: Fields) -> GatewayError:
    code = fields.get("code")
    known: ErrorCode = next((known for known in ERROR_CODES if known == code), "OTHER")
    return GatewayError(known, _lenient_text(fields, "message", TEXT_CHARS_MAX))


def _command(fields: Fields) -> GuardianCommand:
    command = _lenient_text(fields, "command", NAME_CHARS_MAX)
    if not command:
        raise MessageError(DropReason.BAD_FIELD, "command")
    return GuardianCommand(command, _duration_s(fields))


def _override(fields: Fields) -> SafetyOverride:
    return SafetyOverride(_lenient_text(fields, "action", NAME_CHARS_MAX), _duration_s(fields))


_DECODERS: Final[Mapping[str, Callable[[Fields], Incoming]]] = {
    "audio_response": _reply,
    "command": _command,
    "error": _error,
    "handshake_ack": lambda f: HandshakeAck(_lenient_text(f, "dialect", NAME_CHARS_MAX)),
    "ping": lambda _: Ping(),
    "pong": lambda _: Pong(),
    "safety_override": _override,
    "text_response": lambda f: ReplyText(_text(f, "text")),
    "toy_config_update": lambda _: ConfigurationHint(),
    "transcript": lambda f: Transcript(_text(f, "text")),
}
