from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.audio import PACKET_BYTES_MAX, AudioFormat
from devcloud.dialects.messages import (
    SEQUENCE_MAX,
    AudioChunk,
    Handshake,
    Piece,
    Ping,
    Pong,
    due_s,
)
from devcloud.dialects.seed import SeedDialect
from devcloud.errors import MalformedMessageError

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

SEED = SeedDialect()
HANDSHAKE: dict[str, Json] = {
    "type": "handshake",
    "deviceId": "device",
    "toyId": "toy",
    "capabilities": {"audio": ["opus"], "sampleRate": 16000, "frameMs": 20},
}
CHUNK: dict[str, Json] = {"type": "audio_chunk", "data": "0aff", "timestamp": 1.5, "sequence": 3}


def test_every_message_of_the_dialect_is_understood() -> None:
    parsed = [
        SEED.read(json.dumps(message))
        for message in (HANDSHAKE, CHUNK, {"type": "ping"}, {"type": "pong"})
    ]
    chunk = AudioChunk(b"\x0a\xff", 1.5, 3, is_final=False)
    assert parsed == [Handshake("device", "toy"), chunk, Ping(), Pong()]


def test_the_end_of_an_utterance_needs_no_audio() -> None:
    end = SEED.read(json.dumps({**CHUNK, "data": "", "isFinal": True}))
    assert end == AudioChunk(b"", 1.5, 3, is_final=True)


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({**CHUNK, "data": ""}, "data"),
        ({**CHUNK, "data": "0g"}, "data"),
        ({**CHUNK, "data": "abc"}, "data"),
        ({**CHUNK, "data": None}, "data"),
        ({**CHUNK, "data": "00" * 1277}, "data"),
        ({**CHUNK, "sequence": -1}, "sequence"),
        ({**CHUNK, "sequence": 1.0}, "sequence"),
        ({**CHUNK, "sequence": True}, "sequence"),
        ({**CHUNK, "sequence": 2**31}, "sequence"),
        ({**CHUNK, "timestamp": "now"}, "timestamp"),
        ({**CHUNK, "isFinal": 1}, "isFinal"),
        ({**HANDSHAKE, "deviceId": 7}, "deviceId"),
        ({**HANDSHAKE, "toyId": "x" * 129}, "128"),
        ({**HANDSHAKE, "capabilities": []}, "capabilities"),
        ({**HANDSHAKE, "capabilities": {"audio": ["pcm16"]}}, "opus"),
        ({**HANDSHAKE, "capabilities": {"audio": ["opus"], "sampleRate": 8000}}, "16000"),
        (
            {**HANDSHAKE, "capabilities": {"audio": ["opus"], "sampleRate": 16000, "frameMs": 60}},
            "20",
        ),
        ({"type": "audio_response"}, "audio_response"),
        ({"type": None}, "type"),
        ({}, "type"),
    ],
)
def test_what_the_dialect_does_not_allow_is_refused_by_name(
    message: dict[str, Json], names: str
) -> None:
    with pytest.raises(MalformedMessageError, match=names):
        SEED.read(json.dumps(message))


KEYS = st.sampled_from([*HANDSHAKE, *CHUNK, "isFinal", "audio", "sampleRate", "frameMs"])
WORDS = st.sampled_from(["handshake", "audio_chunk", "ping", "pong", "opus", "00"])
MESSAGES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@given(MESSAGES.map(json.dumps) | st.text())
def test_any_text_is_a_message_or_refused(text: str) -> None:
    try:
        message = SEED.read(text)
    except MalformedMessageError:
        return
    assert isinstance(message, Handshake | AudioChunk | Ping | Pong)


@given(st.binary(max_size=PACKET_BYTES_MAX), st.integers(0, SEQUENCE_MAX))
def test_a_packet_of_a_reply_is_written_as_the_dialect_has_it(packet: bytes, sequence: int) -> None:
    piece = Piece(packet, sequence, AudioFormat.OPUS, 16_000)
    assert json.loads(SEED.audio(piece, None)) == {
        "type": "audio_response",
        "data": packet.hex(),
        "sequence": sequence,
        "format": "opus",
        "sampleRate": 16000,
        "isFinal": False,
    }


def test_a_reply_begins_with_ten_packets_at_once_and_goes_on_in_real_time() -> None:
    due = [due_s(20 * number) for number in range(13)]
    assert due == [0.0] * 10 + [0.02, 0.04, 0.06]


@pytest.mark.parametrize(("offer", "binary"), [({}, False), ({"binary": 1}, True)])
def test_a_device_may_offer_the_binary_dialect(offer: dict[str, Json], *, binary: bool) -> None:
    capabilities = {**HANDSHAKE["capabilities"], **offer}
    read = SEED.read(json.dumps({**HANDSHAKE, "capabilities": capabilities}))
    assert read == Handshake("device", "toy", binary)
