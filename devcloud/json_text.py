"""Reading JSON that others wrote: strict, and bounded before it is parsed by whoever received it.

Python's parser takes ``NaN``, recurses as deep as the text says, and knows ``True`` as a number.
Here each of these is a ``MalformedMessageError``.
"""

from __future__ import annotations

import json
import math
from typing import NoReturn, TypeAlias, TypeVar

from devcloud.errors import MalformedMessageError

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"

_Kind = TypeVar("_Kind", bool, int, str, list[JsonValue], dict[str, JsonValue])

_NAMES = {bool: "true or false", int: "an integer", str: "a string", list: "a list"}


def parse_object(text: str | bytes) -> JsonObject:
    """Parse one JSON object.

    Raises:
        MalformedMessageError: it is not JSON, not an object, or nested beyond reason.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise MalformedMessageError("the message is nested too deeply") from None
    except ValueError as error:
        raise MalformedMessageError(f"the message is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise MalformedMessageError("the message is not a JSON object")
    return value


def field(message: JsonObject, name: str, kind: type[_Kind]) -> _Kind:
    """Take one field that must be there and of one kind.

    Raises:
        MalformedMessageError: it is missing or of another kind; the text names the field.
    """
    value = message.get(name)
    # bool is a subclass of int: true is no integer here.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        wanted = _NAMES.get(kind, "an object")
        raise MalformedMessageError(f"{name!r} must be {wanted}")
    return value


def number_field(message: JsonObject, name: str) -> float:
    """Take one field that must be a finite number.

    Raises:
        MalformedMessageError: it is missing, of another kind, or too large for a float.
    """
    value = message.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise MalformedMessageError(f"{name!r} must be a finite number")


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedMessageError(f"{name} is not JSON")
