"""How unevenly a reply arrives, and so how long its beginning is to be held back."""

from __future__ import annotations

from collections import deque
from typing import Final

from hardware.pcm import FRAME_MS

PACKETS_MAX: Final = 250
"""Packets that are looked back at: five seconds. An hour ago the network was another one."""

LATE_SHARE: Final = 0.05
"""Share of the packets that may come too late, and are filled in as lost ones are."""

EARLY_MS_MAX: Final = 120
"""How much sooner than the first packet the punctual ones may come. Who sends a reply faster than
it is spoken is ahead, not punctual: a pause of his would else be taken for a late network."""

DRY_MS: Final = 40
"""How much longer than before is waited, once a gap was heard."""

_DRY_PACKETS: Final = int(PACKETS_MAX * LATE_SHARE) + 1
"""Enough of them to decide alone, until they have been forgotten."""


class Arrivals:
    """Measures how late the packets of a connection's replies come; no clock is in it.

    A packet is as late as it comes after the most punctual one of its reply, compared with when
    each of them sounds.

    Args:
        start_ms: What is held back before anything was measured, and the least afterwards.
        ms_max: The most that is held back.
    """

    def __init__(self, *, start_ms: int, ms_max: int) -> None:
        self._start_ms = start_ms
        self._ms_max = ms_max
        self._late_ms: deque[float] = deque(maxlen=PACKETS_MAX)
        self._first_ms: float | None = None
        self._punctual_ms = 0.0
        self._noted_ms: int | None = None

    @property
    def target_ms(self) -> float:
        """How much sound is to be held back, so that all but `LATE_SHARE` come in time."""
        if not self._late_ms:
            return self._start_ms
        ordered = sorted(self._late_ms)
        late_ms = ordered[-1 - int(len(ordered) * LATE_SHARE)]
        return min(max(self._start_ms, late_ms + FRAME_MS), self._ms_max)

    def begin(self) -> None:
        """Begin another reply, which has a time of its own."""
        self._first_ms = self._noted_ms = None

    def note(self, now_ms: int, media_ms: float) -> None:
        """Note that what sounds `media_ms` after the reply's beginning has come.

        Of what comes at once, the first tells.
        """
        if now_ms == self._noted_ms:
            return
        self._noted_ms = now_ms
        transit_ms = now_ms - media_ms
        if self._first_ms is None:
            self._first_ms = self._punctual_ms = transit_ms
        earliest_ms = max(transit_ms, self._first_ms - EARLY_MS_MAX)
        self._punctual_ms = min(self._punctual_ms, earliest_ms)
        self._late_ms.append(max(0.0, transit_ms - self._punctual_ms))

    def run_dry(self) -> None:
        """Hold back more, because a gap was heard."""
        self._late_ms.extend([self.target_ms - FRAME_MS + DRY_MS] * _DRY_PACKETS)
