"""A voice made of arithmetic, so that no test depends on a recording being installed."""

from __future__ import annotations

import array
import math
import random
from functools import cache

from hardware.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ

_VOWELS_HZ = ((730, 1090), (270, 2290), (300, 870), (530, 1840), (570, 840))


@cache
def voice(duration_ms: int = 2000, seed: int = 1) -> bytes:
    """Return 16 kHz mono s16le that Opus takes for speech: a gliding pitch through five vowels."""
    chance = random.Random(seed)  # noqa: S311 - noise in a test, not a secret
    samples = array.array("h")
    phase = 0.0
    harmonics: list[tuple[int, float]] = []
    for n in range(SAMPLE_RATE_HZ * duration_ms // 1000):
        t = n / SAMPLE_RATE_HZ
        pitch_hz = 130 + 25 * math.sin(2 * math.pi * 0.7 * t)
        phase += 2 * math.pi * pitch_hz / SAMPLE_RATE_HZ
        if n % FRAME_SAMPLES == 0:
            harmonics = _harmonics(pitch_hz, _VOWELS_HZ[int(t / 0.18) % len(_VOWELS_HZ)])
        value = sum(weight * math.sin(order * phase) for order, weight in harmonics)
        loudness = 0.35 + 0.65 * abs(math.sin(2 * math.pi * 1.4 * t))
        samples.append(int(3000 * loudness * value + chance.gauss(0, 20)))
    return samples.tobytes()


def _harmonics(pitch_hz: float, formants_hz: tuple[int, ...]) -> list[tuple[int, float]]:
    """Return the harmonics that a throat of these resonances lets through, and how loud."""
    found = []
    for order in range(1, 22):
        distance_hz = min(abs(order * pitch_hz - formant_hz) for formant_hz in formants_hz)
        weight = math.exp(-((distance_hz / 220) ** 2))
        if weight > 1e-3:
            found.append((order, weight))
    return found


def frames(pcm: bytes) -> list[bytes]:
    """Cut PCM into whole frames; what is left over is dropped."""
    whole = len(pcm) - len(pcm) % FRAME_BYTES
    return [pcm[at : at + FRAME_BYTES] for at in range(0, whole, FRAME_BYTES)]


def tone(frequency_hz: float, duration_ms: int, rate_hz: int = SAMPLE_RATE_HZ) -> array.array[int]:
    """Return samples of a sine at about -10 dBFS."""
    turn = 2 * math.pi * frequency_hz / rate_hz
    return array.array(
        "h", (round(10_000 * math.sin(turn * n)) for n in range(rate_hz * duration_ms // 1000))
    )


def signal_to_noise_db(reference: bytes, heard: bytes) -> float:
    """Compare two pieces of PCM sample by sample, over the length they share."""
    pairs = list(zip(array.array("h", reference), array.array("h", heard), strict=False))
    signal = sum(a * a for a, _ in pairs)
    noise = sum((a - b) ** 2 for a, b in pairs)
    return 10 * math.log10(signal / max(noise, 1))


def tone_within(samples: array.array[int], frequency_hz: int) -> bytes:
    """Return `tone` as if it had begun when the one in `samples` did, as PCM of that length."""
    turn = 2 * math.pi * frequency_hz / SAMPLE_RATE_HZ
    cosine = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    sine = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    phase = math.atan2(cosine, sine)
    pure = (10_000 * math.sin(turn * n + phase) for n in range(len(samples)))
    return array.array("h", map(round, pure)).tobytes()
