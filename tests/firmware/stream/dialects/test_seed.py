"""The seed dialect."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.stream.codec import (
    NAME_CHARS_MAX,
    SAMPLE_RATES_HZ,
    SEQUENCE_MAX,
    TEXT_CHARS_MAX,
    Codec,
    utf8_bytes,
)
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.errors import PacketError
from firmware.stream.messages import (
    ERROR_CODES,
    ConfigurationHint,
    Dropped,
    DropReason,
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
from tests.firmware.stream.gateway import REPLY_END, reply_packet
from tests.firmware.test_bounded_json import JSON

PACKETS = st.binary(min_size=1, max_size=PACKET_BYTES_MAX)
SEQUENCES = st.integers(0, SEQUENCE_MAX)
TYPES = [
    "audio_response",
    "command",
    "error",
    "handshake_ack",
    "ping",
    "pong",
    "safety_override",
    "text_response",
    "toy_config_update",
    "transcript",
]
FIELD_NAMES = [
    "action",
    "code",
    "command",
    "data",
    "dialect",
    "duration",
    "format",
    "isFinal",
    "message",
    "sampleRate",
    "sequence",
    "text",
]


def receive(message: object) -> Incoming | Dropped:
    """Return what a fresh codec makes of a message given as JSON."""
    return SeedCodec().receive(json.dumps(message))


# What goes out.


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (
            Handshake("device-1", "toy-1"),
            {
                "type": "handshake",
                "deviceId": "device-1",
                "toyId": "toy-1",
                "capabilities": {"audio": ["opus"], "sampleRate": 16000, "frameMs": 20},
            },
        ),
        (
            SpeechPacket(b"\x00\xff", 1_234, 7),
            {"type": "audio_chunk", "data": "00ff", "timestamp": 1.234, "sequence": 7},
        ),
        (
            FinalMarker(2_000, 8),
            {
                "type": "audio_chunk",
                "data": "",
                "timestamp": 2.0,
                "sequence": 8,
                "isFinal": True,
            },
        ),
        (Ping(), {"type": "ping"}),
        (Pong(), {"type": "pong"}),
    ],
)
def test_messages_go_out_as_the_dialect_writes_them(
    message: Outgoing, written: dict[str, Any]
) -> None:
    """Field by field."""
    assert json.loads(SeedCodec().encode(message)) == written


@given(PACKETS, st.integers(0, 2**53), SEQUENCES)
def test_speech_survives_the_wire(packet: bytes, captured_ms: int, sequence: int) -> None:
    """Whatever the packet holds, it arrives as it was, and so does its time."""
    chunk = json.loads(SeedCodec().encode(SpeechPacket(packet, captured_ms, sequence)))
    assert bytes.fromhex(chunk["data"]) == packet
    assert round(chunk["timestamp"] * 1000) == captured_ms
    assert chunk["sequence"] == sequence


@pytest.mark.parametrize("packet", [b"", bytes(PACKET_BYTES_MAX + 1)])
def test_impossible_packet_does_not_go_out(packet: bytes) -> None:
    """An empty one would read as an end."""
    with pytest.raises(PacketError, match="give 1 to 1276"):
        SeedCodec().encode(SpeechPacket(packet, 0, 0))


# What comes in.


@given(PACKETS, st.sampled_from(SAMPLE_RATES_HZ), SEQUENCES)
def test_reply_survives_the_wire(packet: bytes, sample_rate_hz: int, sequence: int) -> None:
    """A packet arrives as it was, in mid-reply or together with the end."""
    fields = reply_packet(packet, sequence, sampleRate=sample_rate_hz)
    expected = ReplyPacket(packet, sample_rate_hz, sequence)
    assert receive(fields) == expected
    assert receive({**fields, "isFinal": True}) == ReplyEnd(expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (REPLY_END, ReplyEnd()),
        ({"type": "audio_response", "isFinal": True}, ReplyEnd()),
        (
            {"type": "audio_response", "data": "aB", "sequence": 0, "format": "opus"}
            | {"sampleRate": 16_000},
            ReplyPacket(b"\xab", 16_000, 0),
        ),
        ({"type": "handshake_ack", "dialect": "seed"}, HandshakeAck("seed")),
        ({"type": "handshake_ack"}, HandshakeAck("")),
        ({"type": "text_response", "text": "Schön! 🎈"}, ReplyText("Schön! 🎈")),
        ({"type": "transcript", "text": ""}, Transcript("")),
        ({"type": "transcript", "text": "x" * TEXT_CHARS_MAX}, Transcript("x" * TEXT_CHARS_MAX)),
        (
            {"type": "error", "code": "AUDIO_ERROR", "message": "m"},
            GatewayError("AUDIO_ERROR", "m"),
        ),
        ({"type": "error", "code": "NEW", "message": 3}, GatewayError("OTHER", "")),
        ({"type": "error", "code": ["AUDIO_ERROR"]}, GatewayError("OTHER", "")),
        ({"type": "error"}, GatewayError("OTHER", "")),
        ({"type": "command", "command": "say", "text": "hi"}, GuardianCommand("say", 0)),
        ({"type": "command", "command": "pause", "duration": 9}, GuardianCommand("pause", 9)),
        (
            {"type": "safety_override", "action": "pause", "duration": 300, "message": ""},
            SafetyOverride("pause", 300),
        ),
        ({"type": "safety_override"}, SafetyOverride("", 0)),
        ({"type": "safety_override", "action": "\ud800"}, SafetyOverride("", 0)),
        ({"type": "toy_config_update", "config": {"volume": 3}}, ConfigurationHint()),
        ({"type": "ping", "extra": None}, Ping()),
        ({"type": "pong"}, Pong()),
    ],
)
def test_messages_come_in_as_the_dialect_means_them(
    fields: dict[str, Any], message: Incoming
) -> None:
    """Unknown fields are nobody's business; what stops the toy needs no more than its type."""
    assert receive(fields) == message


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_known_code_is_taken(code: str) -> None:
    """The set is that of the dialect, and one for the rest."""
    found = receive({"type": "error", "code": code, "message": ""})
    assert isinstance(found, GatewayError)
    assert found.code == code


@pytest.mark.parametrize(
    ("data", "reason", "field"),
    [
        (b'{"type":"ping"}', DropReason.NOT_TEXT, ""),
        ("", DropReason.NOT_JSON, ""),
        ("{", DropReason.NOT_JSON, ""),
        ('{"type":"ping"} ', None, ""),
        ('{"type":"ping"}x', DropReason.NOT_JSON, ""),
        ('{"type":"error","code":NaN}', DropReason.NOT_JSON, ""),
        ('"ping"', DropReason.NOT_AN_OBJECT, ""),
        ("[]", DropReason.NOT_AN_OBJECT, ""),
        ("null", DropReason.NOT_AN_OBJECT, ""),
        ("{}", DropReason.UNKNOWN_TYPE, ""),
        ('{"type":["ping"]}', DropReason.UNKNOWN_TYPE, ""),
        ('{"type":"PING"}', DropReason.UNKNOWN_TYPE, ""),
        ('{"type":"audio_chunk"}', DropReason.UNKNOWN_TYPE, ""),
        ('{"type":"ping","x":' + "[" * 7 + "]" * 7 + "}", None, ""),
        ('{"type":"ping","x":' + "[" * 8 + "]" * 8 + "}", DropReason.TOO_DEEP, ""),
        ('{"type":"ping","x":[' + "0," * 4_100 + "0]}", DropReason.TOO_MANY_VALUES, ""),
        ('{"type":"ping","x":"' + "a" * 999_978 + '"}', None, ""),
        ('{"type":"ping","x":"' + "a" * 999_979 + '"}', DropReason.TOO_LONG, ""),
        ('{"type":"ping","x":"' + "ä" * 499_990 + '"}', DropReason.TOO_LONG, ""),
        ('{"type":"text_response"}', DropReason.BAD_FIELD, "text"),
        ('{"type":"text_response","text":3}', DropReason.BAD_FIELD, "text"),
        ('{"type":"transcript","text":"\\ud83c"}', DropReason.BAD_FIELD, "text"),
        (
            '{"type":"transcript","text":"' + "a" * (TEXT_CHARS_MAX + 1) + '"}',
            DropReason.BAD_FIELD,
            "text",
        ),
        ('{"type":"command"}', DropReason.BAD_FIELD, "command"),
        ('{"type":"command","command":""}', DropReason.BAD_FIELD, "command"),
        (
            '{"type":"command","command":"' + "a" * (NAME_CHARS_MAX + 1) + '"}',
            DropReason.BAD_FIELD,
            "command",
        ),
    ],
    ids=lambda value: str(value)[:24],
)
def test_unusable_text_is_dropped_with_its_reason(
    data: str | bytes, reason: DropReason | None, field: str
) -> None:
    """Each limit at its border."""
    codec = SeedCodec()
    found = codec.receive(data)
    if reason is None:
        assert found == Ping()
    else:
        assert found == Dropped(reason, field)
        assert {name: count for name, count in codec.drops.items() if count} == {reason: 1}


@pytest.mark.parametrize(
    ("changed", "reason", "field"),
    [
        ({"data": "0"}, DropReason.BAD_PACKET, "data"),
        ({"data": "0g"}, DropReason.BAD_PACKET, "data"),
        ({"data": "00 00"}, DropReason.BAD_PACKET, "data"),
        ({"data": "\u0660\u0660"}, DropReason.BAD_PACKET, "data"),
        ({"data": ""}, DropReason.BAD_PACKET, "data"),
        ({"data": None}, DropReason.BAD_PACKET, "data"),
        ({"data": None, "isFinal": True}, DropReason.BAD_PACKET, "data"),
        ({"data": ["00"]}, DropReason.BAD_PACKET, "data"),
        ({"data": "00" * (PACKET_BYTES_MAX + 1)}, DropReason.BAD_PACKET, "data"),
        ({"sampleRate": 44_100}, DropReason.BAD_SAMPLE_RATE, "sampleRate"),
        ({"sampleRate": 0}, DropReason.BAD_SAMPLE_RATE, "sampleRate"),
        ({"sampleRate": 16_000.0}, DropReason.BAD_SAMPLE_RATE, "sampleRate"),
        ({"sampleRate": "16000"}, DropReason.BAD_SAMPLE_RATE, "sampleRate"),
        ({"sampleRate": None}, DropReason.BAD_SAMPLE_RATE, "sampleRate"),
        ({"format": 3}, DropReason.BAD_FIELD, "format"),
        ({"format": None}, DropReason.BAD_FIELD, "format"),
        ({"sequence": -1}, DropReason.BAD_FIELD, "sequence"),
        ({"sequence": SEQUENCE_MAX + 1}, DropReason.BAD_FIELD, "sequence"),
        ({"sequence": 1.0}, DropReason.BAD_FIELD, "sequence"),
        ({"sequence": True}, DropReason.BAD_FIELD, "sequence"),
        ({"sequence": None}, DropReason.BAD_FIELD, "sequence"),
        ({"isFinal": "yes"}, DropReason.BAD_FIELD, "isFinal"),
        ({"isFinal": 1}, DropReason.BAD_FIELD, "isFinal"),
    ],
)
def test_unusable_reply_is_dropped_with_its_reason(
    changed: dict[str, Any], reason: DropReason, field: str
) -> None:
    """What is played must be exactly what was agreed."""
    assert receive(reply_packet(b"x", **changed)) == Dropped(reason, field)


def test_limit_on_messages_can_be_lowered() -> None:
    """As the configuration says."""
    assert SeedCodec(15).receive('{"type":"ping"}') == Ping()
    assert SeedCodec(14).receive('{"type":"ping"}') == Dropped(DropReason.TOO_LONG)


@given(
    st.text()
    | st.binary()
    | JSON.map(json.dumps)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES)},
        optional=dict.fromkeys(FIELD_NAMES, JSON | st.just("00") | st.just("opus") | SEQUENCES),
    ).map(json.dumps)
)
def test_nothing_that_comes_in_raises(data: str | bytes) -> None:
    """It is a message, or it is dropped and counted, once."""
    codec = SeedCodec()
    found = codec.receive(data)
    assert isinstance(found, Incoming | Dropped)
    assert sum(codec.drops.values()) == isinstance(found, Dropped)
    assert set(codec.drops) == set(DropReason)


@settings(max_examples=25)
@given(JSON.map(lambda value: json.dumps({"type": "toy_config_update", "x": [value] * 50})))
def test_memory_is_in_proportion(data: str) -> None:
    """Python's values are larger than their text, but not beyond a factor."""
    tracemalloc.start()
    try:
        SeedCodec().receive(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 32 * len(data) + 10_000


@pytest.mark.parametrize(
    "unit", ["[", "]", "{", "}", '"', "\\", ",", "0", "[],", '{"a":', '"a",', "\\u0000", "é", "🎈"]
)
@pytest.mark.parametrize("head", ["", '{"type":"text_response","text":"', '{"type":"ping","x":['])
def test_hostile_megabyte_takes_memory_in_proportion(head: str, unit: str) -> None:
    """Not even as much as four bytes for each of its characters, and then again half of that."""
    data = head + unit * ((1_000_000 - len(head)) // len(unit.encode()))
    tracemalloc.start()
    try:
        SeedCodec().receive(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 6_000_000


@given(st.text())
def test_bytes_on_the_wire_are_counted(text: str) -> None:
    """Of a text they are those of its UTF-8."""
    assert utf8_bytes(text) == len(text.encode("utf-8", "surrogatepass"))
    assert utf8_bytes(b"abc") == 3


def test_neither_packets_nor_words_show_in_a_representation() -> None:
    """What is logged by mistake gives nothing away."""
    secret = b"SECRET"
    shown = repr(
        [
            SpeechPacket(secret, 0, 0),
            ReplyEnd(ReplyPacket(secret, 16_000, 0)),
            ReplyText("SECRET"),
            Transcript("SECRET"),
            GatewayError("OTHER", "SECRET"),
        ]
    )
    assert "SECRET" not in shown


def test_seed_codec_is_a_codec() -> None:
    """What the stream expects of every dialect."""
    codec: Codec = SeedCodec()
    assert codec.drops == dict.fromkeys(DropReason, 0)
