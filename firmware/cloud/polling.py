"""The live query's stand-in: the same question over HTTP, now and then."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from firmware.cloud.errors import AuthenticationError, CloudFaultError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from firmware.cloud.caller import Calls
    from firmware.cloud.credentials import Tokens
    from firmware.cloud.live import Query
    from firmware.cloud.settings import CloudSettings

_log = logging.getLogger(__name__)


class Polling:
    """Asks a query while the live query is lost: soon after the loss, then at each interval.

    It also tells a token that the cloud no longer takes from a cloud that cannot be reached: the
    live query cannot.

    Args:
        lost: Set while the live query does not work.
        tokens: Gives the tokens that are held, if any.
        on_value: Takes the query's value, on the loop.
        on_rejected: Takes tokens that the cloud does not take.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: CloudSettings,
        calls: Calls,
        query: Query,
        *,
        lost: asyncio.Event,
        random: Random,
        tokens: Callable[[], Tokens | None],
        on_value: Callable[[object], None],
        on_rejected: Callable[[Tokens], None],
    ) -> None:
        self._calls = calls
        self._query = query
        self._lost = lost
        self._random = random
        self._tokens = tokens
        self._on_value = on_value
        self._on_rejected = on_rejected
        self._first_delay_ms_max = settings.retry_delay_ms_min
        self._interval_ms = settings.poll_interval_ms
        self._outcome = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch for the loss of the live query."""
        self._task = asyncio.create_task(self._run(), name="polling")

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
                await self._ask()
                await asyncio.sleep(self._interval_ms / 1000)

    async def _ask(self) -> None:
        tokens = self._tokens()
        if tokens is None:
            return
        try:
            value = await self._calls.call(
                "query",
                self._query.function,
                lambda: self._query.arguments,
                lambda value: value,
                token=tokens.convex,
            )
        except CloudFaultError as error:
            self._note(f"polling failed: {error}")
            if isinstance(error, AuthenticationError):
                self._on_rejected(tokens)
        else:
            self._note("polling works")
            self._on_value(value)

    def _note(self, outcome: str) -> None:
        """Log what polling brings, when it is not what it brought before."""
        if outcome != self._outcome:
            self._outcome = outcome
            _log.info("%s", outcome)
