"""What follows from where the toy is: home, outputs, timers, and the order of effects."""

from __future__ import annotations

from typing import Final

import pytest

from states import derive
from states import effects as x
from states.changes import arm
from states.context import Context, Lock
from states.derive import (
    HOMES,
    STATES,
    TIMER_EVENTS,
    TIMERS,
    Outputs,
    Situation,
    apply,
    effects,
    home,
    outputs,
    timeout_ms,
)
from states.effects import Effect
from states.events import EVENTS, Event
from states.machine import Core
from states.rows import HOME, STAY, row
from states.table import ANY
from tests.states.recording import strolled
from tests.states.scenario import EVERYWHERE

AWAKE: Final = Context(identity=True, tokens=True, link=True, consent=True, wake=True)
PRESS: Final = Event("press", id="e1")


@pytest.mark.parametrize(
    ("context", "leaf"),
    [
        (AWAKE, "idle.awake"),
        (AWAKE._replace(asleep=True), "idle.asleep"),
        (AWAKE._replace(muted=True), "idle.muted"),
        (AWAKE._replace(switched_off=True, asleep=True), "idle.muted"),
        (AWAKE._replace(consent=False), "idle.muted"),
        (AWAKE._replace(tokens=False), "offline.ready"),
        (AWAKE._replace(link=False), "offline.ready"),
        (arm(AWAKE._replace(link=False), "grace"), "idle.awake"),
        (AWAKE._replace(identity=False), "boot.unprovisioned"),
        (AWAKE._replace(identity=None), "boot.reading"),
    ],
)
def test_home_is_where_a_turn_or_a_lock_ends(context: Context, leaf: str) -> None:
    """Without identity unprovisioned, without tokens or link offline, else idle as available."""
    assert home(context) == leaf
    assert leaf in HOMES


@pytest.mark.parametrize("leaf", ANY)
def test_no_microphone_is_open_where_it_may_not_be(leaf: str) -> None:
    """The microphone is a function of state and availability."""
    for change in ({"muted": True}, {"switched_off": True}, {"asleep": True}, {"consent": False}):
        hushed = Context(**{**AWAKE._asdict(), "wake_barge": True, **change})
        assert outputs(leaf, hushed).microphone == "closed"
    assert outputs(leaf, AWAKE._replace(deaf=True)).microphone == "closed"


def test_the_wake_word_samples_only_where_it_is_enabled() -> None:
    """Sampling in awake if a wake word is enabled; while speaking if it may barge in."""
    silent = AWAKE._replace(wake=False)
    assert outputs("idle.awake", AWAKE).microphone == "sampling"
    assert outputs("idle.awake", silent).microphone == "closed"
    assert outputs("speaking", AWAKE).microphone == "closed"
    assert outputs("speaking", AWAKE._replace(wake_barge=True)).microphone == "sampling"
    assert outputs("streaming.sending", silent).microphone == "capture"


def test_the_alarm_outshines_every_light() -> None:
    """A lock that could not be written shows, whatever else would."""
    alarmed = AWAKE._replace(alarm=True, lock=Lock("a", "lock", 0, "press", None))
    assert outputs("safety_lockout.lock", alarmed) == Outputs("red-amber-alarm", "closed", "fixed")


def test_speech_lengthens_what_may_last_longer_with_it() -> None:
    """Timeouts without speech 5 s, with speech 30 s; elsewhere it makes no difference."""
    assert timeout_ms("offline.listening", AWAKE) == 5_000
    assert timeout_ms("offline.listening", AWAKE._replace(speech=True)) == 30_000
    assert timeout_ms("speaking", AWAKE) == timeout_ms("speaking", AWAKE._replace(speech=True))
    assert timeout_ms("idle.awake", AWAKE) is None


def test_every_timer_has_its_event() -> None:
    """No firing goes unheard."""
    assert set(TIMER_EVENTS) == {"state", "pause", *TIMERS}
    assert all(EVENTS[name].fence == "arming" for name in TIMER_EVENTS.values())
    assert all(timer.ms > 0 and timer.lives_in <= set(ANY) for timer in TIMERS.values())


@pytest.mark.parametrize("leaf", ANY)
def test_a_state_that_ends_by_itself_has_its_timer(leaf: str) -> None:
    """Armed on entering, with the length that the table gives."""
    context = EVERYWHERE[leaf]().context
    length = timeout_ms(leaf, context)
    assert (context.armed("state") is not None) is (length is not None)
    assert (context.armed("pause") is not None) is (leaf == "safety_lockout.pause")


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_is_stopped_where_it_does_not_live(name: str) -> None:
    """So that none fires into a state that knows nothing of it."""
    for leaf in set(ANY) - TIMERS[name].lives_in:
        lock = Lock("a", "lock", 0, "press", None) if leaf in derive.LOCKED else None
        before = Situation("auth", arm(AWAKE._replace(lock=lock), name))
        after = apply(before, row("t.row", "press", ("auth",), leaf), PRESS)
        assert after.context.armed(name) is None or name == "grace"


def test_what_a_turn_remembers_is_forgotten_at_its_end() -> None:
    """Two situations that cannot be told apart are one."""
    talking = AWAKE._replace(turn=3, connection=9, speech=True, push_to_talk=True, bedtime=True)
    after = apply(Situation("speaking", talking), row("t.row", "press", ("speaking",), HOME), PRESS)
    assert after.leaf == "idle.asleep"
    kept = after.context._replace(timers=(), armings=0)
    assert kept == AWAKE._replace(turn=3, bedtime=True, asleep=True)


def test_bedtime_is_latched_while_a_turn_lasts() -> None:
    """A sentence being spoken finishes."""
    talking = AWAKE._replace(turn=3, bedtime=True)
    after = apply(Situation("speaking", talking), row("t.row", "press", ("speaking",), STAY), PRESS)
    assert not after.context.asleep


def test_the_order_of_effects() -> None:
    """Close for nobody, light, own sounds, open, what is asked, timers."""
    before = Situation("speaking", AWAKE._replace(turn=3))
    begins = row(
        "t.row",
        "press",
        ("speaking",),
        "listening.hearing",
        then=lambda c, _: arm(c._replace(turn=c.turn + 1), "hold"),
        do=(x.plain("purge_speech"), x.cue("listening")),
        ends="interrupted",
    )
    after = apply(before, begins, PRESS)
    assert effects(before, begins, PRESS, after) == (
        Effect("speaker", {"mode": "cues", "turn": 4}),
        Effect("end_turn", {"turn": 3, "outcome": "interrupted"}),
        Effect("light", {"pattern": "blue-double-pulse", "microphone": "capture"}),
        Effect("cue", {"name": "listening"}),
        Effect("microphone", {"mode": "capture", "turn": 4}),
        Effect("open_stream", {"turn": 4}),
        Effect("purge_speech"),
        Effect("arm", {"timer": "hold", "arming": 1, "ms": 400, "event": "hold_elapsed"}),
        Effect("arm", {"timer": "state", "arming": 2, "ms": 5_000, "event": "state_elapsed"}),
    )


ASKED: Final = 4
RANK: Final = {
    "speaker": 0,
    "end_turn": 1,
    "light": 2,
    "cue": 3,
    "recall": ASKED + 1,
    "disarm": ASKED + 2,
    "arm": ASKED + 3,
}
"""The order that every step keeps; a microphone has two places, by whether it opens."""


def ranked(effect: Effect) -> int:
    """Return the place of ``effect`` in the order."""
    return RANK.get(effect.name, ASKED)


@pytest.mark.parametrize("seed", range(4))
def test_every_step_keeps_the_order(seed: int) -> None:
    """Whatever the row: what a person relies on is in the derivation, not in the rows."""
    for step in strolled(seed + 20, 400):
        names = [effect for effect in step.effects if effect.name != "microphone"]
        assert [ranked(one) for one in names] == sorted(ranked(one) for one in names), step
        timers = [str(one.fields["timer"]) for one in step.effects if one.name == "arm"]
        assert timers == sorted(timers)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_row_leaves_as_it_is_asks_for_nothing(seed: int) -> None:
    """No light is shown twice, and no timer armed that is armed already."""
    core = Core()
    for step in strolled(seed + 30, 300):
        before = core.situation
        assert core.step(step.event) == step
        told = {effect.name for effect in step.effects}
        was, now = outputs(*before), outputs(*core.situation)
        same = (was.pattern, was.microphone) == (now.pattern, now.microphone)
        assert ("light" in told) is not same
        if before.context.timers == core.situation.context.timers:
            assert not {"arm", "disarm"} & told


def test_every_state_is_derived_from_its_own_line() -> None:
    """The table of states is the only place for lights and speakers."""
    assert [STATES[leaf].name for leaf in ANY] == list(ANY)
    for leaf in ANY:
        line = STATES[leaf]
        assert outputs(leaf, AWAKE)[::2] == (line.light, line.speaker)
