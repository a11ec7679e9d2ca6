from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.audio import AudioFormat
from devcloud.dialects.binary import BinaryDialect
from devcloud.dialects.messages import (
    TURN_MAX,
    AudioChunk,
    Cancel,
    ErrorCode,
    Handshake,
    Piece,
    Ping,
    Pong,
)
from devcloud.errors import MalformedMessageError, UnknownFrameError

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

BINARY = BinaryDialect()


def frame(  # noqa: PLR0913 - the header's fields
    payload: bytes = b"\x0a\xff",
    *,
    version: int = 1,
    kind: int = 1,
    flags: int = 0,
    turn: int = 7,
    sequence: int = 3,
    time_ms: int = 1500,
) -> bytes:
    return struct.pack(">BBHIII", version, kind, flags, turn, sequence, time_ms) + payload


def test_speech_and_its_end_are_understood() -> None:
    assert BINARY.read(frame()) == AudioChunk(
        b"\x0a\xff", 1.5, 3, is_final=False, format=AudioFormat.OPUS, turn=7
    )
    assert BINARY.read(frame(b"", kind=2)) == AudioChunk(b"", 1.5, 3, is_final=True, turn=7)


def test_control_stays_text_and_a_turn_can_be_cancelled() -> None:
    assert BINARY.read('{"type": "ping"}') == Ping()
    assert BINARY.read('{"type": "pong"}') == Pong()
    assert BINARY.read('{"type": "cancel", "turn": 7}') == Cancel(7)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        frame()[:15],
        frame(version=0),
        frame(version=2),
        *(frame(kind=kind) for kind in (0, 3, 4, 5, 255)),
        frame(b""),
        frame(b"x", kind=2),
        frame(bytes(1277)),
        frame(sequence=2**31),
    ],
    ids=repr,
)
def test_what_is_not_for_us_is_to_be_dropped_without_an_answer(message: bytes) -> None:
    with pytest.raises(UnknownFrameError):
        BINARY.read(message)


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({"type": "cancel"}, "turn"),
        ({"type": "cancel", "turn": -1}, "turn"),
        ({"type": "cancel", "turn": TURN_MAX + 1}, "turn"),
        ({"type": "cancel", "turn": True}, "turn"),
        ({"type": "audio_chunk", "data": "00", "timestamp": 0, "sequence": 0}, "audio_chunk"),
    ],
)
def test_a_text_that_the_dialect_does_not_allow_is_refused_by_name(
    message: dict[str, Json], names: str
) -> None:
    with pytest.raises(MalformedMessageError, match=names):
        BINARY.read(json.dumps(message))


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: b"\1\1" + tail))
def test_any_binary_message_is_speech_or_dropped(message: bytes) -> None:
    try:
        chunk = BINARY.read(message)
    except UnknownFrameError:
        return
    assert isinstance(chunk, AudioChunk)
    assert chunk.turn is not None


@pytest.mark.parametrize(
    ("piece", "kind", "flags"),
    [
        (Piece(b"ab", 4, AudioFormat.OPUS, 16_000, 80), 3, 160),
        (Piece(b"ab", 4, AudioFormat.OPUS, 48_000, 80), 3, 480),
        (Piece(b"ab", 4, AudioFormat.PCM16, 24_000, 80), 4, 240),
        (Piece(b"", 4, AudioFormat.OPUS, 16_000, 80, is_final=True), 5, 0),
    ],
)
def test_a_reply_is_written_behind_its_header(piece: Piece, kind: int, flags: int) -> None:
    written = BINARY.audio(piece, 9)
    assert written == struct.pack(">BBHIII", 1, kind, flags, 9, 4, 80) + piece.data


def test_texts_that_belong_to_a_turn_name_it() -> None:
    for text in (
        BINARY.transcript("hi", 9),
        BINARY.text_response("hi", 9),
        BINARY.error(ErrorCode.AUDIO_ERROR, "hi", 9),
    ):
        assert json.loads(text)["turn"] == 9
    assert "turn" not in json.loads(BINARY.error(ErrorCode.RATE_LIMITED, "hi", None))
    assert json.loads(BINARY.handshake_ack("x")) == {"type": "handshake_ack", "dialect": "binary"}


def test_the_handshake_is_the_seeds() -> None:
    handshake = {
        "type": "handshake",
        "deviceId": "d",
        "toyId": "t",
        "capabilities": {"audio": ["opus"], "sampleRate": 16000, "frameMs": 20, "binary": 1},
    }
    assert BINARY.read(json.dumps(handshake)) == Handshake("d", "t", binary=True)
