"""An outbox that only remembers what was put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Put(NamedTuple):
    """One record, as it was put."""

    function: str
    arguments: dict[str, object]
    urgent: bool
    audio: str


class Outbox:
    """A `firmware.ports.Outlet` that keeps everything."""

    def __init__(self) -> None:
        self.puts: list[Put] = []
        self._known: set[str] = set()

    def put(
        self,
        function: str,
        arguments: Mapping[str, object],
        *,
        urgent: bool,
        record_id: str | None = None,
        audio: str = "",
    ) -> None:
        """Keep a record."""
        if record_id is not None:
            if record_id in self._known:
                return
            self._known.add(record_id)
        self.puts.append(Put(function, dict(arguments), urgent, audio))

    def knows(self, record_id: str) -> bool:
        """Whether a record of that id was put."""
        return record_id in self._known
