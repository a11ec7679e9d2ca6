"""How long something took on a machine that others use too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

_OWN: Final = Path("/proc/thread-self")


class Stopwatch:
    """Runs from when it is made; ``seconds`` is how long that is.

    The time in which the thread was ready to run and the machine ran others is left out: it says
    nothing of the cloud (``/proc/…/schedstat``, its second figure, as in the kernel's
    Documentation/scheduler/sched-stats.rst). The thread is the calling one, or the main thread of
    the process ``pid``, which must not have been waited for when the watch is read.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._schedstat = (Path(f"/proc/{pid}") if pid else _OWN) / "schedstat"
        self._begun_s = self._own_time_s()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return self._own_time_s() - self._begun_s

    def _own_time_s(self) -> float:
        return time.monotonic() - int(self._schedstat.read_text().split()[1]) / 1e9
