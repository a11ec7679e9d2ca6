"""How often something may happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hardware.clock import Clock

WINDOW_MS: Final = 1_000
"""Occurrences are counted over windows of this length."""


class RateLimit:
    """Lets through so many of each kind in a second, so that no kind crowds out another.

    Args:
        clock: Whose seconds.
        per_window_max: Occurrences of one kind within `WINDOW_MS`.
    """

    def __init__(self, clock: Clock, per_window_max: int) -> None:
        self._clock = clock
        self._per_window_max = per_window_max
        self._since_ms = clock.monotonic_ms()
        self._counts: dict[str, int] = {}

    def allows(self, kind: str) -> bool:
        """Count an occurrence of `kind`, one of few names, and tell whether it may pass."""
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._since_ms >= WINDOW_MS:
            self._since_ms = now_ms
            self._counts.clear()
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind] <= self._per_window_max
