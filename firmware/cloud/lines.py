"""What passes between the firmware and its child: one JSON object a line.

Parent to child, once: the `Job`. Child to parent:

====================================  ==========================================================
``{"ready": true}``                   the client is loaded and connects from now on
``{"beat": true}``                    a sign of life: nobody waits for an answer of the cloud
``{"of": "a:b", "value": …}``         the value of the query ``a:b``, whenever it is another one
``{"of": "a:b", "failed": "CODE"}``   that query failed, with the function's code, or ``""``
====================================  ==========================================================

While the cloud owes an answer to any query there are no beats. So a line, of any kind, proves that
the child runs *and* that its connection carries; silence means that one of the two is dead, and
which one does not matter. A query that fails was answered: it keeps no other from being heard.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from firmware import bounded_json
from firmware.cloud.values import ANSWER_BYTES_MAX, ANSWER_LIMITS
from firmware.errors import JsonError

LINE_BYTES_MAX: Final = ANSWER_BYTES_MAX
"""Longest line, either way."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is to do.

    Attributes:
        parent: The parent's process id: the child never outlives it.
        url: The deployment's address.
        token: Whom to speak for.
        queries: The arguments of each query, by its function, as ``toys:getConfiguration``.
        heartbeat_ms: Time between beats.
        renewal_interval_ms: Time between renewals of the subscriptions.
    """

    parent: int
    url: str
    token: str = field(repr=False)
    queries: dict[str, dict[str, str]]
    heartbeat_ms: int
    renewal_interval_ms: int

    def line(self) -> bytes:
        """Return it as a line."""
        return line(asdict(self))

    @classmethod
    def parse(cls, text: bytes) -> Job:
        """Read a line that `line` made."""
        return cls(**json.loads(text))


def line(message: dict[str, Any]) -> bytes:
    """Return a message as a line. Raises ValueError where there is half a character in it."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read(text: bytes) -> object:
    """Return the message of a line, whatever it is.

    Raises:
        JsonError: It is none, or one that would cost too much.
    """
    if len(text) > LINE_BYTES_MAX:
        raise JsonError("TOO_LONG")
    return bounded_json.parse(
        bounded_json.decode(text, ANSWER_LIMITS), ANSWER_LIMITS, bounded_json.WITH_CONSTANTS
    )
