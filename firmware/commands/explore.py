"""Check every situation that the table can reach.

Walks all states, events and the memory that rules read, exhaustively, and asks every invariant of
every step. Without options the quick scopes are walked, which together fire every row; ``--full``
walks everything in every combination, which takes long. Exit codes: 0 all invariants hold, 1 one
does not, with the shortest path to it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from firmware.commands import exits
from states.errors import TableError
from states.events import EVENTS
from states.explore import QUICK, SCOPES, VALUES, Exploration, Report, Violation, coverage
from states.invariants import INVARIANTS
from states.table import ANY, ROWS

_NUMBERS = {
    **{one.name: (one.number, one.says) for one in INVARIANTS},
    "rows-can-be-done": (0, "no row asks for what is not there"),
    "every-pair-defined": (4, "every event in every state is a row or listed"),
    "every-state-reached": (5, "every state can be reached"),
    "every-state-left": (5, "no state is a sink"),
    "every-row-fires": (5, "no row is dead"),
    "every-value": (5, "every variable that a guard reads takes each of its values"),
    "timeouts-lead-to-rest": (9, "timeouts alone lead to a rest"),
    "no-circle-of-results": (10, "no result of an effect brings itself about"),
}
_COVERED: Final = {
    "every-state-reached": len(ANY),
    "every-state-left": len(ANY),
    "every-row-fires": len(ROWS),
    "every-value": len(VALUES),
}
ALL_HOLD: Final = (
    "All hold; every state is reached and left, every row fires, "
    "every variable takes each of its values."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--full", action="store_true", help="every combination; takes long")
    parser.add_argument(
        "--scope", choices=sorted(SCOPES), help="one scope alone, without the check of coverage"
    )
    parser.add_argument("--json", action="store_true", help="print the result for a program")


def run(arguments: argparse.Namespace) -> int:
    """Explore and say what was found."""
    names = (arguments.scope,) if arguments.scope else ("full",) if arguments.full else QUICK
    try:
        with ProcessPoolExecutor(max_workers=2) as pool:
            reports = list(pool.map(_explored, names))
    except TableError as error:
        return exits.fail(exits.NOT_SO, f"the table contradicts itself: {error}")
    violations = [one for report in reports for one in report.violations]
    if not arguments.scope:
        violations += coverage(reports)
    if arguments.json:
        print(json.dumps(_as_json(reports, violations)))
    else:
        _tell(reports, violations, whole=not arguments.scope)
    return exits.NOT_SO if violations else exits.OK


def _explored(name: str) -> Report:
    def progress(walked: int, found: int) -> None:
        _show(f"{name}: {walked:,} of {found:,} configurations  ")

    report = Exploration(SCOPES[name]).run(progress if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        _show(" " * 70 + "\r")
    return report


def _show(line: str) -> None:
    """Write over the present line of the terminal."""
    print(f"\r{line}", end="", file=sys.stderr, flush=True)


def _tell(reports: Sequence[Report], violations: Sequence[Violation], *, whole: bool) -> None:
    pairs = len(ANY) * len(EVENTS)
    print(f"{len(ANY)} states, {len(EVENTS)} events, {pairs:,} pairs, {len(ROWS)} rows")
    for report in reports:
        reached = f"{report.configurations:>9,} configurations {report.steps:>11,} steps"
        print(f"{report.scope.name:13} {reached}   {report.scope.says}")
    checked = _checked(reports)
    if whole:
        checked.update(_COVERED)
    _tell_invariants(checked, {one.invariant.split("-of-")[0] for one in violations})
    for one in violations:
        print(f"\nBROKEN {one.invariant}: {one.what}")
        if one.path:
            print("shortest path to it:")
            print("\n".join(f"  {place:3}. {event}" for place, event in enumerate(one.path, 1)))
    if not violations:
        print(f"\n{ALL_HOLD if whole else 'All hold in this scope.'}")


def _tell_invariants(checked: Counter[str], broken: Collection[str]) -> None:
    print(f"\n{'':4} {'invariant':27} {'checked on':>12}")
    unnumbered_last = sorted(_NUMBERS.items(), key=lambda item: (item[1][0] or 99, item[0]))
    for name, (number, says) in unnumbered_last:
        if not checked[name]:
            continue
        mark = f"M{number}" if number else ""
        verdict = "BROKEN" if name in broken else "holds"
        print(f"{mark:4} {name:27} {checked[name]:>12,} {verdict:7} {says}")


def _checked(reports: Iterable[Report]) -> Counter[str]:
    total: Counter[str] = Counter()
    for report in reports:
        total.update(report.checked)
    return total


def _as_json(reports: Iterable[Report], violations: Iterable[Violation]) -> dict[str, object]:
    return {
        "states": len(ANY),
        "events": len(EVENTS),
        "pairs": len(ANY) * len(EVENTS),
        "rows": len(ROWS),
        "scopes": [
            {"name": r.scope.name, "configurations": r.configurations, "steps": r.steps}
            for r in reports
        ],
        "checked": dict(_checked(reports)),
        "violations": [one._asdict() for one in violations],
    }
