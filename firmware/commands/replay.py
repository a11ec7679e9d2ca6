"""Replay a journal by today's table.

Feeds the recorded events to the table as it is now, compares row, target and effects of each step,
and stops at the first difference with both sides shown. Exit codes: 0 all steps identical, 1 they
part, 65 the journal cannot be believed (what is believable before that line is replayed first), 66
no such file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import zip_longest
from typing import TextIO

from firmware.commands import exits
from states.errors import ForeignJournal, JournalError
from states.journal import LINE_CHARACTERS_MAX, Journal, read
from states.machine import Step
from states.replay import Changes, Difference, Replayed, replay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="the journal; - for standard input")
    parser.add_argument("--json", action="store_true", help="print the result for a program")


def run(arguments: argparse.Namespace) -> int:
    """Replay the journal and say what was found."""
    try:
        with _opened(arguments.file) as file:
            journal, broken = _believable(file)
    except ForeignJournal as error:
        return exits.fail(exits.DATA, f"{arguments.file}: {error}")
    except OSError as error:
        return exits.fail(
            exits.NO_INPUT, f"{arguments.file}: the journal cannot be read: {error.strerror}"
        )
    result = replay(journal)
    if arguments.json:
        print(json.dumps(_as_json(journal, result, broken)))
    else:
        _tell(journal, result)
    if broken is not None:
        return exits.fail(
            exits.DATA,
            f"{arguments.file}: {broken}; "
            f"the {len(journal.entries)} steps before it stand, nothing after it can be believed",
        )
    return exits.NOT_SO if result.difference else exits.OK


def _opened(name: str) -> TextIO:
    """Open the journal. Recorders write ASCII; what is none of it must spoil its own line only."""
    is_input = name == "-"
    file = sys.stdin.fileno() if is_input else name
    return open(
        file, encoding="ascii", errors="surrogateescape", newline="\n", closefd=not is_input
    )


def _believable(file: TextIO) -> tuple[Journal, JournalError | None]:
    """Read up to what cannot be believed, and no further. Raises ForeignJournal and OSError."""
    lines: list[str] = []

    def kept() -> Iterator[str]:
        while line := file.readline(LINE_CHARACTERS_MAX + 2):  # room for a newline, and one more
            lines.append(line)
            yield line

    try:
        return read(kept()), None
    except ForeignJournal:
        raise
    except JournalError as error:
        return read(lines[: error.line - 1]), error


def _tell(journal: Journal, result: Replayed) -> None:
    if journal.torn:
        print("The last line is cut short, as a power cut leaves it: it is left out.")
    for line in _told_changes(result.changes, journal.header.commit):
        print(line)
    if result.difference is None:
        print(f"{result.identical} steps, all identical.")
        return
    print(f"{result.identical} of {result.total} steps identical.")
    print("\n".join(_told_difference(result.difference)))


def _told_changes(changes: Changes, commit: str) -> list[str]:
    if not changes.behaviour:
        return []
    lines = [f"Behaviour changed since this journal was written (commit {commit})."]
    told = (("changed", changes.changed), ("new", changes.added), ("gone", changes.removed))
    for what, names in told:
        if names:
            lines.append(f"  rows {what}: {', '.join(names)}")
    if len(lines) == 1:
        lines.append("  no row by itself: their order, the states, or what is derived from them")
    return lines


def _told_difference(difference: Difference) -> list[str]:
    entry, today = difference.entry, difference.today
    event = entry.step.event
    fields = "".join(f" {name}={value}" for name, value in event.fields.items())
    where = f"line {entry.line}, step {entry.seq}, {event.at_ms} ms"
    lines = [
        f"First difference: {where}: {event.name}{fields}",
        f"  {'':10}{'recorded':44}today",
        _side_by_side("from", entry.step.source, today.source),
        _side_by_side("row", entry.step.row, today.row),
        _side_by_side("to", entry.step.to, today.to),
    ]
    effects = zip_longest(_effects(entry.step), _effects(today), fillvalue="-")
    for place, (left, right) in enumerate(effects):
        lines.append(_side_by_side("" if place else "effects", left, right))
    return lines


def _side_by_side(name: str, left: str, right: str) -> str:
    return f"  {name:10}{left:44}{right}{'' if left == right else '   <'}"


def _effects(step: Step) -> list[str]:
    return [" ".join((name, *map(str, fields.values()))) for name, fields in step.effects]


def _as_json(journal: Journal, result: Replayed, broken: JournalError | None) -> dict[str, object]:
    difference = result.difference
    return {
        "steps": result.total,
        "identical": result.identical,
        "torn": journal.torn,
        "broken": None if broken is None else {"line": broken.line, "why": str(broken)},
        "changes": result.changes._asdict(),
        "difference": None
        if difference is None
        else {
            "line": difference.entry.line,
            "event": [difference.entry.step.event.name, dict(difference.entry.step.event.fields)],
            "recorded": _side(difference.entry.step),
            "today": _side(difference.today),
        },
    }


def _side(step: Step) -> dict[str, object]:
    return {
        "from": step.source,
        "row": step.row,
        "to": step.to,
        "effects": [list(effect) for effect in step.effects],
    }
