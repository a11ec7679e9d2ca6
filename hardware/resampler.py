"""Changes the sample rate of sound, a piece at a time, with the library soxr.

Measured on a two-core desktop, processor time for a frame of 20 ms of one channel, 22.05-48 kHz to
16 and 16 to 44.1 and 48: 7-12 us `FOR_CLIPS`, 17-58 us `FOR_LIVE`. A polyphase sinc in plain Python
took 1.0-2.3 ms and 0.65-1.6 ms in the same run, and 12 ms at every start for its tables.
"""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import soxr

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLES: Final = np.iinfo(np.int16)


class Quality(NamedTuple):
    """How it is done: soxr's recipe, and whether it is the one whose ratio could vary.

    Ours never does. But that one filters in the time domain, and so needs no blocks of samples.
    """

    recipe: str
    is_steady: bool


FOR_CLIPS: Final = Quality("HQ", is_steady=False)
"""For what is there as a whole: every frequency is delayed alike, and what has come out in the end
lies where it lay. To 16 kHz speech is untouched below 7.3 kHz, images and aliases are 100 dB down.
It gives out blocks, irregularly, up to 60 ms late (115 from 8 kHz)."""

FOR_LIVE: Final = Quality("HQ", is_steady=True)
"""For what is heard while it comes: replies, microphones, speakers. A frame gives a frame from the
second on (from 8 kHz the third), 11-15 ms late (30 from 8 kHz). Untouched below 7 kHz, images and
aliases are 100 dB down; downwards it lies 1.6 samples later than it lay, and close to 8 kHz
frequencies are not delayed alike, neither of which speech tells. To soxr this is an experiment: the
tests hold it to the above."""


class Resampler:
    """Takes samples of one channel at one rate and gives them out at another.

    However a sound is cut, the same comes out, and of silence silence. What comes out lags behind
    what goes in, until `flush`. To make one takes 0.1-0.4 ms.

    Args:
        from_hz: The rate of what goes in.
        to_hz: The rate of what comes out.
        quality: How it is done.
    """

    def __init__(self, from_hz: int, to_hz: int, quality: Quality) -> None:
        # soxr would dither integers: pieces would differ from the whole, and silence would hiss.
        self._stream = soxr.ResampleStream(
            from_hz, to_hz, 1, dtype=np.float32, quality=quality.recipe, vr=quality.is_steady
        )

    def feed(self, samples: array.array[int]) -> array.array[int]:
        """Return what comes out once these samples have gone in."""
        return self._drawn(samples, is_last=False)

    def flush(self) -> array.array[int]:
        """Return what is left: silence follows, or something else. It may be used again."""
        rest = self._drawn(array.array("h"), is_last=True)
        self._stream.clear()
        return rest

    def _drawn(self, samples: array.array[int], *, is_last: bool) -> array.array[int]:
        given = np.frombuffer(samples, np.int16).astype(np.float32)
        drawn: NDArray[np.float32] = self._stream.resample_chunk(given, last=is_last)
        # A filter overshoots: what is too loud is held back, not wrapped around.
        whole = np.rint(drawn).clip(_SAMPLES.min, _SAMPLES.max).astype(np.int16)
        return array.array("h", whole.tobytes())
