"""Fingerprints: a change of behaviour changes one, a change of words changes none."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from states import changes as c
from states import effects as x
from states import fingerprint
from states import guards as g
from states import table as table_module
from states.effects import Do
from states.lookup import OURS, Rules
from states.rows import STAY, Row, State, Unacted, ignore, refuse, row

PLAIN: Final = row("a.row", "press", ("auth",), STAY, when=g.held, then=c.released, do=x.say)
BESIDE: Final = row("b.row", "release", ("auth",), STAY)
ENTRY: Final = ignore("an.entry", "press", ("auth",), "no reason")

Made = Callable[[str], ModuleType]


def rules(*rows: Row) -> Rules:
    """Return rules of these rows and one entry."""
    return Rules(rows, (ENTRY,))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """Make modules from source text, as an editor would."""
    number = 0

    def from_text(text: str) -> ModuleType:
        nonlocal number
        number += 1
        path = tmp_path / f"made_{number}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        return module

    yield from_text
    fingerprint._definitions.cache_clear()
    fingerprint._module_text.cache_clear()


def test_every_row_has_a_fingerprint_of_its_own() -> None:
    """Two rows that do the same from the same are one row too many."""
    prints = fingerprint.rows()
    assert list(prints) == [one.id for one in OURS.rows]
    assert len(set(prints.values())) == len(prints)
    assert all(len(digits) == 8 and int(digits, 16) >= 0 for digits in prints.values())


def test_the_table_has_a_fingerprint() -> None:
    """The same each time it is asked."""
    assert len(fingerprint.table()) == 16
    assert int(fingerprint.table(), 16) >= 0
    assert fingerprint.table() == fingerprint.table(OURS)


CHANGED: Final[dict[str, Row]] = {
    "events": PLAIN._replace(events=("press", "release")),
    "sources": PLAIN._replace(sources=("auth", "speaking")),
    "target": PLAIN._replace(target="auth"),
    "guard": PLAIN._replace(when=(g.chained,)),
    "contrary guard": PLAIN._replace(when=(g.no(g.held),)),
    "no guard": PLAIN._replace(when=()),
    "change": PLAIN._replace(then=(c.chain_ends,)),
    "effect": PLAIN._replace(do=(x.authenticate,)),
    "another effect": PLAIN._replace(do=(x.say, x.cue("end"))),
    "outcome": PLAIN._replace(ends="answered"),
}


@pytest.mark.parametrize("other", CHANGED.values(), ids=CHANGED)
def test_each_column_of_a_row_is_in_its_fingerprint(other: Row) -> None:
    """And in no other row's, and in the table's."""
    before, after = rules(PLAIN, BESIDE), rules(other, BESIDE)
    assert fingerprint.rows(before)["a.row"] != fingerprint.rows(after)["a.row"]
    assert fingerprint.rows(before)["b.row"] == fingerprint.rows(after)["b.row"]
    assert fingerprint.table(before) != fingerprint.table(after)


MADE: Final[tuple[Do, ...]] = (
    x.plain("erase"),
    x.of_turn("erase"),
    x.of_command("erase"),
    x.of_configuration("erase"),
    x.cue("erase"),
    x.cue("end"),
    x.acknowledge("erase"),
    x.report("erase"),
    x.report("erase", urgent=True),
    x.report("erase", "part"),
    x.report("erase", "part", urgent=True),
)


def test_effects_that_were_made_differently_have_different_fingerprints() -> None:
    """What a made effect was made with is behaviour: an urgent report is no other report."""
    prints = {fingerprint.rows(rules(PLAIN._replace(do=(do,))))["a.row"] for do in MADE}
    assert len(prints) == len(MADE)


def test_a_contrary_is_told_from_its_guard_and_from_other_contraries() -> None:
    """The fingerprint looks through ``no`` at what it negates."""
    texts = [
        fingerprint._row_text(PLAIN._replace(when=(g.no(guard),))) for guard in (g.held, g.chained)
    ]
    assert texts[0] != texts[1]
    assert "push_to_talk" in texts[0]


def test_order_is_in_the_table_s_fingerprint_alone() -> None:
    """The first row that fits fires."""
    one, other = rules(PLAIN, BESIDE), rules(BESIDE, PLAIN)
    assert dict(fingerprint.rows(one)) == dict(fingerprint.rows(other))
    assert fingerprint.table(one) != fingerprint.table(other)


@pytest.mark.parametrize(
    "other",
    [
        refuse("an.entry", "press", ("auth",), "no reason"),
        ignore("an.entry", "release", ("auth",), "no reason"),
        ignore("an.entry", "press", ("speaking",), "no reason"),
        ignore("other.entry", "press", ("auth",), "no reason"),
    ],
)
def test_what_is_not_acted_on_is_in_the_table_s_fingerprint(other: Unacted) -> None:
    """Whether something is expected or counted is behaviour."""
    changed = Rules((PLAIN,), (other,))
    assert fingerprint.table(rules(PLAIN)) != fingerprint.table(changed)


def test_a_reason_is_words() -> None:
    """Why nothing is done may be said better without a change of behaviour."""
    reworded = ENTRY._replace(why="a better reason")
    assert fingerprint.table(rules(PLAIN)) == fingerprint.table(Rules((PLAIN,), (reworded,)))


FIRST: Final = table_module.STATES[0]
MEANINGS: Final[dict[str, State]] = {
    "light": FIRST._replace(light="other"),
    "microphone": FIRST._replace(microphone="capture"),
    "speaker": FIRST._replace(speaker="reply"),
    "timeout": FIRST._replace(timeout_ms=77),
    "timeout with speech": FIRST._replace(timeout_speech_ms=77),
    "what going in does": FIRST._replace(enters=(x.cue("end"),)),
    "what going out does": FIRST._replace(leaves=(x.cue("end"),)),
}


@pytest.mark.parametrize("other", MEANINGS.values(), ids=MEANINGS)
def test_what_a_state_means_is_in_the_table_s_fingerprint(
    other: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lights, microphone, speaker, timeouts and what going in and out does are behaviour."""
    before = fingerprint.table()
    monkeypatch.setattr(fingerprint, "STATES", (other, *table_module.STATES[1:]))
    assert fingerprint.table() != before


WORDY: Final = '''
"""A module."""

LIMIT = 3
"""How many."""


class Thing:
    """Only words."""


def holds(c, e):
    """Say when it holds."""
    # The reason why.
    if c:
        return c.presses == LIMIT
    return False
'''
TERSE: Final = """
LIMIT = 3
class Thing: pass
def holds(c, e):
    if c:
        return (c.presses == LIMIT)
    return False
"""


def test_words_are_no_part_of_a_fingerprint(made: Made) -> None:
    """Docstrings, comments and layout may change freely."""
    wordy, terse = made(WORDY), made(TERSE)
    assert fingerprint._module_text(wordy) == fingerprint._module_text(terse)
    assert fingerprint._function_text(wordy.holds) == fingerprint._function_text(terse.holds)


@pytest.mark.parametrize(("old", "new"), [("==", ">"), ("False", "True"), ("if c", "if e")])
def test_the_source_of_a_function_is_in_the_fingerprint_of_its_row(
    made: Made, old: str, new: str
) -> None:
    """Editing one guard is a change of each row that names it."""
    before, after = made(TERSE), made(TERSE.replace(old, new))
    rows = [PLAIN._replace(when=(module.holds,)) for module in (before, after)]
    assert fingerprint.rows(rules(rows[0])) != fingerprint.rows(rules(rows[1]))


def test_a_figure_of_the_vocabulary_is_in_the_table_s_fingerprint(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is derived and what functions call counts too, wherever it stands in the package."""
    before, after = made(TERSE), made(TERSE.replace("LIMIT = 3", "LIMIT = 4"))
    prints = []
    for module in (before, after):
        monkeypatch.setattr(fingerprint, "_MODULES", (module,))
        prints.append(fingerprint.table())
    assert prints[0] != prints[1]


def test_a_function_of_no_module_is_told_by_its_name() -> None:
    """Nothing that a table may hold makes the fingerprint fail."""
    made_up = eval("lambda c, e: True", {})  # noqa: S307 - a function without a source
    made_up.__module__ = None
    assert fingerprint._function_text(made_up) == "<lambda>"


def test_every_python_tells_the_same_shape() -> None:
    """A journal written by one Python does not seem changed to another."""
    source = (
        "def told(x: int = 3) -> str:\n    return f\"{x!r:>{x}} 'and' {x['a']}\" if x else 'b'\n"
    )
    shape = repr(fingerprint._shape(ast.parse(source)))
    assert hashlib.sha256(shape.encode()).hexdigest()[:16] == "5648e3747cb6c19a"
