"""The toy's own sounds."""

from __future__ import annotations

import array
import cmath
import itertools
import math

import pytest

from firmware.voice.cues import CUES, cue_frames
from firmware.voice.earcons import PEAK_DBFS
from firmware.voice.errors import MisuseError
from hardware.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, rms
from states.table import ROWS, STATES
from tests.firmware.voice.rig import loud

DURATION_MS_MAX = 600
BAND_HZ = (400, 2000)


def samples_of(name: str) -> array.array[int]:
    """The whole of a sound."""
    return array.array("h", b"".join(cue_frames(name)))


def spectrum(values: list[complex]) -> list[complex]:
    """Fourier transform of as many values as a power of two (Cooley and Tukey, 1965)."""
    if len(values) == 1:
        return values
    even, odd = spectrum(values[0::2]), spectrum(values[1::2])
    turn = -2j * math.pi / len(values)
    turned = [cmath.exp(turn * k) * value for k, value in enumerate(odd)]
    return [e + o for e, o in zip(even, turned, strict=True)] + [
        e - o for e, o in zip(even, turned, strict=True)
    ]


def test_every_sound_that_the_table_asks_for_is_there_and_no_other() -> None:
    """None is missing, none is idle."""
    effects = [do for row in ROWS for do in row.do]
    effects += [do for state in STATES for do in state.enters + state.leaves]
    names = [do.__name__ for do in effects]
    assert {name.removeprefix("cue:") for name in names if name.startswith("cue:")} == set(CUES)


@pytest.mark.parametrize("name", CUES)
def test_a_sound_is_short_and_gentle(name: str) -> None:
    """At most 600 ms, never above -12 dBFS, and loud enough to be heard at the usual volume."""
    frames, samples = cue_frames(name), samples_of(name)
    assert len(frames) * FRAME_MS <= DURATION_MS_MAX
    assert all(len(frame) == FRAME_BYTES for frame in frames)
    assert max(map(abs, samples)) <= 32_767 * 10 ** (PEAK_DBFS / 20)
    assert rms(b"".join(loud(list(frames)))) > 300


@pytest.mark.parametrize("name", CUES)
def test_a_sound_begins_and_ends_in_silence(name: str) -> None:
    """No click: the first and last 2 ms are faint, and no step is steeper than its highest tone."""
    samples = samples_of(name)
    assert max(map(abs, samples[:32])) < 1000
    assert max(map(abs, samples[-32:])) < 100
    steps = (abs(b - a) for a, b in itertools.pairwise(samples))
    assert max(steps) < max(map(abs, samples)) * 2 * math.pi * BAND_HZ[1] / SAMPLE_RATE_HZ


@pytest.mark.parametrize("name", CUES)
def test_a_sound_lies_between_400_and_2000_hz(name: str) -> None:
    """99 % of its energy: small loudspeakers give it, and it is not sharp."""
    length = 16_384
    samples = samples_of(name)
    padded = [complex(value) for value in samples] + [0j] * (length - len(samples))
    energy = [abs(value) ** 2 for value in spectrum(padded)[: length // 2]]
    lowest, highest = (bound * length // SAMPLE_RATE_HZ for bound in BAND_HZ)
    assert sum(energy[lowest:highest]) > 0.99 * sum(energy)


def test_no_two_sounds_are_alike() -> None:
    """Each says something else."""
    assert len({cue_frames(name) for name in CUES}) == len(CUES)


def test_an_unknown_sound_is_named() -> None:
    """And those that there are."""
    with pytest.raises(MisuseError, match=r"no sound 'fanfare', only apology, denied"):
        cue_frames("fanfare")
