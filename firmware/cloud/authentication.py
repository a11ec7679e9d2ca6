"""Obtains tokens, renews them before they expire, and backs off when there are none to be had."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from firmware.backoff import Backoff
from firmware.cloud.credentials import Identity, Tokens
from firmware.cloud.errors import (
    ApplicationError,
    AuthenticationError,
    CloudFaultError,
    SecretUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from firmware.cloud.caller import Calls
    from firmware.cloud.settings import CloudSettings
    from firmware.ports import PerformEffect, Post
    from hardware.clock import Clock

FUNCTION: Final = "auth:authenticateDevice"

REFUSALS: Final = frozenset({"DEVICE_NOT_FOUND", "BAD_SECRET"})
"""Codes that mean: not this device, or not with this secret. Trying again soon is of no use."""

RENEWAL_SHARE: Final = 0.8
"""How much of the shorter lifetime passes before new tokens are asked for."""

OnTokens = Callable[[Tokens], None]
"""Takes up a new grant; called on the loop, before ``tokens_granted`` is posted."""

_log = logging.getLogger(__name__)


class Authentication:
    """Performs ``authenticate`` and ``back_off``; holds the tokens.

    It decides nothing about what a failure means: it posts ``tokens_granted``, ``auth_failed``,
    ``auth_due`` and ``tokens_lost``, and the table says what follows. There is never more than one
    authentication under way. All its times are on the clock, so a wall clock that jumps expires
    nothing.

    Args:
        random: Draws the waits; one that is seeded makes them repeatable.
        on_tokens: Who takes up new tokens, in this order.
        may_connect: Awaited before the first call, such as for a wall clock by which certificates
            can be judged. Nobody waits if it is left out.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: CloudSettings,
        identity: Identity,
        calls: Calls,
        *,
        clock: Clock,
        post: Post,
        random: Random,
        on_tokens: Sequence[OnTokens],
        may_connect: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._identity = identity
        self._calls = calls
        self._clock = clock
        self._post = post
        self._on_tokens = tuple(on_tokens)
        self._may_connect = may_connect
        self._tokens: Tokens | None = None
        self._granted_ms = 0
        retry = (settings.retry_delay_ms_min, settings.retry_delay_ms_max)
        self._settled_ms = settings.retry_delay_ms_max
        self._failures = Backoff(*retry, random)
        self._refusals = Backoff(
            settings.refused_delay_ms_min, settings.refused_delay_ms_max, random
        )
        self._rejections = Backoff(*retry, random)
        self._task: asyncio.Task[None] | None = None
        self._is_due = False
        self._told = ""
        self._due = _Alarm(clock, self._ring)
        self._end = _Alarm(clock, self._lose)

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {"authenticate": self._authenticate, "back_off": self._back_off}

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that are held; None before the first grant and after they were lost."""
        return self._tokens

    def reject(self, tokens: Tokens) -> None:
        """Note that the cloud no longer takes these tokens; ``tokens_lost`` follows.

        Tokens of an older grant are ignored. The event comes after a wait with full jitter, longer
        each time: a cloud that grants tokens and then refuses them is not asked in a tight circle.
        """
        if tokens is not self._tokens:
            return
        _log.warning("the cloud no longer takes the tokens")
        self._tokens = None
        self._end.set(self._rejection_delay_ms())

    async def close(self) -> None:
        """Stop: nothing is posted from now on."""
        self._due.cancel()
        self._end.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _authenticate(self) -> None:
        if self._task is None:
            self._due.cancel()
            # Tokens are held and not due: the gateway did not take them, and perhaps took those of
            # no other toy either. They do not all ask at once.
            is_refused = self._tokens is not None and not self._is_due
            wait_ms = self._rejection_delay_ms() if is_refused else 0
            self._task = asyncio.create_task(self._obtain(wait_ms), name="authentication")

    def _back_off(self, *, refused: bool) -> None:
        if self._task is None:  # else it was asked for since, and that result says how to go on
            backoff = self._refusals if refused else self._failures
            self._due.set(backoff.next_delay_ms())

    async def _obtain(self, wait_ms: int) -> None:
        await asyncio.sleep(wait_ms / 1000)
        try:
            if self._may_connect is not None:
                await self._may_connect()
                self._may_connect = None
            asked_ms = self._clock.monotonic_ms()
            tokens = await self._calls.call("mutation", FUNCTION, self._arguments, Tokens.parse)
        except Exception as error:  # noqa: BLE001 - whatever it is, the toy must try again
            self._task = None
            self._fail(error)
        else:
            self._task = None
            self._grant(tokens, asked_ms)

    def _arguments(self) -> Mapping[str, object]:
        """Return the function's arguments; on a worker's thread, since a vault takes its time."""
        try:
            return {"deviceId": self._identity.device_id, "deviceSecret": self._identity.secret()}
        except Exception:  # noqa: BLE001, S110 - of what a vault raises, only the fact is kept
            pass
        raise SecretUnavailableError("the device's secret cannot be read")

    def _fail(self, error: Exception) -> None:
        reason = error if isinstance(error, CloudFaultError) else type(error).__name__
        if str(reason) != self._told:  # it may fail so for weeks
            self._told = str(reason)
            _log.warning("authentication failed, and is tried again: %s", reason)
        self._post("auth_failed", refused=_is_refusal(error))

    def _grant(self, tokens: Tokens, asked_ms: int) -> None:
        now_ms = self._clock.monotonic_ms()
        self._tokens, self._granted_ms, self._is_due = tokens, now_ms, False
        self._told = ""
        self._failures.reset()
        self._refusals.reset()
        # The lifetime began when the cloud made the tokens: when they were asked for, or later.
        passed_ms = now_ms - asked_ms
        lifetime_ms = int(tokens.lifetime_s * 1000)
        self._due.set(max(0, int(lifetime_ms * RENEWAL_SHARE) - passed_ms))
        self._end.set(max(0, lifetime_ms - passed_ms))
        for take_up in self._on_tokens:
            take_up(tokens)
        self._post("tokens_granted")

    def _rejection_delay_ms(self) -> int:
        if self._clock.monotonic_ms() - self._granted_ms > self._settled_ms:
            self._rejections.reset()
        return self._rejections.next_delay_ms()

    def _ring(self) -> None:
        self._is_due = True
        self._post("auth_due")

    def _lose(self) -> None:
        self._tokens = None
        self._post("tokens_lost")


class _Alarm:
    """One timer that can be set again; setting it anew cancels what was set before."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_ms: int) -> None:
        """Ring once, `delay_ms` from now."""
        self.cancel()
        self._timer = self._clock.call_later(delay_ms, self._ring)

    def cancel(self) -> None:
        """Do not ring; harmless at any time."""
        if self._timer is not None:
            self._timer.cancel()


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, AuthenticationError) or (
        isinstance(error, ApplicationError) and error.code in REFUSALS
    )
