"""What two recordings say of the time between them."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from hardware import pcm
from simulator.bench import tone

ENCODER_AHEAD_MS: Final = 6.5
"""Opus looks so far ahead: a sound comes out of the decoder that much behind its place."""

HeardMs = Callable[[int], float]
"""When a sample of a recording was heard."""


@dataclass(frozen=True)
class Uplink:
    """An utterance as the cloud heard it.

    Attributes:
        sound: PCM, as decoded.
        arrived_ms: When each packet arrived, by `time.monotonic`.
        samples: How many samples there were with it.
    """

    sound: bytes
    arrived_ms: tuple[float, ...]
    samples: tuple[int, ...]

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return one of `devcloud`'s control API (``stream-heard``)."""
        chunks = facts["chunks"]
        arrived = tuple(float(chunk[1]) for chunk in chunks)
        return cls(base64.b64decode(facts["pcm"]), arrived, tuple(int(one[2]) for one in chunks))

    def arrival_ms(self, sample: int) -> float:
        """Return when the packet arrived that a sample is of."""
        return self.arrived_ms[min(bisect_right(self.samples, sample), len(self.samples) - 1)]

    def bursts_ms(self) -> list[float]:
        """Return when the packets arrived in which a burst of the tone begins."""
        ahead = round(ENCODER_AHEAD_MS * pcm.SAMPLES_PER_MS)
        return [self.arrival_ms(max(0, begin - ahead)) for begin in tone.begins(self.sound)]


def bursts_ms(sound: bytes, heard_ms: HeardMs) -> list[float]:
    """Return when each burst of the tone in a recording begins."""
    return [heard_ms(begin) for begin in tone.begins(sound)]


def to_wire_ms(said_ms: Sequence[float], arrived_ms: Sequence[float]) -> list[float]:
    """Return how much later than it was said each burst arrived; none where some are missing."""
    if len(said_ms) != len(arrived_ms):
        return []
    return [arrived - said for said, arrived in zip(said_ms, arrived_ms, strict=True)]


def first_after(times_ms: Sequence[float], since_ms: float) -> float | None:
    """Return how long after a moment the first of some others was; None if none was."""
    return next((ms - since_ms for ms in times_ms if ms >= since_ms), None)
