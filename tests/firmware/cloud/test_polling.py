"""Polling while the live query is lost, on virtual time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.cloud.errors import (
    ApplicationError,
    AuthenticationError,
    NetworkError,
    ServerError,
)
from firmware.cloud.polling import Polling
from firmware.cloud.query import Query
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.examples import CONVEX_TOKEN, settings, tokens
from tests.firmware.cloud.scripted import Fixed, ScriptedCalls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from firmware.cloud.credentials import Tokens

ARGUMENTS = {"deviceId": "dev-sim-1", "toyId": "toy-sim-1"}


@dataclass
class Rig:
    """Polling with its neighbours."""

    lost: asyncio.Event
    calls: ScriptedCalls
    values: list[object]
    held: list[Tokens]
    rejected: list[Tokens]
    queries: list[Query]
    polling: Polling = field(init=False)

    def asking(self, function: str, **arguments: str) -> Query:
        """Return a query whose answers are remembered here."""
        return Query(
            function,
            arguments,
            self.values.append,
            lambda code: self.values.append(f"failed {code}"),
        )

    def times_s(self) -> list[float]:
        """Return when it asked."""
        return [call.at_ms / 1000 for call in self.calls.calls]


def on_virtual_time(
    test: Callable[[Rig], Awaitable[None]], *outcomes: object, share: float = 0.5
) -> None:
    """Run a test with tokens at hand, from a start at which the live query works."""

    async def main() -> None:
        rig = Rig(asyncio.Event(), ScriptedCalls(Clock(), *outcomes), [], [tokens()], [], [])
        rig.queries.append(rig.asking("toys:getConfiguration", **ARGUMENTS))
        polling = rig.polling = Polling(
            settings(),
            rig.calls,
            queries=lambda: tuple(rig.queries),
            lost=rig.lost,
            random=Fixed(share),
            tokens=lambda: rig.held[-1] if rig.held else None,
            on_rejected=rig.rejected.append,
        )
        polling.start()
        await test(rig)
        await polling.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def test_nothing_is_asked_while_the_live_query_works() -> None:
    """It is the cloud's to speak."""

    async def test(rig: Rig) -> None:
        await asyncio.sleep(3600)
        assert rig.calls.calls == []

    on_virtual_time(test, {})


def test_it_asks_soon_after_the_loss_and_then_at_each_interval() -> None:
    """In the same words as the live query, for the holder of the tokens."""

    async def test(rig: Rig) -> None:
        await asyncio.sleep(10)
        rig.lost.set()
        await asyncio.sleep(65)
        assert rig.times_s() == [10.5, 40.5, 70.5]
        assert rig.values == [{"version": 1}] * 3
        call = rig.calls.calls[0]
        assert call[1:] == ("query", "toys:getConfiguration", ARGUMENTS, CONVEX_TOKEN)

    on_virtual_time(test, {"version": 1})


def test_it_rests_again_when_the_live_query_is_back() -> None:
    """And however often that flickers, it asks no more than once an interval."""

    async def test(rig: Rig) -> None:
        for _ in range(60):
            rig.lost.set()
            await asyncio.sleep(1)
            rig.lost.clear()
            await asyncio.sleep(1)
        times_s = rig.times_s()
        assert len(times_s) == 4
        await asyncio.sleep(3600)
        assert rig.times_s() == times_s

    on_virtual_time(test, {})


def test_without_tokens_nothing_is_asked() -> None:
    """Nobody would answer; it goes on when there are some."""

    async def test(rig: Rig) -> None:
        rig.held.clear()
        rig.lost.set()
        await asyncio.sleep(45)
        assert rig.calls.calls == []
        rig.held.append(tokens())
        await asyncio.sleep(30)
        assert len(rig.calls.calls) == 1

    on_virtual_time(test, {})


def test_tokens_that_the_cloud_does_not_take_are_given_back() -> None:
    """Those that were used, whichever are held by then."""

    async def test(rig: Rig) -> None:
        rig.lost.set()
        await asyncio.sleep(1)
        assert rig.rejected == rig.held
        assert rig.values == []

    on_virtual_time(test, AuthenticationError("401"))


def test_what_fails_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    """Not twice a minute for a whole night."""

    async def test(rig: Rig) -> None:
        rig.lost.set()
        await asyncio.sleep(3600)
        assert len(rig.calls.calls) == 120
        assert rig.rejected == []

    with caplog.at_level(logging.INFO):
        on_virtual_time(test, *[NetworkError("down")] * 5, *[ServerError(500)] * 5, {})
    assert [record.message for record in caplog.records] == [
        "polling toys:getConfiguration failed: down",
        "polling toys:getConfiguration failed: the cloud answered with HTTP status 500",
        "polling toys:getConfiguration works",
    ]


def test_a_query_that_fails_keeps_no_other_from_being_asked() -> None:
    """Its failure is told, and the other's value too."""

    async def test(rig: Rig) -> None:
        rig.queries.append(rig.asking("devices:commands", deviceId="dev-sim-1"))
        rig.lost.set()
        await asyncio.sleep(1)
        assert rig.values == ["failed TOY_NOT_FOUND", []]
        assert rig.rejected == []

    on_virtual_time(test, ApplicationError("TOY_NOT_FOUND"), [])


def test_an_answer_to_what_is_no_longer_asked_is_dropped() -> None:
    """The toy became another one while the cloud thought."""

    async def test(rig: Rig) -> None:
        rig.calls._takes_ms = 1_000
        rig.lost.set()
        await asyncio.sleep(1)
        rig.queries[:] = [rig.asking("toys:getConfiguration", toyId="toy-2")]
        await asyncio.sleep(29.9)
        assert rig.values == []
        await asyncio.sleep(10)
        assert rig.values == [{"version": 1}]

    on_virtual_time(test, {"version": 1})


def test_a_hint_makes_it_ask_soon() -> None:
    """But not more often than every two seconds, and not while the live queries work."""

    async def test(rig: Rig) -> None:
        rig.polling.hint()
        await asyncio.sleep(10)
        rig.lost.set()
        await asyncio.sleep(5)
        for _ in range(100):
            rig.polling.hint()
            await asyncio.sleep(0.1)
        await asyncio.sleep(40)
        assert rig.times_s() == [10.5, 15, 17, 19, 21, 23, 25, 55]

    on_virtual_time(test, {})


def test_a_defect_of_who_takes_an_answer_does_not_end_the_asking(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and the next question is asked."""

    def defective(_: object) -> None:
        raise ZeroDivisionError

    async def test(rig: Rig) -> None:
        rig.queries.insert(0, Query("a:b", {}, defective, defective))
        rig.lost.set()
        await asyncio.sleep(40)
        assert rig.values == ["failed GONE", "failed GONE"]

    on_virtual_time(test, {}, ApplicationError("GONE"))
    assert caplog.messages == [
        "the value of a:b was not taken (ZeroDivisionError)",
        "the failure of a:b was not taken (ZeroDivisionError)",
    ]


def test_a_defect_of_ours_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    """A locked toy whose live queries are lost must hear its release all the same."""

    async def test(rig: Rig) -> None:
        rig.lost.set()
        await asyncio.sleep(65)
        assert len(rig.calls.calls) >= 2
        assert rig.values == [{"version": 1}] * (len(rig.calls.calls) - 1)

    on_virtual_time(test, ValueError("canary words"), {"version": 1})
    assert caplog.messages == ["polling failed (ValueError): it begins anew"]
