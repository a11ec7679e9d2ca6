"""The core's contract: one event in, data out; what is not acted on, or goes wrong,
changes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from states import lookup as lookup_module
from states.changes import Change
from states.context import Context
from states.derive import Outputs, Situation, outputs
from states.effects import Do, Effect, write_lock
from states.errors import EventError, ReentryError, TableError
from states.events import (
    ARMING,
    CONNECTION,
    EVENTS,
    LOCK,
    NEW_CONNECTION,
    TIMER,
    TURN,
    VERSION,
    Domain,
    Event,
    FieldValue,
)
from states.lookup import Lookup, Rules
from states.machine import START, Core, Interpreter, Step
from states.rows import STAY, Row, row
from states.table import ANY
from tests.states.scenario import EVERYWHERE, Toy, stepped

STARTED = Event("started")
DARK = ("boot.dark",)
STOPS = (
    "lock",
    "emergency_stop",
    "pause",
    "safety_override",
    "urgent_full",
    "lock_unreadable",
    "erased",
)


def ours() -> Lookup:
    """Return the rules that ``states.lookup.OURS`` holds at this moment."""
    return Lookup(lookup_module.OURS)


def core_of(*rows: Row) -> Core:
    """Return a core at the start whose table is these rows alone."""
    return Core(lookup=Lookup(Rules(rows, ())))


def core_at(leaf: str) -> Core:
    """Return a core of its own, where the shortest story leads to ``leaf``."""
    return Core(EVERYWHERE[leaf]().situation, ours())


# -- One event in, data out.
def test_a_step_tells_what_it_did() -> None:
    """``step(event) -> Step(from, row, to, effects)``."""
    step = Core(lookup=ours()).step(STARTED)
    assert (step.event, step.source, step.row, step.to) == (
        STARTED,
        "boot.dark",
        "boot.starts",
        "boot.reading",
    )
    assert Effect("read_records") in step.effects


def test_a_core_without_a_table_of_its_own_plays_by_ours() -> None:
    """The table in ``states/`` is the only place where behaviour is written as code."""
    assert Core().step(STARTED).to == "boot.reading"
    assert Interpreter().step(START, STARTED)[0].leaf == "boot.reading"


def test_a_core_can_begin_anywhere() -> None:
    """Replay begins from the context snapshot at the head of a journal."""
    situation = Toy.speaking().situation
    core = Core(situation)
    assert core.situation == situation
    step = core.step(Event("reply_played", {"turn": situation.context.turn}))
    assert (step.source, step.to) == ("speaking", "idle.awake")


def test_equal_stories_have_equal_steps() -> None:
    """No clock, no I/O, no randomness: ids come in with events."""
    assert Toy.answering().steps == Toy.answering().steps


def test_two_cores_share_nothing() -> None:
    """Replay runs beside the machine that it replays."""
    first, second = Core(lookup=ours()), Core(lookup=ours())
    first.step(STARTED)
    assert second.situation == START


# -- What is not acted on changes nothing.
def test_an_unknown_event_is_refused_and_changes_nothing() -> None:
    """Unknown events change nothing and are counted."""
    unknown = Event("no_such_event", {"anything": 1})
    for leaf in ANY:
        before = EVERYWHERE[leaf]().situation
        step, after = stepped(before, unknown)
        assert step == Step(unknown, leaf, "refused:unknown", leaf, ())
        assert after == before


def test_an_event_that_the_table_is_silent_about_is_refused() -> None:
    """Every (state, event) pair is defined, and where one were not, nothing would happen."""
    core = core_of(row("test.row", "release", DARK, STAY))
    assert core.step(STARTED) == Step(STARTED, "boot.dark", "refused:undefined", "boot.dark", ())


def test_the_step_that_was_not_acted_on_says_which_entry_says_so() -> None:
    """Refused and ignored events are recorded too: which state refused which event."""
    step = core_at("idle.awake").step(STARTED)
    assert step.row.startswith("refused:")
    assert step.row.removeprefix("refused:") in {entry.id for entry in lookup_module.OURS.unacted}


def test_an_event_without_its_fields_is_our_own_mistake() -> None:
    """Bad input gets one clear error that names the thing; it changes nothing."""
    for leaf in ("idle.awake", "speaking", "safety_lockout.pause"):
        core = core_at(leaf)
        before = core.situation
        for name in (name for name, kind in EVENTS.items() if kind.fields):
            with pytest.raises(EventError, match=name):
                core.step(Event(name))
            assert core.situation == before


def test_a_field_too_many_is_our_own_mistake() -> None:
    """Bad input gets one clear error that names both what came and what is asked for."""
    core = core_at("idle.awake")
    before = core.situation
    with pytest.raises(EventError, match=r"press.*force"):
        core.step(Event("press", {"force": 3}))
    assert core.situation == before


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("pause", {"command": None, "pause_ms": "soon"}),
        ("pause", {"command": 7, "pause_ms": 300_000}),
        ("bedtime", {"asleep": "yes"}),
        ("privacy_switch", {"on": 1}),
        ("speech_started", {"turn": True}),
        ("unlock", {"command": None, "lock_id": None, "via": "subscription"}),
    ],
)
def test_a_value_of_the_wrong_type_is_our_own_mistake(
    name: str, fields: dict[str, FieldValue]
) -> None:
    """Bad input gets one clear error and never half a step: a lock without a release would
    be a sink.
    """
    for leaf in ("idle.awake", "listening.hearing", "safety_lockout.pause"):
        core = core_at(leaf)
        before = core.situation
        with pytest.raises(EventError, match=name):
            core.step(Event(name, fields, "id"))
        assert core.situation == before
        assert core.step(Event("press")).row


def test_a_core_goes_on_after_a_mistake() -> None:
    """An error is no step: the next event finds the core as it was."""
    core = core_at("idle.awake")
    with pytest.raises(EventError):
        core.step(Event("bedtime"))
    assert core.step(Event("press")).to == "listening.hearing"


# -- Fences.
def test_a_timer_that_was_armed_again_is_heard_once() -> None:
    """Every timer event carries the id of its arming; any other is dropped."""
    core = core_at("offline.listening")
    arming = core.situation.context.armed("state")
    core.step(Event("speech_started", {"turn": core.situation.context.turn}))
    before = core.situation
    step = core.step(Event("state_elapsed", {"timer": "state", "arming": arming}))
    assert (step.row, step.effects) == ("ignored:stale.arming", ())
    assert core.situation == before


@pytest.mark.parametrize(
    ("leaf", "name", "fields", "fence"),
    [
        ("speaking", "dry_elapsed", {"timer": "dry", "arming": 3}, "arming"),
        ("speaking", "state_elapsed", {"timer": "no such timer", "arming": 3}, "arming"),
        ("speaking", "reply_played", {"turn": 0}, "turn"),
        ("idle.awake", "reply_played", {"turn": 0}, "turn"),
        ("speaking", "stream_lost", {"turn": 1, "connection": 3}, "connection"),
        ("listening.hearing", "stream_lost", {"turn": 1, "connection": 0}, "connection"),
        ("idle.awake", "reply_began", {"turn": 0, "connection": 0}, "connection"),
        ("safety_lockout.lock", "lock_written", {"lock_id": "another"}, "lock"),
        ("idle.awake", "lock_written", {"lock_id": ""}, "lock"),
    ],
)
def test_what_names_anything_but_the_present_is_dropped(
    leaf: str, name: str, fields: dict[str, FieldValue], fence: str
) -> None:
    """Whatever belongs to an older turn, connection, lock or arming is dropped."""
    core = core_at(leaf)
    before = core.situation
    step = core.step(Event(name, fields))
    assert (step.row, step.to, step.effects) == (f"ignored:stale.{fence}", leaf, ())
    assert core.situation == before


def test_a_timer_event_must_be_of_its_timer() -> None:
    """Every timer event carries the id of its arming: one timer's arming does not fire
    another's event.
    """
    for leaf in ANY:
        toy = EVERYWHERE[leaf]()
        before = toy.situation
        for timer, (arming, _, own) in toy.timers.items():
            for name in (
                name for name, kind in EVENTS.items() if kind.fence == "arming" and name != own
            ):
                step, after = stepped(before, Event(name, {"timer": timer, "arming": arming}))
                assert step.row == "ignored:stale.arming"
                assert after == before


# -- Nothing half done.
def test_a_step_within_a_step_is_refused_and_changes_nothing() -> None:
    """``queued=False`` allows nested triggers silently; here re-entry is refused."""
    refused: list[ReentryError] = []

    def reenters(_c: Context, _e: Event) -> bool:
        with pytest.raises(ReentryError, match="press") as caught:
            core.step(Event("press"))
        refused.append(caught.value)
        return True

    core = core_of(
        row("test.outer", "started", DARK, "boot.reading", when=reenters),
        row("test.inner", "press", ANY, "auth"),
    )
    assert core.step(STARTED).to == "boot.reading"
    assert len(refused) == 1
    assert core.situation.leaf == "boot.reading"
    assert core.step(Event("press")).to == "auth"


class Broken(Exception):  # noqa: N818 - what happens, as a story tells it
    """What a rule with a fault raises."""


def breaks_guard(_c: Context, _e: Event) -> bool:
    """Fail as a guard."""
    raise Broken


def breaks_change(_c: Context, _e: Event) -> Context:
    """Fail as a change of memory."""
    raise Broken


def breaks_effect(_b: Context, _a: Context, _e: Event) -> Effect:
    """Fail as an effect."""
    raise Broken


def with_fault(fault: str, target: str) -> Row:
    """Return a row that fails in its guard, its change or its effect."""
    then: tuple[Change, ...] = (breaks_change,) if fault == "then" else ()
    do: tuple[Do, ...] = (breaks_effect,) if fault == "do" else ()
    return row(
        "test.broken",
        "press",
        ANY,
        target,
        when=breaks_guard if fault == "when" else (),
        then=then,
        do=do,
    )


@pytest.mark.parametrize("target", ["auth", "home", STAY])
@pytest.mark.parametrize("fault", ["when", "then", "do"])
def test_an_exception_in_a_rule_leaves_everything_as_it_was(fault: str, target: str) -> None:
    """An exception in ``after`` leaves the state changed, one in ``finalize_event`` is
    swallowed: neither here.
    """
    core = core_of(with_fault(fault, target), row("test.whole", "started", DARK, "boot.reading"))
    with pytest.raises(Broken):
        core.step(Event("press"))
    assert core.situation == START
    step = core.step(STARTED)
    assert (step.source, step.to) == ("boot.dark", "boot.reading")


def test_a_rule_that_uses_a_lock_where_none_is_says_so_and_changes_nothing() -> None:
    """The table contradicts itself: one clear error, and never half a step."""
    core = core_of(row("test.lockless", "press", DARK, STAY, do=write_lock))
    with pytest.raises(TableError, match="safety_lockout"):
        core.step(Event("press"))
    assert core.situation == START


def test_there_is_no_other_way_to_move() -> None:
    """``auto_transitions=False``: no ``to_…`` exists, as an event or as a method."""
    core = core_at("safety_lockout.lock")
    before = core.situation
    for leaf in ANY:
        for name in (f"to_{leaf}", f"to_{leaf.replace('.', '_')}"):
            assert core.step(Event(name)).row == "refused:unknown"
            assert name not in core._machine.events
            assert not hasattr(core._position, name)
    assert core.situation == before


def test_rules_are_functions_and_not_their_names() -> None:
    """String callbacks fail only at run time."""
    for one in lookup_module.OURS.rows:
        assert all(callable(part) for part in (*one.when, *one.then, *one.do)), one.id


# -- The order of the table.
def test_the_first_row_that_fits_fires() -> None:
    """Duplicate rows are accepted in order: safety stands first."""
    core = core_of(
        row("test.never", "started", DARK, "auth", when=lambda _c, _e: False),
        row("test.first", "started", DARK, "boot.reading"),
        row("test.second", "started", DARK, "boot.testing"),
    )
    assert core.step(STARTED).row == "test.first"


@pytest.mark.parametrize(
    "broken",
    [
        (row("test.twice", "started", DARK, STAY), row("test.twice", "press", DARK, STAY)),
        (row("test.target", "started", DARK, "nowhere"),),
        (row("test.source", "started", ("nowhere",), STAY),),
        (row("test.event", "no_such_event", DARK, STAY),),
    ],
)
def test_a_table_that_contradicts_itself_is_found_when_it_is_built(broken: tuple[Row, ...]) -> None:
    """Contradictions are found when the program starts, never while a child plays."""
    with pytest.raises(TableError, match="test\\."):
        Lookup(Rules(broken, ()))


# -- The differential test.
SEEDS = range(10)
STROLL = 60


class Stride(NamedTuple):
    """A step of a walk: the situation before it, the one after it, and what a person
    notices then.
    """

    before: Situation
    step: Step
    reached: Situation
    noticed: Outputs


def walk(seed: int) -> Iterator[Stride]:
    """Stroll at random from every leaf."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable walk, not a secret
    for begin in EVERYWHERE.values():
        toy = begin()
        for number in range(STROLL):
            before = toy.situation
            toy.takes(any_event(chance, toy, f"{seed}.{number}"))
            noticed = Outputs(toy.light or "dark", toy.microphone, toy.speaker)
            yield Stride(before, toy.last, toy.situation, noticed)


def any_event(chance: random.Random, toy: Toy, event_id: str) -> Event:
    """Return some event, an armed timer's more often than others, and one that stops the
    toy less often.
    """
    timers = toy.situation.context.timers
    if timers and chance.random() < 0.15:
        timer, arming = chance.choice(timers)
        return Event(toy.timers[timer].event, {"timer": timer, "arming": arming}, event_id)
    name = chance.choice([name for name in EVENTS if name not in STOPS or chance.random() < 0.1])
    fields = {
        field: any_value(chance, toy, domain) for field, domain in EVENTS[name].fields.items()
    }
    return Event(name if chance.random() < 0.99 else "no_such_event", fields, event_id)


def any_value(chance: random.Random, toy: Toy, domain: Domain) -> FieldValue:
    """Return a value of ``domain``, more often one that is present than an older one."""
    context, present = toy.situation.context, chance.random() < 0.9
    if isinstance(domain, tuple):
        return chance.choice(domain)
    if domain == TIMER:
        return chance.choice(
            ("state", "pause", "hold", "chain", "dry", "grace", "violation_1", "lock_retry")
        )
    if domain == LOCK:
        return context.lock.id if context.lock and present else "another"
    if domain in (NEW_CONNECTION, ARMING):
        return chance.randrange(1, 100)
    now = {TURN: context.turn, CONNECTION: context.connection, VERSION: context.version}[domain]
    return now if present else now - 1


@pytest.fixture(scope="module")
def strides() -> list[Stride]:
    """Return all strides of all walks."""
    return [stride for seed in SEEDS for stride in walk(seed)]


def test_the_library_and_the_plain_reading_agree(strides: list[Stride]) -> None:
    """A plain interpreter of the same rows, held equal to the machine by a differential test."""
    plain = Interpreter(ours())
    for before, step, reached, _ in strides:
        after, by = plain.step(before, step.event)
        told = by.id if isinstance(by, Row) else f"{by.verdict}:{by.id}"
        assert (step.source, step.row, step.to) == (before.leaf, told, after.leaf)
        assert reached == after
        assert told != "refused:undefined"


def test_every_change_that_a_person_notices_is_asked_for(strides: list[Stride]) -> None:
    """Light, microphone and speaker are what the effects made of them, at every step."""
    for _, step, reached, noticed in strides:
        assert noticed == outputs(*reached), step


def test_the_walks_go_everywhere(strides: list[Stride]) -> None:
    """The differential test says something only of where it goes."""
    assert {stride.step.source for stride in strides} == set(ANY)
    known = {one.id for one in lookup_module.OURS.rows}
    missed = known - {stride.step.row for stride in strides}
    assert len(missed) <= len(known) // 6, sorted(missed)
