"""Journals for tests: steps of the real core, random strolls, and lines that somebody forged."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from states import fingerprint
from states.derive import TIMER_EVENTS, Situation
from states.events import EVENTS, Event
from states.explore import SCOPES, Exploration, Report, variants
from states.journal import (
    FORMAT,
    HASH_DIGITS,
    Header,
    Journal,
    Recorder,
    _hash,
    encoded_context,
    read,
)
from states.lookup import OURS, Lookup, Rules
from states.machine import START, Core, Step
from states.rows import Row

LOCKING: Final = frozenset(
    [
        "pause",
        "lock",
        "emergency_stop",
        "safety_override",
        "urgent_full",
        "lock_unreadable",
        "erased",
    ]
)
"""Events that end most strolls early: drawn less often than others."""

_LOOKUP: Final = Lookup()


def header(situation: Situation = START, rules: Rules = OURS) -> Header:
    """Return what a device would write first."""
    return Header(
        FORMAT, "0123abc", fingerprint.table(rules), fingerprint.rows(rules), "4567def", situation
    )


def lines_of(steps: Iterable[Step], situation: Situation = START) -> list[str]:
    """Return the journal of ``steps`` as a device writes it, newlines included."""
    recorder = Recorder()
    first = recorder.header(header(situation))
    return [first + "\n", *(recorder.line(step) + "\n" for step in steps)]


def journal_of(steps: Iterable[Step], situation: Situation = START) -> Journal:
    """Return the journal of ``steps`` as a reader has it."""
    return read(lines_of(steps, situation))


def strolled(seed: int, steps: int) -> list[Step]:
    """Return the steps of a random stroll from the start of the service."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable stroll, not a secret
    core = Core(lookup=_LOOKUP)
    taken = [core.step(Event("started", id="e0"))]
    while len(taken) < steps:
        number = len(taken)
        event = _some_event(chance, core.situation)
        taken.append(core.step(event._replace(id=f"e{number}", at_ms=number * 20)))
    return taken


def _some_event(chance: random.Random, situation: Situation) -> Event:
    timers = situation.context.timers
    if timers and chance.random() < 0.2:
        timer, arming = chance.choice(timers)
        return Event(TIMER_EVENTS[timer], {"timer": timer, "arming": arming})
    names = [name for name in EVENTS if name not in LOCKING or chance.random() < 0.1]
    return chance.choice(list(variants(situation.context, [chance.choice(names)])))


def chained(bodies: Iterable[dict[str, Any]]) -> list[str]:
    """Return lines with these contents and hashes that fit: what a skilled forger would write."""
    previous, lines = "0" * HASH_DIGITS, []
    for body in bodies:
        text = json.dumps({**body, "prev": previous}, separators=(",", ":"))[:-1]
        previous = _hash(text)
        lines.append(f'{text},"hash":"{previous}"}}\n')
    return lines


def header_body(**changes: object) -> dict[str, Any]:
    """Return the contents of an honest first line, but for ``changes``."""
    leaf, context = START
    honest = {
        "pommai_journal": FORMAT,
        "commit": "0123abc",
        "table": "t",
        "rows": {},
        "configuration": "4567def",
        "leaf": leaf,
        "context": encoded_context(context),
    }
    return honest | changes


def step_body(seq: float | str = 1, **changes: object) -> dict[str, Any]:
    """Return the contents of an honest line of a step, but for ``changes``."""
    honest = {
        "seq": seq,
        "ms": 0,
        "event": ["press", {}, "e1"],
        "from": "boot.dark",
        "row": "ignored:somewhere",
        "to": "boot.dark",
        "effects": [["cue", {"name": "denied"}]],
    }
    return honest | changes


def altered(row_id: str, change: Callable[[Row], Row], rules: Rules = OURS) -> Rules:
    """Return ``rules`` with one row changed."""
    assert any(row.id == row_id for row in rules.rows), row_id
    rows = [change(row) if row.id == row_id else row for row in rules.rows]
    return rules._replace(rows=tuple(rows))


def without(row_id: str, rules: Rules = OURS) -> Rules:
    """Return ``rules`` without one row."""
    assert any(row.id == row_id for row in rules.rows), row_id
    return rules._replace(rows=tuple(row for row in rules.rows if row.id != row_id))


def above(row: Row, rules: Rules = OURS) -> Rules:
    """Return ``rules`` with ``row`` before all others, so that it is asked first."""
    return rules._replace(rows=(row, *rules.rows))


def beheadings(line: str) -> Iterator[str]:
    """Yield ``line`` cut short after each of its characters but the last that carries meaning."""
    complete = line.rstrip("\n")
    for length in range(1, len(complete)):
        yield complete[:length]


def without_line(lines: Sequence[str], index: int) -> list[str]:
    """Return ``lines`` without one."""
    return [line for number, line in enumerate(lines) if number != index]


def explored(name: str) -> Report:
    """Return what the exploration of one of our scopes saw; for processes of their own."""
    return Exploration(SCOPES[name]).run()
