"""Keeps replies from being louder than speech is."""

from __future__ import annotations

from typing import Final

import numpy as np

from hardware.pcm import FRAME_MS, FRAME_SAMPLES, SAMPLE_MAX

WINDOW_MS: Final = 400
"""Over which loudness is taken: the "momentary" one of ITU-R BS.1770, here without its filter."""

RECOVERY_DB_PER_S: Final = 6.0
"""How fast it grows again afterwards: slower than words follow each other, so nothing pumps."""

_NEWEST_SHARE: Final = FRAME_MS / WINDOW_MS


class Leveller:
    """Brings what is too loud down to the loudness of a raised voice, and leaves the rest alone.

    It looks at the mean power of the last `WINDOW_MS`, and at once at a frame that is loud by
    itself; within a frame it goes smoothly from one gain to the next. It comes before the volume.

    Args:
        dbfs_max: The most, in decibels of full scale (of a root mean square of 32,767).
    """

    def __init__(self, *, dbfs_max: int) -> None:
        self._power_max = (SAMPLE_MAX * 10 ** (dbfs_max / 20)) ** 2
        self._recovery = 10 ** (RECOVERY_DB_PER_S * FRAME_MS / 1000 / 20)
        self._power = 0.0
        self._gain = 1.0

    def applied(self, frame: bytes) -> bytes:
        """Return the next frame as loud as it may be."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        power = float(np.dot(samples, samples)) / FRAME_SAMPLES
        self._power += _NEWEST_SHARE * (power - self._power)
        # One loud frame among quiet ones is a consonant; four times the power of what may last.
        most = max(self._power / self._power_max, power / (4 * self._power_max))
        before = self._gain
        if most * before**2 > 1:
            self._gain = most**-0.5
        else:
            self._gain = min(1.0, before * self._recovery, most**-0.5 if most else 1.0)
        if before == self._gain == 1.0:
            return frame
        gains = np.linspace(before, self._gain, FRAME_SAMPLES, dtype=np.float32)
        levelled: bytes = np.rint(samples * gains).astype("<i2").tobytes()
        return levelled
