"""The index of the table: which row fires, what is said of the rest, and what is dropped unread."""

from __future__ import annotations

from typing import Final

import pytest

from states.context import Context, Lock
from states.derive import TIMER_EVENTS, Situation
from states.errors import TableError
from states.events import EVENTS, Event, FieldValue
from states.lookup import OURS, STALE, UNDEFINED, UNKNOWN, Lookup, Rules, stale
from states.machine import START
from states.rows import STAY, Row, Unacted, ignore, refuse, row
from states.table import ANY

AUTH: Final = ("auth",)
HERE: Final = Situation("auth", Context())
PRESS: Final = Event("press")


def lookup_of(*entries: Row | Unacted) -> Lookup:
    """Return the index of these rows and entries."""
    rows = tuple(one for one in entries if isinstance(one, Row))
    return Lookup(Rules(rows, tuple(one for one in entries if isinstance(one, Unacted))))


# -- The order.
def test_the_first_row_whose_guards_all_hold_is_chosen() -> None:
    """Rows are asked in the order of the table."""
    lookup = lookup_of(
        row("test.one", "press", AUTH, STAY, when=(lambda _c, _e: True, lambda _c, _e: False)),
        row("test.two", "press", AUTH, STAY, when=lambda c, _: c.link),
        row("test.three", "press", AUTH, STAY),
    )
    chosen = lookup.choose(HERE, PRESS)
    assert isinstance(chosen, Row)
    assert chosen.id == "test.two"
    assert [one.id for one in lookup.rows("auth", "press")] == [
        "test.one",
        "test.two",
        "test.three",
    ]


def test_where_no_row_fits_the_first_entry_speaks() -> None:
    """An entry for a few states stands before the one for all."""
    lookup = lookup_of(
        row("test.row", "press", AUTH, STAY, when=lambda c, _: c.tokens),
        ignore("test.here", "press", AUTH, "here"),
        refuse("test.anywhere", "press release", ANY, "anywhere"),
    )
    assert lookup.choose(HERE, PRESS) == lookup.unacted("auth", "press")
    assert lookup.unacted("auth", "press").id == "test.here"
    assert lookup.unacted("speaking", "press").id == "test.anywhere"
    assert lookup.unacted("auth", "release").verdict == "refused"


def test_where_the_table_is_silent_it_says_so() -> None:
    """Nothing is undefined in ours; a table that is being written may be."""
    lookup = lookup_of(row("test.row", "press", AUTH, STAY))
    assert lookup.choose(HERE, Event("release")) is UNDEFINED
    assert lookup.rows("auth", "release") == ()
    assert lookup.unacted("speaking", "press") is UNDEFINED


def test_nothing_is_undefined_in_ours() -> None:
    """Every pair of state and event has a row that always fits, or an entry."""
    lookup = Lookup()
    assert lookup.rules is OURS
    for leaf in ANY:
        for name in EVENTS:
            certain = any(not one.when for one in lookup.rows(leaf, name))
            assert certain or lookup.unacted(leaf, name) is not UNDEFINED, (leaf, name)


def test_no_row_of_ours_stands_everywhere_behind_one_that_always_fits() -> None:
    """It could never fire; the table would promise what does not happen."""
    lookup, possible = Lookup(), set()
    for leaf in ANY:
        for name in EVENTS:
            for one in lookup.rows(leaf, name):
                possible.add(one.id)
                if not one.when:
                    break
    assert possible == {one.id for one in OURS.rows}


# -- Contradictions.
@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ((row("a", "press", AUTH, STAY), row("a", "release", AUTH, STAY)), "'a' is given twice"),
        ((row("a", "press", AUTH, STAY), ignore("a", "press", AUTH, "")), "'a' is given twice"),
        ((row("a", "press", AUTH, "nowhere"),), "'a' goes to 'nowhere'"),
        ((row("a", "press", ("nowhere",), STAY),), "'a' starts from 'nowhere'"),
        ((ignore("a", "press", ("nowhere",), ""),), "'a' starts from 'nowhere'"),
        ((row("a", "tickle", AUTH, STAY),), "'a' waits for 'tickle'"),
        ((ignore("a", "tickle", AUTH, ""),), "'a' waits for 'tickle'"),
    ],
)
def test_a_contradiction_is_found_when_the_index_is_built(
    entries: tuple[Row | Unacted, ...], says: str
) -> None:
    """The message names the row and what is wrong with it."""
    with pytest.raises(TableError, match=says):
        lookup_of(*entries)


# -- Fences.
LOCKED: Final = Context(lock=Lock("this", "pause", 300_000, "press", None))
TURN: Final = Context(turn=4, connection=7)
TIMED: Final = Context(timers=(("hold", 3), ("state", 5)), armings=5)


@pytest.mark.parametrize(
    ("context", "leaf", "name", "fields"),
    [
        (START.context, "auth", "press", {}),
        (TIMED, "auth", "state_elapsed", {"timer": "state", "arming": 5}),
        (TIMED, "auth", "hold_elapsed", {"timer": "hold", "arming": 3}),
        (TURN, "speaking", "reply_played", {"turn": 4}),
        (TURN, "speaking", "reply_began", {"turn": 4, "connection": 7}),
        (LOCKED, "safety_lockout.pause", "lock_written", {"lock_id": "this"}),
        (Context(version=8), "auth", "configured", {"version": 8}),
        (Context(version=8), "auth", "configured", {"version": 9}),
    ],
)
def test_what_names_the_present_is_heard(
    context: Context, leaf: str, name: str, fields: dict[str, FieldValue]
) -> None:
    """A fence holds back what is of another turn, connection, lock, arming or version alone."""
    assert stale(context, leaf, Event(name, fields)) is None


@pytest.mark.parametrize(
    ("context", "leaf", "name", "fields", "fence"),
    [
        (TIMED, "auth", "state_elapsed", {"timer": "state", "arming": 4}, "arming"),
        (TIMED, "auth", "state_elapsed", {"timer": "hold", "arming": 3}, "arming"),
        (TIMED, "auth", "chain_elapsed", {"timer": "chain", "arming": 5}, "arming"),
        (TIMED, "auth", "state_elapsed", {"timer": "egg", "arming": 5}, "arming"),
        (TIMED, "auth", "state_elapsed", {"timer": None, "arming": 5}, "arming"),
        (TURN, "speaking", "reply_played", {"turn": 3}, "turn"),
        (TURN, "idle.awake", "reply_played", {"turn": 4}, "turn"),
        (TURN, "speaking", "reply_began", {"turn": 4, "connection": 6}, "connection"),
        (TURN, "speaking", "reply_began", {"turn": 3, "connection": 7}, "connection"),
        (TURN, "idle.awake", "reply_began", {"turn": 4, "connection": 7}, "connection"),
        (
            TURN._replace(connection=0),
            "speaking",
            "reply_began",
            {"turn": 4, "connection": 0},
            "connection",
        ),
        (LOCKED, "safety_lockout.pause", "lock_written", {"lock_id": "that"}, "lock"),
        (START.context, "auth", "lock_written", {"lock_id": "this"}, "lock"),
        (Context(version=8), "auth", "configured", {"version": 7}, "version"),
    ],
)
def test_what_names_anything_else_is_dropped_by_its_fence(
    context: Context, leaf: str, name: str, fields: dict[str, FieldValue], fence: str
) -> None:
    """No row can forget to ask, because no row is asked."""
    event = Event(name, fields)
    assert stale(context, leaf, event) is STALE[fence]
    assert Lookup().choose(Situation(leaf, context), event) is STALE[fence]


def test_an_event_outside_the_vocabulary_is_unknown() -> None:
    """Unknown events change nothing and are counted."""
    assert stale(START.context, "auth", Event("tickle")) is UNKNOWN
    assert UNKNOWN.verdict == "refused"


def test_every_fence_has_its_entry() -> None:
    """A fence that nobody describes would be a KeyError at the worst moment."""
    assert {kind.fence for kind in EVENTS.values() if kind.fence} == set(STALE)
    assert set(TIMER_EVENTS.values()) == {
        name for name, kind in EVENTS.items() if kind.fence == "arming"
    }
