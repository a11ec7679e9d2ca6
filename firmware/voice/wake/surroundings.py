"""Where speech is heard: up close, in noise, from across the room."""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from hardware.pcm import SAMPLE_MAX, SAMPLE_MIN, SAMPLE_RATE_HZ

Samples = npt.NDArray[np.int16]

Surroundings = Literal["close", "noisy", "far"]
SURROUNDINGS: Final[tuple[Surroundings, ...]] = get_args(Surroundings)

LEAD_S: Final = 1
"""Nobody speaks before and behind it for so long."""

_HISS: Final = 12.0
_NOISE_DB: Final = -10
_FAR_NOISE_DB: Final = -15
_FAR_PEAK: Final = 3_200.0
_ECHO_SAMPLES: Final = 4_800
_ECHO_DECAY_SAMPLES: Final = 900.0
_DIRECT: Final = 4.0
"""How much stronger the direct sound is than the first echoes."""
_NOISE_SIZE: Final = 1 << 17
"""Noise repeats itself after 8 s; some other lengths would take a hundred times as long."""
_SPEECH_MIN: Final = 100
"""Samples as loud as this belong to speech, where its level is measured."""


def heard(speech: Samples, where: Surroundings, chance: np.random.Generator) -> Samples:
    """Return speech as it arrives at the microphone, between pauses of `LEAD_S`."""
    pause = np.zeros(LEAD_S * SAMPLE_RATE_HZ)
    sound = np.concatenate([pause, speech.astype(np.float64), pause])
    match where:
        case "close":
            sound += chance.standard_normal(len(sound)) * _HISS
        case "noisy":
            sound += pink(len(sound), chance) * _level(sound) * 10 ** (_NOISE_DB / 20)
        case "far":
            sound = _across_the_room(sound, chance)
            sound *= _FAR_PEAK / max(1.0, float(np.abs(sound).max()))
            sound += pink(len(sound), chance) * _level(sound) * 10 ** (_FAR_NOISE_DB / 20)
    return to_samples(sound)


def to_samples(sound: npt.NDArray[np.float64]) -> Samples:
    """Return sound in whole steps, clipped where it is too loud."""
    return np.clip(np.rint(sound), SAMPLE_MIN, SAMPLE_MAX).astype(np.int16)


def pink(size: int, chance: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return noise with as much power in each octave, like that of rooms; its spread is 1."""
    spectrum = np.fft.rfft(chance.standard_normal(_NOISE_SIZE))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum)
    return np.asarray(np.resize(noise / noise.std(), size), np.float64)


def _across_the_room(
    sound: npt.NDArray[np.float64], chance: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Add the echoes of a room, which fade by 60 dB in 0.4 s."""
    times = np.arange(_ECHO_SAMPLES)
    room = chance.standard_normal(_ECHO_SAMPLES) * np.exp(-times / _ECHO_DECAY_SAMPLES)
    room[0] = _DIRECT
    size = 1 << (len(sound) + _ECHO_SAMPLES).bit_length()
    echoed = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(room, size), size)
    return np.asarray(echoed[: len(sound)], np.float64)


def _level(sound: npt.NDArray[np.float64]) -> float:
    loud = sound[np.abs(sound) > _SPEECH_MIN]
    return float(np.sqrt(np.mean(loud**2))) if len(loud) else 0.0
