"""Changing a sample rate by a fraction, with a polyphase filter.

To go from ``M`` to ``L`` (both divided by what they have in common), one thinks of the signal at
``M * L``, where a low-pass filter removes what the lower of the two rates cannot hold, and keeps
every ``M``-th sample. Only the taps that meet a real sample are ever multiplied: one set of them
for each of the ``L`` phases.

Source: the windowed-sinc method (Oppenheim and Schafer, "Discrete-Time Signal Processing", 4.6 and
7.5), with Blackman's window: 74 dB between what passes and what does not.
"""

from __future__ import annotations

import math
from array import array
from itertools import islice
from operator import mul
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ZERO_CROSSINGS: Final = 16
"""How far the filter reaches to each side: more is steeper and slower."""

PASSBAND: Final = 0.92
"""Where the filter is half closed, as a share of the lower rate's limit."""

SAMPLE_MIN: Final = -(2**15)
SAMPLE_MAX: Final = 2**15 - 1


class Resampler:
    """Changes signed 16 bit mono samples from one rate to another."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        common = math.gcd(from_hz, to_hz)
        self._step, self._phases = from_hz // common, to_hz // common
        cutoff = PASSBAND * min(1.0, to_hz / from_hz)
        self._reach = math.ceil(ZERO_CROSSINGS / cutoff)
        self._taps = [self._phase_taps(phase, cutoff) for phase in range(self._phases)]

    def resample(self, samples: array[int]) -> Iterator[int]:
        """Give the samples at the other rate, one after the other, as they are asked for."""
        silence = array("h", bytes(2 * self._reach))
        padded = silence + samples + silence
        window = 2 * self._reach
        for number in range(len(samples) * self._phases // self._step):
            # A new sample lies that many samples, and that many phases, after the first old one.
            position, phase = divmod(number * self._step, self._phases)
            first = position + 1
            total = sum(map(mul, self._taps[phase], padded[first : first + window]))
            yield min(max(round(total), SAMPLE_MIN), SAMPLE_MAX)

    def _phase_taps(self, phase: int, cutoff: float) -> list[float]:
        """Compute the taps for new samples that lie ``phase`` phases after an old one."""
        offset = phase / self._phases
        taps = [
            _windowed_sinc(index - offset, cutoff, self._reach)
            for index in range(1 - self._reach, self._reach + 1)
        ]
        # Each phase passes a constant unchanged, so that they do not take turns in loudness.
        gain = 1 / sum(taps)
        return [tap * gain for tap in taps]


def frames(samples: Iterator[int], frame_samples: int) -> Iterator[bytes]:
    """Cut samples into frames of signed 16 bit; the last one is filled up with silence."""
    while frame := array("h", islice(samples, frame_samples)):
        yield frame.tobytes().ljust(2 * frame_samples, b"\0")


def _windowed_sinc(position: float, cutoff: float, reach: int) -> float:
    """Compute the filter's impulse response at a distance of ``position`` old samples."""
    turn = math.pi * position / reach
    window = 0.42 + 0.5 * math.cos(turn) + 0.08 * math.cos(2 * turn)
    angle = math.pi * cutoff * position
    return window * (math.sin(angle) / angle if angle else 1.0)
