"""Replies that come as samples, put together."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from firmware.stream.errors import SoundError
from firmware.stream.wav import CHUNKS_MAX, FORMATS_MAX, HEADER_BYTES_MAX, Joiner, Sound
from tests.firmware.stream.waves import chunk, wav

PCM = bytes(range(200))


Piece = bytes | tuple[bytes, int]
"""A piece of a WAV file, or bare samples and their rate."""


def heard(*pieces: Piece) -> list[Sound]:
    """Return all that is heard of a reply, joined where the format stays the same."""
    joiner = Joiner()
    sounds: list[Sound] = []
    for piece in pieces:
        sounds += joiner.take_wav(piece) if isinstance(piece, bytes) else joiner.take_pcm(*piece)
    sounds += joiner.finish()
    whole: list[Sound] = []
    for sound in sounds:
        if whole and whole[-1][1:] == sound[1:]:
            whole[-1] = sound._replace(pcm=whole[-1].pcm + sound.pcm)
        else:
            whole.append(sound)
    return whole


def joined(pieces: list[bytes]) -> bytes:
    """Return the samples of a reply that comes as a WAV file in pieces."""
    return b"".join(sound.pcm for sound in heard(*pieces))


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 47_999, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_whole_file_is_taken_as_it_is(rate_hz: int, channels: int) -> None:
    """At any rate, mono or stereo: the rest is for whoever plays it."""
    assert heard(wav(PCM, rate_hz, channels)) == [Sound(PCM, rate_hz, channels)]


def test_extensible_header_is_read() -> None:
    """As some programs write for plain samples too."""
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 22_050, 44_100, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    form += struct.pack("<H", 1) + bytes(14)
    data = b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", PCM)
    assert heard(data) == [Sound(PCM, 22_050, 1)]


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
    sounds = heard(
        wav(b"\x01\x02\x03", 8_000), wav(PCM, 8_000), wav(PCM, 48_000, 2), PCM[:4], wav(PCM, 8_000)
    )
    assert sounds == [
        Sound(b"\x01\x02" + PCM, 8_000, 1),
        Sound(PCM + PCM[:4], 48_000, 2),
        Sound(PCM, 8_000, 1),
    ]


def test_bare_samples_without_any_header() -> None:
    """The format is told beside them; a half one waits for its other half."""
    pieces = ((b"\x01", 24_000), (b"\x02\x03", 24_000), (b"\x04", 24_000), (b"\x05\x06", 16_000))
    assert heard(*pieces) == [
        Sound(b"\x01\x02\x03\x04", 24_000, 1),
        Sound(b"\x05\x06", 16_000, 1),
    ]


def test_samples_are_given_out_a_frame_at_a_time() -> None:
    """Of a thousand messages with a sample each come as many pieces as there are frames in them."""
    joiner = Joiner()
    sounds = [sound for _ in range(1_000) for sound in joiner.take_pcm(b"\1\0", 16_000)]
    assert [len(sound.pcm) for sound in sounds] == [640] * 3
    assert [len(sound.pcm) for sound in joiner.finish()] == [2_000 - 3 * 640]
    assert joiner.finish() == []


def test_format_may_change_so_often() -> None:
    """Each is a seam, and costs a filter."""
    joiner = Joiner()
    for number in range(FORMATS_MAX):
        joiner.take_pcm(b"\1\0", 8_000 + number % 2)
    with pytest.raises(SoundError, match="too many formats"):
        joiner.take_pcm(b"\1\0", 9_000)
    assert joiner.take_pcm(bytes(1_000), 8_001) != []


@pytest.mark.parametrize("extra", [b"", chunk(b"LIST", b"\x7f" * 400)], ids=["bare", "title"])
@given(st.lists(st.integers(0, 700), max_size=8))
def test_file_may_be_cut_anywhere(extra: bytes, cuts: list[int]) -> None:
    """Also within its header, and what follows its sound is no sound in any piece."""
    data = wav(PCM, before=extra, after=extra)
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(borders)]
    # A header that is right for its own piece may have been written for that alone.
    assume(not extra or data.index(PCM) + len(PCM) not in borders)
    assert joined(pieces) == PCM


def test_samples_may_follow_a_file_that_was_whole_in_its_piece() -> None:
    """Some gateways write a header that is right for its own message, and go on without one."""
    assert joined([wav(PCM), PCM, PCM]) == PCM * 3


def test_header_that_does_not_come_to_its_end_is_given_up() -> None:
    """After so many bytes at once; before, when the reply ends."""
    joiner = Joiner()
    data = b"RIFF\0\0\0\0WAVE" + b"junk" + struct.pack("<I", 10**6)
    for _ in range(3):
        assert joiner.take_wav(data[:1]) == []
        data = data[1:]
    with pytest.raises(SoundError, match="cut off"):
        joiner.finish()
    with pytest.raises(SoundError, match="without sound"):
        joiner.take_wav(data + bytes(HEADER_BYTES_MAX))
    with pytest.raises(SoundError, match="not a WAV file"):
        joiner.take_wav(b"more")


@pytest.mark.parametrize(
    "data",
    [
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
        heard(data)


@given(st.lists(st.binary(max_size=80) | st.binary(max_size=60).map(lambda b: wav(PCM)[:36] + b)))
def test_nothing_else_is_ever_raised(pieces: list[bytes]) -> None:
    """What comes out is whole samples of as many channels as it says."""
    joiner = Joiner()
    for piece in pieces:
        try:
            sounds = joiner.take_wav(piece)
        except SoundError:
            continue
        assert not any(len(sound.pcm) % (2 * sound.channels) for sound in sounds)


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
        sounds = heard(data)
    except SoundError:
        return
    for sound in sounds:
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
        sounds = joiner.take_wav(data)
    except SoundError:
        sounds = []
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 2 * len(data) + 10_000
    del sounds
