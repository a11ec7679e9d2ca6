from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.resampler import Resampler, frames

AMPLITUDE = 10_000


@pytest.fixture(scope="module")
def resampler() -> Resampler:
    return Resampler(22_050, 16_000)


def level_db(resampler: Resampler, tone_hz: float, amplitude: float = AMPLITUDE) -> float:
    """How loud a tone is at the other rate, against how loud it was."""
    tone = (round(amplitude * math.sin(2 * math.pi * tone_hz * n / 22_050)) for n in range(4410))
    samples = list(resampler.resample(array("h", tone)))[200:-200]
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    return 20 * math.log10(max(rms, 1e-3) / (amplitude / math.sqrt(2)))


@pytest.mark.parametrize("tone_hz", [100, 1000, 3000, 5000, 6000])
def test_speech_passes_as_loud_as_it_was(resampler: Resampler, tone_hz: float) -> None:
    assert level_db(resampler, tone_hz) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("tone_hz", [8600, 9500, 10_500])
def test_what_the_new_rate_cannot_hold_is_gone(resampler: Resampler, tone_hz: float) -> None:
    assert level_db(resampler, tone_hz) < -55


def test_it_lasts_as_long_as_before(resampler: Resampler) -> None:
    assert len(list(resampler.resample(array("h", bytes(2 * 22_050))))) == 16_000


def test_the_loudest_sound_is_held_back_rather_than_wrapped_around(resampler: Resampler) -> None:
    square = array("h", ([32_767] * 20 + [-32_768] * 20) * 50)
    samples = list(resampler.resample(square))
    assert max(samples) == 32_767
    assert min(samples) == -32_768


def test_the_same_rate_leaves_samples_as_they_are_but_for_the_filter() -> None:
    constant = array("h", [1234] * 200)
    assert list(Resampler(16_000, 16_000).resample(constant))[50:-50] == [1234] * 100


@given(st.integers(0, 1000))
def test_frames_hold_every_sample_and_end_in_silence(count: int) -> None:
    cut = list(frames(iter([1] * count), 320))
    assert all(len(frame) == 640 for frame in cut)
    assert len(cut) == math.ceil(count / 320)
    assert sum(array("h", b"".join(cut))) == count
