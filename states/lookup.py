"""The table, indexed: which rows an event may fire where, and what is said of the rest.

Built once; contradictions are found here, when the program starts, and never while a child plays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from states import table
from states.context import Context
from states.derive import TIMER_EVENTS, Situation
from states.errors import TableError
from states.events import EVENTS, Event
from states.rows import HOME, STAY, Row, Unacted

UNKNOWN: Final = Unacted("unknown", "refused", (), (), "no such event in the vocabulary")
STALE: Final = {
    "arming": Unacted("stale.arming", "ignored", (), (), "a timer that is no longer armed"),
    "turn": Unacted("stale.turn", "ignored", (), (), "of an older turn"),
    "connection": Unacted("stale.connection", "ignored", (), (), "of an older turn or connection"),
    "version": Unacted("stale.version", "ignored", (), (), "older than the configuration in force"),
    "lock": Unacted("stale.lock", "ignored", (), (), "of an older lock"),
}
UNDEFINED: Final = Unacted(
    "undefined", "refused", (), (), "the table says nothing of this event here"
)


class Rules(NamedTuple):
    """A table of transitions and its list of what is not acted on, as one thing to be indexed."""

    rows: Sequence[Row]
    unacted: Sequence[Unacted]


OURS: Final = Rules(table.ROWS, table.UNACTED)


class Lookup:
    """Rows and entries by (leaf, event), in the order of the table."""

    def __init__(self, rules: Rules = OURS) -> None:
        """Index ``rules``. Raises TableError where they contradict themselves."""
        self.rules = rules
        _check(rules)
        self._rows: dict[tuple[str, str], tuple[Row, ...]] = {}
        for row in rules.rows:
            for leaf in row.sources:
                for event in row.events:
                    self._rows[leaf, event] = (*self._rows.get((leaf, event), ()), row)
        self._unacted: dict[tuple[str, str], Unacted] = {}
        for entry in rules.unacted:
            for leaf in entry.sources:
                for event in entry.events:
                    self._unacted.setdefault((leaf, event), entry)

    def rows(self, leaf: str, event: str) -> tuple[Row, ...]:
        """Return the rows that ``event`` may fire in ``leaf``, in the order they are asked."""
        return self._rows.get((leaf, event), ())

    def unacted(self, leaf: str, event: str) -> Unacted:
        """Return what is said of ``event`` in ``leaf`` when no row fires."""
        return self._unacted.get((leaf, event), UNDEFINED)

    def choose(self, situation: Situation, event: Event) -> Row | Unacted:
        """Return the row that ``event`` fires in ``situation``, or why none does.

        This is the plain reading of the table: fence, then rows in order, then the list.
        """
        fenced = stale(situation.context, situation.leaf, event)
        if fenced is not None:
            return fenced
        for row in self.rows(situation.leaf, event.name):
            if all(guard(situation.context, event) for guard in row.when):
                return row
        return self.unacted(situation.leaf, event.name)


def stale(context: Context, leaf: str, event: Event) -> Unacted | None:
    """Return why ``event`` may not be heard: it is unknown, or its fence holds it back."""
    kind = EVENTS.get(event.name)
    if kind is None:
        return UNKNOWN
    if kind.fence is None:
        return None
    return None if _named_present(kind.fence, context, leaf, event) else STALE[kind.fence]


def _named_present(fence: str, context: Context, leaf: str, event: Event) -> bool:
    if fence == "arming":
        timer = event.get("timer")
        return (
            TIMER_EVENTS.get(str(timer)) == event.name
            and (timer, event.get("arming")) in context.timers
        )
    if fence == "version":
        return int(event.get("version") or 0) >= context.version
    if fence == "lock":
        return context.lock is not None and event.get("lock_id") == context.lock.id
    if leaf not in table.TURN or event.get("turn") != context.turn:
        return False
    return fence == "turn" or (
        context.connection > 0 and event.get("connection") == context.connection
    )


def _check(rules: Rules) -> None:
    entries: list[Row | Unacted] = [*rules.rows, *rules.unacted]
    ids = [entry.id for entry in entries]
    for twice in sorted({name for name in ids if ids.count(name) > 1}):
        raise TableError(f"the id {twice!r} is given twice; every row and entry needs its own")
    for row in rules.rows:
        if row.target not in (*table.ANY, HOME, STAY):
            raise TableError(f"row {row.id!r} goes to {row.target!r}, which is no state")
    for entry in entries:
        for leaf in entry.sources:
            if leaf not in table.ANY:
                raise TableError(f"{entry.id!r} starts from {leaf!r}, which is no state")
        for event in entry.events:
            if event not in EVENTS:
                raise TableError(f"{entry.id!r} waits for {event!r}, which is no event")
