"""The time of day, which a device without a clock battery may not know when it starts.

Nothing is measured or put in order by it: that is `hardware.clock`. It is needed where others read
it: certificates are valid from one date to another, and records carry the time at which they came
about. A build cannot run before it was made, so its date is a floor under any clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firmware import version

if TYPE_CHECKING:
    from hardware.clock import Clock

WAIT_MS_MAX: Final = 15_000
"""How long the first handshake waits for a clock that is wrong beyond doubt."""

POLL_MS: Final = 250
"""Time between two looks at the clock."""

STEP_MS_MIN: Final = 60_000
"""A clock that moves so far against the monotonic one was set by somebody."""

SYNCHRONIZED: Final = Path("/run/systemd/timesync/synchronized")
"""What systemd-timesyncd.service(8) makes when it has set the clock."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)

_log = logging.getLogger(__name__)


class WallClock:
    """Says what time it is, and whether to believe it.

    Args:
        clock: The monotonic clock that it is compared with.
        floor_s: A time before which it cannot be, in seconds since 1970 (UTC).
        now: Reads the wall clock, in seconds since 1970.
        set_now: Sets it; raises OSError where that is not allowed. Left out, as on a desk, whose
            clock is nobody's business, it is not set: see `set_system_clock`.
        synchronized: The file that is there once the clock was set from the network.
        must_be_synchronized: Whether it is believed only then. A device without a clock battery
            starts with the time at which it was shut down, which no floor can tell from the right
            one; a desk has a battery, and perhaps another time service.
    """

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        clock: Clock,
        floor_s: float | None = None,
        *,
        now: Callable[[], float] = time.time,
        set_now: Callable[[float], None] | None = None,
        synchronized: Path | None = None,
        must_be_synchronized: bool = False,
    ) -> None:
        self._clock = clock
        self._floor_s = version.built_s() if floor_s is None else floor_s
        self._now = now
        self._set_now = set_now
        self._synchronized = synchronized or SYNCHRONIZED
        self._must_be_synchronized = must_be_synchronized
        self._stepped_by_s: float | None = None  # how far ahead of the monotonic clock we set it

    @classmethod
    def of_board(cls, clock: Clock, *, keeps_time: bool) -> WallClock:
        """Return that of a board.

        Args:
            clock: The monotonic clock.
            keeps_time: Whether the board's clock runs while it is off, and is set by somebody else:
                as that of a desk. Otherwise it is ours to set, and believed once the network has.
        """
        if keeps_time:
            return cls(clock)
        return cls(clock, set_now=set_system_clock, must_be_synchronized=True)

    def is_set(self) -> bool:
        """Whether the clock tells the time of day, as far as one can know.

        It does once it is past the floor and, where that is asked for, was synchronized. Where it
        was put there by `wait_until_set`, it does not before somebody has set it since: the floor
        is a date, not the time.
        """
        if self._now() < self._floor_s:
            return False
        if self._must_be_synchronized:
            return self._is_synchronized()
        if self._stepped_by_s is None or self._is_synchronized():
            return True
        return abs(self._ahead_s() - self._stepped_by_s) * 1000 >= STEP_MS_MIN

    async def wait_until_set(self, wait_ms_max: int = WAIT_MS_MAX) -> bool:
        """Wait until a certificate can be judged by the clock; say whether it can be.

        A clock before the floor is set to it, which is enough for that. Where this process may not
        do so, it waits for whoever may, at most `wait_ms_max`. After that one may go on: a
        handshake fails, and is tried again later.
        """
        if self._now() >= self._floor_s:
            return True
        _log.warning("the clock says %s, which is before this build", _shown(self._now()))
        if self._step():
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms_max / 1000):
                while self._now() < self._floor_s:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(POLL_MS / 1000)
        return self._now() >= self._floor_s

    def _is_synchronized(self) -> bool:
        with contextlib.suppress(OSError):
            return self._synchronized.exists()
        return False

    def _step(self) -> bool:
        if self._set_now is None:
            return False
        try:
            self._set_now(self._floor_s)
        except OSError:
            return False
        self._stepped_by_s = self._ahead_s()
        return self._now() >= self._floor_s

    def _ahead_s(self) -> float:
        return self._now() - self._clock.monotonic_ms() / 1000


def rfc3339(wall_ms: int) -> str:
    """Return milliseconds since 1970 as RFC 3339 writes a time: ``2026-11-25T02:14:53.120Z``.

    A time outside the years 1 to 9999 becomes the nearest one inside.
    """
    try:
        time_of_day = _EPOCH + dt.timedelta(milliseconds=wall_ms)
    except OverflowError:
        time_of_day = _LAST if wall_ms > 0 else _FIRST
    return time_of_day.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _shown(now_s: float) -> str:
    return rfc3339(int(now_s * 1000))


def set_system_clock(now_s: float) -> None:
    """Set the system's clock, in seconds since 1970. Raises OSError without CAP_SYS_TIME."""
    time.clock_settime(time.CLOCK_REALTIME, now_s)
