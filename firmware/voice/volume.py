"""How loud everything is."""

from __future__ import annotations

from typing import Final

import numpy as np

from hardware.pcm import SAMPLE_MAX

_LOUDNESS_EXPONENT: Final = 0.6


def gain_of(percent: int) -> float:
    """Return the amplitude, 0..1, that sounds `percent` as loud as full amplitude does.

    Perceived loudness grows with the 0.6th power of sound pressure (S. S. Stevens, "The measurement
    of loudness", J. Acoust. Soc. Am. 27, 1955): half as loud is 10 dB less.
    """
    return float((percent / 100) ** (1 / _LOUDNESS_EXPONENT))


class Volume:
    """Scales frames of PCM, and lets no sample beyond the ceiling, whatever comes.

    Args:
        percent: Loudness, 0-100.
        percent_max: What it cannot exceed, however much is asked for.
    """

    def __init__(self, percent: int, percent_max: int) -> None:
        self._gain = np.float32(gain_of(min(percent, percent_max)))
        self._ceiling = int(gain_of(percent_max) * SAMPLE_MAX)

    def applied(self, frame: bytes) -> bytes:
        """Return a frame as loud as it is to be."""
        samples = np.rint(np.frombuffer(frame, "<i2") * self._gain)
        return samples.clip(-self._ceiling - 1, self._ceiling).astype("<i2").tobytes()
