"""Changing the sample rate, a piece at a time."""

from __future__ import annotations

import array
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.resampler import FOR_CLIPS, FOR_LIVE, Quality, Resampler
from tests.hardware.voices import signal_to_noise_db, tone, tone_within

QUALITIES = pytest.mark.parametrize("quality", [FOR_CLIPS, FOR_LIVE], ids=["clips", "live"])


def whole(samples: array.array[int], from_hz: int, quality: Quality) -> array.array[int]:
    """Return a sound at 16 kHz."""
    resampler = Resampler(from_hz, 16_000, quality)
    return resampler.feed(samples) + resampler.flush()


def level_db(samples: array.array[int], frequency_hz: float) -> float:
    """Return how loud one frequency is within a sound at 16 kHz, against full scale."""
    turn = 2 * math.pi * frequency_hz / 16_000
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    return 20 * math.log10(max(2 * math.hypot(real, imaginary) / len(samples), 1e-3) / 32_768)


@pytest.mark.parametrize("from_hz", [8_000, 11_025, 22_050, 24_000, 44_100, 47_999, 48_000])
def test_pitch_loudness_and_length_stay(from_hz: int) -> None:
    """A tone of 1 kHz is the same tone of 1 kHz, as if it had been recorded so."""
    heard = whole(tone(1_000, 500, from_hz), from_hz, FOR_CLIPS)
    assert len(heard) == pytest.approx(8_000, abs=1)
    inner = slice(800, 7_200)
    expected = tone(1_000, 500)
    assert signal_to_noise_db(expected[inner].tobytes(), heard[inner].tobytes()) > 70


@pytest.mark.parametrize("from_hz", [8_000, 11_025, 22_050, 24_000, 44_100, 47_999, 48_000])
@pytest.mark.parametrize("frequency_hz", [200, 1_000, 3_400])
def test_live_sound_stays_as_well_and_is_a_little_shifted(from_hz: int, frequency_hz: int) -> None:
    """By less than a sample or two, which nobody hears."""
    heard = whole(tone(frequency_hz, 500, from_hz), from_hz, FOR_LIVE)
    assert len(heard) == pytest.approx(8_000, abs=1)
    inner = heard[800:7_200]
    assert signal_to_noise_db(tone_within(inner, frequency_hz), inner.tobytes()) > 60


@pytest.mark.parametrize("rates_hz", [(22_050, 16_000), (44_100, 16_000), (48_000, 16_000)])
def test_live_sound_is_late_by_less_than_a_frame(rates_hz: tuple[int, int]) -> None:
    """And a frame gives a frame from the second on: nothing comes in bursts."""
    from_hz, to_hz = rates_hz
    resampler = Resampler(from_hz, to_hz, FOR_LIVE)
    frame = tone(500, 20, from_hz)
    given = [len(resampler.feed(frame)) for _ in range(50)]
    assert 50 * 320 - sum(given) <= 16 * 15
    assert set(given[1:]) == {320}


@pytest.mark.parametrize("to_hz", [44_100, 48_000])
def test_a_sound_card_at_another_rate_gets_a_frame_for_a_frame(to_hz: int) -> None:
    """The other way round as well; 15 ms late."""
    resampler = Resampler(16_000, to_hz, FOR_LIVE)
    frame = tone(500, 20)
    given = [len(resampler.feed(frame)) for _ in range(50)]
    assert (50 * to_hz // 50 - sum(given)) / to_hz <= 0.015
    assert set(given[1:]) == {to_hz // 50}


@QUALITIES
@pytest.mark.parametrize("from_hz", [22_050, 48_000])
def test_speech_is_untouched_up_to_7_khz(from_hz: int, quality: Quality) -> None:
    """Where its sharpest consonants are."""
    heard = whole(tone(7_000, 300, from_hz), from_hz, quality)
    assert level_db(heard[800:4_000], 7_000) == pytest.approx(-10.3, abs=0.1)


@QUALITIES
def test_silence_stays_silence(quality: Quality) -> None:
    """No hiss is added to it."""
    assert set(whole(array.array("h", bytes(2 * 4_800)), 48_000, quality)) == {0}


@QUALITIES
@pytest.mark.parametrize("from_hz", [22_050, 24_000, 44_100, 48_000])
def test_what_16_khz_cannot_hold_is_not_heard(from_hz: int, quality: Quality) -> None:
    """A tone of 10 kHz does not come back as one of 6 kHz."""
    heard = whole(tone(10_000, 300, from_hz), from_hz, quality)
    assert level_db(heard[800:4_000], 6_000) < -90


@QUALITIES
def test_no_mirror_image_appears(quality: Quality) -> None:
    """A tone of 3 kHz at 8 kHz has none at 5 kHz."""
    heard = whole(tone(3_000, 300, 8_000), 8_000, quality)
    assert level_db(heard[800:4_000], 5_000) < -90


@given(st.lists(st.integers(0, 900), max_size=8), st.sampled_from([8_000, 22_050, 47_999, 48_000]))
def test_pieces_make_the_same_as_the_whole(cuts: list[int], from_hz: int) -> None:
    """However a sound is cut, not one sample differs."""
    samples = tone(700, 900_000 // from_hz, from_hz)
    resampler = Resampler(from_hz, 16_000, FOR_LIVE)
    heard = array.array("h")
    for start, end in itertools.pairwise([0, *sorted(cuts), len(samples)]):
        heard += resampler.feed(samples[start:end])
    assert heard + resampler.flush() == whole(samples, from_hz, FOR_LIVE)


def test_it_can_be_used_again_after_flushing() -> None:
    """Nothing of the first sound is in the second."""
    resampler = Resampler(24_000, 16_000, FOR_LIVE)
    first, second = tone(500, 50, 24_000), tone(900, 50, 24_000)
    resampler.feed(first)
    resampler.flush()
    assert resampler.feed(second) + resampler.flush() == whole(second, 24_000, FOR_LIVE)


def test_nothing_in_is_nothing_out() -> None:
    """An empty reply is no click."""
    assert whole(array.array("h"), 48_000, FOR_LIVE) == array.array("h")


def test_full_scale_clips_and_does_not_wrap() -> None:
    """A filter overshoots; a sample that wrapped would crack."""
    square = array.array("h", [32_767] * 50 + [-32_768] * 50) * 20
    heard = whole(square, 48_000, FOR_LIVE)
    assert max(heard) == 32_767
    assert min(heard) == -32_768
