"""How long something took, added up between two samples of the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Durations:
    """The mean and the longest of some durations. Loop thread only.

    Args:
        name: What it is called in the metrics: ``reply`` gives ``replyMsMean`` and ``replyMsMax``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = self._sum_ms = self._longest_ms = 0

    def add(self, duration_ms: int) -> None:
        """Add one."""
        self._count += 1
        self._sum_ms += duration_ms
        self._longest_ms = max(self._longest_ms, duration_ms)

    def take(self) -> Mapping[str, float]:
        """Return what was added up since the last call, and begin anew; nothing if nothing was."""
        if not self._count:
            return {}
        told = {
            f"{self._name}MsMean": self._sum_ms / self._count,
            f"{self._name}MsMax": float(self._longest_ms),
        }
        self._count = self._sum_ms = self._longest_ms = 0
        return told
