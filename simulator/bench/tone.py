"""Finds a tone in a recording: where it begins, where it ends, and where it is torn.

The tone is that of `devcloud.tone`. What is looked at is its strength and phase, a millisecond at a
time, over `WINDOW_MS`; other sounds, such as the toy's own notes, are as good as silence.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from devcloud.tone import TONE_HZ
from hardware import pcm

WINDOW_MS: Final = 10
HOP_MS: Final = 1
"""How finely a recording is looked at."""
QUIET: Final = 60.0
"""A tone with a lower peak is none."""
GAP_MS: Final = 40
"""Without the tone for so long, it has ended, and the next is another."""
EDGE_MS: Final = 100
"""After its beginning and before its end a codec may still be finding it."""
REACH_MS: Final = WINDOW_MS + 2
"""What lies so far apart has nothing in common: the phase before a tear, and the one behind it."""
PHASE_STEP_MAX: Final = 0.35
"""Radians: what a codec leaves of a tone's steady pace differs by less."""
DIP: Final = 0.5
"""Of the usual strength."""

_HOP: Final = HOP_MS * pcm.SAMPLES_PER_MS
_WINDOW: Final = np.hanning(WINDOW_MS * pcm.SAMPLES_PER_MS + 1)

Waves = npt.NDArray[np.complex128]
Levels = npt.NDArray[np.float64]


def make(duration_ms: float, amplitude: float = 8_000.0) -> bytes:
    """Return so much of it as PCM."""
    length = round(duration_ms * pcm.SAMPLES_PER_MS)
    wave = amplitude * np.sin(2 * math.pi * TONE_HZ / pcm.SAMPLE_RATE_HZ * np.arange(length))
    return bytes(np.rint(wave).astype("<i2"))


def begins(sound: bytes) -> list[int]:
    """Return the samples at which a tone begins, each after `GAP_MS` without one."""
    return [first * _HOP for first, _ in _spans(_levels(sound))]


def ends(sound: bytes) -> list[int]:
    """Return the samples at which a tone has ended, for `GAP_MS` at least."""
    return [(last + 1) * _HOP for _, last in _spans(_levels(sound))]


def tears(sound: bytes) -> list[int]:
    """Return the samples at which one long tone is torn: something is missing, or too much.

    Looks at what is between the first beginning of a tone and the last end, however often it is
    interrupted.
    """
    waves = _waves(sound)
    spans = _spans(np.abs(waves))
    if not spans:
        return []
    first, last = spans[0][0] + EDGE_MS, spans[-1][1] - EDGE_MS
    inner = waves[first:last]
    if len(inner) <= REACH_MS:
        return []
    before, behind = inner[:-REACH_MS], inner[REACH_MS:]
    steps = np.angle(behind * np.conj(before))
    usual = np.median(np.abs(inner))
    places = np.flatnonzero((np.abs(steps) > PHASE_STEP_MAX) | (np.abs(behind) < DIP * usual))
    # A tear disturbs every window that it lies in, or between.
    apart = np.diff(places, prepend=-2 * WINDOW_MS) > WINDOW_MS
    return [(first + REACH_MS + int(place)) * _HOP for place in places[apart]]


def _levels(sound: bytes) -> Levels:
    return np.abs(_waves(sound))


def _waves(sound: bytes) -> Waves:
    """Return the tone's strength and phase, one number for each millisecond."""
    samples = np.frombuffer(sound, "<i2").astype(np.float64)
    if len(samples) < len(_WINDOW):
        return np.zeros(0, np.complex128)
    turns = np.exp(-2j * math.pi * TONE_HZ / pcm.SAMPLE_RATE_HZ * np.arange(len(samples)))
    smooth = _WINDOW / _WINDOW.sum() * 2  # a real tone is half of its amplitude at either frequency
    return np.convolve(samples * turns, smooth, "same")[::_HOP]


def _spans(levels: Levels) -> list[tuple[int, int]]:
    """Return the first and the last millisecond of each tone."""
    # Half of what it is on the whole: with a window that looks both ways, that is its very edge.
    loud = levels[levels > QUIET]
    if not len(loud):
        return []
    places = np.flatnonzero(levels > max(QUIET, np.median(loud) / 2))
    breaks = np.flatnonzero(np.diff(places) > GAP_MS)
    firsts = [places[0], *places[breaks + 1]]
    lasts = [*places[breaks], places[-1]]
    return [(int(one), int(other)) for one, other in zip(firsts, lasts, strict=True)]
