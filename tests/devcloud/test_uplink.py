from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud import wav
from devcloud.audio import AudioFormat
from devcloud.dialects.messages import AudioChunk
from devcloud.errors import BadPacketError, MalformedMessageError
from devcloud.opus import FRAME_BYTES, Decoder, Encoder
from devcloud.uplink import UTTERANCE_MS_MAX, Uplink

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def uplink() -> Iterator[Uplink]:
    with Decoder() as decoder:
        yield Uplink(decoder)


@pytest.fixture(scope="module")
def packet() -> bytes:
    with Encoder() as encoder:
        return encoder.encode(bytes(FRAME_BYTES))


def chunk(
    packet: bytes,
    sequence: int,
    *,
    is_final: bool = False,
    turn: int | None = None,
    format_: AudioFormat = AudioFormat.OPUS,
) -> AudioChunk:
    return AudioChunk(packet, 0.0, sequence, is_final, format_, turn)


def test_utterances_follow_each_other_each_from_0(uplink: Uplink, packet: bytes) -> None:
    for _ in range(2):
        for sequence in range(3):
            pcm = uplink.take(chunk(packet, sequence))
            assert pcm
            assert len(pcm) == FRAME_BYTES
        assert uplink.take(chunk(b"", 3, is_final=True)) == b""
        assert (uplink.chunks, uplink.duration_ms) == (3, 60)


def test_the_last_chunk_may_bring_audio(uplink: Uplink, packet: bytes) -> None:
    assert uplink.take(chunk(packet, 0, is_final=True))
    assert uplink.take(chunk(packet, 0))


@pytest.mark.parametrize("wrong", [0, 1, 2 + 1751])
def test_a_chunk_out_of_order_spoils_the_utterance(
    uplink: Uplink, packet: bytes, wrong: int
) -> None:
    uplink.take(chunk(packet, 0))
    uplink.take(chunk(packet, 1))
    with pytest.raises(MalformedMessageError, match=f"chunk {wrong} came where 2 was due"):
        uplink.take(chunk(packet, wrong))
    assert uplink.take(chunk(packet, wrong + 1)) is None
    assert uplink.take(chunk(b"", wrong + 2, is_final=True)) is None
    assert uplink.take(chunk(packet, 0))


def test_a_new_utterance_may_follow_a_spoilt_one_that_never_ended(
    uplink: Uplink, packet: bytes
) -> None:
    with pytest.raises(BadPacketError):
        uplink.take(chunk(b"\xff\xff\xff", 0))
    assert uplink.passing_over
    assert uplink.take(chunk(packet, 0))
    assert not uplink.passing_over


def test_the_end_can_be_spoilt_too(uplink: Uplink, packet: bytes) -> None:
    with pytest.raises(BadPacketError):
        uplink.take(chunk(b"\xff\xff\xff", 0, is_final=True))
    assert uplink.take(chunk(packet, 0))


def test_an_utterance_ends_after_35_seconds(uplink: Uplink, packet: bytes) -> None:
    longest = UTTERANCE_MS_MAX // 20
    for sequence in range(longest):
        uplink.take(chunk(packet, sequence))
    with pytest.raises(MalformedMessageError, match="35000 ms"):
        uplink.take(chunk(packet, longest))


@pytest.mark.parametrize("turn", [None, 1])
def test_numbers_may_be_left_out(uplink: Uplink, packet: bytes, turn: int | None) -> None:
    for sequence in (40, 41, 44, 144):
        assert uplink.take(chunk(packet, sequence, turn=turn))
    assert uplink.take(chunk(b"", 150, is_final=True, turn=turn)) == b""
    assert (uplink.chunks, uplink.missing_chunks) == (4, 40 + 2 + 99 + 5)
    # Of a gap no more than 100 ms is made up, and nothing before the first packet.
    assert uplink.duration_ms == 20 * (4 + 2 + 5)
    # What was left out of one utterance is no part of the next.
    assert uplink.take(chunk(packet, 0, turn=turn))
    assert (uplink.chunks, uplink.missing_chunks) == (1, 0)


def test_between_samples_silence_stands_for_what_was_left_out(uplink: Uplink) -> None:
    sound = bytes(range(256))
    assert uplink.take(chunk(sound, 2, format_=AudioFormat.PCM16)) == sound
    pcm = uplink.take(chunk(sound, 5, format_=AudioFormat.PCM16))
    assert pcm == bytes(2 * FRAME_BYTES) + sound
    assert uplink.missing_chunks == 2 + 2


@pytest.mark.parametrize("turn", [None, 1])
def test_but_never_go_back(uplink: Uplink, packet: bytes, turn: int | None) -> None:
    uplink.take(chunk(packet, 3, turn=turn))
    with pytest.raises(MalformedMessageError, match="chunk 3 came where 4 was due"):
        uplink.take(chunk(packet, 3, turn=turn))
    assert uplink.passing_over
    uplink.begin()
    assert uplink.take(chunk(packet, 0, turn=turn))


def test_samples_and_wavs_are_taken_as_they_are(uplink: Uplink) -> None:
    pcm = bytes(range(200))
    whole = wav.header(len(pcm), 16_000, 1) + pcm
    for sequence, audio in enumerate((whole, pcm, whole)):
        assert uplink.take(chunk(audio, sequence, format_=AudioFormat.WAV)) == pcm
    assert uplink.take(chunk(pcm, 3, is_final=True, format_=AudioFormat.PCM16)) == pcm
    assert (uplink.chunks, uplink.duration_ms) == (4, 25)


def test_half_a_sample_is_refused(uplink: Uplink) -> None:
    with pytest.raises(BadPacketError, match="within a sample"):
        uplink.take(chunk(b"abc", 0, format_=AudioFormat.PCM16))
