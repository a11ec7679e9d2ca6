"""The dialect that is made for speech: sound in binary messages, everything else as in the seed's.

A binary message is a header of 16 bytes, big-endian, and what it carries::

    u8 version | u8 kind | u16 flags | u32 turn | u32 sequence | u32 time_ms

The turn stands in every one of them, so that a turn that is over needs no new connection. `flags`
is the sample rate of a reply in units of 100 Hz; `time_ms` is when speech was captured, on our
monotonic clock, and nothing that we look at the other way.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from firmware.ports import SpeechFormat
from firmware.stream.codec import SAMPLE_RATES_HZ, TURN_MAX
from firmware.stream.dialects import fields as f
from firmware.stream.dialects.fields import Fields
from firmware.stream.dialects.seed import COMMON, handshake
from firmware.stream.dialects.text import TextCodec
from firmware.stream.errors import MessageError
from firmware.stream.messages import (
    Cancel,
    DropReason,
    FinalMarker,
    GatewayError,
    Handshake,
    Incoming,
    ReplyEnd,
    ReplyPacket,
    ReplyPcm,
    ReplyText,
    SpeechPacket,
    Transcript,
)
from hardware.codec import PACKET_BYTES_MAX
from hardware.pcm import SAMPLE_BYTES

VERSION: Final = 1
HEADER: Final = struct.Struct(">BBHIII")

SPEECH: Final = 1
SPEECH_END: Final = 2
REPLY_OPUS: Final = 3
REPLY_PCM: Final = 4
REPLY_END: Final = 5

_U32: Final = 2**32 - 1
_RATE_UNIT_HZ: Final = 100


def _error(fields: Fields) -> GatewayError:
    found = f.error(fields)
    try:
        turn = f.turn(fields)
    except MessageError:
        # An error must not go unheard for want of a number: it may be about safety.
        turn = None
    return GatewayError(found.code, found.message, turn)


class BinaryCodec(TextCodec):
    """The binary dialect."""

    decoders: ClassVar[Mapping[str, Callable[[Fields], Incoming]]] = {
        **COMMON,
        "error": _error,
        "text_response": lambda fields: ReplyText(f.text(fields), f.turn(fields)),
        "transcript": lambda fields: Transcript(f.text(fields), f.turn(fields)),
    }

    @property
    def speech_format(self) -> SpeechFormat:
        """In which format it takes speech."""
        return "opus"

    @property
    def names_turns(self) -> bool:
        """Whether every message of a turn names it."""
        return True

    def _handshake(self, message: Handshake) -> dict[str, object]:
        return handshake(message)

    def _speech(self, message: SpeechPacket) -> bytes:
        packet = f.checked_packet(message.packet)
        return _header(SPEECH, message.turn, message.sequence, message.captured_ms) + packet

    def _final(self, message: FinalMarker) -> bytes:
        return _header(SPEECH_END, message.turn, message.sequence, message.ended_ms)

    def _cancel(self, message: Cancel) -> dict[str, object]:
        return {"type": "cancel", "turn": message.turn & TURN_MAX}

    def _binary(self, data: bytes) -> Incoming:
        if len(data) < HEADER.size:
            raise MessageError(DropReason.BAD_HEADER, "length")
        version, kind, flags, turn, sequence, _ = HEADER.unpack_from(data)
        if version != VERSION:
            raise MessageError(DropReason.BAD_HEADER, "version")
        carried = len(data) - HEADER.size
        if kind == REPLY_END:
            if carried:
                raise MessageError(DropReason.BAD_PACKET, "length")
            return ReplyEnd(turn=turn, pieces=sequence)
        if kind == REPLY_OPUS:
            if not 0 < carried <= PACKET_BYTES_MAX:
                raise MessageError(DropReason.BAD_PACKET, "length")
            return ReplyPacket(data[HEADER.size :], _rate_hz(flags), sequence, turn)
        if kind == REPLY_PCM:
            if not carried or carried % SAMPLE_BYTES:
                raise MessageError(DropReason.BAD_PACKET, "length")
            return ReplyPcm(data[HEADER.size :], _rate_hz(flags), turn)
        raise MessageError(DropReason.BAD_HEADER, "kind")


def _header(kind: int, turn: int, sequence: int, at_ms: int) -> bytes:
    return HEADER.pack(VERSION, kind, 0, turn & TURN_MAX, sequence & _U32, at_ms & _U32)


def _rate_hz(flags: int) -> int:
    rate_hz = flags * _RATE_UNIT_HZ
    if rate_hz not in SAMPLE_RATES_HZ:
        raise MessageError(DropReason.BAD_SAMPLE_RATE, "flags")
    return rate_hz
