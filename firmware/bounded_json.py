"""JSON from strangers (RFC 8259): parsed only after its cost is known.

`json.loads` alone would let a message of 1 MB make 300,000 lists, or nest until the interpreter's
stack is used up. What such a text can cost is bounded by the brackets and commas in it, which are
counted first; strings are left out of the count only where they matter, since that is slower.

One character beyond ASCII makes Python hold every other of its string in two or four bytes, whether
it stands in the text or is escaped there. So what a text may take when it has such characters is
bounded apart.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from firmware.errors import JsonError

DIGITS_MAX: Final = 32
"""Longest number. A double has 17 significant digits; longer ones only cost time."""

_QUOTES_PER_VALUE: Final = 4
"""A value with its key is two strings."""

# Strings, to leave out what is in them, and what makes the structure. Possessive, so that it takes
# linear time and no memory; unterminated strings match as well, or each quote in one would be tried
# as a beginning.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)

_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]|\\\\u[dD][89a-fA-F]")
"""What takes four bytes: a character, or half of one as JSON escapes it."""
_ASTRAL_UTF8: Final = re.compile(rb"[\xf0-\xf4]")
_PIECE_BYTES: Final = 16_384
_Utf8: Final = codecs.getincrementaldecoder("utf-8")
_CONTINUATIONS: Final = bytes(range(0x80, 0xC0))
"""Bytes that are not the first of a character in UTF-8."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a text may cost.

    Attributes:
        depth_max: How many arrays and objects may lie within each other.
        values_max: How many values and separators there may be in all.
        wide_bytes_max: How much memory its characters may take, where not all are ASCII.
    """

    depth_max: int
    values_max: int
    wide_bytes_max: int


def decode(content: bytes | bytearray, limits: Limits) -> str:
    """Return the text that `content` is in UTF-8; the caller bounds its length.

    Raises:
        JsonError: ``TOO_LONG``, or ``NOT_JSON`` where it is no UTF-8.
    """
    if not content.isascii() and _ASTRAL_UTF8.search(content):
        chars = len(content.translate(None, _CONTINUATIONS))
        if 4 * chars > limits.wide_bytes_max:
            raise JsonError("TOO_LONG")
    decoder = _Utf8()
    try:
        # At once, it would make room for as many characters as there are bytes.
        texts = [
            decoder.decode(content[at : at + _PIECE_BYTES])
            for at in range(0, len(content), _PIECE_BYTES)
        ]
        return "".join((*texts, decoder.decode(b"", final=True)))
    except UnicodeDecodeError:
        raise JsonError("NOT_JSON") from None


def parse(text: str, limits: Limits, decoder: json.JSONDecoder | None = None) -> object:
    """Return the value that `text` stands for.

    Args:
        text: Any text at all; the caller bounds its length.
        limits: What it may cost.
        decoder: What reads it, such as `WHOLE_AS_FLOATS`; numbers are as they are written, and
            constants that JSON does not have are refused, if left out.

    Raises:
        JsonError: ``NOT_JSON``, ``TOO_LONG``, ``TOO_DEEP`` or ``TOO_MANY_VALUES``. Nothing else is
            ever raised, and nothing of the text is in it.
    """
    if not _is_narrow(text) and len(text) * _width(text) > limits.wide_bytes_max:
        raise JsonError("TOO_LONG")
    openings = text.count("[") + text.count("{")
    if openings > limits.depth_max or openings + text.count(",") > limits.values_max:
        _check_structure(text, limits)
    try:
        return (decoder or _STRICT).decode(text)
    except (ValueError, RecursionError):
        raise JsonError("NOT_JSON") from None


def _is_narrow(text: str) -> bool:
    return text.isascii() and "\\u" not in text


def _width(text: str) -> int:
    """Return how many bytes a character of the text, or of what it stands for, may take."""
    return 4 if _ASTRAL.search(text) else 2


def _check_structure(text: str, limits: Limits) -> None:
    """Count again, exactly: without what stands in strings, and without a copy."""
    if text.count('"') > _QUOTES_PER_VALUE * limits.values_max:
        raise JsonError("TOO_MANY_VALUES")
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
        if values > limits.values_max:
            raise JsonError("TOO_MANY_VALUES")
        if depth < 0:  # the parser would say so too, but there may be a million more to look at
            raise JsonError("NOT_JSON")
    if deepest > limits.depth_max:
        raise JsonError("TOO_DEEP")


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


_STRICT: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
)

WHOLE_AS_FLOATS: Final = json.JSONDecoder(
    parse_int=_float, parse_float=_float, parse_constant=_refuse_constant
)
"""Whole numbers too become floats."""

WITH_CONSTANTS: Final = json.JSONDecoder(parse_int=_integer, parse_float=_float)
"""NaN and Infinity are taken, as Python writes them."""
