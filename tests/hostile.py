"""What a hostile cloud, or a damaged card, may hand to a parser; and how parsers are judged.

Fuzzing begins with messages that are right, so that it gets past the first check: something in them
is swapped, dropped, nested or made too long. What is noise from the start is drawn too.
"""

from __future__ import annotations

import copy
import json
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY: Final = "canary-3f9c"
"""Stands in whatever is drawn here, and must not be in any text of ours."""

BEYOND_BYTES_MAX: Final = 1_000_000
"""What a message may take beyond its own size."""

LOOP_MS_MAX: Final = 100
"""How long a message may hold the loop."""

TEXTS: Final = st.text(st.characters(), max_size=20) | st.sampled_from(
    [
        "",
        CANARY,
        "\ud800",
        "\udfff" + CANARY,
        "\0",
        "\r\n",
        "x" * 5_000,
        "🎈" * 300,
        "https://[" + CANARY,
        "ws://localhost/",
        "$integer",
        "__class__",
        "NaN",
        "-1",
        "Infinity",
    ]
)
"""Half characters, control characters, what is too long, and what others might take for more."""

NUMBERS: Final = (
    st.integers()
    | st.floats()
    | st.sampled_from([-1, 0, -0.0, 1, 2**31, 2**53 + 1, 2**64, -(2**63) - 1, 10**400, 1e308])
)

SCALARS: Final = st.none() | st.booleans() | NUMBERS | TEXTS

ANYTHING: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
"""Any value that JSON has, and some that only Python takes for JSON."""

_Path = tuple[Any, ...]


def mutations(*examples: Any, most: int = 3) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any JSON
    """Return values that are one of the examples but for one to `most` changes."""

    @st.composite
    def changed(draw: st.DrawFn) -> Any:  # noqa: ANN401 - any JSON
        value = copy.deepcopy(draw(st.sampled_from(examples)))
        for _ in range(draw(st.integers(1, most))):
            value = _changed(draw, value)
        return value

    return changed()


def values(*examples: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any JSON
    """Return values for a parser whose messages look like the examples: nearly right, and not."""
    return mutations(*examples) | ANYTHING


def json_texts(*examples: Any) -> st.SearchStrategy[bytes]:  # noqa: ANN401 - any JSON
    """Return texts for a parser of JSON: of such values, with keys twice, damaged, and noise."""

    def written(value: Any, is_ascii: bool, is_twice: bool) -> bytes:  # noqa: ANN401, FBT001
        try:
            text = json.dumps(value, ensure_ascii=is_ascii)
        except (ValueError, RecursionError):
            text = "[]"
        if is_twice and text.startswith("{") and len(text) > 2:
            text = f"{text[:-1]},{text[1:]}"
        return text.encode("utf-8", "surrogatepass")

    whole = st.builds(written, values(*examples), st.booleans(), st.booleans())
    return whole | whole.flatmap(damaged) | noise()


def noise() -> st.SearchStrategy[bytes]:
    """Return what is no message at all."""
    return st.binary(max_size=200) | st.text('{}[]",:\\u0d8e1.- ').map(str.encode)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Return a content that is cut, altered, doubled in part or grown somewhere."""

    def damage(at: int, length: int, kind: str, other: bytes) -> bytes:
        head, piece, tail = content[:at], content[at : at + length], content[at + length :]
        match kind:
            case "cut":
                return head
            case "lost":
                return head + tail
            case "twice":
                return head + piece * 2 + tail
            case "flipped":
                return head + bytes(byte ^ 0x20 for byte in piece) + tail
            case _:
                return head + other + tail

    return st.builds(
        damage,
        st.integers(0, len(content)),
        st.integers(1, 8),
        st.sampled_from(["cut", "lost", "twice", "flipped", "other"]),
        st.binary(max_size=8),
    )


def heavy(bytes_max: int) -> dict[str, str]:
    """Return JSON values, by name, each as long as it may be and costly in its own way."""

    def filled(opening: str, unit: str, closing: str) -> str:
        room = bytes_max - len((opening + closing).encode())
        return opening + unit * (room // len(unit.encode())) + closing

    found = {
        f"{opening}{unit}"[:16]: filled(opening, unit, closing)
        for opening, unit, closing in (
            ("[", "[],", "0]"),
            ("[", "{},", "0]"),
            ("[", '{"a":0},', "0]"),
            ("[", "0,", "0]"),
            ("[", "0.5,", "0]"),
            ("[", '"a",', "0]"),
            ("[", "[", "]"),
            ("", "[[]", ""),
            ("", '{"a":', ""),
            ('"', "x", '"'),
            ('"', "é", '"'),
            ('"', "ह", '"'),
            ('"', "🎈", '"'),
            ('"', "\\u0000", '"'),
            ('"', "\\ud83c\\udf88", '"'),
            ('"', "\\ud800", '"'),
            ('"', "x", '🎈"'),
            ('"', "x", '\\ud83c\\udf88"'),
            ('"', "x", '\\u0939"'),
            ('"🎈', '\\"', '"'),
            ("", "9", ""),
            ("[", "9" * 30 + ",", "0]"),
        )
    }
    keys = ",".join(f'"{number:x}":{number}.5' for number in range(bytes_max // 14))
    return found | {"keys": f"{{{keys}}}"}


def costly(values_max: int, wide_chars_max: int) -> dict[str, str]:
    """Return JSON values, by name, that use up what there may be of values and of width."""
    half = values_max // 2 - 4
    rows = range(values_max // 7 - 4)
    row = ",".join(f'"{key}{{0}}{"k" * 60}":{{0}}.5' for key in range(6))
    many = {
        "lists": "[" + ",".join(["[]"] * half) + "]",
        "objects": "[" + ",".join(['{"a":0}'] * half) + "]",
        "floats": "[" + ",".join(["1.5"] * (2 * half)) + "]",
        "own keys": "[" + ",".join(f'{{"k{number:x}":1.5}}' for number in range(half)) + "]",
        "one object": "{" + ",".join(f'"{number:x}":1.5' for number in range(2 * half)) + "}",
        "rows": "[" + ",".join("{" + row.format(number) + "}" for number in rows) + "]",
        "integers": "[" + ",".join(['{"$integer":"AAAAAAAAAAA="}'] * half) + "]",
    }
    wide = {
        "wide": '"' + "🎈" * (wide_chars_max - 100) + '"',
        "one wide": '"' + "x" * (wide_chars_max - 100) + '🎈"',
        "one escape": '"' + "x" * (wide_chars_max - 100) + '\\ud83c\\udf88"',
        "both": '["' + "x" * (wide_chars_max // 2) + '🎈",' + many["own keys"] + "]",
    }
    return many | wide


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the most memory that some work takes at once; what it returns counts."""
    tracemalloc.start()
    try:
        kept = work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del kept
    return peak


def least_ms(work: Callable[[], object], tries: int = 3) -> float:
    """Return how long some work takes this thread, at best: others use the machine too."""

    def once() -> float:
        began_s = time.thread_time()
        work()
        return (time.thread_time() - began_s) * 1000

    return min(once() for _ in range(tries))


def told(error: BaseException) -> str:
    """Return every text that comes with an error, those of the errors behind it too."""
    texts = [str(error), repr(error), *map(repr, vars(error).values())]
    if error.__context__ is not None and not error.__suppress_context__:
        texts.append(told(error.__context__))
    if error.__cause__ is not None:
        texts.append(told(error.__cause__))
    return "\n".join(texts)


def _changed(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value of which one place was changed."""
    path = draw(st.sampled_from(list(_paths(value))))
    found = value
    for step in path:
        found = found[step]
    kind = draw(st.sampled_from(["swap", "drop", "nest", "lengthen", "add", "negate"]))
    match kind, found:
        case "drop", _ if path:
            return _without(value, path)
        case "nest", _:
            new = found
            for _ in range(draw(st.sampled_from([1, 2, 40, 2_000]))):
                new = [new]
        case "lengthen", str() | list():
            new = found * draw(st.sampled_from([2, 300]))
        case "add", dict():
            new = {**found, draw(TEXTS): draw(ANYTHING)}
        case "negate", bool():
            new = not found
        case "negate", int() | float():
            new = -found - 1
        case _:
            new = draw(ANYTHING)
    return _with(value, path, new)


def _paths(value: Any, path: _Path = (), depth: int = 5) -> Iterator[_Path]:  # noqa: ANN401 - any JSON
    yield path
    if depth and isinstance(value, dict):
        for key in value:
            yield from _paths(value[key], (*path, key), depth - 1)
    elif depth and isinstance(value, list):
        for index, item in enumerate(value[:8]):
            yield from _paths(item, (*path, index), depth - 1)


def _with(value: Any, path: _Path, new: Any) -> Any:  # noqa: ANN401 - any JSON
    if not path:
        return new
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = new
    return value


def _without(value: Any, path: _Path) -> Any:  # noqa: ANN401 - any JSON
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return value
