"""The binary dialect of the audio stream: audio as binary messages, the rest as the seed has it.

A binary message is a header of 16 bytes, big-endian, and a payload::

    u8 version = 1 | u8 kind | u16 flags | u32 turn | u32 sequence | u32 time_ms

=====  =========================================================================================
kind   what it is
=====  =========================================================================================
1      speech up: one Opus packet of 20 ms, 16 kHz mono
2      the end of speech; no payload, ``sequence`` is the number of packets
3      a reply's Opus packet; ``flags`` is its sample rate in units of 100 Hz
4      a reply's samples, mono PCM16 little-endian; ``flags`` likewise
5      the end of a reply; no payload, ``sequence`` is the number of messages with audio
=====  =========================================================================================

``time_ms`` is the time of capture (monotonic, modulo 2^32) up and the time within the reply down.
Every turn has a number that the device chooses; ``{"type": "cancel", "turn": n}`` ends one. Texts
that belong to a turn name it. A message of another version or kind, or of a length that cannot be,
is counted and dropped without an answer: a later version may have a use for it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from devcloud.audio import PACKET_BYTES_MAX, AudioFormat
from devcloud.dialects.messages import (
    BINARY_VERSION,
    SEQUENCE_MAX,
    TURN_MAX,
    AudioChunk,
    Cancel,
    Message,
    Piece,
    Wire,
)
from devcloud.dialects.seed import SeedDialect, read_control
from devcloud.errors import MalformedMessageError, UnknownFrameError
from devcloud.json_text import field, parse_object

if TYPE_CHECKING:
    from devcloud.json_text import JsonObject

HEADER: Final = struct.Struct(">BBHIII")
RATE_UNIT_HZ: Final = 100


class Kind(IntEnum):
    """What a binary message holds."""

    SPEECH = 1
    SPEECH_END = 2
    REPLY_OPUS = 3
    REPLY_PCM16 = 4
    REPLY_END = 5


class BinaryDialect(SeedDialect):
    """What is spoken after both sides have offered it."""

    name = "binary"

    def read(self, message: Wire) -> Message:
        """Read a message from the device: audio if it is binary, control if it is text."""
        if isinstance(message, bytes):
            return _read_audio(message)
        fields = parse_object(message)
        kind = field(fields, "type", str)
        if kind == "cancel":
            return _read_cancel(fields)
        return read_control(kind, fields)

    def audio(self, piece: Piece, turn: int | None) -> Wire:
        """Write one piece of the reply, or its end."""
        kind = Kind.REPLY_OPUS if piece.format is AudioFormat.OPUS else Kind.REPLY_PCM16
        rate = piece.rate_hz // RATE_UNIT_HZ
        if piece.is_final:
            kind, rate = Kind.REPLY_END, 0
        header = HEADER.pack(BINARY_VERSION, kind, rate, turn or 0, piece.sequence, piece.media_ms)
        return header + piece.data


def _read_audio(message: bytes) -> AudioChunk:
    if len(message) < HEADER.size:
        raise UnknownFrameError(f"a header has {HEADER.size} bytes")
    version, kind, _, turn, sequence, time_ms = HEADER.unpack_from(message)
    payload = message[HEADER.size :]
    if version != BINARY_VERSION or kind not in {Kind.SPEECH, Kind.SPEECH_END}:
        raise UnknownFrameError("a version or a kind that is not for us")
    is_final = kind == Kind.SPEECH_END
    if is_final is bool(payload) or len(payload) > PACKET_BYTES_MAX or sequence > SEQUENCE_MAX:
        raise UnknownFrameError("a length that cannot be")
    return AudioChunk(payload, time_ms / 1000, sequence, is_final, AudioFormat.OPUS, turn)


def _read_cancel(fields: JsonObject) -> Cancel:
    turn = field(fields, "turn", int)
    if not 0 <= turn <= TURN_MAX:
        raise MalformedMessageError(f"'turn' must be 0 to {TURN_MAX}")
    return Cancel(turn)
