"""A few threads for calls that block."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from firmware.cloud.errors import BacklogError, ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Workers(Executor):
    """A bounded pool whose threads never keep the process alive.

    As ``ThreadPoolExecutor``, with two differences: what waits is limited, and the threads are
    daemons. The standard pool joins its threads when the interpreter ends, and one that waits for a
    name server or a silent peer would hold up the toy's shutdown. Use it with
    ``loop.run_in_executor``.

    Args:
        name: What the threads are for; it is in their names and in error messages.
        threads_max: How many calls run at once. Threads start with the first calls and stay.
        waiting_max: How many more may wait.
    """

    def __init__(self, name: str, *, threads_max: int, waiting_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._calls_max = threads_max + waiting_max
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        # Under the lock: the threads, how many calls wait or run, and whether more may come.
        self._threads: list[threading.Thread] = []
        self._calls = 0
        self._closed = False

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run `fn` in a thread as soon as one is free.

        Raises:
            BacklogError: Too many calls wait already, or there is no thread to be had.
            ClosedError: `shutdown` was called.
        """
        future: Future[_T] = Future()
        with self._lock:
            if self._closed:
                raise self._closed_error()
            if self._calls >= self._calls_max:
                raise BacklogError(f"{self._calls} calls already wait for {self._name}")
            if len(self._threads) < self._threads_max:
                self._start_thread()
            self._calls += 1
            self._queue.put(_Job(future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor declares it
        """Take no more calls. Threads end after the call they are in; `wait` waits for that.

        What still waits is carried out first, or fails with `ClosedError` if `cancel_futures`: to
        cancel it would look, to whoever awaits it, as if they themselves were cancelled.
        """
        with self._lock:
            self._closed = True
            threads = tuple(self._threads)
        if cancel_futures:
            self._refuse_waiting()
        for _ in threads:
            self._queue.put(None)
        if wait:
            for thread in threads:
                thread.join()

    def _start_thread(self) -> None:
        """Start one more; where the system has none left, those there are must do."""
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if self._threads:
                return
            raise BacklogError(f"no thread can be started for {self._name}") from None
        self._threads.append(thread)

    def _refuse_waiting(self) -> None:
        while True:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return
            if job is not None and job.future.set_running_or_notify_cancel():
                job.future.set_exception(self._closed_error())

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"the threads for {self._name} are shut down")

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            tell = job.run()
            with self._lock:
                self._calls -= 1
            tell()  # only now: who is told may come with the next call at once
            del job, tell  # what it returned must not live on in a thread that waits


class _Job(NamedTuple):
    """A call, and where its result goes."""

    future: Future[Any]
    call: Callable[[], Any]

    def run(self) -> Callable[[], None]:
        """Make the call, once, on a worker's thread; return what tells the caller of its result."""
        if not self.future.set_running_or_notify_cancel():
            return lambda: None
        try:
            result = self.call()
        except BaseException as error:  # noqa: BLE001 - the caller gets it, whatever it is
            return partial(self.future.set_exception, error)
        return partial(self.future.set_result, result)
