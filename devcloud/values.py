"""Convex values and their JSON.

JSON has one kind of number, no bytes and no NaN, so Convex writes what it lacks as an object with
one ``$`` key: ``{"$integer": …}`` (int64, 8 bytes little-endian), ``{"$float": …}`` (NaN, the
infinities and minus zero, 8 bytes little-endian) and ``{"$bytes": …}``, each in base64. A plain
number is always a float64: clients send ``3`` and mean ``3.0``, and the Python client accepts only
floats.

Source: Convex's documented value types, and ``convex/values.py`` of its Python client.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from devcloud.errors import ValueEncodingError

if TYPE_CHECKING:
    from devcloud.json_text import JsonValue

NESTING_MAX: Final = 64
ARRAY_ITEMS_MAX: Final = 8192
OBJECT_FIELDS_MAX: Final = 1024
FIELD_NAME_CHARS_MAX: Final = 1024

EIGHT_BYTES: Final = 8
"""What int64, float64 and u64 take."""

_INT64: Final = struct.Struct("<q")
_FLOAT64: Final = struct.Struct("<d")


@dataclass(frozen=True, slots=True)
class Int64:
    """A Convex int64: ``bigint`` in JavaScript, ``ConvexInt64`` in Python."""

    value: int

    def __post_init__(self) -> None:
        if not -(2**63) <= self.value < 2**63:
            raise ValueEncodingError(f"{self.value} does not fit in 64 bits")


ConvexValue: TypeAlias = (
    "bool | float | Int64 | str | bytes | Sequence[ConvexValue] | Mapping[str, ConvexValue] | None"
)
ConvexObject: TypeAlias = "Mapping[str, ConvexValue]"


def encode(value: ConvexValue) -> JsonValue:
    """Turn a Convex value into what goes into JSON.

    Raises:
        ValueEncodingError: a field name that Convex does not allow.
    """
    match value:
        case None | bool() | str():
            return value
        case Int64():
            return {"$integer": _to_base64(_INT64.pack(value.value))}
        case int() | float():
            return _encode_float(float(value))
        case bytes():
            return {"$bytes": _to_base64(value)}
        case Mapping():
            return {_field_name(name): encode(item) for name, item in value.items()}
        case _:
            return [encode(item) for item in value]


def decode(json_value: JsonValue, *, nesting_max: int = NESTING_MAX) -> ConvexValue:
    """Turn parsed JSON into a Convex value.

    Raises:
        ValueEncodingError: it is no Convex value, or beyond Convex's limits.
    """
    match json_value:
        case None | bool():
            return json_value
        case str():
            return _text(json_value)
        case int() | float():
            return _decode_float(json_value)
    if nesting_max == 0:
        raise ValueEncodingError(f"a value is nested more than {NESTING_MAX} levels deep")
    if isinstance(json_value, list):
        if len(json_value) > ARRAY_ITEMS_MAX:
            raise ValueEncodingError(f"an array has more than {ARRAY_ITEMS_MAX} items")
        return [decode(item, nesting_max=nesting_max - 1) for item in json_value]
    if len(json_value) == 1:
        ((name, item),) = json_value.items()
        if name.startswith("$"):
            return _decode_special(name, item)
    if len(json_value) > OBJECT_FIELDS_MAX:
        raise ValueEncodingError(f"an object has more than {OBJECT_FIELDS_MAX} fields")
    return {
        _field_name(name): decode(item, nesting_max=nesting_max - 1)
        for name, item in json_value.items()
    }


def decode_object(json_value: JsonValue) -> ConvexObject:
    """Turn a parsed JSON object into a Convex object.

    Raises:
        ValueEncodingError: as ``decode``, or it is another value.
    """
    value = decode(json_value)
    if not isinstance(value, Mapping):
        raise ValueEncodingError("it must be an object")
    return value


def size(value: ConvexValue) -> int:
    """Count the bytes that a value takes by Convex's rules, which its limits are about."""
    match value:
        case None | bool():
            return 1
        case Int64() | int() | float():
            return 1 + EIGHT_BYTES
        case str():
            return len(value.encode()) + 2
        case bytes():
            return len(value) + 2
        case Mapping():
            return 2 + sum(len(name) + 1 + size(item) for name, item in value.items())
        case _:
            return 2 + sum(map(size, value))


def nesting(value: ConvexValue) -> int:
    """Count how deep a value is nested: 0 for one that holds no other."""
    match value:
        case Mapping():
            return 1 + max(map(nesting, value.values()), default=0)
        case None | bool() | Int64() | int() | float() | str() | bytes():
            return 0
        case _:
            return 1 + max(map(nesting, value), default=0)


def encode_u64(number: int) -> str:
    """Write a timestamp as the sync protocol does: base64 of 8 little-endian bytes."""
    return _to_base64(number.to_bytes(8, "little"))


def decode_u64(text: str) -> int:
    """Read a timestamp of the sync protocol.

    Raises:
        ValueEncodingError: it is not base64 of 8 bytes.
    """
    data = _from_base64(text)
    if len(data) != EIGHT_BYTES:
        raise ValueEncodingError(f"a timestamp must be {EIGHT_BYTES} bytes")
    return int.from_bytes(data, "little")


def _encode_float(number: float) -> JsonValue:
    if math.isfinite(number) and not _is_negative_zero(number):
        return number
    return {"$float": _to_base64(_FLOAT64.pack(number))}


def _decode_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ValueEncodingError("a number is too large for a float64") from None


def _decode_special(name: str, item: JsonValue) -> ConvexValue:
    if name not in {"$bytes", "$float", "$integer"}:
        raise ValueEncodingError(f"{name[:FIELD_NAME_CHARS_MAX]!r} is no Convex type")
    if not isinstance(item, str):
        raise ValueEncodingError(f"{name} must be a base64 string")
    data = _from_base64(item)
    if name == "$bytes":
        return data
    if len(data) != EIGHT_BYTES:
        raise ValueEncodingError(f"{name} must be {EIGHT_BYTES} bytes")
    if name == "$integer":
        (integer,) = _INT64.unpack(data)
        return Int64(integer)
    (number,) = _FLOAT64.unpack(data)
    if math.isfinite(number) and not _is_negative_zero(number):
        raise ValueEncodingError("$float is only for what JSON cannot write as a number")
    return float(number)


def _field_name(name: str) -> str:
    # As deployments have it: an empty name passes, and so does one that begins with an underscore,
    # which is reserved in documents alone. ``validators`` refuses both where they cannot be stored.
    if len(name) > FIELD_NAME_CHARS_MAX:
        raise ValueEncodingError(f"a field name is longer than {FIELD_NAME_CHARS_MAX} characters")
    if name.startswith("$") or not (name.isascii() and name.isprintable()):
        raise ValueEncodingError(f"{name!r} is no field name")
    return name


def _text(text: str) -> str:
    # JSON can escape half a surrogate pair; no Convex string can hold one, and encoding it fails.
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueEncodingError("a string holds half a surrogate pair") from None
    return text


def _is_negative_zero(number: float) -> bool:
    return number == 0 and math.copysign(1, number) < 0


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueEncodingError("not base64") from None
