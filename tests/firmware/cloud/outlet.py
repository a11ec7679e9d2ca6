"""An outlet that keeps in memory what it is given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Put(NamedTuple):
    """A record as it was put."""

    function: str
    arguments: Mapping[str, object]
    urgent: bool
    record_id: str | None


class Kept:
    """A `firmware.ports.Outlet` that delivers nothing and forgets nothing."""

    def __init__(self) -> None:
        self.records: list[Put] = []
        self._news = asyncio.Event()

    def put(
        self,
        function: str,
        arguments: Mapping[str, object],
        *,
        urgent: bool,
        record_id: str | None = None,
        audio: str = "",
    ) -> None:
        """Keep a record, unless one of that id is here."""
        assert not audio
        if record_id is None or not self.knows(record_id):
            self.records.append(Put(function, arguments, urgent, record_id))
            self._news.set()

    def knows(self, record_id: str) -> bool:
        """Whether a record of that id is here."""
        return any(record.record_id == record_id for record in self.records)

    @property
    def answers(self) -> list[tuple[object, ...]]:
        """Command, outcome and details, where there are any, of each acknowledgement."""
        return [
            tuple(record.arguments.values())
            for record in self.records
            if record.function == "devices:ackCommand"
        ]

    async def until(self, *answer: object) -> None:
        """Wait until a command was answered like this."""
        while answer not in self.answers:
            self._news.clear()
            await self._news.wait()
