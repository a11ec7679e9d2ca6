"""Waiting for what a toy does."""

from __future__ import annotations

import asyncio

import pytest

from hardware.sim.clock import run_virtual
from simulator.watch import Watch, arrives_at
from states.events import Event
from states.machine import Step


def step(source: str, to: str, name: str = "press") -> Step:
    """Return a step between two states."""
    return Step(Event(name), source, "row", to, ())


BEGINS, STAYS, ENDS = step("a", "b"), step("b", "b", "release"), step("b", "a")


def test_a_step_that_has_been_is_found_from_the_place_one_looks_from() -> None:
    """Nothing is missed between doing something and waiting for what comes of it."""

    async def main() -> None:
        watch = Watch()
        for taken in (BEGINS, STAYS, ENDS, BEGINS):
            watch(taken)
        assert watch.steps == [BEGINS, STAYS, ENDS, BEGINS]
        assert await watch.first(arrives_at("b"), 1, since=0) is BEGINS
        assert await watch.first(arrives_at("a"), 1, since=1) is ENDS
        assert asyncio.get_running_loop().time() == 0

    run_virtual(main())


def test_a_step_that_is_to_come_is_waited_for() -> None:
    """Those that do not fit are passed over."""

    async def main() -> None:
        watch, loop = Watch(), asyncio.get_running_loop()
        watch(ENDS)
        for at_s, taken in ((1, STAYS), (2, BEGINS), (3, ENDS)):
            loop.call_later(at_s, watch, taken)
        assert await watch.first(arrives_at("a"), 10, since=1) is ENDS
        assert loop.time() == 3

    run_virtual(main())


def test_several_may_wait_at_once() -> None:
    """Each for something else, or for the same."""

    async def main() -> None:
        watch, loop = Watch(), asyncio.get_running_loop()
        loop.call_later(1, watch, BEGINS)
        loop.call_later(2, watch, ENDS)
        found = await asyncio.gather(
            watch.first(arrives_at("a"), 10, since=0),
            watch.first(arrives_at("b"), 10, since=0),
            watch.first(arrives_at("a", "b"), 10, since=0),
        )
        assert list(found) == [ENDS, BEGINS, BEGINS]

    run_virtual(main())


def test_patience_ends() -> None:
    """And whoever gave up is told of nothing any more."""

    async def main() -> None:
        watch = Watch()
        with pytest.raises(TimeoutError):
            await watch.first(arrives_at("b"), 5, since=0)
        assert asyncio.get_running_loop().time() == 5
        watch(BEGINS)
        assert watch._waiting == []

    run_virtual(main())


def test_to_arrive_is_to_come_from_elsewhere() -> None:
    """A step within a state is no arrival."""
    assert arrives_at("b")(BEGINS)
    assert not arrives_at("b")(STAYS)
    assert not arrives_at("b")(ENDS)
