"""Replies that come as samples, put together."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.stream.errors import SoundError
from firmware.stream.wav import CHUNKS_MAX, Joiner, Sound
from tests.firmware.stream.waves import chunk, wav

PCM = bytes(range(200))


def joined(pieces: list[bytes]) -> bytes:
    """Return the samples of a reply that comes as a WAV file in pieces."""
    joiner = Joiner()
    sounds = [joiner.take_wav(piece) for piece in pieces]
    return b"".join(sound.pcm for sound in sounds if sound is not None)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 47_999, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_whole_file_is_taken_as_it_is(rate_hz: int, channels: int) -> None:
    """At any rate, mono or stereo: the rest is for whoever plays it."""
    assert Joiner().take_wav(wav(PCM, rate_hz, channels)) == Sound(PCM, rate_hz, channels)


def test_extensible_header_is_read() -> None:
    """As some programs write for plain samples too."""
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 22_050, 44_100, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    form += struct.pack("<H", 1) + bytes(14)
    data = b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", PCM)
    assert Joiner().take_wav(data) == Sound(PCM, 22_050, 1)


@pytest.mark.parametrize("declared", [0, 0x7FFF_0000, 0xFFFF_FFFF, 1_000, len(PCM) + 2])
def test_length_that_is_too_long_or_none_is_not_believed(declared: int) -> None:
    """What is there is played: a file that was cut off, or that was written to a pipe."""
    assert joined([wav(PCM, declared=declared)]) == PCM


def test_what_follows_the_sound_is_no_sound() -> None:
    """A title after it would be a click."""
    extra = chunk(b"LIST", b"INFOtitle")
    assert joined([wav(PCM, before=extra, after=extra)]) == PCM


@given(st.lists(st.integers(0, len(PCM)), max_size=6), st.sampled_from([1, 2]))
def test_bare_samples_go_on_where_the_header_left_off(cuts: list[int], channels: int) -> None:
    """However they are cut, also in the middle of a sample, none is lost and none is shifted."""
    borders = [0, *sorted(cuts), len(PCM)]
    pieces = [PCM[a:b] for a, b in itertools.pairwise(borders)]
    first = wav(pieces[0], channels=channels, declared=0xFFFF_FFFF)
    assert joined([first, *pieces[1:]]) == PCM


def test_further_files_may_follow() -> None:
    """Each with a header of its own; half a sample at the end of one is not glued to the next."""
    joiner = Joiner()
    assert joiner.take_wav(wav(b"\x01\x02\x03", 8_000)) == Sound(b"\x01\x02", 8_000, 1)
    assert joiner.take_wav(wav(PCM, 8_000)) == Sound(PCM, 8_000, 1)
    assert joiner.take_wav(wav(PCM, 48_000, 2)) == Sound(PCM, 48_000, 2)
    assert joiner.take_wav(PCM[:4]) == Sound(PCM[:4], 48_000, 2)


def test_bare_samples_without_any_header() -> None:
    """The format is told beside them; a half one waits for its other half."""
    joiner = Joiner()
    assert joiner.take_pcm(b"\x01", 24_000) is None
    assert joiner.take_pcm(b"\x02\x03", 24_000) == Sound(b"\x01\x02", 24_000, 1)
    assert joiner.take_pcm(b"\x04", 24_000) == Sound(b"\x03\x04", 24_000, 1)
    assert joiner.take_pcm(b"\x05\x06", 16_000) == Sound(b"\x05\x06", 16_000, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3\x04",
        b"RIFF",
        b"RIFF\0\0\0\0AVI " + bytes(100),
        wav(PCM)[:30],
        wav(PCM)[:43],
        b"RIFF\0\0\0\0WAVE" + chunk(b"data", PCM),
        b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", bytes(4)) + chunk(b"data", PCM),
        b"RIFF\0\0\0\0WAVE" + b"fmt \xff\xff\xff\xff",
        wav(PCM, tag=3, sample_bits=32),
        wav(PCM, tag=85),
        wav(PCM, tag=0xFFFE),
        wav(PCM, sample_bits=8),
        wav(PCM, sample_bits=24),
        wav(PCM, channels=0),
        wav(PCM, channels=3),
        wav(PCM, 7_999),
        wav(PCM, 48_001),
        wav(PCM, 2**30),
        wav(PCM, before=chunk(b"junk", b"") * CHUNKS_MAX),
    ],
    ids=lambda data: data[:24].hex(),
)
def test_what_is_not_played_here_is_refused(data: bytes) -> None:
    """Loudly within the stream, and never as noise."""
    with pytest.raises(SoundError):
        Joiner().take_wav(data)


@given(st.lists(st.binary(max_size=80) | st.binary(max_size=60).map(lambda b: wav(PCM)[:36] + b)))
def test_nothing_else_is_ever_raised(pieces: list[bytes]) -> None:
    """What comes out is whole samples of as many channels as it says."""
    joiner = Joiner()
    for piece in pieces:
        try:
            sound = joiner.take_wav(piece)
        except SoundError:
            continue
        assert sound is None or not len(sound.pcm) % (2 * sound.channels)


@given(
    st.binary(max_size=64),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
)
def test_header_may_say_anything(  # noqa: PLR0913, PLR0917 - every field of the header
    pcm: bytes, tag: int, channels: int, rate_hz: int, sample_bits: int, declared: int
) -> None:
    """It is played within the limits, or refused."""
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, 7, 9, sample_bits)
    data = b"RIFF\xff\xff\xff\xffWAVE" + chunk(b"fmt ", form)
    data += b"data" + struct.pack("<I", declared) + pcm
    try:
        sound = Joiner().take_wav(data)
    except SoundError:
        return
    if sound is not None:
        assert 8_000 <= sound.sample_rate_hz <= 48_000
        assert sound.channels in {1, 2}
        assert len(sound.pcm) <= len(pcm)


@pytest.mark.parametrize(
    "data",
    [
        wav(bytes(499_900)),
        wav(bytes(499_900), declared=0xFFFF_FFFF),
        wav(b"", before=chunk(b"junk", b"") * 60_000),
        wav(b"", before=chunk(b"junk", bytes(490_000))),
        b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", bytes(490_000)),
    ],
    ids=["honest", "endless", "many chunks", "long chunk", "long format"],
)
def test_memory_stays_below_the_file(data: bytes) -> None:
    """One copy of its sound, at most."""
    joiner = Joiner()
    tracemalloc.start()
    try:
        sound = joiner.take_wav(data)
    except SoundError:
        sound = None
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 2 * len(data) + 10_000
    del sound
