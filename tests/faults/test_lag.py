"""The measure itself: what holds up the loop is seen, what does not is not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from tests.faults.lag import LoopLag


def compute() -> None:
    """Compute for a time, of which the machine may give this thread only a part at once."""
    until_s = time.thread_time() + 0.15
    while time.thread_time() < until_s:
        pass


def wait() -> None:
    """Wait for what never happens."""
    threading.Event().wait(0.15)


@pytest.mark.parametrize("hold_up", [compute, wait])
def test_a_callback_that_holds_up_the_loop_is_seen(hold_up: Callable[[], None]) -> None:
    """Whether it computes or waits."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        is_over = asyncio.Event()
        async with LoopLag() as lag:
            loop.call_later(0.02, hold_up)
            loop.call_later(0.05, is_over.set)
            await is_over.wait()
        return lag.worst_ms

    assert asyncio.run(main()) > 100


def test_a_loop_that_nobody_holds_up_is_on_time() -> None:
    """However many tasks it has."""

    async def main() -> tuple[float, int]:
        async with LoopLag() as lag, asyncio.TaskGroup() as tasks:
            for _ in range(50):
                tasks.create_task(asyncio.sleep(0.2))
        return lag.worst_ms, lag.ticks

    worst_ms, ticks = asyncio.run(main())
    assert ticks > 5
    assert worst_ms < 100
