"""What becomes of speech in a room: as loud and as noisy as it says."""

from __future__ import annotations

import numpy as np
import pytest

from hardware import pcm
from simulator.room import FAR_PEAK, LEAD_MS, TAIL_MS, Condition, heard, pink
from simulator.voices import from_pcm, to_pcm

LEAD = LEAD_MS * pcm.SAMPLES_PER_MS
TAIL = TAIL_MS * pcm.SAMPLES_PER_MS
SPEECH = to_pcm(8_000 * np.sin(np.arange(16_000) / 5))


def _level(samples: np.typing.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize("condition", Condition)
def test_the_same_speech_is_heard_the_same(condition: Condition) -> None:
    assert heard(SPEECH, condition) == heard(SPEECH, condition)


def test_clean_speech_is_where_it_belongs_and_unchanged() -> None:
    samples = from_pcm(heard(SPEECH, Condition.CLEAN))
    assert _level(samples[:LEAD]) < 20
    assert _level(samples[LEAD:-TAIL] - from_pcm(SPEECH)) < 20
    assert len(samples) == LEAD + len(SPEECH) // 2 + TAIL


def test_noise_is_ten_decibels_below_the_speech() -> None:
    samples = from_pcm(heard(SPEECH, Condition.NOISE))
    noise = samples - np.pad(from_pcm(SPEECH), (LEAD, TAIL))
    ratio_db = 20 * np.log10(_level(from_pcm(SPEECH)) / _level(noise))
    assert ratio_db == pytest.approx(10, abs=0.1)


def test_far_speech_is_quiet_and_rings_on() -> None:
    samples = from_pcm(heard(SPEECH, Condition.FAR))
    assert np.abs(samples).max() < FAR_PEAK * 1.3
    after = samples[LEAD + len(SPEECH) // 2 :]
    assert _level(after[:800]) > 2 * _level(after[-8_000:])


def test_pink_noise_has_the_same_power_in_each_octave() -> None:
    noise = pink(1 << 16, 1_000, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [power[1 << at : 2 << at].sum() for at in range(8, 14)]
    assert max(octaves) / min(octaves) < 1.3
    assert _level(noise) == pytest.approx(1_000)
