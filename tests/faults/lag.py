"""How long the loop was held up, by whatever ran on it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from types import TracebackType

TICK_S: Final = 0.01
_BYTES_MAX: Final = 4_096
_TASKS: Final = "/proc/self/task"


class LoopLag:
    """Ticks on the running loop while its context lasts; ``worst_ms`` is its longest delay.

    Time that the machine took away does not count, for it says nothing of the firmware:

    - The loop's thread was ready to run, and the machine ran others (``/proc/…/schedstat``, its
      second figure, as in the kernel's Documentation/scheduler/sched-stats.rst).
    - It waited for the interpreter's lock, and whoever held that was ready to run likewise. That
      much is certain only where all of this holds, so the least of it is left out: another thread
      was kept from running for that long; it was not taken up by other threads that did run; and
      the loop's thread woke up every switch interval, as one that waits for the lock does, and none
      that waits for anything else.
    """

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self.ticks = 0
        self._loop = asyncio.get_running_loop()
        self._due_s = 0.0
        self._threads = _Threads(threading.get_native_id())
        self._before = self._threads.look()
        self._tick: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._plan()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._threads.close()

    def _plan(self) -> None:
        self._before = self._threads.look()
        self._due_s = self._loop.time() + TICK_S
        self._tick = self._loop.call_later(TICK_S, self._measure)

    def _measure(self) -> None:
        late_s = self._loop.time() - self._due_s
        if late_s * 1000 > self.worst_ms:
            self.worst_ms = max(self.worst_ms, (late_s - self._taken_s(late_s)) * 1000)
        self.ticks += 1
        self._plan()

    def _taken_s(self, late_s: float) -> float:
        """Return how much of a delay the machine is to blame for."""
        before, now = self._before, self._threads.look()
        own_s = now.waited_s - before.waited_s
        kept_s = max(
            (
                waited_s - before.others_waited_s.get(thread, 0.0)
                for thread, waited_s in now.others_waited_s.items()
            ),
            default=0.0,
        )
        ran_s = now.others_ran_s - before.others_ran_s
        woke_s = (now.wakes - before.wakes) * sys.getswitchinterval()
        return own_s + max(0.0, min(kept_s, late_s - own_s - ran_s, woke_s))


class _Look(NamedTuple):
    """What the threads of this process have been through so far, since each began.

    `waited_s` is how long the loop's thread was ready and did not run, and `wakes` how often it
    went to sleep of its own accord; `others_waited_s` is the former of every other thread, and
    `others_ran_s` how long all of these have run.
    """

    waited_s: float
    wakes: int
    others_waited_s: dict[int, float]
    others_ran_s: float


class _Threads:
    """Reads what the kernel counts; ``own`` is the loop's thread."""

    def __init__(self, own: int) -> None:
        self._own = own
        self._files: dict[int, int] = {}
        self._status = os.open(f"{_TASKS}/{own}/status", os.O_RDONLY)

    def look(self) -> _Look:
        """Read it all."""
        waited_s = {thread: self._waited_s(thread) for thread in self._present()}
        own_s = waited_s.pop(self._own)
        ran_s = time.process_time() - time.thread_time()
        return _Look(own_s, self._wakes(), waited_s, ran_s)

    def close(self) -> None:
        """Close the files."""
        for file in (self._status, *self._files.values()):
            os.close(file)
        self._files.clear()

    def _present(self) -> list[int]:
        present = [int(name) for name in os.listdir(_TASKS)]  # noqa: PTH208 - often, so cheaply
        for thread in self._files.keys() - set(present):
            os.close(self._files.pop(thread))
        return present

    def _waited_s(self, thread: int) -> float:
        try:
            if thread not in self._files:
                self._files[thread] = os.open(f"{_TASKS}/{thread}/schedstat", os.O_RDONLY)
            return int(os.pread(self._files[thread], _BYTES_MAX, 0).split()[1]) / 1e9
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            return 0.0

    def _wakes(self) -> int:
        status = os.pread(self._status, _BYTES_MAX, 0)
        return int(status.split(b"\nvoluntary_ctxt_switches:")[1].split()[0])
