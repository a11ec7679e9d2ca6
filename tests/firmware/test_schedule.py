"""Tasks at fixed intervals, whatever the wall clock does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import apscheduler.executors.base
import apscheduler.schedulers.base
import pytest

from firmware.schedule import Schedule
from hardware.clock import Clock
from hardware.sim.clock import run_virtual

TEN_YEARS = timedelta(days=3_653)
MINUTE_MS = 60_000


class WallClock:
    """Stands in for the wall clock that APScheduler reads, and can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error = timedelta()
        wall_clock = self

        class Set(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                assert tz is not None
                utc = super().now(UTC) + wall_clock.error
                # As `datetime.now` is documented.
                return tz.fromutc(utc.replace(tzinfo=tz))  # type: ignore[return-value]

        monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Set)
        monkeypatch.setattr(apscheduler.executors.base, "datetime", Set)


def calls(intervals_ms: dict[str, int], until_ms: int, *, at: dict[int, Callable[[], None]]) -> str:
    """Return when each task was called, as ``ms name``, up to a virtual time."""

    async def main() -> str:
        clock = Clock()
        schedule = Schedule(clock)
        called: list[str] = []

        def make(name: str) -> Callable[[], None]:
            return lambda: called.append(f"{clock.monotonic_ms()} {name}")

        for name, interval_ms in intervals_ms.items():
            schedule.every(interval_ms, make(name), name)
        for when_ms, act in at.items():
            clock.call_later(when_ms, act)
        schedule.start()
        over = asyncio.Event()
        clock.call_later(until_ms, over.set)
        await over.wait()
        schedule.close()
        schedule.close()
        return ", ".join(called)

    return run_virtual(main())


def test_tasks_are_called_on_their_grids() -> None:
    """On virtual time to the millisecond."""
    assert calls({"a": 1_000, "b": 2_500}, 5_400, at={}) == (
        "1000 a, 2000 a, 2500 b, 3000 a, 4000 a, 5000 a, 5000 b"
    )


def test_a_day_of_minutes_neither_drifts_nor_skips() -> None:
    """Due times are added up exactly."""
    times = calls({"a": MINUTE_MS}, 24 * 60 * MINUTE_MS + 1, at={}).replace(" a", "").split(", ")
    assert [int(one) for one in times] == [n * MINUTE_MS for n in range(1, 24 * 60 + 1)]


@pytest.mark.parametrize("jump", [TEN_YEARS, -TEN_YEARS, timedelta(hours=-1)])
def test_setting_the_wall_clock_changes_nothing(
    jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set by the jump, and back, and by twice the jump: the grid is the same."""
    wall_clock = WallClock(monkeypatch)

    def set_to(error: timedelta) -> Callable[[], None]:
        return lambda: setattr(wall_clock, "error", error)

    began_s = time.monotonic()
    called = calls(
        {"a": 1_000},
        6_500,
        at={1_500: set_to(jump), 2_700: set_to(timedelta()), 4_100: set_to(2 * jump)},
    )
    assert called == "1000 a, 2000 a, 3000 a, 4000 a, 5000 a, 6000 a"
    assert time.monotonic() - began_s < 5


def test_what_now_is_does_not_depend_on_the_wall_clock() -> None:
    """The zone is asked as `datetime.now` asks it: with any time at all."""

    async def main() -> None:
        clock = Clock()
        zone = Schedule(clock)._timeline
        first, now = datetime.now(zone), datetime.now(zone)
        assert first == now
        assert zone.fromutc(datetime(1970, 1, 1, tzinfo=zone)) == now
        assert zone.fromutc(datetime(2999, 1, 1, tzinfo=zone)) == now

    run_virtual(main())


def test_the_scheduler_itself_is_thrown_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why there is a timeline at all: with a plain zone, an hour back is an hour without tasks.

    If this fails, APScheduler has learned better and the timeline may go.
    """
    wall_clock = WallClock(monkeypatch)
    monkeypatch.setattr("firmware.schedule._Timeline", lambda _: UTC)

    async def main() -> int:
        clock = Clock()
        schedule = Schedule(clock)
        called: list[int] = []
        over = asyncio.Event()

        def task() -> None:
            called.append(clock.monotonic_ms())
            wall_clock.error = timedelta(hours=-1)

        schedule.every(10, task, "a")
        schedule.start()
        clock.call_later(200, over.set)
        await over.wait()
        schedule.close()
        return len(called)

    assert asyncio.run(main()) == 1


def test_a_task_that_fails_is_logged_and_called_again(caplog: pytest.LogCaptureFixture) -> None:
    """One bad sample is not the last."""
    failed = []

    async def main() -> None:
        clock = Clock()
        schedule = Schedule(clock)
        over = asyncio.Event()

        def fail() -> None:
            failed.append(1)
            if len(failed) == 2:
                over.set()
            raise RuntimeError("no")

        schedule.every(1_000, fail, "failing")
        schedule.start()
        await over.wait()
        schedule.close()

    run_virtual(main())
    assert len(failed) == 2
    assert {(record.name, record.msg) for record in caplog.records} == {
        ("firmware.schedule", "the task %s failed")
    }


def test_what_was_missed_while_the_loop_stood_still_is_one_call() -> None:
    """A suspended toy does not make good for its sleep."""

    async def main() -> int:
        clock = Clock()
        schedule = Schedule(clock)
        over = asyncio.Event()
        called: list[int] = []

        def task() -> None:
            called.append(clock.monotonic_ms())
            if len(called) == 1:
                busy_until_s = time.monotonic() + 0.05
                while time.monotonic() < busy_until_s:
                    pass
            else:
                over.set()

        schedule.every(10, task, "a")
        schedule.start()
        await over.wait()
        schedule.close()
        return called[1] - called[0]

    assert asyncio.run(main()) >= 50


def test_a_schedule_that_never_began_can_be_closed() -> None:
    """As a toy may be whose start failed."""

    async def main() -> None:
        Schedule(Clock()).close()

    run_virtual(main())


def test_an_interval_must_be_positive() -> None:
    """Or the loop would do nothing else."""

    async def main() -> None:
        with pytest.raises(ValueError, match="give 1 or more"):
            Schedule(Clock()).every(0, lambda: None, "a")

    run_virtual(main())
