"""How sound looks to the watcher: its spectrum over time, and stretches of it of one size."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

STEP_MS: Final = 10
"""Time between two columns."""
BANDS: Final = 20
"""What is told apart in a column, from low to high."""
BINS: Final = 16
"""What is told apart in time within a stretch."""
STRETCH_SIZE: Final = BINS * BANDS

LEVEL_KEPT: Final = 0.5
"""How much of it counts how loud a band is throughout the stretch: rooms and voices differ in it,
and so do vowels."""

_PIECE_SAMPLES: Final = 1 << 16


class Spectrum:
    """Columns of sound as it comes.

    They are those of microWakeWord (noise reduction, automatic gain, logarithm), two of its bands
    in one.
    """

    def __init__(self) -> None:
        # It brings TensorFlow's library with it, which only a toy with a wake word needs.
        from pymicro_wakeword import MicroWakeWordFeatures  # noqa: PLC0415

        self._features: Any = MicroWakeWordFeatures()

    def feed(self, pcm: bytes) -> Floats:
        """Take more sound of any length; the columns that it completes, (n, `BANDS`)."""
        columns = [column[0, 0] for column in self._features.process_streaming(pcm)]
        if not columns:
            return np.empty((0, BANDS), np.float32)
        bands = np.stack(columns).astype(np.float32).reshape(-1, BANDS, 2)
        return np.asarray(bands.mean(axis=2), np.float32)

    def reset(self) -> None:
        """Begin anew, as with silence."""
        self._features.reset()


def columns_of(samples: npt.NDArray[np.int16]) -> Floats:
    """Return the columns of a whole sound, (n, `BANDS`)."""
    spectrum = Spectrum()
    pieces = range(0, len(samples), _PIECE_SAMPLES)
    return np.concatenate(
        [spectrum.feed(samples[start : start + _PIECE_SAMPLES].tobytes()) for start in pieces]
    )


def stretches(columns: Floats, edges: npt.NDArray[np.int64]) -> Floats:
    """Return what lies between edges, as rows of one size, (n, `STRETCH_SIZE`).

    Args:
        columns: The sound.
        edges: As `edges_of` gives them, (n, `BINS` + 1).
    """
    sums = np.zeros((len(columns) + 1, BANDS))
    np.cumsum(columns, axis=0, out=sums[1:])
    widths = np.maximum(edges[:, 1:] - edges[:, :-1], 1)[:, :, None]
    found = np.diff(sums[edges], axis=1) / widths
    by_band = found.mean(axis=1, keepdims=True)
    found -= (1 - LEVEL_KEPT) * by_band + LEVEL_KEPT * by_band.mean(axis=2, keepdims=True)
    return np.asarray(found.reshape(-1, STRETCH_SIZE), np.float32)


def edges_of(
    ends: npt.NDArray[np.int64], length: float | Floats, columns: int
) -> npt.NDArray[np.int64]:
    """Return the edges of the bins in stretches of so many columns that end before `ends`.

    Long ones and short ones are brought to one size: what is said slowly looks as if said quickly.
    No edge lies beyond the ends of a sound of so many `columns`.
    """
    shares = np.arange(BINS + 1) / BINS - 1
    edges = ends[:, None] + shares * np.reshape(length, (-1, 1))
    return np.asarray(np.clip(np.rint(edges), 0, columns), np.int64)
