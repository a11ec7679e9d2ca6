"""Changing the sample rate, a piece at a time."""

from __future__ import annotations

import array
import itertools
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.resampler import FOR_CLIPS, FOR_REPLIES, Filter, Resampler
from tests.hardware.voices import signal_to_noise_db, tone

QUALITIES = pytest.mark.parametrize("quality", [FOR_CLIPS, FOR_REPLIES], ids=["clips", "replies"])


def whole(samples: array.array[int], from_hz: int, quality: Filter) -> array.array[int]:
    """Return a sound at 16 kHz."""
    resampler = Resampler(from_hz, 16_000, quality)
    return resampler.feed(samples) + resampler.flush()


def level_db(samples: array.array[int], frequency_hz: float) -> float:
    """Return how loud one frequency is within a sound at 16 kHz, against full scale."""
    turn = 2 * math.pi * frequency_hz / 16_000
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    return 20 * math.log10(max(2 * math.hypot(real, imaginary) / len(samples), 1e-3) / 32_768)


@QUALITIES
@pytest.mark.parametrize("from_hz", [8_000, 11_025, 22_050, 24_000, 44_100, 47_999, 48_000])
def test_pitch_loudness_and_length_stay(from_hz: int, quality: Filter) -> None:
    """A tone of 1 kHz is the same tone of 1 kHz, as if it had been recorded so."""
    heard = whole(tone(1_000, 500, from_hz), from_hz, quality)
    assert len(heard) == pytest.approx(8_000, abs=1)
    inner = slice(800, 7_200)
    expected = tone(1_000, 500)
    assert signal_to_noise_db(expected[inner].tobytes(), heard[inner].tobytes()) > 45


@QUALITIES
@pytest.mark.parametrize("from_hz", [22_050, 24_000, 44_100, 48_000])
def test_what_16_khz_cannot_hold_is_not_heard(from_hz: int, quality: Filter) -> None:
    """A tone of 10 kHz does not come back as one of 6 kHz."""
    heard = whole(tone(10_000, 300, from_hz), from_hz, quality)
    assert level_db(heard[800:4_000], 6_000) < -60


@QUALITIES
def test_no_mirror_image_appears(quality: Filter) -> None:
    """A tone of 3 kHz at 8 kHz has none at 5 kHz."""
    heard = whole(tone(3_000, 300, 8_000), 8_000, quality)
    assert level_db(heard[800:4_000], 5_000) < -50


@given(st.lists(st.integers(0, 900), max_size=8), st.sampled_from([8_000, 22_050, 47_999, 48_000]))
def test_pieces_make_the_same_as_the_whole(cuts: list[int], from_hz: int) -> None:
    """However a sound is cut, not one sample differs."""
    samples = tone(700, 900_000 // from_hz, from_hz)
    resampler = Resampler(from_hz, 16_000, FOR_REPLIES)
    heard = array.array("h")
    for start, end in itertools.pairwise([0, *sorted(cuts), len(samples)]):
        heard += resampler.feed(samples[start:end])
    assert heard + resampler.flush() == whole(samples, from_hz, FOR_REPLIES)


def test_it_can_be_used_again_after_flushing() -> None:
    """Nothing of the first sound is in the second."""
    resampler = Resampler(24_000, 16_000, FOR_REPLIES)
    first, second = tone(500, 50, 24_000), tone(900, 50, 24_000)
    resampler.feed(first)
    resampler.flush()
    assert resampler.feed(second) + resampler.flush() == whole(second, 24_000, FOR_REPLIES)


def test_nothing_in_is_nothing_out() -> None:
    """An empty reply is no click."""
    assert whole(array.array("h"), 48_000, FOR_REPLIES) == array.array("h")


def test_full_scale_clips_and_does_not_wrap() -> None:
    """A filter overshoots; a sample that wrapped would crack."""
    square = array.array("h", [32_767] * 50 + [-32_768] * 50) * 20
    heard = whole(square, 48_000, FOR_REPLIES)
    assert max(heard) == 32_767
    assert min(heard) == -32_768


def test_memory_for_taps_is_bounded() -> None:
    """Also for a rate that has nothing in common with ours."""
    samples = tone(700, 100, 47_999)
    resampler = Resampler(47_999, 16_000, FOR_REPLIES)
    tracemalloc.start()
    try:
        for _ in range(5):
            resampler.feed(samples)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 300_000
