"""An outlet that keeps in memory what it is given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Put(NamedTuple):
    """One record, as it was put."""

    function: str
    arguments: dict[str, object]
    urgent: bool
    audio: str = ""


class KeptOutlet:
    """A `firmware.ports.Outlet` that delivers nothing and forgets nothing.

    Attributes:
        puts: What was put.
        toys: The toy that each of them was said to be about.
    """

    def __init__(self) -> None:
        self.puts: list[Put] = []
        self.toys: list[str | None] = []
        self._known: set[str] = set()
        self._news = asyncio.Event()

    def put(  # noqa: PLR0913 - all that there is to say of a record
        self,
        function: str,
        arguments: Mapping[str, object],
        *,
        urgent: bool,
        record_id: str | None = None,
        audio: str = "",
        toy_id: str | None = None,
    ) -> None:
        """Keep a record, unless one of that id is here."""
        if record_id is not None:
            if record_id in self._known:
                return
            self._known.add(record_id)
        self.puts.append(Put(function, dict(arguments), urgent, audio))
        self.toys.append(toy_id)
        self._news.set()

    def knows(self, record_id: str) -> bool:
        """Whether a record of that id was put."""
        return record_id in self._known

    @property
    def answers(self) -> list[tuple[object, ...]]:
        """Command, outcome and details, where there are any, of each acknowledgement."""
        return [
            tuple(put.arguments.values())
            for put in self.puts
            if put.function == "devices:ackCommand"
        ]

    async def until(self, *answer: object) -> None:
        """Wait until a command was answered like this."""
        while answer not in self.answers:
            self._news.clear()
            await self._news.wait()
