"""What a room sounds like in which nobody speaks, made of arithmetic."""

from __future__ import annotations

from functools import cache

import numpy as np

from hardware.pcm import SAMPLE_MAX, SAMPLE_MIN, SAMPLE_RATE_HZ, rms
from tests.hardware.voices import frames

NOISES = ("white", "pink", "fan", "music")

_CHORDS_HZ = ((262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294))
_BEAT_S = 0.5


def noise(kind: str, duration_ms: int, loudness: float) -> bytes:
    """Return PCM of one of `NOISES`, whose root mean square is `loudness`."""
    return _pcm(_shape(kind, duration_ms * SAMPLE_RATE_HZ // 1000) * loudness)


def with_noise(pcm: bytes, kind: str, below_db: float) -> bytes:
    """Return speech with a noise so far below it, where it is loud."""
    speech = np.frombuffer(pcm, np.int16).astype(float)
    loudness = np.array([rms(frame) for frame in frames(pcm)])
    loud = loudness[loudness > 0.1 * loudness.max()]
    level = np.sqrt(np.mean(loud**2)) * 10 ** (-below_db / 20)
    return _pcm(speech + _shape(kind, len(speech)) * level)


def _pcm(samples: np.ndarray) -> bytes:
    return np.clip(np.round(samples), SAMPLE_MIN, SAMPLE_MAX).astype(np.int16).tobytes()


@cache
def _shape(kind: str, samples: int) -> np.ndarray:
    """Return so many samples of root mean square 1; no two runs differ."""
    chance = np.random.default_rng(5)
    white = chance.normal(0, 1, samples)
    if kind == "white":
        return white
    if kind == "music":
        return _music(samples, chance)
    spectrum = np.fft.rfft(white)
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    shaped = (
        spectrum / np.sqrt(np.maximum(hz, 1))
        if kind == "pink"
        else spectrum / (1 + (hz / 400) ** 2)
    )
    found: np.ndarray = np.fft.irfft(shaped, samples)
    found /= found.std()
    if kind == "fan":
        found = found + 0.7 * np.sin(2 * np.pi * 100 * np.arange(samples) / SAMPLE_RATE_HZ)
    return _of_unit_level(found)


def _of_unit_level(samples: np.ndarray) -> np.ndarray:
    level: np.ndarray = samples / samples.std()
    return level


def _music(samples: int, chance: np.random.Generator) -> np.ndarray:
    """Chords that are struck and fade, a melody with vibrato, and a drum on each beat."""
    found = np.zeros(samples)
    beat = int(_BEAT_S * SAMPLE_RATE_HZ)
    for number, start in enumerate(range(0, samples, beat)):
        at_s = np.arange(min(beat, samples - start)) / SAMPLE_RATE_HZ
        chord = _CHORDS_HZ[number // 4 % len(_CHORDS_HZ)]
        piece = np.zeros(len(at_s))
        for order in range(1, 8):
            for pitch_hz in chord:
                piece += np.exp(-3 * at_s) * np.sin(2 * np.pi * pitch_hz * order * at_s) / order
            sung_s = at_s + 0.001 * np.sin(2 * np.pi * 5.5 * at_s)
            melody_hz = 2 * chord[number % 3]
            piece += 1.2 * np.sin(2 * np.pi * melody_hz * order * sung_s) / order
        piece += chance.normal(0, 1.5, len(at_s)) * np.exp(-50 * at_s)
        found[start : start + len(at_s)] = piece
    return _of_unit_level(found)
