"""The measure itself: what holds up the loop is seen, what does not is not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

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


def compute_elsewhere() -> None:
    """Wait for a thread that computes, and holds the interpreter's lock all the while."""
    thread = threading.Thread(target=_hold_the_lock)
    thread.start()
    thread.join()


def _hold_the_lock() -> None:
    until_s = time.thread_time() + 0.15
    while time.thread_time() < until_s:
        pow(7, 200_000)


@pytest.mark.parametrize("is_busy", [False, True], ids=["alone", "among others"])
@pytest.mark.parametrize("hold_up", [compute, wait, compute_elsewhere])
def test_a_callback_that_holds_up_the_loop_is_seen(
    hold_up: Callable[[], None], *, is_busy: bool
) -> None:
    """Whether it computes or waits, and also on a machine that has too much to do."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        is_over = asyncio.Event()
        async with LoopLag() as lag:
            loop.call_later(0.02, hold_up)
            loop.call_later(0.05, is_over.set)
            await is_over.wait()
        return lag.worst_ms

    with burden(4 if is_busy else 0):
        assert asyncio.run(main()) > 100


@contextmanager
def burden(count: int) -> Iterator[None]:
    """Keep the machine busy with so many processes that do nothing of use."""
    line = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with ExitStack() as running:
        for _ in range(count):
            process = running.enter_context(subprocess.Popen(line, stdout=subprocess.PIPE))
            running.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
        yield


@pytest.mark.parametrize("is_busy", [False, True], ids=["alone", "among others"])
def test_a_loop_that_nobody_holds_up_is_on_time(*, is_busy: bool) -> None:
    """However many tasks it has, and whatever else the machine has to do."""

    async def main() -> tuple[float, int]:
        async with LoopLag() as lag, asyncio.TaskGroup() as tasks:
            for _ in range(50):
                tasks.create_task(asyncio.sleep(0.2))
        return lag.worst_ms, lag.ticks

    with burden(4 if is_busy else 0):
        worst_ms, ticks = asyncio.run(main())
    assert ticks > 5
    assert worst_ms < 100
