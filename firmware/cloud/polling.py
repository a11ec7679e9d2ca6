"""The live queries' stand-in: the same questions over HTTP, now and then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from firmware.cloud.errors import ApplicationError, AuthenticationError, CloudFaultError
from firmware.supervised import supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from firmware.cloud.caller import Calls
    from firmware.cloud.credentials import Tokens
    from firmware.cloud.query import Query
    from firmware.cloud.settings import CloudSettings

HINTED_MS_MIN: Final = 2_000
"""Shortest time between two rounds of questions, however often somebody says there is news."""

_log = logging.getLogger(__name__)


class Polling:
    """Asks queries while the live ones are lost: soon after the loss, then at each interval.

    One that fails keeps no other from being asked. It also tells a token that the cloud no longer
    takes from a cloud that cannot be reached: the live queries cannot.

    Args:
        queries: Gives the queries as of now.
        lost: Set while the live queries do not work.
        tokens: Gives the tokens that are held, if any.
        on_rejected: Takes tokens that the cloud does not take.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: CloudSettings,
        calls: Calls,
        *,
        queries: Callable[[], Sequence[Query]],
        lost: asyncio.Event,
        random: Random,
        tokens: Callable[[], Tokens | None],
        on_rejected: Callable[[Tokens], None],
    ) -> None:
        self._calls = calls
        self._queries = queries
        self._lost = lost
        self._random = random
        self._tokens = tokens
        self._on_rejected = on_rejected
        self._first_delay_ms_max = settings.retry_delay_ms_min
        self._interval_ms = settings.poll_interval_ms
        self._outcomes: dict[str, str] = {}
        self._hinted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch for the loss of the live queries."""
        self._task = asyncio.create_task(supervised("polling", self._run), name="polling")

    def hint(self) -> None:
        """Ask soon, if it asks at all: somebody says that there is something new."""
        self._hinted.set()

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._lost.wait()
            # Toys that lost the same cloud at once do not all ask at once.
            await asyncio.sleep(self._random.randint(0, self._first_delay_ms_max) / 1000)
            while self._lost.is_set():
                for query in self._queries():
                    await self._ask(query)
                await self._rest()

    async def _rest(self) -> None:
        """Wait until it is time to ask again; a hint shortens that, but not to nothing."""
        soon_ms = min(HINTED_MS_MIN, self._interval_ms)
        self._hinted.clear()
        await asyncio.sleep(soon_ms / 1000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout((self._interval_ms - soon_ms) / 1000):
                await self._hinted.wait()

    async def _ask(self, query: Query) -> None:
        tokens = self._tokens()
        if tokens is None:
            return
        try:
            value = await self._calls.call(
                "query",
                query.function,
                lambda: query.arguments,
                lambda value: value,
                token=tokens.convex,
            )
        except CloudFaultError as error:
            self._note(query, f"failed: {error}")
            if isinstance(error, AuthenticationError):
                self._on_rejected(tokens)
            elif isinstance(error, ApplicationError) and query in self._queries():
                query.fail(error.code)
        else:
            self._note(query, "works")
            if query in self._queries():  # it may have been given up while the cloud thought
                query.give(value)

    def _note(self, query: Query, outcome: str) -> None:
        """Log what polling brings, when it is not what it brought before."""
        if outcome != self._outcomes.get(query.function):
            self._outcomes[query.function] = outcome
            _log.info("polling %s %s", query.function, outcome)
