"""Short sounds out of pure arithmetic: soft notes, like a wooden bar struck with felt.

`tools/sounds.py` makes them, once; a device only those whose files it has lost.
"""

from __future__ import annotations

import cmath
import itertools
import math
import operator
import struct
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from hardware.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_MAX, SAMPLE_RATE_HZ, SAMPLES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

PEAK_DBFS: Final = -12.0
"""No sample is louder than this, before the volume is applied."""

_OVERTONE: Final = 0.25
_DECAY: Final = 2.5
_ATTACK_MS: Final = 10
_RELEASE_MS: Final = 30


class Note(NamedTuple):
    """A tone that decays, with its octave a little in it; a frequency of 0 is a rest.

    Small loudspeakers give nothing below 400 Hz, and above 2 kHz a sound turns sharp: keep the
    frequency within 440-990. It lasts 40 ms or more.
    """

    frequency_hz: float
    duration_ms: int


def synthesise(notes: Sequence[Note]) -> tuple[bytes, ...]:
    """Return the notes, one after the other, as frames of PCM; silence fills up the last."""
    pcm = b"".join(map(_sound, notes))
    return tuple(
        pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        for at in range(0, len(pcm), FRAME_BYTES)
    )


@cache
def _sound(note: Note) -> bytes:
    samples = note.duration_ms * SAMPLES_PER_MS
    if not note.frequency_hz:
        return bytes(samples * SAMPLE_BYTES)
    # A shrinking rotation is a decaying sine. Its square turns twice as fast: that is the octave,
    # and decays sooner, as in a real bar.
    step = cmath.exp(complex(-_DECAY / samples, 2 * math.pi * note.frequency_hz / SAMPLE_RATE_HZ))
    rotations = itertools.accumulate(itertools.repeat(step, samples), operator.mul)
    sound = [z.imag + _OVERTONE * (z * z).imag for z in rotations]
    _fade_ends(sound)
    amplitude = SAMPLE_MAX * 10 ** (PEAK_DBFS / 20) / (1 + _OVERTONE)
    return struct.pack(f"<{samples}h", *[int(amplitude * value) for value in sound])


def _fade_ends(sound: list[float]) -> None:
    """Let a note begin and end in silence, along a cosine: no click."""
    attack, release = _ATTACK_MS * SAMPLES_PER_MS, _RELEASE_MS * SAMPLES_PER_MS
    for n in range(attack):
        sound[n] *= (1 - math.cos(math.pi * n / attack)) / 2
    for n in range(release):
        sound[-1 - n] *= (1 - math.cos(math.pi * n / release)) / 2
