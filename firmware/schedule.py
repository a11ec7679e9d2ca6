"""What is done every so often, by APScheduler on a timeline that nobody can set.

APScheduler 3 computes due times from the wall clock. Set back, it waits until the old time has come
again: ten years, if it was ten years. Set forward, it lists every run that it believes to have
missed before it merges them into one: a desk's loop stood still for 33 s over a second's interval
and one year. A toy's clock is set both ways: when it first learns the time, and by anybody's error.

So the scheduler is given a time zone whose "now" is monotonic time. ``datetime.now(zone)`` is
documented to be ``zone.fromutc(now in UTC)``: what this zone answers does not depend on what it is
given. All due times are computed within that zone, by addition, and no conversion is ever made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Final

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from hardware.clock import Clock

_ORIGIN: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - any instant: the timeline has no other

_log = logging.getLogger(__name__)

Task = Callable[[], None]
"""Something small: it posts an event, or starts what takes longer. Called on the loop."""


class Schedule:
    """Calls tasks at fixed intervals, on one grid each, from `start` to `close`.

    Runs that were missed while the loop was busy are one run. A task that raises is logged, and
    called again when it is next due. Loop thread only; make it on the running loop.
    """

    def __init__(self, clock: Clock) -> None:
        self._timeline = _Timeline(clock)
        self._scheduler = AsyncIOScheduler(
            timezone=self._timeline,
            jobstores={"default": MemoryJobStore()},
            # Of all its executors the one that calls tasks directly: where the scheduler runs.
            executors={"default": DebugExecutor()},
            # Lateness would be computed from the wall clock.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._is_closed = False

    def every(self, interval_ms: int, task: Task, name: str) -> None:
        """Call `task` each `interval_ms`, for the first time one interval from now or from `start`.

        Args:
            interval_ms: At least 1.
            task: What to call.
            name: Tells it from the others; for logs.
        """

        def run() -> None:
            try:
                task()
            except Exception:  # noqa: BLE001 - whatever it is, it is for our log, not the scheduler's
                _log.exception("the task %s failed", name)

        self._scheduler.add_job(run, _Every(interval_ms), id=name, name=name)

    def start(self) -> None:
        """Begin; once."""
        self._scheduler.start()

    def close(self) -> None:
        """Call nothing from now on. Harmless when it was never started, or is closed."""
        self._scheduler.remove_all_jobs()
        if self._scheduler.running and not self._is_closed:
            self._is_closed = True
            self._scheduler.shutdown(wait=False)  # at the loop's next turn


class _Timeline(tzinfo):
    """The time zone of monotonic time: the module's text says how it works."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def fromutc(self, _: datetime) -> datetime:
        """Return now, whatever the wall clock says."""
        elapsed = timedelta(milliseconds=self._clock.monotonic_ms())
        return _ORIGIN.replace(tzinfo=self) + elapsed

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Return that of UTC, so that differences need no conversion."""
        return timedelta()

    def dst(self, _: datetime | None) -> timedelta:
        """Return that there is none."""
        return timedelta()

    def tzname(self, _: datetime | None) -> str:
        """Return a name for the scheduler's debug log."""
        return "monotonic"


class _Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no annotations
    """Due one interval after it was due before.

    APScheduler's own would convert each due time from a timestamp, and so ask the zone for now.
    """

    def __init__(self, interval_ms: int) -> None:
        if interval_ms < 1:
            raise ValueError(f"a task cannot be due every {interval_ms} ms: give 1 or more")
        self._interval = timedelta(milliseconds=interval_ms)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return when it is due next; both arguments and the result are on the timeline."""
        return (now if previous is None else previous) + self._interval
