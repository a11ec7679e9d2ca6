"""JSON from strangers."""

from __future__ import annotations

import json
import time
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware.bounded_json import (
    DIGITS_MAX,
    WHOLE_AS_FLOATS,
    WITH_CONSTANTS,
    Limits,
    decode,
    parse,
)
from firmware.errors import JsonError, JsonFault

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)

PUNCTUATION = st.text(alphabet='[]{}",:\\0e. \nu"')


WIDE_BYTES_MAX = 500_000


def verdict(text: str, depth_max: int = 8, values_max: int = 4_096) -> JsonFault | None:
    """Return why `text` is refused, if it is."""
    try:
        parse(text, Limits(depth_max, values_max, WIDE_BYTES_MAX))
    except JsonError as error:
        return error.fault
    return None


def depth(value: object) -> int:
    """Return how deep arrays and objects lie within each other."""
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
    return 0


@given(JSON)
def test_what_is_taken_means_what_it_always_means(value: object) -> None:
    """Within the limits it is the standard parser."""
    assert parse(json.dumps(value), Limits(1_000, 10_000, WIDE_BYTES_MAX)) == value


@given(JSON, st.integers(0, 4))
def test_depth_is_judged_exactly(value: object, depth_max: int) -> None:
    """Refused is what lies deeper than the limit, and nothing else; strings have no depth."""
    too_deep = depth(value) > depth_max
    assert verdict(json.dumps(value), depth_max) == ("TOO_DEEP" if too_deep else None)


@given(st.lists(st.text(alphabet='a,[{"\\'), max_size=30), st.integers(5, 20))
def test_values_are_counted_without_what_stands_in_strings(
    texts: list[str], values_max: int
) -> None:
    """A sentence with commas is one value; only an absurd number of quotes counts against it."""
    text = json.dumps(texts)
    too_many = max(len(texts), 1) > values_max
    absurd = text.count('"') > 4 * values_max
    found = verdict(text, values_max=values_max)
    assert found == "TOO_MANY_VALUES" if too_many else found is None or absurd


@given(st.text() | PUNCTUATION)
@example("\ud800")
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example("]" * 100_000)
@example("]" + "[" * 9)
@example('"' + '\\"' * 100_000)
@example('"' * 100_001)
@example("9" * 100_000)
@example("1e999999999")
@example("NaN")
@example("-Infinity")
@example("\ufeff{}")
def test_no_text_raises_anything_else(text: str) -> None:
    """A text is parsed, or refused for a reason that has a name."""
    assert verdict(text) in {
        None,
        "NOT_JSON",
        "TOO_DEEP",
        "TOO_MANY_VALUES",
    }


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", '{"a":NaN}'])
def test_constants_that_json_does_not_have_are_refused(constant: str) -> None:
    """The standard parser would take them."""
    assert verdict(constant) == "NOT_JSON"


@pytest.mark.parametrize("sign", ["", "-"])
def test_numbers_have_so_many_digits_at_most(sign: str) -> None:
    """Longer ones cost time and say nothing."""
    longest = sign + "1" * (DIGITS_MAX - len(sign))
    assert verdict(longest) is None
    assert verdict(longest + "1") == "NOT_JSON"
    assert verdict(longest + ".0") == "NOT_JSON"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        "[[]," * 250_000,
        '{"a":' * 200_000,
        '["a",' * 200_000,
        "[" + "0," * 500_000 + "0]",
        '["' + '\\"' * 499_000 + '"]',
        '["' + "\\u00e4" * 160_000 + '",[[[[[[[[[[]]]]]]]]]]]',
        "[[[[[[[[[" + '"' * 999_000,
        "[[[[[[[[[" + "\\" * 999_000,
        '[[[[[[[[["' + '\\"' * 16_000 + "a" * 960_000,
        "[" * 9 + "]" * 999_000,
        "9" * 1_000_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_megabyte_takes_little_memory_and_time(text: str) -> None:
    """A text makes no more of itself than twice its length, nor more work than a look at it."""
    tracemalloc.start()
    began_s = time.thread_time()
    try:
        verdict(text)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.thread_time() - began_s < 1
    assert peak_bytes < 2 * len(text) + 100_000


@given(JSON)
def test_bytes_mean_what_they_mean_in_utf8(value: object) -> None:
    """Whatever the piece of them in which a character begins."""
    text = json.dumps(value, ensure_ascii=False)
    limits = Limits(1_000, 10_000, 40_000_000)
    for content in (text.encode(), bytearray(text.encode()), ("x" * 16_383 + text).encode()):
        assert decode(content, limits).endswith(text)


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xff\xfe\x7b\x00"],
)
def test_what_is_no_utf8_is_no_json(content: bytes) -> None:
    """Neither half characters nor what is cut off, nor another encoding."""
    with pytest.raises(JsonError) as raised:
        decode(content, Limits(8, 8, 1_000))
    assert raised.value.fault == "NOT_JSON"


@pytest.mark.parametrize(
    ("char", "width"),
    [("x", 0), ("é", 2), ("ह", 2), ("🎈", 4), ("\\u0041", 2), ("\\ud83c\\udf88", 4)],
)
def test_one_wide_character_widens_all_the_others(char: str, width: int) -> None:
    """Written or escaped: what they take all together has a limit; what is narrow has none."""
    text = json.dumps("x" * 100)[:-1] + char + '"'
    fits = Limits(8, 8, width * len(text))
    assert isinstance(parse(text, fits), str)
    if width:
        with pytest.raises(JsonError) as raised:
            parse(text, replace(fits, wide_bytes_max=width * len(text) - 1))
        assert raised.value.fault == "TOO_LONG"


def test_wide_bytes_are_refused_before_they_are_decoded() -> None:
    """A million of them would become four."""
    content = b"x" * 1_000_000 + "🎈".encode()
    tracemalloc.start()
    try:
        with pytest.raises(JsonError, match="TOO_LONG"):
            decode(content, Limits(8, 8, 1_000_000))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_100_000


@pytest.mark.parametrize(
    ("decoder", "text", "value"),
    [(WHOLE_AS_FLOATS, "[7]", "[7.0]"), (WITH_CONSTANTS, "[Infinity,7]", "[inf, 7]")],
)
def test_numbers_are_read_as_it_is_asked_for(
    decoder: json.JSONDecoder, text: str, value: str
) -> None:
    """Convex has floats; between ourselves there may be infinity."""
    assert repr(parse(text, Limits(8, 8, 1_000), decoder)) == value
