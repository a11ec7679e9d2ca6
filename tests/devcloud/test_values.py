from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from convex import ConvexInt64
from convex.values import convex_to_json, json_to_convex
from hypothesis import given
from hypothesis import strategies as st

from devcloud.errors import ValueEncodingError
from devcloud.values import (
    ARRAY_ITEMS_MAX,
    NESTING_MAX,
    Int64,
    decode,
    decode_object,
    decode_u64,
    encode,
    encode_u64,
    nesting,
    size,
)

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

FIELD_NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8).filter(
    lambda name: not name.startswith("$")
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.binary(max_size=20)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELD_NAMES, inner, max_size=4),
    max_leaves=10,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["$integer", "$float", "$bytes", "$x"]) | st.text(max_size=8),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


def as_client(value: Json) -> Json:
    """Say a value as the Python client does."""
    match value:
        case Int64():
            return ConvexInt64(value.value)
        case list():
            return [as_client(item) for item in value]
        case dict():
            return {name: as_client(item) for name, item in value.items()}
    return value


@given(VALUES)
def test_every_value_survives_the_way_to_json_and_back(value: Json) -> None:
    """`repr` tells minus zero from zero, and takes NaN for itself."""
    assert repr(decode(encode(value))) == repr(value)


@given(VALUES)
def test_the_official_client_reads_every_value_as_it_was_meant(value: Json) -> None:
    assert repr(json_to_convex(encode(value))) == repr(as_client(value))


@given(VALUES)
def test_what_the_official_client_writes_is_read_as_it_was_meant(value: Json) -> None:
    assert repr(decode(convex_to_json(as_client(value)))) == repr(value)


@given(JSON)
def test_json_is_a_value_or_refused_and_nothing_else(json_value: Json) -> None:
    try:
        value = decode(json_value)
    except ValueEncodingError:
        return
    assert repr(decode(encode(value))) == repr(value)


def test_an_integer_in_json_is_a_float() -> None:
    """Clients write 3 and mean 3.0; the Python client refuses integers in answers."""
    assert repr(decode(3)) == "3.0"


@pytest.mark.parametrize(
    "json_value",
    [
        {"$integer": "AAA="},
        {"$integer": 7},
        {"$integer": "!"},
        {"$float": "AAAAAAAA8D8="},  # 1.0, which JSON can write
        {"$unknown": ""},
        {"$a": 1, "b": 2},
        {"ä": 1},
        {"x" * 1025: 1},
        "\ud800",
        10**400,
        [0] * (ARRAY_ITEMS_MAX + 1),
        dict.fromkeys(map(str, range(1025)), 0),
    ],
    ids=lambda json_value: repr(json_value)[:20],
)
def test_what_is_no_value_is_refused(json_value: Json) -> None:
    with pytest.raises(ValueEncodingError):
        decode(json_value)


def test_values_nest_as_deep_as_convex_allows_and_no_deeper() -> None:
    nested: Json = 1.0
    for _ in range(NESTING_MAX):
        nested = [nested]
    assert decode(nested) == nested
    with pytest.raises(ValueEncodingError, match="64 levels"):
        decode([nested])


def test_an_int64_has_64_bits() -> None:
    with pytest.raises(ValueEncodingError):
        Int64(2**63)


@given(st.integers(0, 2**64 - 1))
def test_timestamps_survive_the_way_to_the_wire_and_back(timestamp: int) -> None:
    assert decode_u64(encode_u64(timestamp)) == timestamp


def test_a_timestamp_has_8_bytes() -> None:
    with pytest.raises(ValueEncodingError):
        decode_u64("AAAA")


def test_nan_reaches_the_official_client_as_nan() -> None:
    assert math.isnan(json_to_convex(encode(math.nan)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "bytes_", "levels"),
    [
        (None, 1, 0),
        (True, 1, 0),
        (1.5, 9, 0),
        (Int64(1), 9, 0),
        ("ä", 4, 0),
        (b"abc", 5, 0),
        ([], 2, 1),
        ([None, [None]], 6, 2),
        ({"ab": {"c": None}}, 10, 2),
    ],
)
def test_values_are_measured_by_convexs_rules(value: Json, bytes_: int, levels: int) -> None:
    assert (size(value), nesting(value)) == (bytes_, levels)


def test_an_object_is_told_from_other_values() -> None:
    assert decode_object({"a": 1}) == {"a": 1.0}
    with pytest.raises(ValueEncodingError, match="must be an object"):
        decode_object([1])
