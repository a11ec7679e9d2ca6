"""The measure itself: what holds up the loop is seen, what does not is not."""

from __future__ import annotations

import asyncio
import time

from tests.faults.lag import LoopLag


def test_a_callback_that_holds_up_the_loop_is_seen() -> None:
    """Whether it computes or waits."""

    def compute() -> None:
        until_s = time.thread_time() + 0.15  # its own: a busy machine's others do not count
        while time.thread_time() < until_s:
            pass

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with LoopLag() as lag:
            loop.call_later(0.02, compute)
            await asyncio.sleep(0.25)
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
