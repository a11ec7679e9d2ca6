"""The exploration: everything is walked; what is broken is named, with a shortest way to it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import pytest

from states import changes as c
from states import effects as x
from states.changes import disarm
from states.context import Context, Lock
from states.derive import TIMER_EVENTS, Situation
from states.effects import Do
from states.events import EVENTS, TURN, VERSION, Event
from states.explore import (
    OLDER,
    OTHER,
    QUICK,
    SCOPES,
    VALUES,
    Exploration,
    Report,
    Scope,
    canonical,
    coverage,
    variants,
)
from states.invariants import INVARIANTS
from states.lookup import OURS, Lookup, Rules
from states.machine import START, Interpreter
from states.rows import HOME, STAY, Row, ignore, row
from states.table import ANY, FREE
from tests.states.recording import above, altered, explored, strolled, without
from tests.states.scenario import EVERYWHERE, Toy

NO_FLAG: Final = ((False, False, False),)
WAKE: Final = ((True, False, False),)


def only(events: str, flags: tuple[tuple[bool, bool, bool], ...] = NO_FLAG) -> Scope:
    """Return the scope of these events alone."""
    return Scope("small", "for tests", frozenset(EVENTS) - set(events.split()), flags)


def saw(events: str, rules: Rules = OURS) -> Report:
    """Return what the exploration of these events alone saw."""
    return Exploration(only(events), Lookup(rules)).run()


def doing(row_id: str, *more: Do) -> Rules:
    """Return our rules with one row doing more."""
    return altered(row_id, lambda one: one._replace(do=(*one.do, *more)))


def leading(row_id: str, target: str) -> Rules:
    """Return our rules with one row leading elsewhere."""
    return altered(row_id, lambda one: one._replace(target=target))


def changing(row_id: str, *then: c.Change) -> Rules:
    """Return our rules with one row changing this and nothing else."""
    return altered(row_id, lambda one: one._replace(then=then))


def forgetting(row_id: str, effect: str) -> Rules:
    """Return our rules with one row lacking one of its effects."""

    def change(one: Row) -> Row:
        left = tuple(do for do in one.do if do.__name__ != effect)
        assert len(left) == len(one.do) - 1, effect
        return one._replace(do=left)

    return altered(row_id, change)


def unlisted(entry_id: str) -> Rules:
    """Return our rules with one entry less in the list of what is not acted on."""
    left = tuple(one for one in OURS.unacted if one.id != entry_id)
    assert len(left) == len(OURS.unacted) - 1
    return OURS._replace(unacted=left)


RECORDS: Final = "records_read(identity={}, lock={}, lock_id=stored, pause_ms=300000)"
READ: Final = RECORDS.format("True", "free")
CONFIGURED: Final = "configured(consent={}, wake={}, wake_barge=False, continued=False)"
STOP: Final = "emergency_stop(command=None)"

# What is broken, the invariant that must notice, the events that take part, and a shortest path;
# there may be others of the same length.
BREAKAGES: Final[dict[str, tuple[Callable[[], Rules], str, str, tuple[str, ...]]]] = {
    "a reply in a lock": (
        lambda: doing("lock.press", x.of_turn("replay")),
        "locked-is-silent",
        "started press emergency_stop",
        (STOP, "press"),
    ),
    "a stop that stops nothing": (
        lambda: above(row("t.deaf", "emergency_stop", FREE, STAY)),
        "stop-in-one-step",
        "started press emergency_stop",
        (STOP,),
    ),
    "no triple press": (
        lambda: without("stop.press"),
        "stop-in-one-step",
        "started press",
        ("press", "press", "press"),
    ),
    "a press that does not count": (
        lambda: changing("denied.starting"),
        "presses-count",
        "started press release",
        ("started", "press"),
    ),
    "a press that unlocks": (
        lambda: leading("lock.press", HOME),
        "locked-until-released",
        "started press emergency_stop",
        (STOP, "press"),
    ),
    "a pause for ever": (
        lambda: leading("lock.elapsed", STAY),
        "release-unlocks",
        "started pause pause_elapsed",
        ("pause(command=None, pause_ms=300000)", "pause_elapsed(timer=pause)"),
    ),
    "a lock that nobody can release": (
        lambda: altered("stop.lock", lambda one: one._replace(when=())),
        "release-can-be-heard",
        "started records_read emergency_stop",
        ("started", RECORDS.format("False", "free"), STOP),
    ),
    "no new tokens": (
        lambda: altered("tokens.due", lambda one: one._replace(do=())),
        "credentials-anywhere",
        "started records_read auth_due",
        ("started", READ, "auth_due"),
    ),
    "speech sent from nowhere": (
        lambda: doing("boot.read", x.of_turn("start_uplink")),
        "microphone-where-allowed",
        "started records_read",
        ("started", READ),
    ),
    "a withdrawn consent that is still believed": (
        lambda: changing("consent.withdrawn_noted"),
        "microphone-with-leave",
        "started configured",
        (CONFIGURED.format("True", "False"), CONFIGURED.format("False", "False")),
    ),
    "a withdrawn consent that purges nothing": (
        lambda: forgetting("consent.withdrawn_noted", "purge_speech"),
        "hushing-acts-at-once",
        "started configured",
        (CONFIGURED.format("True", "False"), CONFIGURED.format("False", "False")),
    ),
    "two turns at once": (
        lambda: changing("boot.read", c.identity_known, c.turn_begins, c.turn_begins),
        "one-turn",
        "started records_read",
        ("started", READ),
    ),
    "something comes back that was never deferred": (
        lambda: doing("boot.read", x.plain("recall")),
        "deferred-comes-back",
        "started records_read",
        ("started", READ),
    ),
    "a start without a timeout": (
        lambda: changing("boot.down", lambda context, _: disarm(context, "state")),
        "everything-ends",
        "started down_at_start",
        ("started", "down_at_start"),
    ),
    "a press that clears the record": (
        lambda: doing("lock.press", x.clear_lock),
        "never-weaker",
        "started press emergency_stop",
        (STOP, "press"),
    ),
    "a lock on record that is overlooked": (
        lambda: without("boot.locked"),
        "records-decide",
        "started records_read",
        ("started", RECORDS.format("True", "lock")),
    ),
    "a lock in memory alone": (
        lambda: forgetting("stop.lock", "write_lock"),
        "lock-durable-and-told",
        "started emergency_stop",
        (STOP,),
    ),
    "a lock acknowledged at once": (
        lambda: doing("stop.lock", x.acknowledge("done")),
        "acknowledged-when-durable",
        "started emergency_stop",
        ("emergency_stop(command=command)",),
    ),
    "a microphone before its light": (
        lambda: doing("auth.granted", x.plain("light")),
        "light-before-microphone",
        "started configured records_read parts_tested tokens_granted",
        (
            CONFIGURED.format("True", "True"),
            "started",
            READ,
            "parts_tested(failed=)",
            "tokens_granted",
        ),
    ),
    "awake without consent": (
        lambda: leading("auth.late", "idle.awake"),
        "ends-at-home",
        "started records_read state_elapsed",
        ("started", READ, "state_elapsed(timer=state)", "state_elapsed(timer=state)"),
    ),
    "a start that mutes": (
        lambda: changing("boot.starts", c.guardian_mutes),
        "facts-have-own-events",
        "started",
        ("started",),
    ),
    "a mute that is forgotten": (
        lambda: changing("mute.noted"),
        "facts-are-believed",
        "started mute",
        ("mute(command=command)",),
    ),
    "a row that writes a lock where there is none": (
        lambda: doing("boot.starts", x.write_lock),
        "rows-can-be-done",
        "started",
        ("started",),
    ),
    "an event of which nothing is said": (
        lambda: unlisted("release.alone"),
        "every-pair-defined",
        "started",
        (),
    ),
    "an offer that is made for ever": (
        lambda: leading("setup.stuck", "boot.held"),
        "timeouts-lead-to-rest",
        "started down_at_start records_read state_elapsed pause_elapsed",
        ("started", "down_at_start", READ),
    ),
    "a pause that no time ends": (
        lambda: without("lock.elapsed"),
        "timeouts-lead-to-rest",
        "started pause pause_elapsed",
        ("pause(command=None, pause_ms=300000)",),
    ),
    "tokens that ask for tokens": (
        lambda: doing("tokens.granted", x.authenticate),
        "no-circle-of-results",
        "started records_read tokens_granted",
        (),
    ),
    "two results that ask for each other": (
        lambda: doing("boot.tested_first", x.plain("read_records")),
        "no-circle-of-results",
        "started records_read parts_tested",
        (),
    ),
}


@pytest.mark.parametrize(("broken", "name", "events", "path"), BREAKAGES.values(), ids=BREAKAGES)
def test_a_broken_row_makes_a_named_invariant_fail_with_a_shortest_path(
    broken: Callable[[], Rules], name: str, events: str, path: tuple[str, ...]
) -> None:
    """And the same events, by the table as it is, make it hold."""
    flags = NO_FLAG + WAKE
    report = Exploration(only(events, flags), Lookup(broken())).run()
    found = {one.invariant: one for one in report.violations}
    assert name in found, report.violations
    assert sorted(found[name].path) == sorted(path), found[name]
    assert found[name].what
    whole = Exploration(only(events, flags)).run()
    assert name not in {one.invariant for one in whole.violations}
    assert whole.checked[name] > 0


def test_every_claim_is_seen_to_fail() -> None:
    """A check that cannot fail shows nothing."""
    claims = {one.name for one in INVARIANTS} | set(saw("started records_read").checked)
    assert {name for _, name, _, _ in BREAKAGES.values()} == claims


def test_a_stop_that_is_listed_as_ignored_is_found() -> None:
    """What is said of an event is no excuse for what must happen at it."""
    deaf = ignore("deaf", "emergency_stop", ("boot.reading",), "a slip")
    rows = tuple(
        one._replace(sources=tuple(leaf for leaf in one.sources if leaf != "boot.reading"))
        for one in OURS.rows
        if "emergency_stop" in one.events
    )
    others = tuple(one for one in OURS.rows if "emergency_stop" not in one.events)
    report = saw("started emergency_stop", Rules(rows + others, (deaf, *OURS.unacted)))
    violation = {one.invariant: one for one in report.violations}["stop-in-one-step"]
    assert (violation.number, violation.path) == (2, ("started", STOP))


def test_an_invariant_is_told_once_by_its_shortest_path() -> None:
    """Breadth first: the first way found to anywhere is a shortest one."""
    everywhere = row("t.astray", "press", FREE, "idle.awake")
    report = saw("started press release records_read down_at_start", above(everywhere))
    assert len({one.invariant for one in report.violations}) == len(report.violations)
    assert all(len(one.path) <= 3 for one in report.violations)
    assert {one.invariant: one.path for one in report.violations}["ends-at-home"] == ("press",)


def test_the_first_violation_can_end_the_walk() -> None:
    """Whoever wants to know whether, need not wait for all."""
    rules = above(row("t.deaf", "emergency_stop", FREE, STAY))
    scope = only("started press release records_read emergency_stop pause pause_elapsed")
    hasty = Exploration(scope, Lookup(rules), stop_at_first=True).run()
    patient = Exploration(scope, Lookup(rules)).run()
    assert hasty.violations
    assert hasty.configurations < patient.configurations
    assert "every-pair-defined" not in hasty.checked


def test_what_exploring_counts() -> None:
    """States, pairs, configurations, steps, and how often each claim was asked."""
    report = saw("started emergency_stop unlock")
    assert report.scope.name == "small"
    assert report.states == {"boot.dark", "boot.reading", "safety_lockout.lock"}
    assert report.left == {"boot.dark", "boot.reading", "safety_lockout.lock"}
    assert report.pairs == len(ANY) * len(EVENTS)
    assert report.violations == ()
    assert report.fired["boot.starts"] == 1
    assert report.fired["lock.released"] > 0
    assert report.checked["stop-in-one-step"] > 0
    assert report.checked["every-pair-defined"] == report.pairs
    assert report.checked["timeouts-lead-to-rest"] == report.configurations
    assert report.steps > report.configurations > 3
    assert None in report.values["lock"]
    assert len(report.values["lock"]) > 1


def test_progress_is_told_now_and_then() -> None:
    """A long walk shows that it goes on."""
    told: list[tuple[int, int]] = []
    some = "started records_read parts_tested tokens_granted configured press release mute bedtime"
    scope = only(some + " unmute")
    report = Exploration(scope).run(lambda walked, found: told.append((walked, found)))
    assert [walked for walked, _ in told] == list(range(500, report.configurations + 1, 500))
    assert told
    assert all(found >= walked for walked, found in told)


@pytest.mark.parametrize(("flags", "taken"), [(NO_FLAG, {False}), (NO_FLAG + WAKE, {False, True})])
def test_a_scope_says_which_flags_a_configuration_sets(
    flags: tuple[tuple[bool, bool, bool], ...], taken: set[bool]
) -> None:
    """Others take no part; an older configuration is tried in one way, for its fence."""
    report = Exploration(only("started configured", flags)).run()
    assert report.values["wake"] == taken
    assert report.values["wake_barge"] == {False}
    fields = [
        event.fields
        for event in variants(START.context, ["configured"])
        if Exploration(only("configured", flags))._takes_part(event)
    ]
    assert len([one for one in fields if one["version"] == OLDER]) == 1
    assert len([one for one in fields if one["version"] != OLDER]) == 2 * len(flags)


# -- Completeness.
def names(missing: Iterable[object]) -> set[str]:
    """Return what is told to be missing."""
    return {one.invariant for one in missing}  # type: ignore[attr-defined]


def test_what_was_left_out_is_told() -> None:
    """Rows that never fired, values never taken, states never reached or never left."""
    missing = {one.invariant: one for one in coverage([saw("started")])}
    assert set(missing) == {
        "every-state-reached",
        "every-state-left",
        "every-row-fires",
        "every-value-of-lock",
        "every-timer-armed",
        *(f"every-value-of-{name}" for name in VALUES),
    }
    assert "auth" in missing["every-state-reached"].what
    assert "boot.dark" not in missing["every-state-reached"].what
    assert "boot.reading" in missing["every-state-left"].what
    assert "stop.press" in missing["every-row-fires"].what
    assert "boot.starts" not in missing["every-row-fires"].what
    assert missing["every-value-of-identity"].what == "never: False, True"
    assert missing["every-value-of-lock"].what == "never: lock, pause"
    assert all(one.number == 5 and one.path == () for one in missing.values())


def test_explorations_complete_each_other() -> None:
    """A value counts wherever it was taken."""
    muted, lit = saw("started mute unmute"), saw("started link_down link_up")
    assert "every-value-of-muted" not in names(coverage([muted, lit]))
    assert "every-value-of-link" not in names(coverage([muted, lit]))
    assert "every-value-of-link" in names(coverage([muted]))
    assert "every-value-of-muted" in names(coverage([lit]))


def test_a_row_that_can_never_fire_is_told() -> None:
    """It stands behind another, or its guard never holds."""
    dead = row("t.dead", "started", ("boot.dark",), STAY, when=lambda _c, _e: False)
    rules = above(dead)
    (missing,) = (
        one
        for one in coverage([saw("started", rules)], Lookup(rules))
        if one.invariant == "every-row-fires"
    )
    assert "t.dead" in missing.what


def test_a_state_that_nothing_leaves_is_told() -> None:
    """No state is a sink."""
    left = tuple(one for one in OURS.rows if "boot.reading" not in one.sources)
    (missing,) = (
        one
        for one in coverage([saw("started press", Rules(left, OURS.unacted))])
        if one.invariant == "every-state-left"
    )
    assert "boot.reading" in missing.what
    assert "boot.dark" not in missing.what


def test_our_scopes_hold_and_leave_nothing_out() -> None:
    """Every row fires, every variable takes each of its values, and every invariant holds."""
    # Processes of their own: two at a time, and without this one's measuring of branches.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        reports = list(pool.map(explored, QUICK))
    for report in reports:
        assert report.violations == ()
        assert all(report.checked[one.name] > 0 for one in INVARIANTS if not one.at)
    assert coverage(reports) == ()
    for one in INVARIANTS:
        assert sum(report.checked.get(one.name, 0) for report in reports) > 0


def test_our_scopes_are_known_by_their_names() -> None:
    """And leave out events that exist."""
    assert set(QUICK) < set(SCOPES)
    for name, scope in SCOPES.items():
        assert scope.name == name
        assert scope.says
        assert scope.without <= set(EVENTS)
        assert "started" not in scope.without
    assert not SCOPES["full"].without


# -- The canonical form.
IDS: Final = {"turn": 7, "version": 9, "connection": 5, "armings": 30}
SOME: Final = Context(
    identity=True,
    turn=3,
    version=4,
    connection=2,
    timers=(("hold", 6), ("state", 8)),
    armings=8,
    lock=Lock("e1", "pause", 300_000, "press", "row"),
)


def test_ids_alone_are_merged() -> None:
    """Only whether they are the present ones is ever asked."""
    form = canonical(Situation("auth", SOME))
    for other in (
        SOME._replace(turn=9),
        SOME._replace(version=9),
        SOME._replace(connection=9),
        SOME._replace(armings=90),
        SOME._replace(timers=(("hold", 66), ("state", 88))),
        SOME._replace(lock=Lock("e2", "pause", 300_000, "violation", "other")),
    ):
        assert canonical(Situation("auth", other)) == form
    assert canonical(form) == form


def test_nothing_else_is_merged() -> None:
    """Everything that a rule reads is explored as it is."""
    form = canonical(Situation("auth", SOME))
    lock = SOME.lock
    assert lock is not None
    others = [
        Situation("speaking", SOME),
        *(
            Situation("auth", Context(**(SOME._asdict() | {name: not getattr(SOME, name)})))
            for name in VALUES
            if name not in ("identity", "presses", "connection")
        ),
        Situation("auth", SOME._replace(identity=None)),
        Situation("auth", SOME._replace(presses=1)),
        Situation("auth", SOME._replace(connection=0)),
        Situation("auth", SOME._replace(timers=(("hold", 6),))),
        Situation("auth", SOME._replace(lock=None)),
        Situation("auth", SOME._replace(lock=lock._replace(kind="lock"))),
        Situation("auth", SOME._replace(lock=lock._replace(pause_ms=600_000))),
        Situation("auth", SOME._replace(lock=lock._replace(command=None))),
        Situation("auth", SOME._replace(lock=lock._replace(durable=True))),
    ]
    forms = [form, *map(canonical, others)]
    assert len(set(forms)) == len(forms)


def test_every_variable_is_an_id_or_has_its_values() -> None:
    """A new variable must say what it is, or it would be explored by chance."""
    assert set(VALUES) | set(IDS) | {"lock", "timers"} == set(Context._fields)


@pytest.mark.parametrize("seed", range(3))
def test_merged_situations_behave_alike(seed: int) -> None:
    """A step of the merged one is the merged step: what holds there holds of every toy."""
    plain = Interpreter()
    situation, met = START, set[Situation]()
    for step in strolled(seed + 50, 120):
        form = canonical(situation)
        if form not in met:
            met.add(form)
            _alike(plain, situation, form)
        situation, _ = plain.step(situation, step.event)
    assert len(met) >= 10


def _alike(plain: Interpreter, situation: Situation, form: Situation) -> None:
    theirs = variants(situation.context, EVENTS)
    for one, other in zip(theirs, variants(form.context, EVENTS), strict=True):
        event = _with_real_arming(one, situation.context)
        after, by = plain.step(situation, event)
        formal, formally = plain.step(form, other)
        assert (by.id, canonical(after)) == (formally.id, canonical(formal)), (situation, event)


def _with_real_arming(event: Event, context: Context) -> Event:
    """Return ``event`` with the arming that its timer really has, if it means the present."""
    if "arming" not in event.fields or event.fields["arming"] == OLDER:
        return event
    arming = context.armed(str(event.fields["timer"]))
    return event._replace(fields={**event.fields, "arming": arming})


# -- Variants.
@pytest.mark.parametrize("name", [name for name, kind in EVENTS.items() if kind.fence != "arming"])
def test_every_value_of_every_field_is_tried(name: str) -> None:
    """In every combination, each once."""
    fields = EVENTS[name].fields
    tried = [event.fields for event in variants(SOME, [name])]
    assert len({tuple(one.items()) for one in tried}) == len(tried)
    for field, domain in fields.items():
        values = {one[field] for one in tried}
        if isinstance(domain, tuple):
            assert values == set(domain)
        elif domain in (TURN, VERSION):
            assert values == {getattr(SOME, domain), OLDER}
    assert [event.name for event in variants(SOME, [name])] == [name] * len(tried)


def test_the_present_lock_and_another_are_tried() -> None:
    """Where there is none, another alone."""
    assert {one.fields["lock_id"] for one in variants(SOME, ["lock_written"])} == {"e1", OTHER}
    assert {one.fields["lock_id"] for one in variants(Context(), ["unlock"])} == {OTHER}


def test_the_present_connection_and_an_older_one_are_tried() -> None:
    """Where there is none, one that might have been."""
    assert {one.fields["connection"] for one in variants(SOME, ["stream_lost"])} == {2, OLDER}
    assert {one.fields["connection"] for one in variants(Context(), ["stream_lost"])} == {1, OLDER}
    assert {one.fields["connection"] for one in variants(SOME, ["stream_opened"])} == {1}


@pytest.mark.parametrize("name", sorted(set(TIMER_EVENTS.values())))
def test_each_armed_timer_fires_and_an_older_arming_too(name: str) -> None:
    """A timer that is not armed cannot fire; an older firing may be on its way."""
    timers = [timer for timer, event in TIMER_EVENTS.items() if event == name]
    armed = Context(timers=tuple((timer, 1) for timer in timers))
    fields = [one.fields for one in variants(armed, [name])]
    assert [one for one in fields if one["arming"] != OLDER] == [
        {"timer": timer, "arming": 1} for timer in timers
    ]
    assert len(fields) == len(timers) + 1
    (older,) = variants(Context(), [name])
    assert (older.fields["arming"], TIMER_EVENTS[str(older.fields["timer"])]) == (OLDER, name)


def test_every_variant_is_of_a_leaf_that_a_story_reaches() -> None:
    """The stories of the scenarios and the exploration speak of the same leaves."""
    assert set(EVERYWHERE) == set(ANY)
    assert Toy().situation == START


def test_a_row_that_asks_for_what_is_not_there_is_told_with_its_path() -> None:
    """A row outside ``safety_lockout`` that uses the lock breaks nothing but its own claim."""
    rules = changing("link.up", c.lock_is_durable)
    report = saw("started link_up", rules)
    (violation,) = report.violations
    assert violation.invariant == "rows-can-be-done"
    assert violation.path[-1] == "link_up"
    assert "link.up" in violation.what
