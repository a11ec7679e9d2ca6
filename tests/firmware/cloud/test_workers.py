"""Threads for calls that block."""

from __future__ import annotations

import asyncio
import gc
import queue
import subprocess
import sys
import threading
import weakref
from concurrent.futures import Future

import pytest

from firmware.cloud.errors import BacklogError, ClosedError
from firmware.cloud.workers import Workers

LIMIT_S = 5


def test_a_result_and_an_error_come_back_to_the_caller() -> None:
    """As with any executor."""
    workers = Workers("tests", threads_max=1, waiting_max=1)
    assert workers.submit(divmod, 7, 2).result(LIMIT_S) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        workers.submit(divmod, 7, 0).result(LIMIT_S)
    workers.shutdown()


def test_calls_beyond_the_limits_are_refused_until_there_is_room_again() -> None:
    """Two run, one waits, the next is refused by name; nothing is queued without end."""
    workers = Workers("tests", threads_max=2, waiting_max=1)
    gate = threading.Event()
    calls = [workers.submit(gate.wait, LIMIT_S) for _ in range(3)]
    with pytest.raises(BacklogError, match="3 calls already wait for tests"):
        workers.submit(gate.wait)
    gate.set()
    assert all(call.result(LIMIT_S) for call in calls)
    workers.shutdown()


def test_there_is_room_again_when_a_result_is_told() -> None:
    """Who calls once at a time needs no more room than one call, however quick they are."""
    workers = Workers("tests", threads_max=1, waiting_max=0)
    gate = threading.Event()
    following: queue.SimpleQueue[Future[int]] = queue.SimpleQueue()
    first = workers.submit(gate.wait, LIMIT_S)
    first.add_done_callback(lambda _: following.put(workers.submit(abs, -7)))
    gate.set()
    assert following.get(timeout=LIMIT_S).result(LIMIT_S) == 7
    workers.shutdown()


def test_no_more_threads_than_allowed_are_started() -> None:
    """However much there is to do."""
    workers = Workers("tests", threads_max=2, waiting_max=8)
    gate = threading.Event()
    names = set()

    def work() -> None:
        gate.wait(LIMIT_S)
        names.add(threading.current_thread().name)

    calls = [workers.submit(work) for _ in range(10)]
    gate.set()
    for call in calls:
        call.result(LIMIT_S)
    assert names <= {"tests-0", "tests-1"}
    workers.shutdown()


def test_shutdown_carries_out_what_waits_and_then_takes_nothing_more() -> None:
    """The order of the calls is kept."""
    workers = Workers("tests", threads_max=1, waiting_max=8)
    done: list[int] = []
    for number in range(5):
        workers.submit(done.append, number)
    workers.shutdown()
    assert done == [0, 1, 2, 3, 4]
    with pytest.raises(ClosedError, match="threads for tests are shut down"):
        workers.submit(done.append, 5)
    workers.shutdown()


def test_shutdown_can_forget_what_waits() -> None:
    """A caller that waits learns why its call was never made."""
    workers = Workers("tests", threads_max=1, waiting_max=8)
    started, gate = threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return gate.wait(LIMIT_S)

    running = workers.submit(work)
    waiting = workers.submit(work)
    assert started.wait(LIMIT_S)
    workers.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(ClosedError):
        waiting.result(LIMIT_S)
    gate.set()
    assert running.result(LIMIT_S)


def test_a_call_that_was_cancelled_while_it_waited_is_not_made() -> None:
    """The loop gave it up; nobody would hear of it."""
    workers = Workers("tests", threads_max=1, waiting_max=8)
    gate = threading.Event()
    done: list[int] = []
    workers.submit(gate.wait, LIMIT_S)
    given_up = workers.submit(done.append, 1)
    assert given_up.cancel()
    gate.set()
    workers.shutdown()
    assert done == []


def test_a_result_does_not_outlive_its_call() -> None:
    """A thread that waits for work holds on to nothing, so tokens do not linger there."""

    class Result:
        """Something that can be watched."""

    workers = Workers("tests", threads_max=1, waiting_max=1)
    result = weakref.ref(workers.submit(Result).result(LIMIT_S))
    workers.shutdown()
    gc.collect()
    assert result() is None


def test_the_loop_uses_it_as_any_executor() -> None:
    """``run_in_executor`` is how it is meant to be used."""

    async def main() -> int:
        workers = Workers("tests", threads_max=1, waiting_max=1)
        try:
            return await asyncio.get_running_loop().run_in_executor(workers, abs, -3)
        finally:
            workers.shutdown()

    assert asyncio.run(main()) == 3


def test_a_call_that_never_returns_does_not_keep_the_process() -> None:
    """The interpreter ends while a thread of ours is stuck: a toy must be able to shut down."""
    program = (
        "import threading\n"
        "from firmware.cloud.workers import Workers\n"
        "stuck = threading.Event()\n"
        "def work():\n"
        "    stuck.set()\n"
        "    threading.Event().wait()\n"
        "Workers('tests', threads_max=1, waiting_max=1).submit(work)\n"
        "stuck.wait()\n"
        "print('ends')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=LIMIT_S, check=True
    )
    assert ended.stdout == b"ends\n"
    assert ended.stderr == b""


def test_a_system_without_another_thread_costs_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused does not count for ever, and those threads that there are do the rest."""
    workers = Workers("tests", threads_max=2, waiting_max=0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        for _ in range(5):
            with pytest.raises(BacklogError, match="no thread can be started for tests"):
                workers.submit(abs, -7)
    assert workers.submit(abs, -7).result(LIMIT_S) == 7
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        assert workers.submit(abs, -8).result(LIMIT_S) == 8
    gate = threading.Event()
    calls = [workers.submit(gate.wait, LIMIT_S) for _ in range(2)]
    gate.set()
    assert all(call.result(LIMIT_S) for call in calls)
    workers.shutdown()


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
