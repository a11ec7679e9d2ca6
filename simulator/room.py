"""What becomes of speech between a mouth and a microphone."""

from __future__ import annotations

import enum
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from hardware import pcm
from simulator.voices import from_pcm, to_pcm

Samples = npt.NDArray[np.float64]

LEAD_MS: Final = 1_500
"""The room before somebody speaks: detectors want to have heard it."""
TAIL_MS: Final = 1_000
HISS: Final = 10.0
"""Root mean square of a quiet room in a clean recording."""
NOISE_DB: Final = 10.0
"""How much louder speech is than pink noise."""
FAR_PEAK: Final = 3_200.0
FAR_NOISE_DB: Final = 15.0
FAR_DIRECT: Final = 4.0
"""The direct sound, where each later reflection has a spread of 1."""
ECHO_MS: Final = 300
ECHO_DECAY_MS: Final = 56.0
"""In which reflections fall to 1/e: 60 dB in 0.39 s, a furnished room."""


class Condition(enum.StrEnum):
    """How somebody is heard."""

    CLEAN = "clean"
    NOISE = "10 dB"
    FAR = "far"


def heard(speech: bytes, condition: Condition) -> bytes:
    """Return what a microphone hears: `LEAD_MS` of room, the speech, `TAIL_MS` of room.

    The same for the same speech, always. ``speech`` is PCM without pauses, as a voice says it.
    """
    chance = np.random.default_rng(zlib.crc32(speech))
    samples = from_pcm(speech)
    if condition is Condition.FAR:
        samples = _far(samples, chance)
    level = float(np.sqrt(np.mean(samples**2)))
    around = (LEAD_MS * pcm.SAMPLES_PER_MS, TAIL_MS * pcm.SAMPLES_PER_MS)
    samples = np.pad(samples, around)
    match condition:
        case Condition.CLEAN:
            noise = chance.standard_normal(len(samples)) * HISS
        case Condition.NOISE:
            noise = pink(len(samples), level * 10 ** (-NOISE_DB / 20), chance)
        case Condition.FAR:
            noise = pink(len(samples), level * 10 ** (-FAR_NOISE_DB / 20), chance)
    return to_pcm(samples + noise)


def pink(length: int, level: float, chance: np.random.Generator) -> Samples:
    """Return noise with the same power in every octave; ``level`` is its root mean square."""
    spectrum = np.fft.rfft(chance.standard_normal(length))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise * (level / np.sqrt(np.mean(noise**2))), np.float64)


def _far(samples: Samples, chance: np.random.Generator) -> Samples:
    """Return it from across the room: reflections, and not much of it."""
    length = ECHO_MS * pcm.SAMPLES_PER_MS
    decay = np.exp(-np.arange(length) / (ECHO_DECAY_MS * pcm.SAMPLES_PER_MS))
    response = chance.standard_normal(length) * decay
    response[0] = FAR_DIRECT
    whole = len(samples) + length
    spectrum = np.fft.rfft(samples, whole) * np.fft.rfft(response, whole)
    echoed = np.asarray(np.fft.irfft(spectrum, whole), np.float64)
    return np.asarray(echoed * (FAR_PEAK / np.abs(echoed).max()), np.float64)
