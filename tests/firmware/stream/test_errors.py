"""The tree of errors."""

from __future__ import annotations

import inspect
import re

from firmware.stream import errors
from firmware.stream.errors import FaultError, MessageError, MisuseError, StreamError
from firmware.stream.messages import DropReason


def test_tree_drawn_at_the_top_is_the_tree_in_force() -> None:
    """Every class stands in the drawing, under its parent, and nothing else does."""
    found: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if drawn := re.match(r"[│├└─ ]*(\w+Error)\b", line):
            depth = drawn.start(1)
            parents = [other for other in above if other < depth]
            found[drawn[1]] = above[max(parents)] if parents else "Exception"
            above[depth] = drawn[1]
    assert found == {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, StreamError)
    }


def test_misuse_and_the_world_are_told_apart() -> None:
    """Whoever catches a fault of the world does not swallow a bug."""
    assert not issubclass(MisuseError, FaultError)
    assert not issubclass(FaultError, MisuseError)


def test_unusable_message_is_described_without_a_word_of_it() -> None:
    """By reason and field, both of which are ours."""
    assert str(MessageError(DropReason.NOT_JSON)) == "not JSON"
    assert (
        str(MessageError(DropReason.BAD_PACKET, "data"))
        == "not a piece of a reply, or not in hex: data"
    )
