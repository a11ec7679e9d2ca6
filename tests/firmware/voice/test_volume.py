"""How loud everything is."""

from __future__ import annotations

import array
import math

import pytest

from firmware.voice.volume import Volume, gain_of
from hardware.pcm import FRAME_SAMPLES, SAMPLE_MAX, SAMPLE_MIN
from tests.hardware.voices import frames, voice

EVERY_SAMPLE = array.array("h", range(SAMPLE_MIN, SAMPLE_MAX + 1))


def applied(percent: int, percent_max: int = 100) -> array.array[int]:
    """Every possible sample, scaled; the last frame is filled with silence."""
    volume = Volume(percent, percent_max)
    pcm = EVERY_SAMPLE.tobytes().ljust(-(-len(EVERY_SAMPLE) // FRAME_SAMPLES) * 640, b"\0")
    scaled = array.array("h", b"".join(map(volume.applied, frames(pcm))))
    assert not any(scaled[len(EVERY_SAMPLE) :])
    return scaled[: len(EVERY_SAMPLE)]


@pytest.mark.parametrize("percent", [1, 10, 33, 60, 80, 99])
def test_every_sample_is_scaled_to_within_one_step(percent: int) -> None:
    """Rounded, not cut."""
    gain = gain_of(percent)
    pairs = zip(EVERY_SAMPLE, applied(percent), strict=True)
    assert max(abs(sample * gain - scaled) for sample, scaled in pairs) <= 1


def test_full_volume_changes_nothing() -> None:
    """Not one bit."""
    assert applied(100) == EVERY_SAMPLE


def test_volume_0_is_silence() -> None:
    """Not merely faint."""
    assert not any(applied(0))


def test_the_ceiling_holds_whatever_is_asked_for() -> None:
    """No configuration makes the toy louder than its maximum."""
    assert applied(100, 80) == applied(80, 80) == applied(80)
    assert max(applied(100, 80)) == pytest.approx(SAMPLE_MAX * gain_of(80), abs=2)


def test_half_the_volume_is_10_db_less() -> None:
    """That is what sounds half as loud; and it grows with every step."""
    assert 20 * math.log10(gain_of(40) / gain_of(80)) == pytest.approx(-10, abs=0.1)
    gains = [gain_of(percent) for percent in range(101)]
    assert gains == sorted(set(gains))
    assert (gains[0], gains[-1]) == (0, 1)


def test_silence_stays_silence() -> None:
    """Rounding adds no hiss."""
    assert Volume(60, 80).applied(bytes(640)) == bytes(640)


def test_frames_keep_their_length() -> None:
    """A frame in, a frame out."""
    assert {len(Volume(60, 80).applied(frame)) for frame in frames(voice(200))} == {640}
