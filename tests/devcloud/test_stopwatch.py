from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from tests.devcloud.stopwatch import Stopwatch

BUSY_S = 0.2


def test_time_passes_while_nothing_is_done() -> None:
    watch = Stopwatch()
    threading.Event().wait(0.05)
    assert watch.seconds >= 0.049


def test_time_in_a_queue_for_the_processor_does_not_count() -> None:
    """Somebody else is busy on the same processor, and gets it half of the time."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usual)})
    try:
        with subprocess.Popen(
            (sys.executable, "-c", "print(flush=True)\nwhile True: pass"), stdout=subprocess.PIPE
        ) as rival:
            try:
                assert rival.stdout
                rival.stdout.readline()
                watch, begun_s, used_s = Stopwatch(), time.monotonic(), time.thread_time()
                while time.thread_time() - used_s < BUSY_S:
                    pass
                assert BUSY_S * 0.9 < watch.seconds < time.monotonic() - begun_s - BUSY_S / 2
            finally:
                rival.kill()
    finally:
        os.sched_setaffinity(0, usual)
