"""A tone in place of speech: where it is torn, and when it begins and ends, shows in any recording.

It is none of the notes that a toy plays by itself, and no whole number of its waves fits into 1 ms,
5 ms, 10 ms, or up to six frames of 20: where a piece of such a length is missing, the next begins
elsewhere in the wave.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

from devcloud.audio import SAMPLE_RATE_HZ
from devcloud.speech import Speech

TONE_HZ: Final = 2_531
TONE_AMPLITUDE: Final = 8_000
TONE_MS_MAX: Final = 60_000


def tone(duration_ms: int) -> Speech:
    """Give so much of it, from its full loudness at once to its full loudness at the end."""
    step = 2 * math.pi * TONE_HZ / SAMPLE_RATE_HZ
    length = SAMPLE_RATE_HZ * duration_ms // 1000
    samples = array("h", (round(TONE_AMPLITUDE * math.sin(step * n)) for n in range(length)))
    return Speech(samples, SAMPLE_RATE_HZ)
