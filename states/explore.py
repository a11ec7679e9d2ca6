"""Exhaustive exploration: every situation the table can reach, every event in each of them.

A *configuration* is a situation in canonical form: ids are replaced by small numbers, because only
whether they are the present ones is ever asked; what no rule reads is dropped. Everything else is
explored as it is. A *scope* says which events take part: the full scope is all of them.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from states import derive
from states import events as e
from states.context import Context
from states.derive import Situation, outputs
from states.effects import EFFECTS, Effect
from states.errors import TableError
from states.events import EVENTS, INTERNAL, Event, EventKind, FieldValue
from states.invariants import MAY_STAY, Edge, Invariant, checks_at
from states.lookup import UNDEFINED, Lookup
from states.machine import START
from states.rows import Row, Unacted
from states.table import ANY

ENDS: Final = MAY_STAY | {"boot.reading"}
"""Where timeouts may lead: a rest, or the state that asks for the records anew each time."""
OLDER: Final = -1
OTHER: Final = "other"
_NOW: Final = 1
_THIS_LOCK: Final = "this"


def canonical(situation: Situation) -> Situation:
    """Return ``situation`` with every id replaced by whether it is there."""
    c = situation.context
    lock = c.lock and c.lock._replace(id=_THIS_LOCK, cause="", command=c.lock.command and "command")
    return Situation(
        situation.leaf,
        c._replace(
            turn=_NOW,
            version=_NOW,
            connection=_NOW if c.connection else 0,
            timers=tuple([(name, _NOW) for name, _ in c.timers]),
            armings=_NOW,
            lock=lock,
        ),
    )


def variants(context: Context, names: Iterable[str]) -> Iterator[Event]:
    """Yield each event of ``names`` in every way its fields can be told apart in ``context``."""
    for name in names:
        kind = EVENTS[name]
        for fields in _field_sets(kind, context, name):
            yield Event(name, fields, "new")


def _field_sets(kind: EventKind, context: Context, name: str) -> Iterator[Mapping[str, FieldValue]]:
    if kind.fence == "arming":
        timers = [timer for timer, _ in context.timers if derive.TIMER_EVENTS[timer] == name]
        for timer in timers:
            yield {"timer": timer, "arming": _NOW}
        yield {"timer": _ANY_TIMER[name], "arming": OLDER}
        return
    for values in itertools.product(*(_values(domain, context) for domain in kind.fields.values())):
        yield dict(zip(kind.fields, values, strict=True))


def _values(domain: e.Domain, context: Context) -> tuple[FieldValue, ...]:
    if isinstance(domain, tuple):
        return domain
    if domain == e.LOCK:
        return (OTHER,) if context.lock is None else (context.lock.id, OTHER)
    if domain == e.NEW_CONNECTION:
        return (_NOW,)
    if domain == e.VERSION:
        return (context.version, OLDER)
    present = context.turn if domain == e.TURN else context.connection or _NOW
    return (present, OLDER)


_ANY_TIMER: Final = {event: timer for timer, event in derive.TIMER_EVENTS.items()}


Flags = tuple[bool, bool, bool]
_ALL_FLAGS: Final[tuple[Flags, ...]] = tuple(itertools.product(e.FLAG, e.FLAG, e.FLAG))
_ONE_FLAG_AT_A_TIME: Final = (
    (False, False, False),
    (True, False, False),
    (False, True, False),
    (False, False, True),
)


class Scope(NamedTuple):
    """Which events take part in an exploration, and in which ways a configuration sets its flags.

    ``flags`` are those of wake word, barge-in by it, and continued conversation.
    """

    name: str
    says: str
    without: frozenset[str] = frozenset()
    flags: tuple[Flags, ...] = _ALL_FLAGS


_STATELESS: Final = "volume extend export reboot switch_toy update update_ready shutdown"
_HUSHING: Final = "mute unmute privacy_switch"
_FAILING: Final = "part_failed part_recovered parts_tested"
_COUNTING: Final = "violation violation_elapsed urgent_full urgent_low"
_AT_START: Final = "down_at_start erase erased erase_failed provisioned"
_NETWORK: Final = "link_up link_down tokens_lost auth_failed"
_NO_FLAG: Final = ((False, False, False),)


def _without(*groups: str) -> frozenset[str]:
    return frozenset(" ".join(groups).split())


SCOPES: Final = {
    "conversation": Scope(
        "conversation",
        "turns, gestures, network, tokens, bedtime, consent; the configuration's flags in turn",
        _without(_STATELESS, _HUSHING, _FAILING, _COUNTING, _AT_START, "auth_failed reboot"),
        _ONE_FLAG_AT_A_TIME,
    ),
    "guardian": Scope(
        "guardian",
        "commands, mutes, the switch, bedtime, consent; the link holds and the button stays down",
        _without(_FAILING, _COUNTING, _AT_START, _NETWORK, "release hold_elapsed chain_elapsed"),
        ((False, False, False), (True, True, True)),
    ),
    "safety": Scope(
        "safety",
        "violations, the urgent queue and every kind of lock, from every state of a turn",
        _without(
            _STATELESS,
            _HUSHING,
            _FAILING,
            _AT_START,
            _NETWORK,
            "bedtime say stop release hold_elapsed chain_elapsed",
        ),
        _NO_FLAG,
    ),
    "start": Scope(
        "start",
        "start-up gestures, records, set-up, erasing, refused credentials, failing parts, locks",
        _without(
            _STATELESS, _HUSHING, _COUNTING, "bedtime hold_elapsed chain_elapsed speech_started"
        ),
        _NO_FLAG,
    ),
    "full": Scope("full", "every event in every combination; takes long"),
}
QUICK: Final = ("conversation", "guardian", "safety", "start")
"""Together they fire every row and give every variable each of its values (``coverage``)."""


class Violation(NamedTuple):
    """An invariant that does not hold, and the shortest way to see it."""

    invariant: str
    number: int
    what: str
    path: tuple[str, ...]


class Report(NamedTuple):
    """What an exploration saw.

    ``states`` were reached, those in ``left`` also left again. ``pairs`` are (state, event) pairs;
    ``checked`` counts the steps each invariant was asked of;
    ``values`` holds, for each variable of the context, the values it took.
    """

    scope: Scope
    states: frozenset[str]
    left: frozenset[str]
    pairs: int
    configurations: int
    steps: int
    checked: Mapping[str, int]
    violations: tuple[Violation, ...]
    fired: Mapping[str, int]
    values: Mapping[str, frozenset[object]]


class Exploration:
    """One exhaustive walk, breadth first: the first way found to anywhere is a shortest one."""

    def __init__(
        self, scope: Scope, lookup: Lookup | None = None, *, stop_at_first: bool = False
    ) -> None:
        """Explore ``scope`` by the table unless another ``lookup`` is given."""
        self._scope = scope
        self._lookup = lookup or Lookup()
        self._stop_at_first = stop_at_first
        self._acted = {name: checks_at(name, acted=True) for name in EVENTS}
        self._unacted = {name: checks_at(name, acted=False) for name in EVENTS}
        self._names = {leaf: tuple(filter(self._asked_in(leaf), EVENTS)) for leaf in ANY}
        start = canonical(START)
        self._came: dict[Situation, tuple[Situation, Event] | None] = {start: None}
        self._queue = deque([start])
        self._after_timeout: dict[Situation, Situation] = {}
        self._results: dict[str, set[str]] = {}
        self._left: set[str] = set()
        self._violations: dict[str, Violation] = {}
        self._asked: Counter[tuple[Invariant, ...]] = Counter()
        self._checked: Counter[str] = Counter()
        self._fired: Counter[str] = Counter()
        self._steps = 0

    def run(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """Walk until nothing new is found; now and then tell ``progress`` (walked, found)."""
        walked = 0
        while self._queue and not (self._stop_at_first and self._violations):
            situation = self._queue.popleft()
            for event in variants(situation.context, self._names[situation.leaf]):
                if self._takes_part(event):
                    self._step(situation, event)
            walked += 1
            if progress and walked % 500 == 0:
                progress(walked, len(self._came))
        if not self._queue:
            self._judge_the_whole()
        return self._report()

    def _asked_in(self, leaf: str) -> Callable[[str], bool]:
        """Return which events are tried in ``leaf``: those that may act, or that must act."""

        def asked(name: str) -> bool:
            matters = bool(self._lookup.rows(leaf, name) or self._unacted[name])
            return matters and name not in self._scope.without

        return asked

    def _takes_part(self, event: Event) -> bool:
        if event.name != "configured":
            return True
        if event.get("version") == OLDER:
            return (
                event.get("consent")
                is event.get("wake")
                is event.get("wake_barge")
                is event.get("continued")
                is True
            )
        return (
            event.get("wake"),
            event.get("wake_barge"),
            event.get("continued"),
        ) in self._scope.flags

    def _step(self, before: Situation, event: Event) -> None:
        self._steps += 1
        by = self._lookup.choose(before, event)
        if isinstance(by, Unacted):
            if self._unacted[event.name]:
                self._ask(self._unacted[event.name], before, event, by, before, ())
            return
        self._fired[by.id] += 1
        try:
            after = derive.apply(before, by, event)
            effects = derive.effects(before, by, event, after)
        except TableError as error:
            self._violated("rows-can-be-done", 0, f"row {by.id}: {error}", before, event)
            return
        self._ask(self._acted[event.name], before, event, by, after, effects)
        self._found(before, event, canonical(after), effects)

    def _ask(  # noqa: PLR0913, PLR0917 - what an edge is made of
        self,
        checks: tuple[Invariant, ...],
        before: Situation,
        event: Event,
        by: Row | Unacted,
        after: Situation,
        effects: tuple[Effect, ...],
    ) -> None:
        edge = Edge(before, event, by, after, effects, outputs(*before), outputs(*after))
        self._asked[checks] += 1
        for invariant in checks:
            wrong = invariant.check(edge)
            if wrong is not None:
                self._violated(invariant.name, invariant.number, wrong, before, event)

    def _found(
        self, before: Situation, event: Event, after: Situation, effects: tuple[Effect, ...]
    ) -> None:
        if after.leaf != before.leaf:
            self._left.add(before.leaf)
        if event.name in ("state_elapsed", "pause_elapsed"):
            self._after_timeout[before] = after
        if event.name in INTERNAL:
            results = {name for effect in effects for name in EFFECTS[effect.name].results}
            self._results.setdefault(event.name, set()).update(results)
        if after not in self._came:
            self._came[after] = (before, event)
            self._queue.append(after)

    def _violated(
        self, name: str, number: int, what: str, at: Situation, event: Event | None = None
    ) -> None:
        if name not in self._violations:
            path = self._path(at) + ((_told(event),) if event else ())
            self._violations[name] = Violation(name, number, what, path)

    def _path(self, situation: Situation) -> tuple[str, ...]:
        names: list[str] = []
        came = self._came[situation]
        while came is not None:
            situation, event = came
            names.append(_told(event))
            came = self._came[situation]
        return tuple(reversed(names))

    def _judge_the_whole(self) -> None:
        start = canonical(START)
        for leaf in ANY:
            for name in EVENTS:
                self._checked["every-pair-defined"] += 1
                unguarded = any(not row.when for row in self._lookup.rows(leaf, name))
                if not unguarded and self._lookup.unacted(leaf, name) is UNDEFINED:
                    self._violated(
                        "every-pair-defined", 4, f"nothing is said of {name} in {leaf}", start
                    )
        self._judge_timeouts()
        self._judge_circles(start)

    def _judge_timeouts(self) -> None:
        """Follow timeouts alone from everywhere: they must come to a rest or to reading anew."""
        good: set[Situation] = set()
        for situation in self._came:
            chain: list[Situation] = []
            at: Situation | None = situation
            while at is not None and at not in good and at.leaf not in ENDS and at not in chain:
                chain.append(at)
                at = self._after_timeout.get(at)
            self._checked["timeouts-lead-to-rest"] += 1
            if at is None or at in chain:
                self._violated(
                    "timeouts-lead-to-rest",
                    9,
                    f"timeouts alone never leave {situation.leaf}",
                    situation,
                )
            else:
                good.update(chain)

    def _judge_circles(self, start: Situation) -> None:
        """Show that no result of an effect can, by results alone, bring itself about again."""
        for name in sorted(self._results):
            self._checked["no-circle-of-results"] += 1
            reached: set[str] = set()
            todo = list(self._results[name])
            while todo:
                result = todo.pop()
                if result not in reached:
                    reached.add(result)
                    todo.extend(self._results.get(result, ()))
            if name in reached:
                self._violated("no-circle-of-results", 10, f"{name} brings about {name}", start)

    def _report(self) -> Report:
        self._checked["rows-can-be-done"] = self._fired.total()
        for checks, times in self._asked.items():
            for invariant in checks:
                self._checked[invariant.name] += times
        values: dict[str, set[object]] = {name: set() for name in Context._fields}
        for situation in self._came:
            for name, value in zip(Context._fields, situation.context, strict=True):
                values[name].add(value)
        return Report(
            self._scope,
            frozenset(situation.leaf for situation in self._came),
            frozenset(self._left),
            len(ANY) * len(EVENTS),
            len(self._came),
            self._steps,
            dict(self._checked),
            tuple(self._violations.values()),
            dict(self._fired),
            {name: frozenset(seen) for name, seen in values.items()},
        )


_FLAGS: Final = (
    "tokens",
    "refused",
    "link",
    "startup_press",
    "consent",
    "muted",
    "switched_off",
    "bedtime",
    "asleep",
    "deaf",
    "wake",
    "wake_barge",
    "continued",
    "deferred",
    "speech",
    "push_to_talk",
    "barred",
    "alarm",
    "flooded",
)
VALUES: Final[Mapping[str, frozenset[object]]] = {
    "identity": frozenset((None, False, True)),
    "presses": frozenset((0, 1, 2)),
    "connection": frozenset((0, 1)),
    **{name: frozenset((False, True)) for name in _FLAGS},
}
"""The values of each variable that a guard reads; locks and timers are counted by what they are."""
_LOCKS: Final = frozenset(("none", "pause", "lock"))
_TIMERS: Final = frozenset((*derive.TIMERS, "state", "pause"))


def coverage(reports: Iterable[Report], lookup: Lookup | None = None) -> tuple[Violation, ...]:
    """Return what ``reports`` together left out: states, rows, values."""
    reports = tuple(reports)
    rules = (lookup or Lookup()).rules
    missing = [
        *_missing("every-state-reached", 5, ANY, (r.states for r in reports)),
        *_missing("every-state-left", 5, ANY, (r.left for r in reports)),
        *_missing("every-row-fires", 5, [row.id for row in rules.rows], (r.fired for r in reports)),
    ]
    for name, values in VALUES.items():
        missing += _missing(f"every-value-of-{name}", 5, values, (r.values[name] for r in reports))
    locks = [
        {"none" if lock is None else lock.kind for lock in r.values["lock"]}  # type: ignore[attr-defined]
        for r in reports
    ]
    missing += _missing("every-value-of-lock", 5, _LOCKS, locks)
    timers = [{name for pairs in r.values["timers"] for name, _ in pairs} for r in reports]  # type: ignore[attr-defined]
    return (*missing, *_missing("every-timer-armed", 5, _TIMERS, timers))


def _missing(
    name: str, number: int, wanted: Iterable[object], seen: Iterable[Iterable[object]]
) -> Iterator[Violation]:
    left_out = set(wanted).difference(*seen)
    if left_out:
        yield Violation(name, number, "never: " + ", ".join(sorted(map(str, left_out))), ())


def _told(event: Event) -> str:
    fields = ", ".join(
        f"{name}={value}"
        for name, value in event.fields.items()
        if name not in ("arming", "version")
    )
    return f"{event.name}({fields})" if fields else event.name
