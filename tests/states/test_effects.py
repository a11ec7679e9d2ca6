"""The vocabulary of effects: whatever is asked for is in it, with its fields and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from states import effects as x
from states.context import Context, Lock
from states.derive import STATES
from states.effects import EFFECTS, Do, Effect
from states.events import EVENTS, Event, FieldValue
from states.table import ROWS
from tests.states.recording import strolled
from tests.states.scenario import EVERYWHERE

C: Final = Context(identity=True, turn=4)
LOCK: Final = Lock("this", "pause", 300_000, "violation", "row")
LOCKED: Final = C._replace(lock=LOCK)
DERIVED: Final = frozenset(
    {"light", "microphone", "speaker", "arm", "disarm", "end_turn", "recall"}
)
"""Effects that follow from the two ends of a step and stand in no row."""


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_is_described(name: str) -> None:
    """A sentence for people; the events that come of it are known."""
    assert EFFECTS[name].says
    assert set(EFFECTS[name].results) <= set(EVENTS)


def asked_for() -> Iterator[Effect]:
    """Yield what the stories and a few long strolls ask for."""
    for story in EVERYWHERE.values():
        for step in story().steps:
            yield from step.effects
    for seed in range(6):
        for step in strolled(seed, 600):
            yield from step.effects


def test_whatever_is_asked_for_has_the_fields_of_the_vocabulary() -> None:
    """A performer may rely on them; a journal shows no others."""
    seen: set[str] = set()
    for effect in asked_for():
        assert tuple(effect.fields) == EFFECTS[effect.name].fields, effect
        seen.add(effect.name)
    assert len(seen) >= len(EFFECTS) // 2


def test_no_row_asks_for_what_is_derived() -> None:
    """They are derived in one fixed order, so that no row can forget one or get the order wrong."""
    for row in ROWS:
        for do in row.do:
            assert do.__name__.split(" ")[0] not in DERIVED, row.id


def test_every_effect_is_asked_for_by_somebody() -> None:
    """A word that nobody uses is no part of the vocabulary."""
    functions: list[Do] = [do for row in ROWS for do in row.do]
    functions += [do for state in STATES.values() for do in (*state.enters, *state.leaves)]
    named = {do.__name__.split(" ")[0].split(":")[0] for do in functions}
    renamed = {
        "report_lock": "report",
        "report_unlock": "report",
        "report_parts": "report",
        "acknowledge_lock": "acknowledge",
        "acknowledge_replaced": "acknowledge",
        "read_unread": "read_records",
    }
    assert {renamed.get(name, name) for name in named} | DERIVED >= set(EFFECTS)


@pytest.mark.parametrize(
    ("do", "before", "after", "event", "expected"),
    [
        (x.plain("recall"), C, C, Event("press"), Effect("recall")),
        (x.of_turn("replay"), C, C._replace(turn=5), Event("press"), Effect("replay", {"turn": 5})),
        (
            x.of_command("reboot"),
            C,
            C,
            Event("reboot", {"command": "row"}),
            Effect("reboot", {"command": "row"}),
        ),
        (x.of_command("erase"), C, C, Event("press"), Effect("erase", {"command": None})),
        (
            x.of_configuration("tighten"),
            C,
            C,
            Event("configured", {"version": 3}),
            Effect("tighten", {"version": 3}),
        ),
        (x.cue("end"), C, C, Event("press"), Effect("cue", {"name": "end"})),
        (x.acknowledge("done"), C, C, Event("stop", {"command": None}), None),
        (x.acknowledge("done"), C, C, Event("press"), None),
        (
            x.acknowledge("done"),
            C,
            C,
            Event("stop", {"command": "row"}),
            Effect("acknowledge", {"command": "row", "outcome": "done"}),
        ),
        (
            x.report("late"),
            C,
            C,
            Event("press"),
            Effect("report", {"kind": "late", "urgent": False, "detail": None}),
        ),
        (
            x.report("late", "part", urgent=True),
            C,
            C,
            Event("part_failed", {"part": "speaker"}),
            Effect("report", {"kind": "late", "urgent": True, "detail": "speaker"}),
        ),
        (
            x.say,
            C,
            C,
            Event("say", {"command": "row"}),
            Effect("say", {"turn": 4, "command": "row"}),
        ),
        (x.authenticate, C, C, Event("auth_due"), Effect("authenticate")),
        (x.authenticate, C, C._replace(identity=None), Event("auth_due"), None),
        (
            x.back_off,
            C,
            C,
            Event("auth_failed", {"refused": True}),
            Effect("back_off", {"refused": True}),
        ),
    ],
)
def test_an_effect_is_made_of_what_it_names(
    do: Do, before: Context, after: Context, event: Event, expected: Effect | None
) -> None:
    """Context before and after, and the event, are all it knows."""
    assert do(before, after, event) == expected


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        (Event("parts_tested", {"failed": ""}), None),
        (Event("parts_tested", {"failed": "microphone speaker"}), "microphone speaker"),
        (Event("part_failed", {"part": "speaker"}), "speaker"),
    ],
)
def test_failed_parts_are_reported_and_working_ones_are_not(
    event: Event, detail: FieldValue
) -> None:
    """A failed part leads to a report; a passed self-test leads to none."""
    effect = x.report_parts(C, C, event)
    assert (effect and effect.fields["detail"]) == detail


@pytest.mark.parametrize(
    ("cause", "kind"),
    [("violation", "safety_violation"), ("record", "locked_at_start"), ("press", "emergency_stop")],
)
def test_a_lock_is_reported_as_urgent_with_the_id_that_a_release_must_name(
    cause: str, kind: str
) -> None:
    """And with what a guardian understands of its cause."""
    after = C._replace(lock=LOCK._replace(cause=cause))
    expected = Effect("report", {"kind": kind, "urgent": True, "detail": "this"})
    assert x.report_lock(C, after, Event("press")) == expected


def test_the_effects_of_a_lock_name_it() -> None:
    """Written, reported and cleared is this very lock."""
    event = Event("press")
    written = x.write_lock(C, LOCKED, event)
    assert written.fields == {
        "lock_id": "this",
        "kind": "pause",
        "pause_ms": 300_000,
        "cause": "violation",
    }
    assert x.clear_lock(LOCKED, C, event).fields == {"lock_id": "this"}
    assert x.report_unlock(LOCKED, C, event).fields["detail"] == "this"


@pytest.mark.parametrize(
    ("before", "outcome"), [(C, None), (C._replace(lock=LOCK._replace(command=None)), None)]
)
def test_a_lock_that_no_command_asked_for_acknowledges_nothing(
    before: Context, outcome: None
) -> None:
    """There is nobody to tell."""
    event = Event("lock_written", {"lock_id": "this"})
    assert x.acknowledge_lock(before, before, event) is outcome
    assert x.acknowledge_replaced(before, C, event) is outcome


def test_the_command_of_a_lock_is_told_what_became_of_it() -> None:
    """Done when it is durable; replaced when another lock came first."""
    other = LOCKED._replace(lock=LOCK._replace(id="that", command="other"))
    event = Event("lock", {"command": "other"}, "that")
    done = x.acknowledge_lock(LOCKED, LOCKED, event)
    replaced = x.acknowledge_replaced(LOCKED, other, event)
    assert done == Effect("acknowledge", {"command": "row", "outcome": "done"})
    assert replaced == Effect("acknowledge", {"command": "row", "outcome": "replaced"})
    assert x.acknowledge_replaced(LOCKED, LOCKED, event) is None


def test_who_the_toy_is_is_read_where_nobody_knows_it() -> None:
    """Locked, it must still learn whose release to believe."""
    unread = C._replace(identity=None)
    assert x.read_unread(C, unread, Event("press")) == Effect("read_records")
    assert x.read_unread(C, C, Event("press")) is None
