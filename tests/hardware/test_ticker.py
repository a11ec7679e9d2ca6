"""The ticker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hardware.clock import Clock
from hardware.errors import MisuseError
from hardware.sim.clock import VirtualTimeLoop, run_virtual
from hardware.ticker import Ticker


class HeldUpLoop(VirtualTimeLoop):
    """A virtual loop that can be kept from working, as by a callback that takes too long."""

    def hold_up(self, duration_s: float) -> None:
        self._now_s += duration_s


def _run_held_up(backlog_max: int, held_up_s: float) -> tuple[list[int], int]:
    ticks: list[int] = []

    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HeldUpLoop)
        ticker = Ticker(Clock(), 20, ticks.append, backlog_max=backlog_max)
        ticker.start(0)
        await asyncio.sleep(0.03)
        loop.hold_up(held_up_s)
        await asyncio.sleep(0.03)
        ticker.stop()
        return ticker.dropped

    with asyncio.Runner(loop_factory=HeldUpLoop) as runner:
        return ticks, runner.run(main())


def test_ticks_lie_on_the_grid() -> None:
    """Each tick carries its due time, exactly one period after the one before."""

    async def main() -> None:
        clock = Clock()
        ticks: list[tuple[int, int]] = []
        ticker = Ticker(clock, 20, lambda due_ms: ticks.append((due_ms, clock.monotonic_ms())))
        ticker.start(7)
        await asyncio.sleep(100)
        ticker.stop()
        assert ticks == [(due_ms, due_ms) for due_ms in range(7, 100_000, 20)]

    run_virtual(main())


def test_missed_ticks_are_made_good_up_to_the_backlog() -> None:
    """A short stall loses nothing, and the grid stays."""
    assert _run_held_up(backlog_max=5, held_up_s=0.1) == (list(range(0, 161, 20)), 0)


def test_older_missed_ticks_are_dropped_and_counted() -> None:
    """A long stall costs the oldest ticks."""
    ticks, dropped = _run_held_up(backlog_max=2, held_up_s=0.1)
    assert (ticks, dropped) == ([0, 20, 80, 100, 120, 140, 160], 2)


def test_without_a_backlog_only_the_latest_tick_comes() -> None:
    """An animation needs no frames of the past."""
    ticks, dropped = _run_held_up(backlog_max=0, held_up_s=0.1)
    assert (ticks, dropped) == ([0, 20, 120, 140, 160], 4)


def test_not_one_tick_follows_a_stop_from_within() -> None:
    """Stopping in a tick drops even what the backlog still owes."""

    async def main() -> None:
        ticks: list[int] = []

        def stop_at_once(due_ms: int) -> None:
            ticks.append(due_ms)
            ticker.stop()

        ticker = Ticker(Clock(), 20, stop_at_once, backlog_max=9)
        ticker.start(-100)
        await asyncio.sleep(1)
        assert ticks == [-100]
        assert not ticker.is_running

    run_virtual(main())


def test_starting_anew_moves_the_grid() -> None:
    """Only the newer start counts."""

    async def main() -> None:
        ticks: list[int] = []
        ticker = Ticker(Clock(), 20, ticks.append)
        ticker.start(0)
        ticker.start(5)
        await asyncio.sleep(0.05)
        ticker.stop()
        assert ticks == [5, 25, 45]

    run_virtual(main())


def test_an_error_in_a_tick_is_reported_and_the_ticking_goes_on() -> None:
    """One bad frame does not end the stream of frames."""

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, found: reported.append(found))
        ticks: list[int] = []

        def stumble(due_ms: int) -> None:
            ticks.append(due_ms)
            if due_ms == 20:
                raise ZeroDivisionError

        ticker = Ticker(Clock(), 20, stumble)
        ticker.start(0)
        await asyncio.sleep(0.05)
        ticker.stop()
        assert ticks == [0, 20, 40]
        assert [type(found["exception"]) for found in reported] == [ZeroDivisionError]

    run_virtual(main())


@pytest.mark.parametrize(("period_ms", "backlog_max"), [(0, 0), (-20, 0), (20, -1)])
def test_impossible_periods_and_backlogs_are_refused(period_ms: int, backlog_max: int) -> None:
    """Both figures are checked when it is made."""

    async def main() -> None:
        with pytest.raises(MisuseError, match="at least 1 ms"):
            Ticker(Clock(), period_ms, lambda _: None, backlog_max=backlog_max)

    run_virtual(main())
