"""A cloud that keeps rows, each record once, and misbehaves as it is told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from firmware.cloud.errors import CloudFaultError, NetworkError

if TYPE_CHECKING:
    from firmware.cloud.credentials import Tokens
    from firmware.cloud.session import Kind
    from hardware.clock import Clock

_T = TypeVar("_T")


class Try(NamedTuple):
    """A call that was made."""

    at_ms: int
    function: str
    arguments: dict[str, Any]


class Ledger:
    """`firmware.cloud.caller.Calls` that stores each record once, by its id.

    Attributes:
        rows: What is stored, in order of arrival.
        tries: Every call, stored or not.
        faults: What befalls the next calls: an error, raised before the record is stored; "drop",
            the record is stored and the answer is lost; or None.
        refuses: Says what the cloud raises for a call, if anything.
        is_reachable: Whether there is a network.
    """

    def __init__(self, clock: Clock, *, takes_ms: int = 0) -> None:
        self.rows: list[dict[str, Any]] = []
        self.tries: list[Try] = []
        self.faults: deque[CloudFaultError | str | None] = deque()
        self.refuses: Callable[[Try], Exception | None] = lambda _: None
        self.is_reachable = True
        self.at_once_max = 0
        self._under_way: list[str] = []
        self._clock = clock
        self._takes_ms = takes_ms
        self._news = asyncio.Event()

    @property
    def ids(self) -> list[str]:
        """The ids of the rows, in order of arrival."""
        return [row["recordId"] for row in self.rows]

    async def until(self, count: int) -> None:
        """Wait until this many rows are stored."""
        while len(self.rows) < count:
            await self._next_news()

    async def tried(self, count: int) -> None:
        """Wait until this many calls were made."""
        while len(self.tries) < count:
            await self._next_news()

    async def call(
        self,
        kind: Kind,
        function: str,
        arguments: Callable[[], Mapping[str, object]],
        parse: Callable[[object], _T],
        *,
        token: str | None = None,
    ) -> _T:
        """Take a mutation."""
        assert kind == "mutation"
        assert token
        made = Try(self._clock.monotonic_ms(), function, dict(arguments()))
        self.tries.append(made)
        self._news.set()
        self._under_way.append(function)
        self.at_once_max = max(self.at_once_max, len(self._under_way))
        try:
            await asyncio.sleep(self._takes_ms / 1000)
        finally:
            self._under_way.remove(function)
        return parse(self._answer(made))

    def _answer(self, made: Try) -> object:
        if not self.is_reachable:
            raise NetworkError("not reached")
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if (refusal := self.refuses(made)) is not None:
            raise refusal
        for row in made.arguments.get("metrics", ()) if _is_batch(made) else (made.arguments,):
            if row["recordId"] not in self.ids:
                self.rows.append({"function": made.function, **row})
        self._news.set()
        if fault is not None:
            raise NetworkError("the answer was lost")
        return {"duplicate": False}

    async def _next_news(self) -> None:
        self._news.clear()
        await self._news.wait()


class Grants:
    """The tokens that are held, as `Authentication` has them."""

    def __init__(self, *grants: Tokens | None) -> None:
        self.rejected: list[Tokens] = []
        self.present: Tokens | None = grants[0]

    def reject(self, tokens: Tokens) -> None:
        """Take tokens that the cloud did not take."""
        self.rejected.append(tokens)
        self.present = None


class Audio:
    """An uploader that keeps what it was asked for."""

    def __init__(self, *outcomes: Exception | str | None) -> None:
        self.uploaded: list[str] = []
        self.removed: list[str] = []
        self._outcomes = deque(outcomes)

    async def upload(self, name: str) -> str | None:
        """Follow the script."""
        self.uploaded.append(name)
        outcome = self._outcomes.popleft()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def stored(self, name: str) -> None:
        """Note that the audio may go."""
        self.removed.append(name)


def _is_batch(made: Try) -> bool:
    return made.function == "metrics:batchRecord"
