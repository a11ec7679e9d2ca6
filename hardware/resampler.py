"""Changes the sample rate of sound, a piece at a time: a polyphase windowed sinc.

Output sample n lies at n * from_hz / to_hz input samples. Its fractional part takes one of
so many values ("phases"), for each of which the filter's taps are computed once. (J. O. Smith,
"Digital Audio Resampling Home Page", https://ccrma.stanford.edu/~jos/resample/.)
"""

from __future__ import annotations

import array
import functools
import math
from operator import mul
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAMPLE_MIN: Final = -32_768
_SAMPLE_MAX: Final = 32_767


class Filter(NamedTuple):
    """How well it is done, and so how long it takes.

    `crossings` are the sinc's zero crossings on each side; `cutoff` is where it begins to cut, as a
    share of the lower Nyquist frequency; `phases_max` bounds the memory for taps: beyond it each
    sample takes those of the nearest phase before it. `is_kept` keeps them for the next time, those
    of `TABLES_MAX` rates.
    """

    crossings: int
    cutoff: float
    phases_max: int
    is_kept: bool = False


FOR_CLIPS: Final = Filter(24, 0.93, 16_000)
"""Images and aliases stay 60 dB down, speech below 7 kHz is untouched."""

FOR_REPLIES: Final = Filter(12, 0.85, 320, is_kept=True)
"""Half the time, for a small speaker; to 16 kHz exact from 8, 12, 22.05, 24, 32, 44.1 and 48."""

TABLES_MAX: Final = 8
"""Rates whose taps are kept: up to 180 KB each."""


class Resampler:
    """Takes samples of one channel at one rate and gives them out at another.

    What comes out lags behind what goes in by half the filter, until `flush`.

    Args:
        from_hz: The rate of what goes in.
        to_hz: The rate of what comes out.
        quality: How well it is done.
    """

    def __init__(self, from_hz: int, to_hz: int, quality: Filter) -> None:
        common = math.gcd(from_hz, to_hz)
        self._phases, self._step = to_hz // common, from_hz // common
        self._cutoff = quality.cutoff * min(1.0, to_hz / from_hz)
        self._phases_kept = min(self._phases, quality.phases_max)
        self._reach = math.ceil(quality.crossings * max(1.0, from_hz / to_hz))
        table = (self._reach, self._cutoff, self._phases_kept)
        self._taps = _kept_table(*table) if quality.is_kept else {}
        self._pending = [0.0] * (self._reach - 1)
        self._position = 0

    def prepare(self) -> None:
        """Compute all taps now, which else is done as they are needed: for the first frame."""
        for kept in range(self._phases_kept):
            self._taps_at(kept)

    def feed(self, samples: Iterable[int]) -> array.array[int]:
        """Return what comes out once these samples have gone in."""
        self._pending += map(float, samples)
        return self._drawn()

    def flush(self) -> array.array[int]:
        """Return what is left: silence follows, or something else. It may be used again."""
        self._pending += [0.0] * self._reach
        drawn = self._drawn()
        self._pending = [0.0] * (self._reach - 1)
        self._position = 0
        return drawn

    def _drawn(self) -> array.array[int]:
        pending, width = self._pending, 2 * self._reach
        drawn = array.array("h")
        index, phase = divmod(self._position, self._phases)
        while index + width <= len(pending):
            window = pending[index : index + width]
            drawn.append(clipped(round(sum(map(mul, self._taps_of(phase), window)))))
            self._position += self._step
            index, phase = divmod(self._position, self._phases)
        consumed = min(index, len(pending))
        del pending[:consumed]
        self._position -= consumed * self._phases
        return drawn

    def _taps_of(self, phase: int) -> array.array[float]:
        return self._taps_at(phase * self._phases_kept // self._phases)

    def _taps_at(self, kept: int) -> array.array[float]:
        taps = self._taps.get(kept)
        if taps is None:
            taps = self._taps[kept] = self._computed(kept / self._phases_kept)
        return taps

    def _computed(self, fraction: float) -> array.array[float]:
        """Return 2 * reach Blackman-windowed taps around a point `fraction` past tap reach - 1."""
        reach, cutoff = self._reach, self._cutoff
        taps = []
        for tap in range(1 - reach, reach + 1):
            distance = tap - fraction
            angle = math.pi * distance / reach
            window = 0.42 + 0.5 * math.cos(angle) + 0.08 * math.cos(2 * angle)
            turn = math.pi * cutoff * distance
            taps.append(window * (math.sin(turn) / turn if turn else 1.0))
        total = sum(taps)
        return array.array("d", (tap / total for tap in taps))


@functools.lru_cache(maxsize=TABLES_MAX)
def _kept_table(
    reach: int,  # noqa: ARG001 - what tells one table from another
    cutoff: float,  # noqa: ARG001
    phases_kept: int,  # noqa: ARG001
) -> dict[int, array.array[float]]:
    return {}


def clipped(sample: int) -> int:
    """Return a sample within what 16 bits hold."""
    return max(_SAMPLE_MIN, min(_SAMPLE_MAX, sample))
