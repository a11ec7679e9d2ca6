"""The toy's own sound made quieter for a while, because somebody may be talking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hardware.pcm import FRAME_MS, FRAME_SAMPLES

if TYPE_CHECKING:
    from hardware.clock import Clock

RAMP_MS: Final = 40
"""From loud to quiet and back: sudden steps click."""


class Ducking:
    """Scales frames in the speaker's thread; `duck` belongs to the loop's.

    The two share one number, which is written whole.

    Args:
        clock: Whose time it is.
        duck_db: How much quieter.
        duck_ms: For how long, from the last call on.
    """

    def __init__(self, clock: Clock, *, duck_db: int, duck_ms: int) -> None:
        self._clock = clock
        self._low = 10 ** (-duck_db / 20)
        self._step = (1 - self._low) * FRAME_MS / RAMP_MS
        self._duck_ms = duck_ms
        self._until_ms = clock.monotonic_ms()
        self._gain = 1.0

    def duck(self) -> None:
        """Be quieter from the next frame on."""
        self._until_ms = self._clock.monotonic_ms() + self._duck_ms

    def applied(self, frame: bytes) -> bytes:
        """Return the next frame as loud as it is to be."""
        before = self._gain
        if self._clock.monotonic_ms() < self._until_ms:
            self._gain = max(self._low, before - self._step)
        else:
            self._gain = min(1.0, before + self._step)
        if before == self._gain == 1.0:
            return frame
        gains = np.linspace(before, self._gain, FRAME_SAMPLES, dtype=np.float32)
        return (np.frombuffer(frame, "<i2") * gains).astype("<i2").tobytes()
