"""How tests wait: for a condition, told when to look again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

PATIENCE_S: Final = 5.0
"""How long a test waits for what should happen at once, on a machine that others use as well."""


class Bell:
    """Rings whenever something has happened."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Let whoever waits look again."""
        self._rung.set()

    async def until(self, condition: Callable[[], _T]) -> _T:
        """Wait until `condition` holds and return what it gave."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := condition()):
                self._rung.clear()
                await self._rung.wait()
            return found
