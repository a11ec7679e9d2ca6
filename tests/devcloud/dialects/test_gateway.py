from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.audio import AudioFormat
from devcloud.dialects.gateway import GatewayDialect
from devcloud.dialects.messages import (
    AudioChunk,
    Cancel,
    ErrorCode,
    Handshake,
    Piece,
    Ping,
    Pong,
)
from devcloud.errors import MalformedMessageError

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

GATEWAY = GatewayDialect()
HANDSHAKE: dict[str, Json] = {
    "type": "handshake",
    "deviceId": "device",
    "toyId": "toy",
    "capabilities": {
        "audio": True,
        "opus": True,
        "pcm16": True,
        "wav": True,
        "sampleRate": 16000,
    },
    "timestamp": 1.5,
}
METADATA: dict[str, Json] = {
    "isFinal": False,
    "format": "pcm16",
    "sampleRate": 16000,
    "timestamp": 1.5,
    "sequence": 3,
}


def chunk(data: Json = "0aff", **metadata: Json) -> dict[str, Json]:
    return {"type": "audio_chunk", "payload": {"data": data, "metadata": {**METADATA, **metadata}}}


def test_every_message_of_the_dialect_is_understood() -> None:
    read = [
        GATEWAY.read(json.dumps(message))
        for message in (HANDSHAKE, chunk(), {"type": "ping"}, {"type": "pong"})
    ]
    spoken = AudioChunk(b"\x0a\xff", 1.5, 3, is_final=False, format=AudioFormat.PCM16)
    assert read == [Handshake("device", "toy"), spoken, Ping(), Pong()]


@pytest.mark.parametrize("format_", AudioFormat)
def test_speech_comes_in_each_format_and_its_end_needs_no_audio(format_: AudioFormat) -> None:
    end = GATEWAY.read(json.dumps(chunk("", isFinal=True, format=format_.value)))
    assert end == AudioChunk(b"", 1.5, 3, is_final=True, format=format_)


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (b"\0", "JSON"),
        ({"type": "audio_chunk", "data": "0aff"}, "payload"),
        ({"type": "audio_chunk", "payload": {"data": "0aff"}}, "metadata"),
        (chunk(""), "data"),
        (chunk("0g"), "data"),
        (chunk(7), "data"),
        (chunk("00" * 1277, format="opus"), "1276"),
        (chunk(format="mp3"), "opus, pcm16, wav"),
        (chunk(sampleRate=8000), "16000"),
        (chunk(sequence=-1), "sequence"),
        (chunk(timestamp="now"), "timestamp"),
        (chunk(isFinal=1), "isFinal"),
        ({**HANDSHAKE, "capabilities": {"audio": False}}, "audio"),
        ({**HANDSHAKE, "capabilities": {"audio": True, "sampleRate": 8000}}, "16000"),
        ({**HANDSHAKE, "timestamp": None}, "timestamp"),
        ({**HANDSHAKE, "toyId": "x" * 129}, "128"),
        ({"type": "cancel", "turn": 1}, "cancel"),
    ],
)
def test_what_the_dialect_does_not_allow_is_refused_by_name(
    message: dict[str, Json] | bytes, names: str
) -> None:
    with pytest.raises(MalformedMessageError, match=names):
        GATEWAY.read(json.dumps(message) if isinstance(message, dict) else message)


KEYS = st.sampled_from([*HANDSHAKE, *METADATA, "payload", "metadata", "data"])
WORDS = st.sampled_from(["handshake", "audio_chunk", "ping", "pong", "wav", "00"])
MESSAGES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@given(MESSAGES.map(json.dumps) | st.text())
def test_any_text_is_a_message_or_refused(text: str) -> None:
    try:
        message = GATEWAY.read(text)
    except MalformedMessageError:
        return
    assert not isinstance(message, Cancel)


def test_what_it_writes_is_what_existing_gateways_write() -> None:
    written = [
        GATEWAY.handshake_ack("s1"),
        GATEWAY.thinking(),
        GATEWAY.transcript("hi", None),
        GATEWAY.text_response("ho", None),
        GATEWAY.audio(Piece(b"\x01\x02", 3, AudioFormat.WAV, 22_050, is_final=True), None),
        GATEWAY.error(ErrorCode.AUDIO_ERROR, "no", None),
        GATEWAY.pong(),
    ]
    assert [json.loads(message or "") for message in written] == [
        {"type": "handshake_ack", "status": "connected", "session_id": "s1"},
        {"type": "status", "payload": {"status": "processing"}},
        {"type": "transcript", "payload": {"text": "hi"}},
        {"type": "text_response", "payload": {"text": "ho"}},
        {
            "type": "audio_response",
            "payload": {
                "data": "0102",
                "metadata": {
                    "format": "wav",
                    "sampleRate": 22050,
                    "isFinal": True,
                    "sequence": 3,
                },
            },
        },
        {
            "type": "error",
            "code": "AUDIO_ERROR",
            "error": "no",
            "payload": {"error": "AUDIO_ERROR", "message": "no"},
        },
        {"type": "pong"},
    ]


def test_the_seeds_messages_are_pushed_with_a_payload_and_in_its_own_words() -> None:
    pushed = [
        GATEWAY.push({"type": "command", "command": "pause", "duration": 60}),
        GATEWAY.push({"type": "toy_config_update"}),
        GATEWAY.push({"type": "command", "payload": {"command": "stop"}}),
        GATEWAY.push({"kind": 1}),
    ]
    assert [json.loads(message) for message in pushed] == [
        {"type": "command", "payload": {"command": "pause", "duration": 60}},
        {"type": "config_update", "payload": {}},
        {"type": "command", "payload": {"command": "stop"}},
        {"kind": 1},
    ]
