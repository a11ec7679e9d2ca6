"""An event loop whose time is virtual: it jumps to the next timer when everybody waits.

The idea is that of trio's autojump clock. Each turn of the loop does the first of these that
applies:

1. Something is ready (a callback, or input on a socket): it runs, and time stands still.
2. A job that was given to `run_in_executor` or `asyncio.to_thread` is under way: the loop waits for
   it in real time, and virtual time stands still. However long a file takes to sync, the toy's
   timers do not notice; so runs stay repeatable.
3. There is a timer: time jumps to it at once.
4. Sockets or pipes are registered: the loop waits for them in real time.
5. None of these: nothing can ever happen again, and `ClockStalledError` says so.

What follows from 3: a *socket* does not hold time. Two ends inside this loop are served in step 1,
since loopback delivers at once; a peer in another process or thread answers while virtual hours
pass, so a test that needs one uses a real loop. What follows from 2 and 5: a bare
`threading.Thread` is unknown here and holds nothing; use the executor. Every wait in real time ends
after `OUTSIDE_WAIT_S_MAX` with `ClockStalledError`, so no test can hang.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from hardware.errors import ClockStalledError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

OUTSIDE_WAIT_S_MAX = 30.0
"""Longest wait, in real seconds, for a thread or a socket."""

GRAIN_S = 1e-6
"""Virtual time moves in whole microseconds, so that sums of 20 ms stay exact for a century."""

_GRAIN_DIGITS = 6
_TASKS_NAMED_MAX = 5

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class _AutojumpSelector(selectors.DefaultSelector):
    """A selector that asks, instead of sleeping, how long it may sleep.

    Args:
        on_idle: Called when nothing is ready, with the seconds until the next timer (None: there is
            none) and whether anything but the loop's own wake-up pipe is registered. Returns the
            real seconds to wait for input; 0 if virtual time has moved instead.
    """

    def __init__(self, on_idle: Callable[[float | None, bool], float]) -> None:
        super().__init__()
        self._on_idle = on_idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; see the module's rules for what happens when nothing is."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        wait_s = self._on_idle(timeout, len(self.get_map()) > 1)
        if wait_s > 0:
            ready = super().select(wait_s)
            if not ready:
                raise ClockStalledError(
                    f"virtual time waited {wait_s:g} s in real time for a thread or a socket that "
                    f"did not answer: make it end, or run this on a real loop"
                )
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time, which starts at 0; the module's text gives its rules."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._jobs_outside = 0
        super().__init__(_AutojumpSelector(self._on_idle))
        # A timer that lies within one grain of now is due: rounding must not leave it behind.
        self._clock_resolution = GRAIN_S

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Run `func` in a thread as any loop does; virtual time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jobs_outside += 1
        future.add_done_callback(self._job_came_back)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the signature differs between Python 3.11 and 3.12
        """Join the executor's threads; virtual time stands still meanwhile."""
        self._jobs_outside += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._jobs_outside -= 1

    def _job_came_back(self, _: asyncio.Future[Any]) -> None:
        self._jobs_outside -= 1

    def _on_idle(self, timeout: float | None, has_sockets: bool) -> float:  # noqa: FBT001 - called by the selector alone
        if self._jobs_outside:
            return OUTSIDE_WAIT_S_MAX
        if timeout is not None:
            self._now_s = round(self._now_s + timeout, _GRAIN_DIGITS)
            return 0
        if has_sockets:
            return OUTSIDE_WAIT_S_MAX
        names = sorted(task.get_name() for task in asyncio.all_tasks(self))
        shown = ", ".join(names[:_TASKS_NAMED_MAX])
        raise ClockStalledError(
            f"virtual time stands at {self._now_s:g} s for ever: no callback, timer, thread or "
            f"socket is left to wake any of {len(names)} waiting tasks ({shown})"
        )


def run_virtual(main: Coroutine[Any, Any, _T]) -> _T:
    """Run `main` to its end on a new `VirtualTimeLoop`, as `asyncio.run` would on a real one.

    Raises:
        ClockStalledError: Everybody waits and nothing can wake them.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
