"""The vocabulary of events: complete, closed and typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from states import events as e
from states.effects import EFFECTS
from states.errors import EventError
from states.events import EVENTS, INTERNAL, Event, check
from states.explore import variants
from states.machine import START
from states.table import ROWS
from tests.states.scenario import Toy

KINDS = {e.TURN, e.CONNECTION, e.NEW_CONNECTION, e.TIMER, e.ARMING, e.LOCK, e.VERSION}


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_described(name: str) -> None:
    """A sentence for people, and for each field what it may be."""
    kind = EVENTS[name]
    assert kind.says
    for domain in kind.fields.values():
        assert domain in KINDS if isinstance(domain, str) else domain


def test_every_event_moves_the_toy_somewhere() -> None:
    """A word that no row knows is no part of the vocabulary."""
    assert {name for row in ROWS for name in row.events} == set(EVENTS)


def test_every_result_comes_of_an_effect() -> None:
    """An internal event is the result of something that a performer did."""
    assert {name for kind in EFFECTS.values() for name in kind.results} == INTERNAL


@pytest.mark.parametrize(
    ("fence", "fields"),
    [
        ("arming", {"timer", "arming"}),
        ("turn", {"turn"}),
        ("connection", {"turn", "connection"}),
        ("lock", {"lock_id"}),
        ("version", {"version"}),
    ],
)
def test_a_fenced_event_carries_what_its_fence_asks_for(fence: str, fields: set[str]) -> None:
    """The fence compares it with what is present."""
    kinds = [kind for kind in EVENTS.values() if kind.fence == fence]
    assert kinds
    assert all(fields <= kind.fields.keys() for kind in kinds)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_a_turn_connection_or_arming_is_fenced(name: str) -> None:
    """Whatever belongs to an older one must not be heard."""
    if {"turn", "connection", "arming"} & EVENTS[name].fields.keys():
        assert EVENTS[name].fence


def test_a_timer_event_is_one_that_a_timer_fires() -> None:
    """Timers are effects, their firing is an event."""
    for kind in EVENTS.values():
        assert (kind.origin == "timer") is (kind.fence == "arming")


def test_every_variant_that_is_explored_passes_the_check() -> None:
    """What the exploration tries is what the vocabulary allows."""
    for toy in (Toy(), Toy.speaking(), Toy.paused()):
        for event in variants(toy.context, EVENTS):
            assert check(event) is EVENTS[event.name]


def test_an_unknown_name_has_no_kind() -> None:
    """The machine refuses it and goes on; it is no mistake of ours."""
    assert check(Event("tickle", {"where": "feet"})) is None


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (Event("bedtime"), r"'bedtime' carries \[\].*asks for \['asleep'\]"),
        (Event("press", {"force": 3}), r"'press' carries \['force'\].*asks for \[\]"),
        (Event("bedtime", {"awake": True}), r"carries \['awake'\].*asks for \['asleep'\]"),
        (Event("bedtime", {"asleep": 1}), "'bedtime' carries asleep=1, which must be bool"),
        (Event("bedtime", {"asleep": None}), "asleep=None, which must be bool"),
        (Event("stop", {"command": 7}), "command=7, which must be NoneType or str"),
        (Event("reply_played", {"turn": "4"}), "turn='4', which must be int"),
        (Event("reply_played", {"turn": True}), "turn=True, which must be int"),
        (Event("lock_written", {"lock_id": None}), "lock_id=None, which must be str"),
    ],
)
def test_wrong_fields_are_told_by_name(event: Event, says: str) -> None:
    """One clear error that names the event, the field and what it must be."""
    with pytest.raises(EventError, match=says):
        check(event)


VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=1)
)


@given(st.sampled_from(sorted(EVENTS)), st.data())
def test_arbitrary_fields_are_right_or_an_event_error(name: str, data: st.DataObject) -> None:
    """Whatever a bug upstream makes of an event, the machine can handle it or refuses it."""
    fields = data.draw(st.fixed_dictionaries(dict.fromkeys(EVENTS[name].fields, VALUES)))
    event = Event(name, fields)
    try:
        check(event)
    except EventError as error:
        assert name in str(error)  # noqa: PT017 - both outcomes are right


def test_a_field_is_got_by_name() -> None:
    """The vocabulary guarantees that it is there."""
    assert Event("bedtime", {"asleep": True}).get("asleep") is True
    with pytest.raises(KeyError):
        Event("bedtime").get("asleep")


def test_the_first_situation_is_the_same_for_all() -> None:
    """Events are values: two that are equal are the same event."""
    assert Event("press", {}, "e1", 5) == Event("press", {}, "e1", 5)
    assert next(variants(START.context, ["press"])) == Event("press", {}, "new")
