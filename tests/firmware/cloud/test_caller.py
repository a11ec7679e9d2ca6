"""Calls from the loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from firmware.cloud.caller import CALLS_AT_ONCE_MAX, CALLS_WAITING_MAX, Caller
from firmware.cloud.errors import (
    AddressError,
    BacklogError,
    ClosedError,
    DeadlineError,
    MalformedError,
)
from tests.firmware.cloud import standin
from tests.firmware.cloud.examples import settings
from tests.firmware.cloud.standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.firmware.cloud.standin import Request

LIMIT_S = 10


def nothing() -> Mapping[str, object]:
    """Return no arguments."""
    return {}


def as_is(value: object) -> object:
    """Return the value."""
    return value


def test_arguments_and_results_are_made_off_the_loops_thread() -> None:
    """A vault that is slow and an answer that is long do not hold up the toy."""
    threads: list[str] = []

    def arguments() -> Mapping[str, object]:
        threads.append(threading.current_thread().name)
        return {"a": "b"}

    def parse(value: object) -> str:
        threads.append(threading.current_thread().name)
        return f"parsed {value}"

    async def main() -> None:
        async with StandIn(standin.answer("x")) as server:
            caller = Caller(settings(server.url))
            assert await caller.call("query", "a:b", arguments, parse) == "parsed x"
            caller.close()
            assert server.requests[0].arguments == {"a": "b"}

    asyncio.run(main())
    assert threads == ["cloud calls-0"] * 2


def test_what_parsing_raises_is_raised_to_the_caller() -> None:
    """Malformed is malformed, wherever it is found out."""

    def parse(_: object) -> None:
        raise MalformedError("not this")

    async def main() -> None:
        async with StandIn(standin.answer("x")) as server:
            caller = Caller(settings(server.url))
            with pytest.raises(MalformedError, match="not this"):
                await caller.call("query", "a:b", nothing, parse)
            caller.close()

    asyncio.run(main())


def test_a_call_that_takes_too_long_is_given_up_and_the_next_one_works() -> None:
    """Even where the session's own timeouts do not reach, as in a name server's silence."""
    gate = threading.Event()

    def arguments() -> Mapping[str, object]:
        gate.wait(LIMIT_S)
        return {}

    async def main() -> None:
        async with StandIn(standin.answer("x")) as server:
            caller = Caller(settings(server.url, call_deadline_ms=500))
            await caller.call("query", "a:b", nothing, as_is)
            with pytest.raises(DeadlineError, match="a:b was not answered within 500 ms"):
                await caller.call("query", "a:b", arguments, as_is)
            assert await caller.call("query", "a:b", nothing, as_is) == "x"
            gate.set()
            caller.close()

    asyncio.run(main())


def test_the_loop_runs_on_while_calls_wait() -> None:
    """Other things happen between a question and its answer."""

    async def main() -> None:
        asked, release = asyncio.Event(), asyncio.Event()

        async def later(request: Request, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await release.wait()
            await standin.answer("x")(request, writer)

        async with StandIn(later) as server:
            caller = Caller(settings(server.url))
            call = asyncio.create_task(caller.call("query", "a:b", nothing, as_is))
            await asyncio.wait_for(asked.wait(), LIMIT_S)
            assert not call.done()
            release.set()
            assert await asyncio.wait_for(call, LIMIT_S) == "x"
            caller.close()

    asyncio.run(main())


def test_too_many_calls_are_refused() -> None:
    """A cloud that stalls does not fill the memory with questions."""

    started, gate = threading.Semaphore(0), threading.Event()

    def arguments() -> Mapping[str, object]:
        started.release()
        gate.wait(LIMIT_S)
        return {}

    async def main() -> None:
        async with StandIn(standin.answer("x")) as server:
            caller = Caller(settings(server.url))
            calls = [
                asyncio.create_task(caller.call("query", "a:b", arguments, as_is))
                for _ in range(CALLS_AT_ONCE_MAX + CALLS_WAITING_MAX + 1)
            ]
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            assert [type(call.exception()) for call in done] == [BacklogError]
            for _ in range(CALLS_AT_ONCE_MAX):
                await asyncio.to_thread(started.acquire, timeout=LIMIT_S)
            caller.close()
            gate.set()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert outcomes.count("x") == CALLS_AT_ONCE_MAX
            refused = [outcome for outcome in outcomes if type(outcome) is ClosedError]
            assert len(refused) == CALLS_WAITING_MAX

    asyncio.run(main())


def test_a_closed_caller_takes_no_calls() -> None:
    """Whoever asks too late is told so."""

    async def main() -> None:
        caller = Caller(settings())
        caller.close()
        with pytest.raises(ClosedError):
            await caller.call("query", "a:b", nothing, as_is)

    asyncio.run(main())


def test_an_address_that_cannot_be_called_is_refused_at_once() -> None:
    """At the start, where a person reads it."""
    with pytest.raises(AddressError):
        Caller(settings("http://toy.example"))


def test_how_long_calls_and_uploads_took_is_told_once() -> None:
    """Those in vain too: that is how a network is."""

    async def main() -> None:
        async with StandIn(standin.answer("x")) as server:
            caller = Caller(settings(server.url))
            await caller.call("query", "a:b", nothing, as_is)
            with pytest.raises(ZeroDivisionError):
                await caller.call("query", "a:b", nothing, lambda _: 1 / 0)
            calls, uploads = (durations.take() for durations in caller.durations)
            assert calls.keys() == {"callMsMean", "callMsMax"}
            assert 0 <= calls["callMsMean"] <= calls["callMsMax"] < LIMIT_S * 1000
            assert uploads == {}
            await caller.upload(f"{server.url}/file", b"speech", "audio/opus", "dev-1")
            calls, uploads = (durations.take() for durations in caller.durations)
            assert calls == {}
            assert uploads.keys() == {"uploadMsMean", "uploadMsMax"}
            caller.close()

    asyncio.run(main())
