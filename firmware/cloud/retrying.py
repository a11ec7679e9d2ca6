"""Trying again: what an error says about it, and calls that somebody waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from firmware.backoff import Backoff
from firmware.cloud.errors import (
    ApplicationError,
    AuthenticationError,
    BacklogError,
    ClosedError,
    CloudFaultError,
    DeadlineError,
    NetworkError,
    ServerError,
    UploadRefusedError,
)
from firmware.cloud.values import TOKEN_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from random import Random

    from firmware.cloud.caller import Calls
    from firmware.cloud.session import Kind

TRIES_MAX: Final = 3
RETRY_MS_MIN: Final = 500
RETRY_MS_MAX: Final = 4_000
DEADLINE_MS: Final = 20_000

IDENTITY_CODES: Final = TOKEN_REFUSALS | {"BAD_SECRET"}
"""Codes of a refusal that is about who asks, and not about what is asked."""

Follows = Literal["wait", "authentication", "refused", "doubtful"]
"""What an error says about trying again."""

_PASSING_STATUSES: Final = frozenset({408, 425, 429})
_SERVER_FAULTS: Final = 500  # and above: RFC 9110, section 15.6

_T = TypeVar("_T")


async def call_with_retries(  # noqa: PLR0913 - what a call is made of
    calls: Calls,
    kind: Kind,
    function: str,
    arguments: Callable[[], Mapping[str, object]],
    parse: Callable[[object], _T],
    *,
    token: str | None,
    random: Random,
    deadline_ms: int = DEADLINE_MS,
) -> _T:
    """Call a function as `Calls.call` does, `TRIES_MAX` times if need be, with full jitter.

    Only what may pass by itself is tried again: a cloud that was not reached, was late, broke down
    or was too busy. A mutation may so be carried out several times.

    `random` draws the waits; `deadline_ms` is how long all of it may take.

    Raises:
        CloudFaultError: What the last try raised; or DeadlineError, when time was up.
        ClosedError: The calls are closed.
    """
    return await with_retries(
        function,
        lambda: calls.call(kind, function, arguments, parse, token=token),
        random=random,
        deadline_ms=deadline_ms,
    )


async def with_retries(
    name: str, attempt: Callable[[], Awaitable[_T]], *, random: Random, deadline_ms: int
) -> _T:
    """Make an attempt as often as `call_with_retries` makes a call, in as long as it may take.

    `name` is what is attempted, for errors.

    Raises:
        CloudFaultError: What the last try raised; or DeadlineError, when time was up.
        ClosedError: The calls are closed.
    """
    backoff = Backoff(RETRY_MS_MIN, RETRY_MS_MAX, random)
    try:
        async with asyncio.timeout(deadline_ms / 1000):
            for _ in range(TRIES_MAX - 1):
                try:
                    return await attempt()
                except CloudFaultError as error:
                    if what_follows(error) != "wait":
                        raise
                await asyncio.sleep(backoff.next_delay_ms() / 1000)
            return await attempt()
    except TimeoutError:
        pass
    raise DeadlineError(f"{name} was not answered within {deadline_ms} ms")


def what_follows(error: Exception) -> Follows:
    """Return what an error of a call says about trying again."""
    code = error.code if isinstance(error, ApplicationError) else ""
    if isinstance(error, AuthenticationError) or code in IDENTITY_CODES:
        return "authentication"
    if isinstance(error, NetworkError | BacklogError | ClosedError) or _is_passing(error):
        return "wait"
    if code or isinstance(error, UploadRefusedError):
        return "refused"
    return "doubtful"  # a function that broke down, an answer that cannot be read, a defect of ours


def _is_passing(error: Exception) -> bool:
    return isinstance(error, ServerError) and (
        error.status >= _SERVER_FAULTS or error.status in _PASSING_STATUSES
    )
