"""How long the loop was held up, by whatever ran on it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

TICK_S: Final = 0.005


class LoopLag:
    """Ticks on the running loop while its context lasts; ``worst_ms`` is its longest delay.

    Time in which the loop's thread was ready to run and the machine ran others does not count: it
    says nothing of the firmware (``/proc/…/schedstat``, its second figure, as in the kernel's
    Documentation/scheduler/sched-stats.rst).
    """

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self.ticks = 0
        self._loop = asyncio.get_running_loop()
        self._schedstat = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._due_s = 0.0
        self._waited_s = 0.0
        self._tick: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._plan()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tick is not None:
            self._tick.cancel()

    def _plan(self) -> None:
        self._due_s = self._loop.time() + TICK_S
        self._waited_s = self._waited()
        self._tick = self._loop.call_later(TICK_S, self._measure)

    def _measure(self) -> None:
        late_s = self._loop.time() - self._due_s - (self._waited() - self._waited_s)
        self.worst_ms = max(self.worst_ms, late_s * 1000)
        self.ticks += 1
        self._plan()

    def _waited(self) -> float:
        """Return how long the loop's thread has waited for a processor so far."""
        return int(self._schedstat.read_text().split()[1]) / 1e9
