"""Replay: feed a recorded journal to today's table and stop where they part.

The recorded events go in; row, target and effects are compared with what was recorded. The first
difference is the end: after it the two no longer speak of the same toy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from states import fingerprint
from states.errors import EventError
from states.journal import Entry, Journal
from states.lookup import Lookup
from states.machine import Core, Step


class Difference(NamedTuple):
    """Where recorded and present behaviour part: the record, and what today's table does."""

    entry: Entry
    today: Step


class Changes(NamedTuple):
    """How today's table differs from the recorded one: row ids, and whether anything does."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    behaviour: bool


class Replayed(NamedTuple):
    """What a replay found; ``identical`` counts the steps before the difference, or all of them."""

    identical: int
    total: int
    difference: Difference | None
    changes: Changes


def replay(journal: Journal, lookup: Lookup | None = None) -> Replayed:
    """Replay ``journal`` by today's table, or by another ``lookup``."""
    lookup = lookup or Lookup()
    core = Core(journal.header.situation, lookup)
    changes = compare(journal.header.table, journal.header.rows, lookup)
    for identical, entry in enumerate(journal.entries):
        today = _today(core, entry)
        if today != entry.step:
            return Replayed(identical, len(journal.entries), Difference(entry, today), changes)
    return Replayed(len(journal.entries), len(journal.entries), None, changes)


def _today(core: Core, entry: Entry) -> Step:
    event = entry.step.event
    try:
        return core.step(event)
    except EventError as error:
        leaf = core.situation.leaf
        return Step(event, leaf, f"refused:{error}", leaf, ())


def compare(table: str, rows: Mapping[str, str], lookup: Lookup) -> Changes:
    """Compare recorded fingerprints with those of today's table."""
    today = fingerprint.rows(lookup.rules)
    return Changes(
        tuple(sorted(name for name in rows.keys() & today.keys() if rows[name] != today[name])),
        tuple(sorted(today.keys() - rows.keys())),
        tuple(sorted(rows.keys() - today.keys())),
        table != fingerprint.table(lookup.rules),
    )
