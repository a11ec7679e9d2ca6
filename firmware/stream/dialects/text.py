"""What all dialects have in common: objects in JSON, each with its type."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, TypeVar, cast

from firmware import bounded_json
from firmware.errors import JsonError
from firmware.ports import SpeechFormat
from firmware.stream.codec import (
    DEPTH_MAX,
    MESSAGE_BYTES_MAX,
    VALUES_MAX,
    WIDE_CHARS_MAX,
    utf8_bytes,
)
from firmware.stream.dialects import fields as f
from firmware.stream.dialects.fields import Fields
from firmware.stream.errors import MessageError, MisuseError
from firmware.stream.messages import (
    Cancel,
    Dropped,
    DropReason,
    FinalMarker,
    Handshake,
    Incoming,
    Outgoing,
    Ping,
    Pong,
    ReplyEnd,
    ReplyPacket,
    ReplyPcm,
    ReplyPiece,
    ReplyUnplayable,
    ReplyWav,
    SpeechPacket,
)
from hardware.codec import PACKET_BYTES_MAX

_Data = TypeVar("_Data", str, bytes)

_LIMITS: Final = bounded_json.Limits(
    depth_max=DEPTH_MAX, values_max=VALUES_MAX, wide_bytes_max=4 * WIDE_CHARS_MAX
)


class TextCodec(ABC):
    """Writes and reads JSON texts; what they are called, and what is in them, is the dialect's.

    Args:
        message_bytes_max: Longest message that is looked at.
        drops: Where unusable messages are counted, with every reason in it; its own if left out.
    """

    decoders: ClassVar[Mapping[str, Callable[[Fields], Incoming]]]
    """What to make of each type of message; each may raise `MessageError`, and nothing else."""

    def __init__(
        self,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        drops: dict[DropReason, int] | None = None,
    ) -> None:
        self._message_bytes_max = message_bytes_max
        self._drops = dict.fromkeys(DropReason, 0) if drops is None else drops

    @property
    @abstractmethod
    def speech_format(self) -> SpeechFormat:
        """In which format it takes speech."""

    @property
    def names_turns(self) -> bool:
        """Whether every message of a turn names it: not so unless the dialect says so."""
        return False

    @property
    def drops(self) -> Mapping[DropReason, int]:
        """Messages that were not used, by reason; every reason is there."""
        return self._drops

    def encode(self, message: Outgoing) -> str | bytes:
        """Return the message as it goes out: one JSON text, or bytes where the dialect has them.

        Raises:
            PacketError: A frame of speech is not one.
            MisuseError: The dialect has no such message.
        """
        fields = self._fields(message)
        if isinstance(fields, bytes):
            return fields
        return json.dumps(fields, separators=(",", ":"), allow_nan=False)

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

    def _fields(self, message: Outgoing) -> dict[str, object] | bytes:
        match message:
            case Ping():
                return {"type": "ping"}
            case Pong():
                return {"type": "pong"}
            case Handshake():
                return self._handshake(message)
            case SpeechPacket():
                return self._speech(message)
            case FinalMarker():
                return self._final(message)
            case Cancel():
                return self._cancel(message)

    @abstractmethod
    def _handshake(self, message: Handshake) -> dict[str, object]: ...

    @abstractmethod
    def _speech(self, message: SpeechPacket) -> dict[str, object] | bytes: ...

    @abstractmethod
    def _final(self, message: FinalMarker) -> dict[str, object] | bytes: ...

    def _cancel(self, message: Cancel) -> dict[str, object]:
        raise MisuseError(f"the dialect cannot cancel turn {message.turn}: end the connection")

    def _decode(self, data: str | bytes) -> Incoming:
        if isinstance(data, bytes):
            return self._binary(self._checked(data))
        if len(data) > WIDE_CHARS_MAX and not data.isascii():
            raise MessageError(DropReason.TOO_LONG)
        return self._text(self._checked(data))

    def _checked(self, data: _Data) -> _Data:
        if utf8_bytes(data) > self._message_bytes_max:
            raise MessageError(DropReason.TOO_LONG)
        return data

    def _binary(self, data: bytes) -> Incoming:  # noqa: ARG002 - for dialects that have it
        raise MessageError(DropReason.NOT_TEXT)

    def _text(self, data: str) -> Incoming:
        try:
            value = bounded_json.parse(data, _LIMITS)
        except JsonError as error:
            raise MessageError(DropReason[error.fault]) from None
        if not isinstance(value, dict):
            raise MessageError(DropReason.NOT_AN_OBJECT)
        fields = cast("Fields", value)
        kind = fields.get("type")
        decode = self.decoders.get(kind) if isinstance(kind, str) else None
        if decode is None:
            raise MessageError(DropReason.UNKNOWN_TYPE)
        return decode(fields)


def reply(body: Fields, metadata: Fields, *, is_numbered: bool) -> ReplyPiece | ReplyEnd:
    """Return a piece of a reply, its end, or both, in the format that `metadata` names.

    Args:
        body: What has the field `data`.
        metadata: What has the others.
        is_numbered: Whether an Opus packet must have a number.
    """
    if not f.flag(metadata, "isFinal"):
        return _piece(body, metadata, is_numbered=is_numbered)
    if body.get("data", "") == "":
        return ReplyEnd()
    return ReplyEnd(_piece(body, metadata, is_numbered=is_numbered))


def _piece(body: Fields, metadata: Fields, *, is_numbered: bool) -> ReplyPiece:
    match metadata.get("format"):
        case "opus":
            rate_hz = f.opus_rate_hz(metadata)
            number = f.sequence(metadata) if is_numbered or "sequence" in metadata else None
            return ReplyPacket(f.hexadecimal(body, PACKET_BYTES_MAX), rate_hz, number)
        case "pcm16":
            rate_hz = f.pcm_rate_hz(metadata)
            return ReplyPcm(f.hexadecimal(body), rate_hz)
        case "wav":
            return ReplyWav(f.hexadecimal(body))
        case str():
            return ReplyUnplayable()
        case _:
            raise MessageError(DropReason.BAD_FIELD, "format")
