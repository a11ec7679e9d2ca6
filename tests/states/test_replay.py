"""Replay: today's table against a recorded journal, up to the first difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from states import changes as c
from states import effects as x
from states import guards as g
from states.context import Context
from states.effects import Effect
from states.events import Event
from states.journal import Journal, read
from states.lookup import OURS, Lookup
from states.machine import START, Core, Step
from states.replay import Changes, replay
from states.rows import STAY, Row, row
from states.table import ANY
from tests.states.recording import above, altered, journal_of, lines_of, strolled, without
from tests.states.scenario import Toy

JOURNALS: Final = Path(__file__).parents[1] / "journals"
GOLDEN: Final = sorted(path.name for path in JOURNALS.glob("*.jsonl"))
DIVERGES: Final = "third-press-overlooked.jsonl"
SAME: Final = Changes((), (), (), behaviour=False)


@pytest.fixture(scope="module")
def conversation() -> Journal:
    """A child asks, hears the answer, and stops the toy with three presses."""
    toy = Toy.speaking().happens("reply_played")
    toy.tap().tap().press().is_in("safety_lockout.pause")
    return journal_of(toy.steps)


# -- Identical.
@pytest.mark.parametrize("seed", range(4))
def test_a_stroll_replays_identically_by_the_table_that_made_it(seed: int) -> None:
    """The core reads no clock and draws no number: the events are all that there is."""
    replayed = replay(journal_of(strolled(seed, 300)))
    assert replayed.difference is None
    assert (replayed.identical, replayed.total, replayed.changes) == (300, 300, SAME)


def test_a_replay_begins_where_the_journal_does() -> None:
    """Each file of a rotated journal has the situation at its head."""
    core = Core()
    events = [step.event for step in strolled(3, 200)]
    for event in events[:120]:
        core.step(event)
    situation = core.situation
    steps = [core.step(event) for event in events[120:]]
    replayed = replay(journal_of(steps, situation))
    assert (replayed.identical, replayed.difference) == (80, None)


def test_a_journal_without_steps_is_identical() -> None:
    """There is nothing that could differ."""
    replayed = replay(journal_of([]))
    assert (replayed.identical, replayed.total, replayed.difference) == (0, 0, None)


def test_a_torn_journal_replays_as_far_as_it_goes() -> None:
    """What is before the torn line stands."""
    lines = lines_of(strolled(4, 20))
    replayed = replay(read([*lines[:-1], lines[-1][:50]]))
    assert (replayed.identical, replayed.total, replayed.difference) == (19, 19, None)


# -- The first difference, with both sides.
def never(_c: Context, _e: Event) -> bool:
    """Hold nowhere."""
    return False


BREAKAGES: Final[dict[str, tuple[Callable[[Row], Row], str, str, str]]] = {
    "a guard": (lambda r: r._replace(when=(*r.when, never)), "stop.press", "press", "row"),
    "a target": (
        lambda r: r._replace(target="safety_lockout.lock"),
        "stop.press",
        "press",
        "to",
    ),
    "a change of memory": (
        lambda r: r._replace(then=(*r.then, c.turn_begins)),
        "flushing.done",
        "uplink_flushed",
        "effects",
    ),
    "an effect": (
        lambda r: r._replace(do=(*r.do, x.cue("end"))),
        "reply.begins",
        "reply_began",
        "effects",
    ),
    "an effect's place": (
        lambda r: r._replace(do=tuple(reversed(r.do))),
        "stop.press",
        "press",
        "effects",
    ),
    "an outcome": (
        lambda r: r._replace(ends="forgotten"),
        "reply.ends",
        "reply_played",
        "effects",
    ),
}


@pytest.mark.parametrize(("change", "row_id", "event", "field"), BREAKAGES.values(), ids=BREAKAGES)
def test_a_changed_row_stops_the_replay_where_it_first_fires(
    conversation: Journal, change: Callable[[Row], Row], row_id: str, event: str, field: str
) -> None:
    """Row, target and effects are compared; the first difference is shown with both sides."""
    replayed = replay(conversation, Lookup(altered(row_id, change)))
    fired = [entry for entry in conversation.entries if entry.step.row == row_id]
    assert replayed.difference is not None
    entry, today = replayed.difference
    assert entry == fired[0]
    assert (today.event, today.source) == (entry.step.event, entry.step.source)
    assert today.event.name == event
    assert getattr(today, field) != getattr(entry.step, field)
    assert (replayed.identical, replayed.total) == (entry.seq - 1, len(conversation.entries))
    assert replayed.changes == Changes((row_id,), (), (), behaviour=True)


def test_a_changed_row_that_does_not_fire_makes_no_difference(conversation: Journal) -> None:
    """The fingerprints tell what this journal cannot."""
    rules = altered("erase.done", lambda r: r._replace(target="auth"))
    replayed = replay(conversation, Lookup(rules))
    assert replayed.difference is None
    assert replayed.changes == Changes(("erase.done",), (), (), behaviour=True)


def test_a_changed_source_text_is_told_by_the_row_that_names_it(conversation: Journal) -> None:
    """What a row's functions do is part of the row."""
    rules = altered("stop.press", lambda r: r._replace(when=(g.chained,)))
    replayed = replay(conversation, Lookup(rules))
    assert replayed.difference is not None
    assert replayed.difference.entry.step.row == "again.plays"
    assert replayed.difference.today.row == "stop.press"


def test_rows_that_came_and_went_are_told(conversation: Journal) -> None:
    """A changed table says "behaviour changed" and lists what differs."""
    rules = above(row("test.new", "press", ("boot.dark",), STAY), without("reply.ends"))
    replayed = replay(conversation, Lookup(rules))
    assert replayed.changes == Changes((), ("test.new",), ("reply.ends",), behaviour=True)


def test_a_change_of_order_alone_is_a_change_of_behaviour(conversation: Journal) -> None:
    """No row changed, and yet another one may come first."""
    rules = OURS._replace(rows=(*OURS.rows[1:], OURS.rows[0]))
    replayed = replay(conversation, Lookup(rules))
    assert replayed.changes == Changes((), (), (), behaviour=True)


def test_a_change_of_what_is_not_acted_on_is_a_change_of_behaviour(conversation: Journal) -> None:
    """Whether something is expected or counted is behaviour too."""
    entries = tuple(one._replace(verdict="refused") for one in OURS.unacted)
    replayed = replay(conversation, Lookup(OURS._replace(unacted=entries)))
    assert replayed.changes == Changes((), (), (), behaviour=True)


def test_an_event_of_an_older_vocabulary_is_a_difference_and_no_crash() -> None:
    """A field was added or dropped since: today's table refuses the event, and says why."""
    event = Event("bedtime", {}, "e1")
    recorded = Step(event, "boot.dark", "bedtime.noted", "boot.dark", ())
    replayed = replay(journal_of([recorded]))
    assert replayed.difference is not None
    assert replayed.difference.today.row.startswith("refused:event 'bedtime' carries []")
    assert (replayed.difference.today.to, replayed.difference.today.effects) == ("boot.dark", ())


def test_an_event_that_is_no_longer_known_is_a_difference() -> None:
    """Its name left the vocabulary since."""
    recorded = Step(Event("tickled", {}, "e1"), "boot.dark", "tickle.laughs", "boot.dark", ())
    replayed = replay(journal_of([recorded]))
    assert replayed.difference is not None
    assert replayed.difference.today.row == "refused:unknown"


def test_a_state_that_is_no_longer_known_is_a_difference() -> None:
    """Its name left the table since; what was recorded there cannot be compared."""
    situation = START._replace(leaf="bored")
    press = Event("press", {}, "e1")
    recorded = Step(press, "bored", "bored.press", "auth", (Effect("cue", {"name": "end"}),))
    replayed = replay(journal_of([recorded], situation))
    assert replayed.difference is not None
    assert replayed.difference.today.source == "bored"
    assert not replayed.difference.today.effects


# -- Golden journals.
def golden(name: str) -> Journal:
    """Return a journal that is checked in."""
    with (JOURNALS / name).open(encoding="ascii", newline="") as file:
        return read(file)


@pytest.mark.parametrize("name", [name for name in GOLDEN if name != DIVERGES])
def test_a_golden_journal_still_replays_identically(name: str) -> None:
    """An incident once understood stays as it was understood, until somebody means to change it."""
    replayed = replay(golden(name))
    assert replayed.difference is None, (
        f"{name} line {replayed.difference.entry.line}: recorded {replayed.difference.entry.step}, "
        f"today {replayed.difference.today}; where this is meant, see tests/journals/README.md"
    )
    assert replayed.identical == replayed.total > 0


def test_a_journal_of_another_table_diverges() -> None:
    """A check that cannot fail shows nothing: this one was recorded without the triple press."""
    replayed = replay(golden(DIVERGES))
    assert replayed.difference is not None
    entry, today = replayed.difference
    assert 0 < replayed.identical < replayed.total
    assert (entry.step.event.name, entry.step.source) == ("press", today.source)
    assert not entry.step.to.startswith("safety_lockout")
    assert (today.row, today.to) == ("stop.press", "safety_lockout.pause")
    assert "stop.press" in replayed.changes.added
    assert replayed.changes.behaviour


def test_there_are_golden_journals_and_each_has_its_incident() -> None:
    """The table of README.md names each file, what it stands for and what it shows."""
    table = (JOURNALS / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table
        if line.startswith("|") and ".jsonl" in line
    ]
    assert [cells[0].strip("`") for cells in rows] == GOLDEN
    assert all(len(cells) == 3 and all(cells) for cells in rows)
    assert len(GOLDEN) >= 6
    assert DIVERGES in GOLDEN


def test_golden_journals_go_through_the_states() -> None:
    """Between them they have been in every parent state."""
    been = {entry.step.to.split(".")[0] for name in GOLDEN for entry in golden(name).entries}
    assert been == {leaf.split(".")[0] for leaf in ANY}
