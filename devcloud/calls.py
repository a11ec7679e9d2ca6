"""The list of Convex calls that were received, for inspection; it never holds an argument."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

CALLS_MAX: Final = 1000
TEXT_CHARS_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """One call: ``outcome`` is ``success``, the code of a ConvexError, or ``error``.

    ``kind`` is query, mutation or action; ``transport`` is http or sync.
    """

    transport: str
    kind: str
    function: str
    device_id: str | None
    outcome: str

    def to_json(self) -> dict[str, str | None]:
        """Write it as the control API shows it; names come from outside and are cut short."""
        return {
            "transport": self.transport,
            "kind": self.kind,
            "function": self.function[:TEXT_CHARS_MAX],
            "deviceId": self.device_id and self.device_id[:TEXT_CHARS_MAX],
            "outcome": self.outcome,
        }


class CallLog:
    """The last ``CALLS_MAX`` calls, oldest first."""

    def __init__(self) -> None:
        self._calls: deque[ReceivedCall] = deque(maxlen=CALLS_MAX)

    def add(self, call: ReceivedCall) -> None:
        """Add a call; the oldest makes room."""
        self._calls.append(call)

    def to_json(self) -> list[dict[str, str | None]]:
        """Write them as the control API shows them."""
        return [call.to_json() for call in self._calls]
