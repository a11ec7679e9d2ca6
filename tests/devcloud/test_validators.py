from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.errors import FunctionError
from devcloud.validators import (
    ANY,
    BOOLEAN,
    NULL,
    NUMBER,
    QUOTED_CHARS_MAX,
    STRING,
    Validator,
    array,
    fields,
    literals,
    optional,
    record,
    union,
)
from devcloud.values import Int64

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

TOY = fields(name=STRING, volume=optional(NUMBER))


@pytest.mark.parametrize(
    ("validator", "value"),
    [
        (STRING, ""),
        (NUMBER, 3.0),
        (BOOLEAN, False),
        (NULL, None),
        (ANY, {"what": ["ever"]}),
        (literals("done", "failed"), "failed"),
        (union(STRING, NULL), None),
        (array(NUMBER), []),
        (array(NUMBER), [1.0, 2.0]),
        (record(NUMBER), {"a": 1.0, "b": 2.0}),
        (TOY, {"name": "x"}),
        (TOY, {"name": "x", "volume": 1.0}),
    ],
)
def test_what_fits_passes(validator: Validator, value: Json) -> None:
    validator.check(value)


@pytest.mark.parametrize(
    ("validator", "value", "says"),
    [
        (STRING, 1.0, "Value: 1.0\nValidator: v.string()"),
        (NUMBER, True, "Value: true\nValidator: v.float64()"),
        (NUMBER, Int64(1), 'Value: {"$integer": "AQAAAAAAAAA="}\nValidator: v.float64()'),
        (BOOLEAN, 1.0, "Validator: v.boolean()"),
        (literals("a", "b"), "c", 'Validator: v.union(v.literal("a"), v.literal("b"))'),
        (union(STRING, NULL), 1.0, "Validator: v.union(v.string(), v.null())"),
        (array(NUMBER), "12", "Validator: v.array(v.float64())"),
        (array(NUMBER), [1.0, "2"], 'Path: [1]\nValue: "2"\nValidator: v.float64()'),
        (record(NUMBER), {"a": None}, "Path: .a\nValue: null\nValidator: v.float64()"),
        (record(NUMBER), {"": 1.0}, "keys cannot be empty or begin with '_'.\nKey: \"\""),
        (record(NUMBER), {"_id": 1.0}, "cannot be empty or begin with '_'.\nKey: \"_id\""),
        (fields(of=record(NUMBER)), {"of": {"_id": 1.0}}, 'Path: .of\nKey: "_id"'),
        (record(NUMBER), [], "Validator: v.record(v.string(), v.float64())"),
        (TOY, {"name": 1.0}, "Path: .name\nValue: 1.0\nValidator: v.string()"),
        (TOY, {"name": "x", "volume": None}, "Path: .volume\nValue: null"),
        (TOY, {}, "Object is missing the required field `name`. Consider wrapping"),
        (TOY, {"name": "x", "extra": 1.0}, "extra field `extra` that is not in the validator."),
        (TOY, None, "Validator: v.object({name: v.string(), volume: v.optional(v.float64())})"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_words_of_a_deployment(
    validator: Validator, value: Json, says: str
) -> None:
    with pytest.raises(FunctionError) as caught:
        validator.check(value)
    assert str(caught.value).startswith("ArgumentValidationError: ")
    assert says in str(caught.value)


def test_only_the_beginning_of_a_value_is_quoted() -> None:
    with pytest.raises(FunctionError) as caught:
        NUMBER.check("x" * 10_000)
    assert len(str(caught.value)) < 2 * QUOTED_CHARS_MAX
