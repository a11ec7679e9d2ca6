"""Authentication, on virtual time and with calls that follow a script."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from firmware.cloud.authentication import Authentication
from firmware.cloud.credentials import Identity, Tokens
from firmware.cloud.errors import (
    ApplicationError,
    AuthenticationError,
    CloudFaultError,
    MalformedError,
    NetworkError,
    SecretUnavailableError,
    ServerError,
)
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.examples import CANARIES, GRANT, IDENTITY, SECRET, settings
from tests.firmware.cloud.scripted import Fixed, ScriptedCalls, Table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOUR_MS = 3_600_000


class Rig(NamedTuple):
    """An authentication with its neighbours."""

    authentication: Authentication
    calls: ScriptedCalls
    table: Table
    taken_up: list[Tokens]

    def authenticate(self) -> None:
        """As the table asks for it."""
        self.authentication.effects["authenticate"]()


def on_virtual_time(  # noqa: PLR0913 - what the rig is made of
    test: Callable[[Rig], Awaitable[None]],
    *outcomes: object,
    takes_ms: int = 0,
    identity: Identity = IDENTITY,
    chance: Fixed | None = None,
    reacts: bool = True,
    may_connect: Callable[[], Awaitable[object]] | None = None,
    **changes: Any,  # noqa: ANN401 - any setting
) -> None:
    """Run a test on virtual time; with a table that reacts unless told otherwise."""

    async def main() -> None:
        clock = Clock()
        calls = ScriptedCalls(clock, *outcomes, takes_ms=takes_ms)
        table = Table(clock)
        taken_up: list[Tokens] = []
        authentication = Authentication(
            settings(**changes),
            identity,
            calls,
            clock=clock,
            post=table.post,
            random=chance or Fixed(),
            on_tokens=[taken_up.append],
            may_connect=may_connect,
        )
        if reacts:
            table.connect(authentication.effects)
        await test(Rig(authentication, calls, table, taken_up))
        await authentication.close()

    run_virtual(main())


def test_a_grant_is_posted_and_handed_on() -> None:
    """Once each, and the tokens are held."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        assert await rig.table.until("tokens_granted") == {}
        assert rig.authentication.tokens is rig.taken_up[0]
        assert len(rig.taken_up) == 1
        (call,) = rig.calls.calls
        assert (call.kind, call.function, call.token) == (
            "mutation", "auth:authenticateDevice", None,
        )  # fmt: skip
        assert call.arguments == {"deviceId": "dev-sim-1", "deviceSecret": SECRET}

    on_virtual_time(test, GRANT)


def test_tokens_are_renewed_at_four_fifths_of_the_shorter_lifetime() -> None:
    """Long before they expire, and counted from when they were asked for."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted", count=3)
        assert rig.table.times_ms("auth_due") == [HOUR_MS * 8 // 10, 2 * HOUR_MS * 8 // 10]
        assert rig.table.named("tokens_lost") == []
        assert rig.authentication.tokens is rig.taken_up[-1]

    on_virtual_time(test, GRANT, takes_ms=500)


def test_tokens_that_could_not_be_renewed_are_lost_when_they_expire() -> None:
    """Until then they are held, whatever fails meanwhile."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("auth_failed", count=3)
        assert rig.authentication.tokens is rig.taken_up[0]
        await rig.table.until("tokens_lost")
        assert rig.table.times_ms("tokens_lost") == [HOUR_MS]
        assert rig.authentication.tokens is None
        assert len(rig.taken_up) == 1

    on_virtual_time(test, GRANT, NetworkError("down"))


def test_a_renewal_that_comes_late_keeps_the_tokens_from_being_lost() -> None:
    """The old end is not the end of the new ones."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted", count=2)
        granted_ms = rig.table.times_ms("tokens_granted")[1]
        assert HOUR_MS * 8 // 10 < granted_ms < HOUR_MS
        await rig.table.until("auth_due", count=4)
        assert rig.table.named("tokens_lost") == []

    on_virtual_time(test, GRANT, NetworkError("down"), NetworkError("down"), GRANT)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ApplicationError("DEVICE_NOT_FOUND"), True),
        (ApplicationError("BAD_SECRET"), True),
        (AuthenticationError("401"), True),
        (ApplicationError("MAINTENANCE"), False),
        (ApplicationError(""), False),
        (NetworkError("down"), False),
        (ServerError(500), False),
        (MalformedError("odd"), False),
        (CloudFaultError("odd"), False),
        (OSError("a defect, or a thread that cannot be started"), False),
    ],
)
def test_a_failure_says_whether_the_credentials_were_refused(
    error: Exception,
    refused: bool,  # noqa: FBT001 - the table's field
) -> None:
    """Only what trying again soon cannot help counts as refused."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        assert await rig.table.until("auth_failed") == {"refused": refused}
        assert rig.authentication.tokens is None

    on_virtual_time(test, error, reacts=False)


@pytest.mark.parametrize("grant", [None, {}, {**GRANT, "convexToken": 7}])
def test_a_malformed_grant_is_a_failure(grant: object) -> None:
    """It may be better next time."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        assert await rig.table.until("auth_failed") == {"refused": False}

    on_virtual_time(test, grant, reacts=False)


@pytest.mark.parametrize(
    ("error", "waits_s"),
    [
        (NetworkError("down"), [1, 2, 4, 8, 16, 32, 60, 60]),
        (ApplicationError("BAD_SECRET"), [60, 120, 240, 480, 960, 1920, 3600, 3600]),
    ],
)
def test_it_backs_off_longer_each_time(error: Exception, waits_s: list[int]) -> None:
    """From a second to a minute; from a minute to an hour where the credentials were refused."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("auth_failed", count=9)
        times_ms = [call.at_ms for call in rig.calls.calls]
        waits_ms = [after - before for before, after in itertools.pairwise(times_ms)]
        assert waits_ms == [wait_s * 1000 for wait_s in waits_s]

    on_virtual_time(test, error)


def test_waits_have_full_jitter() -> None:
    """Drawn from nothing at all up to the ceiling."""
    chance = Fixed(0.25)

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("auth_failed", count=3)
        assert chance.asked[:2] == [(0, 1_000), (0, 2_000)]
        assert rig.table.times_ms("auth_due") == [250, 750]

    on_virtual_time(test, NetworkError("down"), chance=chance)


def test_success_resets_the_waits() -> None:
    """Of both kinds."""
    bad, down = ApplicationError("BAD_SECRET"), NetworkError("down")

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("auth_failed", count=6)
        failed_ms = rig.table.times_ms("auth_failed")
        due_ms = rig.table.times_ms("auth_due")
        assert len(rig.taken_up) == 1
        del due_ms[3]  # the renewal
        waits_ms = [due - failed for due, failed in zip(due_ms, failed_ms, strict=False)]
        assert waits_ms == [1_000, 2_000, 60_000, 1_000, 60_000]

    on_virtual_time(test, down, down, bad, GRANT, down, bad)


def test_there_is_never_more_than_one_at_a_time() -> None:
    """Asked for again while it is under way, the one that is under way is the answer."""

    async def test(rig: Rig) -> None:
        for _ in range(3):
            rig.authenticate()
            rig.authentication.effects["back_off"](refused=False)
        await rig.table.until("tokens_granted")
        rig.authenticate()
        await rig.table.until("tokens_granted", count=2)
        assert rig.calls.at_once_max == 1
        assert len(rig.calls.calls) == 2
        assert rig.table.named("auth_due") == []

    on_virtual_time(test, GRANT, takes_ms=100, reacts=False)


def test_asking_at_once_cancels_the_wait() -> None:
    """What was waited for is happening."""

    async def test(rig: Rig) -> None:
        rig.authentication.effects["back_off"](refused=True)
        rig.authenticate()
        await rig.table.until("tokens_granted")
        await rig.table.until("auth_due")
        assert rig.table.times_ms("auth_due") == [HOUR_MS * 8 // 10]

    on_virtual_time(test, GRANT, reacts=False)


def test_tokens_that_the_cloud_no_longer_takes_are_lost() -> None:
    """With a little jitter, so that a thousand toys do not ask at once; and then asked for anew."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted")
        rig.authentication.reject(rig.taken_up[0])
        assert rig.authentication.tokens is None
        await rig.table.until("tokens_granted", count=2)
        assert rig.table.times_ms("tokens_lost") == [500]
        assert rig.authentication.tokens is rig.taken_up[1]

    on_virtual_time(test, GRANT, chance=Fixed(0.5))


def test_tokens_that_the_gateway_does_not_take_are_replaced_after_a_while() -> None:
    """The stream says that they are lost; longer each time, unless they were good in between."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted")
        for count in range(1, 4):
            rig.table.post("tokens_lost")
            await rig.table.until("tokens_granted", count=count + 1)
        assert rig.table.times_ms("tokens_granted") == [0, 1_000, 3_000, 7_000]
        await asyncio.sleep(61)
        rig.table.post("tokens_lost")
        await rig.table.until("tokens_granted", count=5)
        assert rig.table.times_ms("tokens_granted")[4] == 7_000 + 61_000 + 1_000

    on_virtual_time(test, GRANT)


@pytest.mark.parametrize("loss", ["the gateway", "the cloud", "a failed call"])
def test_a_thousand_toys_do_not_come_back_in_step(loss: str) -> None:
    """Whoever takes the tokens of all of them back at once: no tenth of a second sees many."""

    async def main() -> None:
        clock = Clock()
        outcomes = [NetworkError("down")] if loss == "a failed call" else [GRANT]
        calls = ScriptedCalls(clock, *outcomes)
        toys: list[tuple[Authentication, Table]] = []
        for seed in range(1_000):
            table = Table(clock)
            authentication = Authentication(
                settings(),
                IDENTITY,
                calls,
                clock=clock,
                post=table.post,
                random=Random(seed),  # noqa: S311 - jitter
                on_tokens=[],
            )
            table.connect(authentication.effects)
            toys.append((authentication, table))
            authentication.effects["authenticate"]()
        await asyncio.sleep(0.001 if loss == "a failed call" else 120)
        began = len(calls.calls)
        assert began >= 1_000
        for authentication, table in toys:
            if loss == "the gateway":
                table.post("tokens_lost")
            elif authentication.tokens is not None:
                authentication.reject(authentication.tokens)
        lost_ms = clock.monotonic_ms()
        await asyncio.sleep(1.1)
        tenths = [(call.at_ms - lost_ms) // 100 for call in calls.calls[began:]]
        assert len(tenths) >= 900
        assert max(tenths.count(tenth) for tenth in set(tenths)) <= 150
        for authentication, _ in toys:
            await authentication.close()

    run_virtual(main())


def test_a_rejection_of_older_tokens_is_ignored() -> None:
    """It arrived late; nothing is wrong with the present ones."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted", count=2)
        rig.authentication.reject(rig.taken_up[0])
        assert rig.authentication.tokens is rig.taken_up[1]
        await rig.table.until("auth_due", count=3)
        assert rig.table.named("tokens_lost") == []

    on_virtual_time(test, GRANT)


def test_a_cloud_that_grants_and_rejects_is_not_asked_in_a_circle() -> None:
    """The waits grow with each rejection, and shrink after tokens that were good for a while."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        for count in range(1, 5):
            await rig.table.until("tokens_granted", count=count)
            rig.authentication.reject(rig.taken_up[-1])
        await rig.table.until("tokens_granted", count=5)
        assert rig.table.times_ms("tokens_lost") == [1_000, 3_000, 7_000, 15_000]
        await rig.table.until("tokens_granted", count=6)
        await asyncio.sleep(61)
        before_ms = rig.table.times_ms("tokens_granted")[-1] + 61_000
        rig.authentication.reject(rig.taken_up[-1])
        await rig.table.until("tokens_lost", count=5)
        assert rig.table.times_ms("tokens_lost")[-1] == before_ms + 1_000

    on_virtual_time(test, GRANT)


def test_a_secret_that_cannot_be_had_is_a_failure_and_nothing_of_it_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A vault raises whatever it likes, perhaps with the secret in it."""

    def vault() -> str:
        raise LookupError(SECRET)

    async def test(rig: Rig) -> None:
        rig.authenticate()
        assert await rig.table.until("auth_failed") == {"refused": False}
        with pytest.raises(SecretUnavailableError) as raised:
            rig.authentication._arguments()
        assert raised.value.__context__ is None

    on_virtual_time(test, GRANT, identity=Identity("dev-sim-1", "toy-sim-1", vault), reacts=False)
    assert "the device's secret cannot be read" in caplog.text
    assert SECRET not in caplog.text


def test_revoked_credentials_are_survived() -> None:
    """Refused for days, it comes back by itself as soon as the cloud takes them again."""
    refused = ApplicationError("DEVICE_NOT_FOUND")

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted")
        rig.authentication.reject(rig.taken_up[0])
        assert rig.authentication.tokens is None
        await rig.table.until("tokens_granted", count=2)
        assert rig.table.named("auth_failed") == [{"refused": True}] * 40
        assert rig.table.times_ms("tokens_granted")[1] > 24 * HOUR_MS
        assert rig.authentication.tokens is rig.taken_up[1]
        await rig.table.until("auth_due", count=42)
        assert rig.calls.at_once_max == 1

    on_virtual_time(test, GRANT, *[refused] * 40, GRANT)


def test_the_clock_is_waited_for_once_before_the_first_call() -> None:
    """A certificate cannot be judged before; later it is nobody's business."""
    waits: list[float] = []

    async def may_connect() -> None:
        waits.append(asyncio.get_running_loop().time())
        await asyncio.sleep(7)

    async def test(rig: Rig) -> None:
        rig.authenticate()
        rig.authenticate()
        await rig.table.until("tokens_granted", count=3)
        assert len(waits) == 1
        assert rig.calls.calls[0].at_ms == 7_000
        assert rig.table.times_ms("auth_due")[0] == 7_000 + HOUR_MS * 8 // 10

    on_virtual_time(test, GRANT, may_connect=may_connect)


def test_a_clock_that_is_waited_for_does_not_hold_up_the_end() -> None:
    """Closing is possible at any moment."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await asyncio.sleep(1)
        await rig.authentication.close()
        assert rig.calls.calls == []
        assert rig.table.posted == []

    on_virtual_time(test, GRANT, may_connect=asyncio.Event().wait)


def test_a_clock_that_fails_is_a_failure_like_any_other() -> None:
    """It is waited for again, and the toy goes on trying."""
    failures = [OSError("odd"), OSError("odd")]

    async def may_connect() -> None:
        if failures:
            raise failures.pop()

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted")
        assert rig.table.named("auth_failed") == [{"refused": False}] * 2
        assert len(rig.calls.calls) == 1

    on_virtual_time(test, GRANT, may_connect=may_connect)


def test_a_wall_clock_that_jumps_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten years forth and back: tokens live by the monotonic clock."""
    jumps = itertools.cycle([315_000_000.0, -315_000_000.0])
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + next(jumps))

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted", count=3)
        assert rig.table.times_ms("auth_due") == [HOUR_MS * 8 // 10, 2 * HOUR_MS * 8 // 10]
        assert rig.table.named("tokens_lost") == []

    on_virtual_time(test, GRANT)


def test_the_secret_is_asked_for_each_time() -> None:
    """Nobody here keeps it, and a new one is used as soon as there is one."""
    secrets = iter(["first", "second"])

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("tokens_granted", count=2)
        sent = [call.arguments["deviceSecret"] for call in rig.calls.calls]
        assert sent == ["first", "second"]

    identity = Identity("dev-sim-1", "toy-sim-1", lambda: next(secrets))
    on_virtual_time(test, GRANT, identity=identity)


def test_closing_ends_everything() -> None:
    """A call under way is given up; nothing is posted any more."""

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await asyncio.sleep(0)
        await rig.authentication.close()
        await asyncio.sleep(2 * HOUR_MS / 1000)
        assert rig.table.posted == []
        assert rig.calls.at_once == 0

    on_virtual_time(test, GRANT, takes_ms=5_000)


def test_a_failure_is_logged_once_until_it_is_another_or_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However often it is met, so that a week without a cloud is one line."""
    down, broken = NetworkError("the cloud cannot be reached"), ServerError(503)

    async def test(rig: Rig) -> None:
        rig.authenticate()
        await rig.table.until("auth_failed", count=6)
        told = [
            line.partition("again: ")[2] for line in caplog.messages if "is tried again" in line
        ]
        assert told == [str(down), str(broken), str(broken)]

    on_virtual_time(test, down, down, broken, broken, GRANT, broken)


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Through grants, failures and losses, with the loop telling all it knows."""
    caplog.set_level(logging.DEBUG)

    async def test(rig: Rig) -> None:
        asyncio.get_running_loop().set_debug(True)
        asyncio.get_running_loop().slow_callback_duration = 0
        rig.authenticate()
        await rig.table.until("tokens_granted")
        rig.authentication.reject(rig.taken_up[0])
        await rig.table.until("auth_failed")

    on_virtual_time(test, GRANT, ApplicationError("BAD_SECRET"))
    assert "took" in caplog.text
    assert not [canary for canary in CANARIES if canary in caplog.text]
