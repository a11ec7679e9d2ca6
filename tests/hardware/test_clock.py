"""The clock, on a real loop and on a virtual one."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.clock import Clock
from hardware.errors import MisuseError
from hardware.sim.clock import VirtualTimeLoop, run_virtual


def test_real_time_is_the_loops_monotonic_time() -> None:
    """On a real loop the clock reads the loop's own time in milliseconds."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before_ms = loop.time() * 1000
        reading_ms = Clock().monotonic_ms()
        assert before_ms - 1 <= reading_ms <= loop.time() * 1000 + 1

    asyncio.run(main())


def test_a_real_timer_fires() -> None:
    """The same class works on a loop with real time."""

    async def main() -> None:
        fired = asyncio.Event()
        Clock().call_later(1, fired.set)
        await asyncio.wait_for(fired.wait(), timeout=5)

    asyncio.run(main())


def test_a_timer_fires_at_exactly_its_time() -> None:
    """Whole milliseconds in, whole milliseconds out."""

    async def main() -> None:
        clock = Clock()
        fired_ms: list[int] = []
        for delay_ms in (1001, 0, 19, 1001):
            clock.call_later(delay_ms, lambda: fired_ms.append(clock.monotonic_ms()))
        await asyncio.sleep(2)
        assert fired_ms == [0, 19, 1001, 1001]

    run_virtual(main())


def test_a_cancelled_timer_stays_silent() -> None:
    """Cancelling is final, and harmless when repeated."""

    async def main() -> None:
        clock = Clock()
        fired: list[None] = []
        timer = clock.call_later(10, lambda: fired.append(None))
        timer.cancel()
        timer.cancel()
        await asyncio.sleep(1)
        assert not fired

    run_virtual(main())


def test_a_negative_delay_is_refused() -> None:
    """The past cannot be waited for."""

    async def main() -> None:
        with pytest.raises(MisuseError, match="5 ms in the past"):
            Clock().call_later(-5, lambda: None)

    run_virtual(main())


def test_a_thread_hands_a_callback_to_the_loop() -> None:
    """What another thread hands over runs on the loop's thread."""

    async def main() -> None:
        clock = Clock()
        ran_on: list[int] = []
        await asyncio.to_thread(
            clock.call_soon_threadsafe, lambda: ran_on.append(threading.get_ident())
        )
        await asyncio.sleep(0)
        assert ran_on == [threading.get_ident()]

    run_virtual(main())


def test_a_thread_that_reports_too_late_is_not_hurt() -> None:
    """After the loop is closed a hand-over is dropped without an error."""
    loop = VirtualTimeLoop()
    clock = Clock(loop)
    loop.close()
    clock.call_soon_threadsafe(lambda: None)


@given(st.integers(min_value=0, max_value=10 * 365 * 86_400_000))
def test_milliseconds_survive_being_stored_as_seconds(time_ms: int) -> None:
    """Any whole millisecond of ten years reads back as itself."""

    class StoppedLoop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return time_ms / 1000

    loop = StoppedLoop()
    try:
        assert Clock(loop).monotonic_ms() == time_ms
    finally:
        loop.close()
