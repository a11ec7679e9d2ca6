"""Calls that somebody waits for."""

from __future__ import annotations

from random import Random

import pytest

from firmware.cloud.errors import (
    ApplicationError,
    AuthenticationError,
    BacklogError,
    ClosedError,
    CloudError,
    DeadlineError,
    MalformedError,
    NetworkError,
    ServerError,
    UploadRefusedError,
)
from firmware.cloud.retrying import Follows, call_with_retries, what_follows
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.scripted import Fixed, ScriptedCalls


def as_is(value: object) -> object:
    """Return the value."""
    return value


async def call(
    calls: ScriptedCalls, random: Random | None = None, deadline_ms: int = 20_000
) -> object:
    """Call a function with retries."""
    return await call_with_retries(
        calls,
        "mutation",
        "a:b",
        dict,
        as_is,
        token=None,
        random=random or Fixed(),
        deadline_ms=deadline_ms,
    )


@pytest.mark.parametrize(
    ("error", "follows"),
    [
        (NetworkError("x"), "wait"),
        (DeadlineError("x"), "wait"),
        (BacklogError("x"), "wait"),
        (ClosedError("x"), "wait"),
        (ServerError(500), "wait"),
        (ServerError(599), "wait"),
        (ServerError(408), "wait"),
        (ServerError(429), "wait"),
        (ServerError(404), "doubtful"),
        (ServerError(413), "doubtful"),
        (ServerError(302), "doubtful"),
        (AuthenticationError("x"), "authentication"),
        (ApplicationError("UNAUTHENTICATED"), "authentication"),
        (ApplicationError("DEVICE_NOT_FOUND"), "authentication"),
        (ApplicationError("BAD_SECRET"), "authentication"),
        (ApplicationError("NO_SUCH_COMMAND"), "refused"),
        (UploadRefusedError("x"), "refused"),
        (ApplicationError(""), "doubtful"),
        (MalformedError("x"), "doubtful"),
        (ValueError("x"), "doubtful"),
    ],
    ids=repr,
)
def test_every_error_says_what_follows(error: Exception, follows: Follows) -> None:
    """One place decides it for all who try again."""
    assert what_follows(error) == follows


def test_what_passes_is_tried_three_times_with_jitter() -> None:
    """Each wait is drawn, under a ceiling that doubles."""

    async def main() -> None:
        chance = Fixed()
        calls = ScriptedCalls(Clock(), NetworkError("x"), ServerError(503), "value")
        assert await call(calls, chance) == "value"
        assert [made.at_ms for made in calls.calls] == [0, 500, 1_500]
        assert chance.asked == [(0, 500), (0, 1_000)]

    run_virtual(main())


def test_the_third_failure_is_the_last() -> None:
    """And is what the caller is told."""

    async def main() -> None:
        calls = ScriptedCalls(Clock(), NetworkError("x"), NetworkError("x"), ServerError(503))
        with pytest.raises(ServerError):
            await call(calls)
        assert len(calls.calls) == 3

    run_virtual(main())


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("x"), ApplicationError("NO"), MalformedError("x"), ClosedError("x")],
    ids=repr,
)
def test_what_does_not_pass_is_told_at_once(error: CloudError) -> None:
    """Trying again would only take time."""

    async def main() -> None:
        calls = ScriptedCalls(Clock(), error)
        with pytest.raises(type(error)):
            await call(calls)
        assert len(calls.calls) == 1

    run_virtual(main())


def test_all_of_it_ends_at_the_deadline() -> None:
    """Somebody waits."""

    async def main() -> None:
        clock = Clock()
        calls = ScriptedCalls(clock, NetworkError("x"), takes_ms=9_000)
        with pytest.raises(DeadlineError, match="a:b was not answered within 20000 ms"):
            await call(calls)
        assert clock.monotonic_ms() == 20_000
        assert len(calls.calls) == 3

    run_virtual(main())
