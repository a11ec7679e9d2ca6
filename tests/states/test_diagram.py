"""The diagrams: drawn from the table, whole, and current where they are checked in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from firmware.commands.diagram import document
from states import diagram
from states.derive import HOMES
from states.rows import HOME, STAY, Row, row
from states.table import ANY, FREE, ROWS, STATES

FILE: Final = Path(__file__).parents[2] / "states" / "DIAGRAM.md"

GRAMMAR: Final = re.compile(
    r"""stateDiagram-v2
    | \s+direction\ LR
    | \s+\[\*\]\ -->\ \w+
    | \s+state\ \w+\ \{ | \s+\}
    | \s+state\ \w+\ <<choice>>
    | \s+state\ "[^"]+"\ as\ \w+
    | \s+\w+\ -->\ \w+(:\ [\w.,\ ]+)?
    | \s+note\ right\ of\ \w+ | \s+end\ note
    | \s+From\ every\ state,\ in\ one\ step: | \s+[\w\ ]+""",
    re.VERBOSE,
)
"""The part of Mermaid's language that is used; anything else is likely a slip."""

ARROW: Final = re.compile(r"\s+(\w+) --> (\w+)(?:: (.+))?")
DRAWN: Final = {"overview": diagram.overview, "detail": diagram.detail}


def arrows(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield source, target and label of each arrow."""
    for line in text.splitlines():
        found = ARROW.fullmatch(line)
        if found:
            yield found[1], found[2], found[3] or ""


def moving() -> list[Row]:
    """Return the rows that move the toy from some states, but not from everywhere."""
    return [one for one in ROWS if one.target != STAY and not set(one.sources) >= set(FREE)]


def drawn_id(name: str) -> str:
    """Return what a leaf or parent is called in a diagram."""
    return name.replace(".", "_")


def test_the_diagrams_that_are_checked_in_are_current() -> None:
    """``pommai diagram --write`` brings them up to date."""
    assert FILE.read_text(encoding="utf-8") == document()


def test_the_document_holds_both_diagrams() -> None:
    """In fenced blocks, under headings, with how it is made."""
    text = document()
    assert text.startswith("# The toy's states\n\nMade by `pommai diagram --write`")
    assert f"```mermaid\n{diagram.overview()}```\n" in text
    assert f"```mermaid\n{diagram.detail()}```\n" in text


@pytest.mark.parametrize("name", DRAWN)
def test_every_line_is_one_that_mermaid_knows(name: str) -> None:
    """A diagram that does not render shows nothing at all."""
    for line in DRAWN[name]().splitlines():
        assert GRAMMAR.fullmatch(line), line


@pytest.mark.parametrize("name", DRAWN)
def test_no_arrow_is_drawn_twice(name: str) -> None:
    """All that leads from one to another stands at one arrow."""
    ends = [(source, target) for source, target, _ in arrows(DRAWN[name]())]
    assert len(ends) == len(set(ends))


def test_the_overview_knows_the_eight_states_and_home() -> None:
    """Their names are fixed."""
    ends = {end for source, target, _ in arrows(diagram.overview()) for end in (source, target)}
    assert ends == {name.split(".")[0] for name in ANY} | {"home"}
    assert len(ends) == 9


def test_the_detail_shows_every_leaf_with_its_light() -> None:
    """Once each."""
    text = diagram.detail()
    for one in STATES:
        label = one.name.split(".")[-1]
        assert text.count(f'"{label} · {one.light}" as {drawn_id(one.name)}\n') == 1


def test_every_leaf_but_those_that_stand_for_their_state_is_entered_by_an_arrow() -> None:
    """Nobody wonders how the toy came there."""
    entered = {target for _, target, _ in arrows(diagram.detail())}
    in_notes = {one.target for one in ROWS if one.target != STAY} - {one.target for one in moving()}
    for leaf in ANY:
        assert drawn_id(leaf) in entered or leaf in in_notes or leaf == diagram.START, leaf


def test_every_row_that_moves_the_toy_is_behind_an_arrow() -> None:
    """From each of its states or from their parent, and nothing else is drawn."""
    drawn = {(source, target) for source, target, _ in arrows(diagram.detail())}
    expected = {("home", drawn_id(leaf)) for leaf in HOMES}
    for one in moving():
        for source in one.sources:
            if source != one.target:
                ends = {
                    (drawn_id(source), drawn_id(one.target)),
                    (source.split(".")[0], drawn_id(one.target)),
                }
                assert drawn & ends, (one.id, source)
                expected |= ends
    assert drawn <= expected


def test_what_leads_to_a_state_from_everywhere_stands_in_a_note() -> None:
    """Once for each state, instead of in twenty-odd arrows."""
    notes = re.findall(r"note right of (\w+)\n(.*?)end note", diagram.overview(), re.DOTALL)
    assert dict(notes).keys() == {
        one.target.split(".")[0]
        for one in ROWS
        if one.target != STAY and set(one.sources) >= set(FREE)
    }
    assert "third press" in dict(notes)["safety_lockout"]
    assert "emergency_stop" in dict(notes)["safety_lockout"]
    assert len(notes) == len(dict(notes))


LITTLE: Final = (
    row("t.parent", "press", ("idle.awake", "idle.asleep", "idle.muted"), "auth"),
    row("t.child", "release", ("idle.awake",), "auth"),
    row("t.stays", "press", ("auth",), STAY),
    row("t.loop", "wake_heard", ("auth",), "auth"),
    row("t.home", "bedtime", ("auth", "idle.muted"), HOME),
    *(row(f"t.many_{n}", "mute", ("speaking",), "auth") for n in range(4)),
    *(
        row(f"t.more_{n}", name, ("auth",), "speaking")
        for n, name in enumerate(("stop", "say", "press", "release", "mute"))
    ),
)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw a little table."""
    monkeypatch.setattr(diagram, "ROWS", LITTLE)


@pytest.mark.usefixtures("little")
def test_a_parent_is_drawn_in_place_of_all_its_children() -> None:
    """And a child beside it where it does more than the others."""
    found = set(arrows(diagram.detail()))
    assert ("idle", "auth", "t.parent") in found
    assert ("idle_awake", "auth", "t.child") in found
    assert not any(label == "t.stays" for _, _, label in found)
    assert not any(source == target for source, target, _ in found)


@pytest.mark.usefixtures("little")
def test_few_labels_are_shown_and_many_are_counted() -> None:
    """An arrow stays readable."""
    labels = {(source, target): label for source, target, label in arrows(diagram.detail())}
    assert labels["speaking", "auth"] == "t.many_0, t.many_1, t.many_2, t.many_3"
    assert labels["auth", "speaking"] == "t.more_0, t.more_1, t.more_2, and 2 more"


@pytest.mark.usefixtures("little")
def test_the_overview_draws_what_leads_from_state_to_state() -> None:
    """By events; ``home`` from idle is where idle is already."""
    labels = {(source, target): label for source, target, label in arrows(diagram.overview())}
    assert labels["idle", "auth"] == "press, release"
    assert labels["auth", "home"] == "bedtime"
    assert ("idle", "home") not in labels
    assert ("auth", "auth") not in labels
    assert labels["auth", "speaking"] == "stop, say, press, and 2 more"
