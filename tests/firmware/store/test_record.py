"""A record, and its form on disk."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmware
from firmware.store.record import LOG_FUNCTION, METRICS_FUNCTION, REPORT_FUNCTION, Record, Stamp

RECORD = Record(
    "id-1",
    "conversations:create",
    '{"transcript":"canary"}',
    "toy-1",
    Stamp(1, clock_set=False, boot_id="boot", monotonic_ms=2),
    "sound",
    "stored",
)


def test_what_is_encoded_is_decoded() -> None:
    """All of it, on one line of ASCII."""
    text = RECORD.encoded()
    assert Record.decode(text) == RECORD
    assert text.isascii()
    assert "\n" not in text


def test_what_was_said_is_not_in_its_representation() -> None:
    """It may be logged by whoever does not think of it."""
    assert "canary" not in repr(RECORD)


@pytest.mark.parametrize("key", sorted(json.loads(RECORD.encoded())))
@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}, "x"], ids=repr)
def test_a_record_that_has_something_else_in_it_is_none(key: str, value: object) -> None:
    """Also where Python would take one for the other."""
    values = json.loads(RECORD.encoded())
    is_right = value == {} if key == "arguments" else isinstance(value, str) and key != "stamp"
    found = Record.decode(json.dumps(values | {key: value}))
    assert (found is not None) == is_right
    optional = key in {"audio", "storage_id"}
    del values[key]
    assert (Record.decode(json.dumps(values)) is not None) == optional


@given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
def test_no_text_makes_decoding_raise(text: str) -> None:
    """A disk may hold anything."""
    assert Record.decode(text) is None


def test_deep_nesting_is_no_record() -> None:
    """Nor does it end the process."""
    assert Record.decode("[" * 100_000) is None
    nested = f'{{"a":{"[" * 100_000}{"]" * 100_000}}}'
    values = json.loads(RECORD.encoded()) | {"arguments": "here"}
    assert Record.decode(json.dumps(values).replace('"here"', nested)) is None


def test_quotation_marks_in_its_arguments_are_escaped_once() -> None:
    """Or what its maker measured would be twice as long on disk."""
    arguments = json.dumps({"transcript": '"' * 1_000}, separators=(",", ":"))
    record = replace(RECORD, arguments=arguments)
    assert len(record.encoded()) < len(arguments) + 300
    assert Record.decode(record.encoded()) == record


def test_each_function_of_the_cloud_has_one_constant() -> None:
    """Whoever renames one renames it everywhere."""
    root = Path(firmware.__file__).parent
    named = Counter(
        node.value
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch("[a-z]+:[a-z]+[A-Z][A-Za-z]+|[a-z]+:(create|record)", node.value)
    )
    assert {REPORT_FUNCTION, METRICS_FUNCTION, LOG_FUNCTION} <= named.keys()
    assert named.total() == len(named), "a function is named in more than one place"
