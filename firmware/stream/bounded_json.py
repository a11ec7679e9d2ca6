"""JSON from strangers (RFC 8259): parsed only after its cost is known.

`json.loads` alone would let a message of 1 MB make 300,000 lists, or nest until the interpreter's
stack is used up. What such a text can cost is bounded by the brackets and commas in it, which are
counted first; strings are left out of the count only where they matter, since that is slower.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from firmware.stream.errors import MessageError
from firmware.stream.messages import DropReason

DIGITS_MAX: Final = 32
"""Longest number. A double has 17 significant digits; longer ones only cost time."""

_QUOTES_PER_VALUE: Final = 4
"""A value with its key is two strings."""

# Strings, to leave out what is in them, and what makes the structure. Possessive, so that it takes
# linear time and no memory; unterminated strings match as well, or each quote in one would be tried
# as a beginning.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


def parse(text: str, *, depth_max: int, values_max: int) -> object:
    """Return the value that `text` stands for.

    Args:
        text: Any text at all; the caller bounds its length.
        depth_max: How many arrays and objects may lie within each other.
        values_max: How many values and separators there may be in all.

    Raises:
        MessageError: `NOT_JSON`, `TOO_DEEP` or `TOO_MANY_VALUES`. Nothing else is ever raised.
    """
    openings = _openings(text)
    if openings > depth_max or openings + text.count(",") > values_max:
        _check_structure(text, depth_max, values_max)
    try:
        return _DECODER.decode(text)
    except ValueError:
        raise MessageError(DropReason.NOT_JSON) from None


def _openings(text: str) -> int:
    return text.count("[") + text.count("{")


def _check_structure(text: str, depth_max: int, values_max: int) -> None:
    """Count again, exactly: without what stands in strings, and without a copy."""
    if text.count('"') > _QUOTES_PER_VALUE * values_max:
        raise MessageError(DropReason.TOO_MANY_VALUES)
    depth = deepest = values = 0
    for token in _TOKEN.finditer(text):
        match text[token.start()]:
            case "[" | "{":
                depth += 1
                values += 1
                deepest = max(deepest, depth)
            case ",":
                values += 1
            case "]" | "}":
                depth -= 1
        if values > values_max:
            raise MessageError(DropReason.TOO_MANY_VALUES)
        if depth < 0:  # the parser would say so too, but there may be a million more to look at
            raise MessageError(DropReason.NOT_JSON)
    if deepest > depth_max:
        raise MessageError(DropReason.TOO_DEEP)


def _integer(digits: str) -> int:
    return int(_checked(digits))


def _float(digits: str) -> float:
    return float(_checked(digits))


def _checked(digits: str) -> str:
    if len(digits) > DIGITS_MAX:
        raise ValueError
    return digits


def _refuse_constant(_name: str) -> NoReturn:
    """Python's parser would take NaN and Infinity, which JSON does not have."""
    raise ValueError


_DECODER: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
)
