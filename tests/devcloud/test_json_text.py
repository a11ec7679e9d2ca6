from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.errors import MalformedMessageError
from devcloud.json_text import field, number_field, parse_object

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


@given(st.text() | st.binary())
def test_any_text_is_an_object_or_refused(text: str | bytes) -> None:
    with suppress(MalformedMessageError):
        assert isinstance(parse_object(text), dict)


@pytest.mark.parametrize("text", ["[]", "1", '{"a": NaN}', '{"a": -Infinity}', "{", b"\xff", ""])
def test_what_is_no_json_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_object(text)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(MalformedMessageError):
        parse_object('{"a":' + "[" * 500_000)


@pytest.mark.parametrize(
    ("value", "kind"), [(True, int), (1, bool), (None, str), (1, str), ({}, list), ([], dict)]
)
def test_a_field_of_another_kind_is_refused_by_name(value: Json, kind: type[Json]) -> None:
    with pytest.raises(MalformedMessageError, match="'it'"):
        field({"it": value}, "it", kind)


def test_a_number_is_any_finite_number() -> None:
    assert number_field({"it": 3}, "it") == 3
    assert number_field({"it": 0.5}, "it") == 0.5


@pytest.mark.parametrize("value", [None, True, "1", 10**400, float("inf")])
def test_what_is_no_finite_number_is_refused(value: Json) -> None:
    with pytest.raises(MalformedMessageError, match="finite"):
        number_field({"it": value}, "it")
