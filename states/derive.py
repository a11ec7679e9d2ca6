"""What follows from where the machine is: home, outputs, timers, and the order of effects.

None of it is a rule about what follows what; those are rows. Everything here is a function of the
two ends of a step, so that no row can forget a light, a microphone or a timer.

The order of a step's effects, and why:

1. what may go on for nobody: speaker, then microphone where it closes, then the end of the turn;
2. the light, before any microphone opens;
3. sounds of the device's own;
4. the microphone where it opens, after its light and its earcon;
5. what the row and the state it enters ask for;
6. timers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from states import table
from states.changes import arm, disarm
from states.context import Context
from states.effects import Do, Effect
from states.events import EVENTS, Event
from states.rows import HOME, STAY, Row, State

STATES: Final = {state.name: state for state in table.STATES}
TURN: Final = frozenset(table.TURN)
REST: Final = frozenset(table.REST)
LOCKED: Final = frozenset(table.LOCKED)
IDLE: Final = frozenset(table.IDLE)

CLOSED, SAMPLING, CAPTURE = "closed", "sampling", "capture"
_OPENNESS: Final = {CLOSED: 0, SAMPLING: 1, CAPTURE: 2}


class Timer(NamedTuple):
    """A timer beside the states' own: the event it fires, its length, and where it lives."""

    event: str
    ms: int
    lives_in: frozenset[str]


_FREE: Final = frozenset(table.FREE)
TIMERS: Final[dict[str, Timer]] = {
    "hold": Timer("hold_elapsed", 400, _FREE),
    "chain": Timer("chain_elapsed", 500, _FREE),
    "dry": Timer("dry_elapsed", 3_000, frozenset(table.SPEAKING)),
    "grace": Timer("grace_elapsed", 10_000, IDLE),
    "violation_1": Timer("violation_elapsed", 300_000, _FREE),
    "violation_2": Timer("violation_elapsed", 300_000, _FREE),
    "lock_retry": Timer("lock_retry_elapsed", 5_000, LOCKED),
}


TIMER_EVENTS: Final = {
    "state": "state_elapsed",
    "pause": "pause_elapsed",
    **{name: timer.event for name, timer in TIMERS.items()},
}
"""The event that each timer fires."""


class Outputs(NamedTuple):
    """What a person can see and hear of a situation."""

    pattern: str
    microphone: str
    speaker: str


class Situation(NamedTuple):
    """A leaf and the memory that goes with it: all that the machine is."""

    leaf: str
    context: Context


def home(context: Context) -> str:
    """Return where a turn or a lock ends."""
    if context.identity is None:
        return "boot.reading"
    if not context.identity:
        return "boot.unprovisioned"
    if not context.online and context.armed("grace") is None:
        return "offline.ready"
    return f"idle.{context.availability}"


HOMES: Final = ("boot.reading", "boot.unprovisioned", "offline.ready", *table.IDLE)


def outputs(leaf: str, context: Context) -> Outputs:
    """Return what the situation shows: the microphone is a function of state and availability."""
    state = STATES[leaf]
    pattern = "red-amber-alarm" if context.alarm else state.light
    return Outputs(pattern, _microphone(state, context), state.speaker)


def _microphone(state: State, context: Context) -> str:
    if state.microphone == CLOSED or not context.may_hear:
        return CLOSED
    if state.microphone == CAPTURE:
        return CAPTURE
    enabled = context.wake_barge if state.microphone == "barge-in" else context.wake
    return SAMPLING if enabled else CLOSED


def timeout_ms(leaf: str, context: Context) -> int | None:
    """Return how long the situation may last in milliseconds, or None for as long as it likes."""
    state = STATES[leaf]
    return state.timeout_speech_ms if context.speech else state.timeout_ms


def apply(situation: Situation, row: Row, event: Event) -> Situation:
    """Return where ``row`` leads from ``situation``, with all that follows from it."""
    after = changed(situation.context, row, event)
    target = target_of(situation, row, after)
    return Situation(target, _settled(situation, target, after))


def changed(context: Context, row: Row, event: Event) -> Context:
    """Return the context with the row's own changes; a timer that fired is no longer armed."""
    if EVENTS[event.name].fence == "arming":
        context = disarm(context, str(event.get("timer")))
    for change in row.then:
        context = change(context, event)
    return context


def target_of(situation: Situation, row: Row, after: Context) -> str:
    """Return the leaf that ``row`` leads to, given the context it leaves behind."""
    if row.target == STAY:
        return situation.leaf
    if row.target != HOME:
        return row.target
    return home(after._replace(asleep=after.bedtime))


def _settled(situation: Situation, leaf: str, context: Context) -> Context:
    """Reset what means nothing in ``leaf`` and arm what living there demands."""
    source, before = situation
    context = _forgotten(leaf, context)
    context = _unlived_timers_stopped(leaf, context)
    if leaf in IDLE and not context.online:
        context = arm(context, "grace") if context.armed("grace") is None else context
    else:
        context = disarm(context, "grace")
    anew = leaf != source or context.turn != before.turn
    if anew or (context.speech and not before.speech):
        context = arm(context, "state") if timeout_ms(leaf, context) else disarm(context, "state")
    if context.lock is None or context.lock.kind != "pause":
        return disarm(context, "pause")
    taken_up = before.lock is None or before.lock.id != context.lock.id
    return arm(context, "pause") if taken_up else context


def _forgotten(leaf: str, c: Context) -> Context:
    """Reset what means nothing in ``leaf``; at a turn's end ``asleep`` catches up with bedtime."""
    if leaf not in TURN and (c.connection or c.speech or c.push_to_talk or c.asleep != c.bedtime):
        c = c._replace(connection=0, speech=False, push_to_talk=False, asleep=c.bedtime)
    if leaf in LOCKED:
        if c.presses:
            c = c._replace(presses=0, barred=False)
    elif c.lock is not None:
        c = c._replace(lock=None, alarm=False)
    if c.deferred and leaf in REST:
        c = c._replace(deferred=False)
    if c.startup_press and leaf != "boot.reading":
        c = c._replace(startup_press=False)
    return c


def _unlived_timers_stopped(leaf: str, context: Context) -> Context:
    for name, _ in context.timers:
        if name in TIMERS and leaf not in TIMERS[name].lives_in:
            context = disarm(context, name)
    return context


def effects(before: Situation, row: Row, event: Event, after: Situation) -> tuple[Effect, ...]:
    """Return the effects of the step in the order they are to be performed."""
    was, now = outputs(*before), outputs(*after)
    turned = after.context.turn != before.context.turn
    moved = turned or after.leaf != before.leaf
    asked = _asked(row.do, before, event, after)
    found: list[Effect] = []
    if moved or was != now:
        found += _closing(before, after, was, now, row, turned=turned)
        if was.pattern != now.pattern or was.microphone != now.microphone:
            found.append(Effect("light", {"pattern": now.pattern, "microphone": now.microphone}))
    found += [effect for effect in asked if effect.name == "cue"]
    if _opens(was, now, turned=turned):
        found.append(Effect("microphone", {"mode": now.microphone, "turn": after.context.turn}))
    if moved:
        in_between = STATES[before.leaf].leaves + STATES[after.leaf].enters
        found += _asked(in_between, before, event, after)
    found += [effect for effect in asked if effect.name != "cue"]
    if before.context.deferred and after.leaf in REST:
        found.append(Effect("recall"))
    if after.context.timers != before.context.timers:
        found += _timed(before.context, after)
    return tuple(found)


def _closing(  # noqa: PLR0913 - both ends of the step, and what they show
    before: Situation, after: Situation, was: Outputs, now: Outputs, row: Row, *, turned: bool
) -> Iterator[Effect]:
    if was.speaker != now.speaker or turned:
        yield Effect("speaker", {"mode": now.speaker, "turn": after.context.turn})
    if _OPENNESS[now.microphone] < _OPENNESS[was.microphone]:
        yield Effect("microphone", {"mode": now.microphone, "turn": after.context.turn})
    if before.leaf in TURN and (turned or after.leaf not in TURN):
        yield Effect("end_turn", {"turn": before.context.turn, "outcome": row.ends})


def _opens(was: Outputs, now: Outputs, *, turned: bool) -> bool:
    """Tell whether the microphone opens further, or goes on for another turn."""
    if now.microphone == was.microphone:
        return turned and now.microphone != CLOSED
    return _OPENNESS[now.microphone] > _OPENNESS[was.microphone]


def _asked(
    wanted: tuple[Do, ...], before: Situation, event: Event, after: Situation
) -> list[Effect]:
    found = [do(before.context, after.context, event) for do in wanted]
    return [effect for effect in found if effect is not None]


def _timed(before: Context, after: Situation) -> Iterator[Effect]:
    now = after.context.timers
    armed = {name for name, _ in now}
    for name, _ in before.timers:
        if name not in armed:
            yield Effect("disarm", {"timer": name})
    for pair in now:
        if pair not in before.timers:
            yield _armed(pair, after)


def _armed(pair: tuple[str, int], after: Situation) -> Effect:
    name, arming = pair
    if name == "state":
        ms = timeout_ms(*after) or 0
    elif name == "pause":
        ms = after.context.lock.pause_ms if after.context.lock else 0
    else:
        ms = TIMERS[name].ms
    return Effect("arm", {"timer": name, "arming": arming, "ms": ms, "event": TIMER_EVENTS[name]})
