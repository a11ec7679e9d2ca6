"""A seeded walk through the state table, and its journal."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from firmware import version
from states import fingerprint
from states.events import EVENTS, Event
from states.explore import variants
from states.journal import FORMAT, Header, Recorder
from states.machine import Core, Step

STEPS: Final = 20_000
ROUNDS: Final = 5
SEED: Final = 1


def walk(steps: int, seed: int = SEED) -> list[Event]:
    """Return a seeded walk of events that move the toy about, as a busy day would."""
    rng, core, events = random.Random(seed), Core(), []  # noqa: S311 - repeatable, not secret
    names = tuple(EVENTS)
    for number in range(steps):
        context = core.situation.context
        event = rng.choice(list(variants(context, [rng.choice(names)])))
        fields = dict(event.fields)
        if fields.get("arming", -1) != -1:
            fields["arming"] = context.armed(str(fields["timer"]))
        event = Event(event.name, fields, f"walk{number:x}", number)
        core.step(event)
        events.append(event)
    return events


def header() -> Header:
    """Return the header of its journal."""
    table, rows = fingerprint.table(), fingerprint.rows()
    return Header(FORMAT, version.commit(), table, rows, "bench", Core().situation)


def recorded(events: Sequence[Event]) -> list[str]:
    """Return its journal, a line each."""
    core, recorder = Core(), Recorder()
    steps: list[Step] = [core.step(event) for event in events]
    return [recorder.header(header()) + "\n", *(recorder.line(step) + "\n" for step in steps)]
