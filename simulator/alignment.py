"""How well a recording matches what was sent: signal to noise after the two were laid together.

All of what was sent is compared, sample by sample, with the recording at its place; what the
recording lacks counts as silence, and so as wrong. What stands in it before, behind and between is
not looked at. One gain, by least squares, holds for all of it, for a volume is no damage.

Where a player had nothing to play it inserted silence, and everything since is late. Told in one
number that is no match at all, although an ear has heard a pause. So there are two figures:

- ``whole_db``: one delay for everything, the one at which the two correlate best.
- ``db``: each frame of 20 ms of what was sent has a delay of its own. It may differ from that of
  the frame before, at a price: a move costs as much error as a frame of mean power that is missing.
  Delays are those at which some window of `WINDOW_MS` matches, at most `SHIFT_MS_MAX` away from the
  middle one. The sequence of the least error and price is found exactly (Viterbi, 1967).

``segmental_db`` is the mean of the figures of segments of `SEGMENT_MS`, each between
`SEGMENT_DB_MIN` and `SEGMENT_DB_MAX`, at the delays of ``db``; segments quieter than `QUIET_DB`
below the mean are left out. Delays are whole samples: what a card of another rate resampled is
matched to within half of one.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from hardware import pcm

WINDOW_MS: Final = 300
"""Long enough that only one delay fits a voice."""
SHIFT_MS_MAX: Final = 2_000
"""How far delays may lie from the middle one."""
MATCH_MIN: Final = 0.6
"""How much a window must correlate with the recording for its delay to be considered."""
SEGMENT_MS: Final = 200
SEGMENT_DB_MIN: Final = -10.0
SEGMENT_DB_MAX: Final = 35.0
QUIET_DB: Final = 30.0

Samples: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Move:
    """From ``at_ms`` of what was sent on, the recording is ``by_ms`` later than before."""

    at_ms: int
    by_ms: float


@dataclass(frozen=True)
class Alignment:
    """How well a recording matches; see the head of this file.

    Attributes:
        whole_db: Signal to noise with one delay for everything.
        db: Signal to noise with a delay for each frame.
        segmental_db: The mean of the segments' figures.
        delay_ms: Where in the recording what was sent begins.
        gain: How much louder the recording is.
        moves: Where the delay changed.
    """

    whole_db: float
    db: float
    segmental_db: float
    delay_ms: float
    gain: float
    moves: tuple[Move, ...]


class _Match(NamedTuple):
    """Where a window was found, and how loud."""

    lag: int
    gain: float


def align(sent: bytes, recorded: bytes) -> Alignment:
    """Compare a recording with what was sent, both 16 kHz PCM, the recording the longer one.

    Raises ValueError when there is nothing to compare: either is silent.
    """
    one, other = _samples(sent), _samples(recorded)
    one = one[: len(one) - len(one) % pcm.FRAME_SAMPLES]
    if not (one.any() and other.any()):
        raise ValueError("there is nothing to compare: it is silent")
    whole = _best_lag(one, other)
    matches = _matches(one, other)
    lags = sorted({whole, *(match.lag for match in matches)})
    laid = np.stack([_laid(other, lag, len(one)) for lag in lags])
    frames = len(one) // pcm.FRAME_SAMPLES
    # Of the whole, where it is not at one place, the gain may be next to nothing.
    gain = statistics.median(match.gain for match in matches) if matches else 1.0
    for _ in range(3):
        path = _path(one, laid, gain)
        chosen = laid.reshape(len(lags), frames, -1)[path, np.arange(frames)].reshape(-1)
        gain = _gain(one, chosen)
    return Alignment(
        whole_db=_db(one, laid[lags.index(whole)]),
        db=_db(one, chosen),
        segmental_db=_segmental_db(one, chosen),
        delay_ms=lags[path[0]] / pcm.SAMPLES_PER_MS,
        gain=gain,
        moves=_moves([lags[at] for at in path]),
    )


def _samples(samples: bytes) -> Samples:
    return np.frombuffer(samples, np.int16).astype(np.float64)


def _laid(recorded: Samples, lag: int, length: int) -> Samples:
    """Return what the recording has at a delay, silence where it has nothing."""
    laid = np.zeros(length)
    begin, end = max(lag, 0), min(lag + length, len(recorded))
    if begin < end:
        laid[begin - lag : end - lag] = recorded[begin:end]
    return laid


def _gain(sent: Samples, laid: Samples) -> float:
    """Return the gain from what was sent to what was recorded, by least squares."""
    return float(sent @ laid / (sent @ sent))


def _db(sent: Samples, laid: Samples) -> float:
    signal = _gain(sent, laid) * sent
    noise = laid - signal
    return 10 * math.log10(max(float(signal @ signal), 1e-9) / max(float(noise @ noise), 1e-9))


def _correlation(sent: Samples, recorded: Samples) -> Samples:
    """Return the correlation at every delay that leaves them overlapping, from 1 - len(sent) on."""
    length = len(sent) + len(recorded) - 1
    size = 1 << (length - 1).bit_length()  # transforms of other sizes may take ten times as long
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(sent, size))
    return np.roll(np.fft.irfft(spectrum, size), len(sent) - 1)[:length]


def _best_lag(sent: Samples, recorded: Samples) -> int:
    return int(np.argmax(_correlation(sent, recorded))) - len(sent) + 1


def _matches(sent: Samples, recorded: Samples) -> list[_Match]:
    """Find the windows of what was sent in the recording; none that is far from the others."""
    size = min(WINDOW_MS * pcm.SAMPLES_PER_MS, len(sent))
    around = np.concatenate((np.zeros(size), recorded, np.zeros(size)))
    power = np.concatenate(([0.0], np.cumsum(around**2)))
    powers = np.maximum(power[size:] - power[:-size], size)
    found = []
    for begin in range(0, len(sent) - size + 1, size // 2):
        window = sent[begin : begin + size]
        if window @ window < size:
            continue
        products = _correlation(window, around)[size - 1 : 1 - size or None]
        likeness = products / np.sqrt((window @ window) * powers)
        best = int(np.argmax(likeness))
        if likeness[best] >= MATCH_MIN:
            gain = float(products[best] / (window @ window))
            found.append(_Match(best - size - begin, gain))
    middle = statistics.median_low(match.lag for match in found) if found else 0
    reach = SHIFT_MS_MAX * pcm.SAMPLES_PER_MS
    return [match for match in found if abs(match.lag - middle) <= reach]


def _path(sent: Samples, laid: npt.NDArray[np.float64], gain: float) -> npt.NDArray[np.intp]:
    """Return which of the delays each frame has, so that error and moves cost least."""
    errors = ((laid - gain * sent) ** 2).reshape(len(laid), -1, pcm.FRAME_SAMPLES).sum(axis=2)
    frames = errors.shape[1]
    move = gain**2 * float(sent @ sent) / frames
    cost = errors[:, 0].copy()
    came_from = np.zeros((frames, len(laid)), np.intp)
    for n in range(1, frames):
        cheapest = int(np.argmin(cost))
        moves = cost[cheapest] + move < cost
        came_from[n] = np.where(moves, cheapest, np.arange(len(laid)))
        cost = np.where(moves, cost[cheapest] + move, cost) + errors[:, n]
    path = np.zeros(frames, np.intp)
    path[-1] = np.argmin(cost)
    for n in range(frames - 1, 0, -1):
        path[n - 1] = came_from[n, path[n]]
    return path


def _moves(lags: list[int]) -> tuple[Move, ...]:
    steps = ((n * pcm.FRAME_MS, lags[n] - lags[n - 1]) for n in range(1, len(lags)))
    return tuple(Move(at_ms, by / pcm.SAMPLES_PER_MS) for at_ms, by in steps if by)


def _segmental_db(sent: Samples, laid: Samples) -> float:
    size = SEGMENT_MS * pcm.SAMPLES_PER_MS
    gain = _gain(sent, laid)
    signal = np.add.reduceat((gain * sent) ** 2, np.arange(0, len(sent), size))
    noise = np.add.reduceat((laid - gain * sent) ** 2, np.arange(0, len(sent), size))
    is_loud = signal > signal.mean() * 10 ** (-QUIET_DB / 10)
    each = 10 * np.log10(signal[is_loud] / np.maximum(noise[is_loud], 1e-9))
    return float(np.clip(each, SEGMENT_DB_MIN, SEGMENT_DB_MAX).mean())
