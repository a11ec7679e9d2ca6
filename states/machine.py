"""The machine: one event in, one step out, on the ``transitions`` library.

The library holds the state and picks the row; its callbacks decide nothing and perform nothing. It
is used flat, with dotted leaf names, because its hierarchical class lets a child's row outrank a
parent's whatever their order: a child's ``press`` would swallow the triple press that stops it.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from transitions import EventData, Machine

from states import derive
from states.context import Context
from states.derive import HOMES, Situation
from states.effects import Effect
from states.errors import ReentryError
from states.events import Event, check
from states.lookup import Lookup, stale
from states.rows import HOME, STAY, Row, Unacted
from states.table import ANY

START: Final = Situation("boot.dark", Context())


class Step(NamedTuple):
    """What one event did.

    ``row`` is the id of the row that fired; or, where nothing was acted on, ``ignored:`` or
    ``refused:`` with the id of the entry that says why, and then ``to`` equals ``source`` and there
    are no effects.
    """

    event: Event
    source: str
    row: str
    to: str
    effects: tuple[Effect, ...]


class _Position:
    """The model that ``transitions`` moves."""

    def __init__(self, situation: Situation) -> None:
        self.state = situation.leaf
        self.context = situation.context
        self.fired: Row | None = None


class Core:
    """The state machine of the toy.

    ``step`` takes one event and returns what it did. It reads no clock, does no I/O and draws no
    random number: whatever varies comes in with the event.
    """

    def __init__(self, situation: Situation = START, lookup: Lookup | None = None) -> None:
        """Begin in ``situation``, by the table unless another ``lookup`` is given."""
        self._lookup = lookup or Lookup()
        self._position = _Position(situation)
        self._busy = False
        self._machine = _built(self._lookup)

    @property
    def situation(self) -> Situation:
        """Where the machine is: leaf and memory."""
        return Situation(self._position.state, self._position.context)

    def step(self, event: Event) -> Step:
        """Take ``event`` and return what it did.

        The caller owes the performing of ``effects`` in their order, after the step was recorded;
        what comes of them returns as events, never as a call from within. Raises EventError for a
        known event with wrong fields and ReentryError when a step is under way; neither changes
        anything. An unknown event is refused and changes nothing.
        """
        if self._busy:
            raise ReentryError(
                f"step({event.name!r}) was called while another step is under way; queue the event"
            )
        self._busy = True
        try:
            return self._step(event)
        finally:
            self._busy = False

    def _step(self, event: Event) -> Step:
        check(event)
        before = self.situation
        unacted = stale(before.context, before.leaf, event)
        if unacted is None:
            row = self._fire(event)
            if row is not None:
                return self._moved(before, row, event)
            unacted = self._lookup.unacted(before.leaf, event.name)
        return Step(event, before.leaf, f"{unacted.verdict}:{unacted.id}", before.leaf, ())

    def _moved(self, before: Situation, row: Row, event: Event) -> Step:
        """Finish what the library began; what cannot be finished leaves everything as it was."""
        try:
            after = derive.apply(before, row, event)
            step = Step(
                event, before.leaf, row.id, after.leaf, derive.effects(before, row, event, after)
            )
        except BaseException:
            self._position.state = before.leaf
            raise
        self._position.context = after.context
        return step

    def _fire(self, event: Event) -> Row | None:
        """Let the library move the position; return the row that moved it, if one did."""
        self._position.fired = None
        if self._lookup.rows(self._position.state, event.name):
            self._machine.events[event.name].trigger(self._position, event=event)
        return self._position.fired


def _built(lookup: Lookup) -> Machine:
    machine = Machine(
        model=None,  # ours is handed over with each event: nothing is bound to it by name
        states=list(ANY),
        initial=None,
        auto_transitions=False,
        send_event=True,
        ignore_invalid_triggers=True,
    )
    for row in lookup.rules.rows:
        for target in HOMES if row.target == HOME else (row.target,):
            for event in row.events:
                machine.add_transition(
                    event,
                    list(row.sources),
                    None if target == STAY else target,
                    conditions=[_Fits(row, target)],
                    after=[_Noted(row)],
                )
    return machine


class _Fits:
    """The condition of a transition: the row's guards, and for a row to HOME, that this is home."""

    def __init__(self, row: Row, target: str) -> None:
        self._row, self._target = row, target

    def __call__(self, data: EventData) -> bool:
        position = cast("_Position", data.model)
        event = cast("Event", data.kwargs["event"])
        if not all(guard(position.context, event) for guard in self._row.when):
            return False
        if self._row.target != HOME:
            return True
        after = derive.changed(position.context, self._row, event)
        return (
            derive.target_of(Situation(position.state, position.context), self._row, after)
            == self._target
        )


class _Noted:
    """Notes which row moved the machine, for the step that asked."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def __call__(self, data: EventData) -> None:
        cast("_Position", data.model).fired = self._row


class Interpreter:
    """The same table read plainly, without the library: what exploration uses.

    A test holds it equal to ``Core`` on random walks.
    """

    def __init__(self, lookup: Lookup | None = None) -> None:
        """Read the table unless another ``lookup`` is given."""
        self.lookup = lookup or Lookup()

    def step(self, situation: Situation, event: Event) -> tuple[Situation, Row | Unacted]:
        """Return where ``event`` leads from ``situation`` and the row or entry that says so."""
        chosen = self.lookup.choose(situation, event)
        if isinstance(chosen, Unacted):
            return situation, chosen
        return derive.apply(situation, chosen, event), chosen
