"""Answers that are none: what a broken proxy, a broken server or a hostile one may send.

Each stands for an answer over HTTP and for a message of the sync protocol alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

HUGE_BYTES: Final = 8 << 20
DEEP_LEVELS: Final = 100_000


def _with_value(value: bytes) -> bytes:
    """Put a value where a client looks for one: right around it, wrong within."""
    return b'{"status": "success", "type": "Transition", "value": %b}' % value


GARBAGE: Final[Mapping[str, Callable[[], bytes]]] = {
    "text": lambda: b"<html><body><h1>502 Bad Gateway</h1></body></html>",
    "empty": lambda: b"",
    "object": lambda: b"{}",
    "shape": lambda: b'{"status": ["success"], "type": {"Ping": 1}, "value": {"$integer": 7}}',
    "value": lambda: _with_value(b"-7"),
    "huge": lambda: _with_value(b'"%b"' % (b"x" * HUGE_BYTES)),
    "deep": lambda: _with_value(b"[" * DEEP_LEVELS + b"]" * DEEP_LEVELS),
    "utf8": lambda: _with_value(b'"\xff\xfe\xc0\x80"'),
}
"""By kind: no JSON; nothing; an object without a field; fields of wrong types; a right answer with
a wrong value; one of 8 MB; one nested 100,000 levels deep; one that is not UTF-8."""
