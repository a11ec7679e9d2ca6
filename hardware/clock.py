"""Time as the whole firmware sees it: milliseconds that only ever grow, and timers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hardware.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

# 1.001 s is stored a hair below 1001 ms; a microsecond's grace keeps it from reading 1000.
_GRACE_MS = 0.001


class Clock:
    """Monotonic time and timers of one asyncio loop.

    Real and virtual time are this same class: what differs is the loop
    (`hardware.sim.clock.VirtualTimeLoop` makes time virtual). Wall-clock jumps do not reach it.

    Args:
        loop: The loop to ask; the running one if left out.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = asyncio.get_running_loop() if loop is None else loop

    def monotonic_ms(self) -> int:
        """Return whole milliseconds since an arbitrary start. Callable from any thread."""
        return int(self._loop.time() * 1000 + _GRACE_MS)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` once in the loop, `delay_ms` from now; loop thread only.

        A periodic caller must aim at due times rather than add up delays, or it will drift: see
        `hardware.ticker`.

        Returns:
            A handle whose `cancel()` is harmless at any time.

        Raises:
            MisuseError: `delay_ms` is negative.
        """
        if delay_ms < 0:
            raise MisuseError(f"a timer cannot be {-delay_ms} ms in the past: give 0 or more")
        return self._loop.call_later(delay_ms / 1000, callback)

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Hand `callback` from any thread to the loop, which calls it as soon as it can.

        Once the loop is closed nothing can be handed over any more, and the callback is dropped: a
        thread that reports late must not die of it.
        """
        with contextlib.suppress(RuntimeError):  # the loop is closed, perhaps this very moment
            self._loop.call_soon_threadsafe(callback)
