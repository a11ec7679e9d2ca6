"""A periodic callback that does not drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.errors import MisuseError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hardware.clock import Clock


class Ticker:
    """Calls back every `period_ms`, on a grid fixed when it starts.

    Each tick carries the time at which it was *due*, so that its user may compute with the grid
    and not with the loop's lateness. Ticks missed while the loop was busy are made good at once,
    up to `backlog_max` of them; older ones are dropped and counted.

    An exception in `on_tick` goes to the loop's exception handler; the ticking goes on.

    Args:
        clock: Whose time.
        period_ms: Distance between two ticks, at least 1.
        on_tick: Called in the loop with the tick's due time, in monotonic milliseconds.
        backlog_max: How many missed ticks are still worth making good.

    Raises:
        MisuseError: `period_ms` or `backlog_max` is out of range.
    """

    def __init__(
        self, clock: Clock, period_ms: int, on_tick: Callable[[int], None], *, backlog_max: int = 0
    ) -> None:
        if period_ms < 1 or backlog_max < 0:
            raise MisuseError(
                f"a ticker needs a period of at least 1 ms and a backlog of at least 0, "
                f"not {period_ms} and {backlog_max}"
            )
        self._clock = clock
        self._period_ms = period_ms
        self._on_tick = on_tick
        self._backlog_max = backlog_max
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self.dropped = 0
        """Ticks that came too late to be made good, since construction."""

    @property
    def is_running(self) -> bool:
        """Whether another tick will come."""
        return self._timer is not None

    def start(self, first_ms: int) -> None:
        """Begin, or begin anew, with the first tick due at the monotonic time `first_ms`."""
        self._due_ms = first_ms
        self._arm()

    def stop(self) -> None:
        """Not one more tick, not even from within `on_tick`. Harmless when stopped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.stop()
        delay_ms = max(0, self._due_ms - self._clock.monotonic_ms())
        self._timer = self._clock.call_later(delay_ms, self._fire)

    def _fire(self) -> None:
        now_ms = self._clock.monotonic_ms()
        missed = (now_ms - self._due_ms) // self._period_ms
        if missed > self._backlog_max:
            self.dropped += missed - self._backlog_max
            self._due_ms += (missed - self._backlog_max) * self._period_ms
        try:
            while self._timer is not None and self._due_ms <= now_ms:
                due_ms = self._due_ms
                self._due_ms += self._period_ms
                self._on_tick(due_ms)
        finally:
            if self._timer is not None:
                self._arm()
