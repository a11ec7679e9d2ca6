"""Every parser of every dialect, given what a hostile gateway might send."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import tracemalloc
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware.stream.codec import MESSAGE_BYTES_MAX, WIDE_CHARS_MAX, Codec
from firmware.stream.dialects.binary import BinaryCodec
from firmware.stream.dialects.gateway import GatewayCodec
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.errors import SoundError
from firmware.stream.messages import Dropped, DropReason, Incoming, ReplyEnd, ReplyPcm, ReplyWav
from firmware.stream.settings import StreamSettings
from firmware.stream.stream import Stream
from firmware.stream.turn import Turn
from firmware.stream.wav import Joiner
from firmware.voice.playback import Playback
from firmware.voice.settings import VoiceSettings
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from hardware.sim.speaker import VirtualSpeaker
from tests.firmware.stream.bell import Bell
from tests.firmware.stream.gateway import wrapped
from tests.firmware.stream.stage import Loop
from tests.firmware.stream.waves import wav
from tests.firmware.voice.rig import Posted

if TYPE_CHECKING:
    from hardware.speaker import Source

BEYOND_BYTES_MAX = 1_000_000
"""What a message may take beyond its own size."""

CODECS = (SeedCodec, GatewayCodec, BinaryCodec)

NAMES = [
    "action",
    "code",
    "command",
    "config",
    "data",
    "dialect",
    "duration",
    "error",
    "format",
    "isFinal",
    "message",
    "metadata",
    "payload",
    "sampleRate",
    "sequence",
    "status",
    "text",
    "turn",
]

WORDS = [
    "opus",
    "pcm16",
    "wav",
    "mp3",
    "seed",
    "binary",
    "00",
    "0",
    "0g",
    "52494646",
    "stop",
    "lock",
    "pause",
    "AUTH_FAILED",
    "SAFETY_VIOLATION",
]

ANY_TEXT = st.text(st.characters())
"""Half characters too."""

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 2**31, 2**32, 10**31, 16_000, 22_050, 48_000])
    | st.floats()
    | st.sampled_from(WORDS)
    | ANY_TEXT
)


def messages(codec: type[Codec]) -> st.SearchStrategy[dict[str, Any]]:
    """Return messages with the right names and anything at all under them."""
    kinds = sorted(codec.decoders)  # type: ignore[attr-defined]
    leaf = SCALARS | st.lists(SCALARS, max_size=3)
    inner = st.dictionaries(st.sampled_from(NAMES), leaf, max_size=8)
    outer = st.dictionaries(st.sampled_from(NAMES), leaf | inner, max_size=8)
    nested = st.dictionaries(
        st.just("payload"), st.dictionaries(st.sampled_from(NAMES), leaf | inner, max_size=8)
    )
    return st.builds(
        lambda kind, fields, more: {**fields, **more, "type": kind},
        st.sampled_from(kinds) | leaf,
        outer,
        nested,
    )


def judge(codec: Codec, data: str | bytes) -> Incoming | Dropped:
    """See that something is made of the data, and that a drop is counted once."""
    before = sum(codec.drops.values())
    found = codec.receive(data)
    assert isinstance(found, Incoming | Dropped)
    assert sum(codec.drops.values()) - before == isinstance(found, Dropped)
    assert set(codec.drops) == set(DropReason)
    return found


def beyond_bytes(codec: Codec, data: str | bytes) -> int:
    """Return what it takes to make something of the data, beyond its own size."""
    tracemalloc.start()
    try:
        judge(codec, data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak_bytes - sys.getsizeof(data)


@pytest.mark.parametrize("make", CODECS)
def test_right_names_with_anything_under_them_never_raise(make: type[Codec]) -> None:
    """Wrong types, missing keys, half characters, numbers out of every range."""
    codec = make()

    @given(messages(make))
    def judged(message: dict[str, Any]) -> None:
        judge(codec, json.dumps(message))
        judge(codec, json.dumps(message, ensure_ascii=False))

    judged()


@pytest.mark.parametrize("make", CODECS)
def test_any_text_and_any_bytes_never_raise(make: type[Codec]) -> None:
    """Nor do messages that are cut off in the middle."""
    codec = make()

    @given(ANY_TEXT | st.binary() | st.text('{}[]",:\\u0d8e1.- '), st.integers(0, 100))
    @example("\ud800", 0)
    @example('{"type":"' + "\udfff" * 10 + '"}', 0)
    def judged(data: str | bytes, cut: int) -> None:
        judge(codec, data)
        judge(codec, '{"type":"audio_response","payload":{"data":"00","metadata":{'[:cut])

    judged()


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**16 - 1) | st.sampled_from([160, 240, 480]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=1_300),
    st.integers(0, 16),
)
def test_binary_header_may_say_anything(  # noqa: PLR0913, PLR0917 - every field of the header
    version: int,
    kind: int,
    flags: int,
    turn: int,
    sequence: int,
    time_ms: int,
    payload: bytes,
    length: int,
) -> None:
    """Whole or truncated; what passes is in range, in its turn and of a kind that comes down."""
    codec = BinaryCodec()
    header = struct.pack(">BBHIII", version, kind, flags, turn, sequence, time_ms)
    assert isinstance(judge(codec, header[:length][:15]), Dropped)
    for usual in (kind, 3, 4, 5):
        data = struct.pack(">BBHIII", 1, usual, flags, turn, sequence, time_ms) + payload
        found = judge(codec, data)
        if not isinstance(found, Dropped):
            assert usual in {3, 4, 5}
            assert getattr(found, "turn", None) == turn
            assert getattr(found, "sample_rate_hz", 16_000) in {16_000, 24_000, 48_000}
    if version != 1:
        assert judge(codec, header + payload) == Dropped(DropReason.BAD_HEADER, "version")


AUDIO = st.builds(
    lambda data, form, rate_hz, channels, tag, declared, is_final: wrapped(
        wav(data, rate_hz, channels, tag=tag, declared=declared) if form == "wav" else data,
        form,
        sampleRate=rate_hz,
        is_final=is_final,
        sequence=0,
    ),
    st.binary(max_size=60),
    st.sampled_from(["wav", "pcm16", "opus", "mp3"]),
    st.sampled_from([0, 8_000, 16_000, 22_050, 48_000, 96_000]),
    st.integers(0, 3),
    st.sampled_from([1, 3]),
    st.sampled_from([0, 1, 7, 60, 2**31, 2**32 - 1]),
    st.booleans(),
)
"""Replies in the gateway dialect, playable or not."""

PACKETS = st.builds(
    lambda kind, flags, turn, payload: struct.pack(">BBHIII", 1, kind, flags, turn, 0, 0) + payload,
    st.integers(1, 6),
    st.sampled_from([0, 160, 240, 480, 481]),
    st.integers(0, 3),
    st.binary(max_size=60),
)


@pytest.mark.parametrize("make", CODECS)
def test_nothing_escapes_into_the_loop_whatever_the_turn_is_doing(make: type[Codec]) -> None:
    """From the wire through the stream to the ear: events that the machine knows, and no more."""
    usual = (
        AUDIO
        if make is GatewayCodec
        else AUDIO.map(lambda m: {**m, **m["payload"], **m["payload"]["metadata"]})
    )
    talk = messages(make).map(json.dumps) | usual.map(json.dumps) | PACKETS | ANY_TEXT

    @given(st.lists(talk, max_size=12), st.booleans(), st.booleans())
    def judged(sent: list[str | bytes], is_flushed: bool, is_replied: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        run_virtual(main(sent, Turn(2, 1, packets=1, is_flushed=is_flushed, is_replied=is_replied)))

    async def main(sent: list[str | bytes], turn: Turn) -> None:
        clock, loop, codec = Clock(), Loop(Bell()), make()

        def make_speaker(source: Source) -> VirtualSpeaker:
            return VirtualSpeaker(clock, source)

        playback = Playback(VoiceSettings(), clock, loop.post, make_speaker)
        playback.effects["speaker"](mode="reply", turn=2)
        url = StreamSettings(url="ws://localhost/")
        stream = Stream(url, "device", "toy", clock, loop.post, playback, Random(1))  # noqa: S311 - the same in every run
        stream._turn = turn
        for data in sent:
            message = codec.receive(data)
            if not isinstance(message, Dropped):
                stream.link_received(message)
        await asyncio.sleep(1)
        await stream.close()
        playback.close()
        assert turn.is_flushed or "reply_began" not in loop.names

    judged()


HEADS = (
    "",
    '{"type":"text_response","text":"',
    '{"type":"ping","x":[',
    '{"type":"ping","x":"',
    '{"type":"audio_response","payload":{"data":"',
    "🎈",
)
UNITS = (*'[]{}"\\,0é🎈', "[],", "{},", '{"a":', '"a",', "\\u0000", "\\ud83c\\udf88", "\\ud800")


@pytest.mark.parametrize("make", CODECS)
@pytest.mark.parametrize("head", HEADS)
def test_hostile_megabyte_takes_little_beyond_its_own_size(make: type[Codec], head: str) -> None:
    """Nested, full of values, escaped or wide."""
    codec = make()
    for unit in UNITS:
        for tail in ("", '"}'):
            room = MESSAGE_BYTES_MAX - len((head + tail).encode())
            data = head + unit * (room // len(unit.encode())) + tail
            assert beyond_bytes(codec, data) < BEYOND_BYTES_MAX, (unit, tail)


@pytest.mark.parametrize("make", CODECS)
def test_most_values_take_little_beyond_their_own_size(make: type[Codec]) -> None:
    """As many objects as may be in one message."""
    codec = make()
    for unit, count in (('{"a":0}', 2_047), ("[0]", 2_047), ('{"a":[]}', 1_300), ("1.5", 4_000)):
        data = '{"type":"ping","x":[' + ",".join([unit] * count) + "]}"
        assert beyond_bytes(codec, data) < BEYOND_BYTES_MAX


@pytest.mark.parametrize("make", CODECS)
def test_binary_megabyte_takes_little_beyond_its_own_size(make: type[Codec]) -> None:
    """Samples as many as there may be."""
    data = struct.pack(">BBHIII", 1, 4, 160, 1, 1, 1) + bytes(999_984)
    assert beyond_bytes(make(), data) < BEYOND_BYTES_MAX
    assert judge(make(), data + b"\0\0") == Dropped(DropReason.TOO_LONG)


def test_wide_text_is_short() -> None:
    """At the border."""
    codec = SeedCodec()
    frame = '{"type":"ping","x":""}'
    fits = frame.replace('""', '"' + "é" * (WIDE_CHARS_MAX - len(frame)) + '"')
    assert not isinstance(judge(codec, fits), Dropped)
    assert judge(codec, fits + " ") == Dropped(DropReason.TOO_LONG)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("form", ["wav", "pcm16"])
def test_longest_reply_in_one_message_takes_little_on_its_way_to_the_ear(
    form: str, rate_hz: int
) -> None:
    """Through codec and stream into the jitter buffer and what is kept for another time."""
    pcm = bytes(499_800)
    payload = wav(pcm, rate_hz) if form == "wav" else pcm
    data = json.dumps(wrapped(payload, form, is_final=True, sampleRate=rate_hz))
    assert len(data) <= MESSAGE_BYTES_MAX

    async def main() -> int:
        clock, codec, joiner = Clock(), GatewayCodec(), Joiner()

        def make_speaker(source: Source) -> VirtualSpeaker:
            return VirtualSpeaker(clock, source)

        playback = Playback(VoiceSettings(), clock, Posted(), make_speaker)
        playback.effects["speaker"](mode="reply", turn=1)
        tracemalloc.start()
        try:
            message = codec.receive(data)
            assert isinstance(message, ReplyEnd)
            match message.last:
                case ReplyWav():
                    sounds = joiner.take_wav(message.last.data)
                case ReplyPcm():
                    sounds = joiner.take_pcm(message.last.pcm, message.last.sample_rate_hz)
                case _:
                    raise SoundError
            for sound in sounds + joiner.finish():
                playback.reply_pcm(1, 1, *sound)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert playback.packets["refused"] == 0
        playback.close()
        return peak_bytes

    assert run_virtual(main()) < sys.getsizeof(data) + BEYOND_BYTES_MAX
