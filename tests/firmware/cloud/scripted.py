"""Stand-ins for the neighbours of what is tested: calls that follow a script, and the table."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.cloud.session import Kind
    from firmware.ports import PerformEffect
    from hardware.clock import Clock
    from states.events import FieldValue

_T = TypeVar("_T")


class Call(NamedTuple):
    """A call as it came."""

    at_ms: int
    kind: str
    function: str
    arguments: Mapping[str, object]
    token: str | None


class ScriptedCalls:
    """`firmware.cloud.caller.Calls` whose outcomes a test has written.

    Each outcome is a value to return or an exception to raise, `takes_ms` after the call; the last
    one holds from then on.
    """

    def __init__(self, clock: Clock, *outcomes: object, takes_ms: int = 0) -> None:
        self.calls: list[Call] = []
        self.at_once = 0
        self.at_once_max = 0
        self._clock = clock
        self._outcomes = list(outcomes)
        self._takes_ms = takes_ms

    async def call(
        self,
        kind: Kind,
        function: str,
        arguments: Callable[[], Mapping[str, object]],
        parse: Callable[[object], _T],
        *,
        token: str | None = None,
    ) -> _T:
        """Follow the script."""
        self.calls.append(Call(self._clock.monotonic_ms(), kind, function, arguments(), token))
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            await asyncio.sleep(self._takes_ms / 1000)
        finally:
            self.at_once -= 1
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return parse(outcome)


class Table:
    """Records what is posted and, once effects are `connected`, answers as the table's rows do."""

    def __init__(self, clock: Clock) -> None:
        self.posted: list[tuple[int, str, dict[str, FieldValue]]] = []
        self._clock = clock
        self._effects: Mapping[str, PerformEffect] = {}
        self._news = asyncio.Event()

    def connect(self, effects: Mapping[str, PerformEffect]) -> None:
        """Perform these effects from now on."""
        self._effects = effects

    def post(self, name: str, /, **fields: FieldValue) -> None:
        """Take an event: `firmware.ports.Post`."""
        self.posted.append((self._clock.monotonic_ms(), name, fields))
        self._news.set()
        asyncio.get_running_loop().call_soon(self._react, name, fields)

    def named(self, name: str) -> list[dict[str, FieldValue]]:
        """Return the fields of every event of this name."""
        return [fields for _, posted, fields in self.posted if posted == name]

    def times_ms(self, name: str) -> list[int]:
        """Return when every event of this name came."""
        return [at_ms for at_ms, posted, _ in self.posted if posted == name]

    async def until(self, name: str, *, count: int = 1) -> dict[str, FieldValue]:
        """Wait until an event came this often, and return the fields of the last one."""
        while len(self.named(name)) < count:
            self._news.clear()
            await self._news.wait()
        return self.named(name)[-1]

    def perform(self, name: str, **fields: Any) -> None:  # noqa: ANN401 - as PerformEffect
        """Perform an effect, if anybody does."""
        if name in self._effects:
            self._effects[name](**fields)

    def _react(self, name: str, fields: dict[str, FieldValue]) -> None:
        match name:
            case "auth_due" | "tokens_lost":
                self.perform("authenticate")
            case "auth_failed":
                self.perform("back_off", refused=fields["refused"])
            case "configured":
                self.perform("apply_configuration", version=fields["version"])


class Fixed(Random):
    """Chance that always draws the same share of what it may."""

    def __init__(self, share: float = 1.0) -> None:
        super().__init__()
        self.share = share
        self.asked: list[tuple[int, int]] = []

    def randint(self, a: int, b: int) -> int:
        """Draw."""
        self.asked.append((a, b))
        return a + int((b - a) * self.share)
