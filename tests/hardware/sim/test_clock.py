"""Virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from hardware.clock import Clock
from hardware.errors import ClockStalledError
from hardware.sim import clock as virtual
from hardware.sim.clock import VirtualTimeLoop, run_virtual


def test_a_year_passes_at_once() -> None:
    """Sleeping takes no real time, and exactly the virtual time it says."""

    async def main() -> float:
        await asyncio.sleep(365 * 86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtual(main()) == 365 * 86_400
    assert time.monotonic() - began < 1


def test_timers_fire_in_the_order_of_their_times() -> None:
    """The order of arming does not matter."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        order: list[str] = []
        for delay_s, name in ((3, "c"), (1, "a"), (4, "d"), (2, "b")):
            loop.call_later(delay_s, order.append, name)
        await asyncio.sleep(5)
        return order

    assert run_virtual(main()) == ["a", "b", "c", "d"]


def test_adding_up_20_ms_does_not_drift() -> None:
    """The worst way to keep time still lands on the exact microsecond after 20,000 steps."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(20_000):
            await asyncio.sleep(0.02)
        assert loop.time() == 400.0

    run_virtual(main())


def test_time_stands_still_while_something_is_ready() -> None:
    """Callbacks that keep each other busy take no virtual time."""

    async def main() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == 0

    run_virtual(main())


def test_timers_closer_than_a_microsecond_still_fire() -> None:
    """Rounding never leaves a timer behind."""

    async def main() -> None:
        for delay_s in (1e-9, 4e-7, 6e-7, 1.4e-6):
            await asyncio.sleep(delay_s)

    run_virtual(main())


def test_time_stands_still_while_a_thread_works() -> None:
    """A job in the executor takes no virtual time, though a timer is waiting."""

    loop_waits = threading.Event()

    class WatchedLoop(VirtualTimeLoop):
        def _on_idle(self, timeout: float | None, has_sockets: bool) -> float:  # noqa: FBT001 - as overridden
            loop_waits.set()
            return super()._on_idle(timeout, has_sockets)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(0.001, pytest.fail, "time moved while a thread was at work")
        assert await asyncio.to_thread(loop_waits.wait, 5)
        timer.cancel()
        assert loop.time() == 0

    with asyncio.Runner(loop_factory=WatchedLoop) as runner:
        runner.run(main())


def test_a_cancelled_wait_for_a_thread_lets_time_go_on() -> None:
    """Nobody waits for the job any more, so time does not either."""

    async def main() -> None:
        release = threading.Event()
        job = asyncio.create_task(asyncio.to_thread(release.wait, 5))
        await asyncio.sleep(0)
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job
        await asyncio.sleep(5)
        release.set()
        assert asyncio.get_running_loop().time() == 5

    run_virtual(main())


def test_both_ends_of_a_connection_inside_the_loop_take_no_time() -> None:
    """Real sockets work, and virtual time does not run while bytes travel."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert asyncio.get_running_loop().time() == 0

    run_virtual(main())


def test_a_deadlock_is_named_at_once() -> None:
    """When nothing can wake anybody, the error says who waits."""

    async def main() -> None:
        asyncio.current_task().set_name("sleeping beauty")  # type: ignore[union-attr]
        await asyncio.Event().wait()

    with pytest.raises(ClockStalledError, match=r"1 waiting tasks \(sleeping beauty\)"):
        run_virtual(main())


def test_a_thread_that_never_ends_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wait in real time has a limit."""
    monkeypatch.setattr(virtual, "OUTSIDE_WAIT_S_MAX", 0.01)

    release = threading.Event()

    async def main() -> None:
        await asyncio.to_thread(release.wait, 5)

    loop = VirtualTimeLoop()
    try:
        with pytest.raises(ClockStalledError, match=r"waited 0.01 s in real time"):
            loop.run_until_complete(main())
        monkeypatch.undo()
        release.set()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def test_a_socket_that_stays_silent_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With no timer left a listening socket is waited for in real time, up to the limit."""
    monkeypatch.setattr(virtual, "OUTSIDE_WAIT_S_MAX", 0.01)

    async def main() -> None:
        async with await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0) as server:
            await server.serve_forever()

    with pytest.raises(ClockStalledError, match="did not answer"):
        run_virtual(main())


def test_the_executor_is_shut_down_without_virtual_time() -> None:
    """Leaving the loop joins its threads; no time-out is jumped to meanwhile."""

    async def main() -> float:
        await asyncio.to_thread(lambda: None)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert runner.run(main()) == 0
        runner.run(loop.shutdown_default_executor())
        assert loop.time() == 0


def test_errors_and_results_come_out_of_run_virtual() -> None:
    """It behaves as asyncio.run does."""

    async def main() -> int:
        return Clock().monotonic_ms()

    async def failing() -> None:
        raise KeyError("mine")

    assert run_virtual(main()) == 0
    with pytest.raises(KeyError, match="mine"):
        run_virtual(failing())
