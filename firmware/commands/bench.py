"""Measure what the budgets are about.

Prints medians, and what one measurement in twenty and in a hundred exceeds, with the machine and
the versions in the header. Rates of the core are per second of processor time, so that a busy
neighbour does not count; compare ratios within one run. The whole table of what was measured is
printed at the end, and where the bench is meanwhile, on standard error.

Without a section, those are measured that take seconds. `voice` takes some eight minutes, needs a
machine that has nothing else to do, and is measured where it is named: `pommai bench voice`.

Exit codes: 0 every budget is met, 1 one is not, 2 there is no such section, 69 something that a
section needs is not installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from firmware import version
from firmware.bench import section
from firmware.bench.errors import SectionError
from firmware.bench.section import Figure
from firmware.commands import exits

_WIDTH: Final = 44


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    known = ", ".join(section.names())
    parser.add_argument(
        "section",
        nargs="*",
        help=f"what to measure: {known} (default: those that take seconds)",
    )
    parser.add_argument("--json", action="store_true", help="print the result for a program")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    known = section.names()
    unknown = [name for name in arguments.section if name not in known]
    if unknown:
        listed = ", ".join(known)
        return exits.fail(exits.USAGE, f"no section {unknown[0]!r}; known are {listed}")
    sections = {name: section.load(name) for name in arguments.section or known}
    if not arguments.section:
        is_quick = {name: one.TAKES_S <= section.QUICK_S_MAX for name, one in sections.items()}
        sections = {name: one for name, one in sections.items() if is_quick[name]}
    tell = _Teller()
    try:
        figures = [figure for one in sections.values() for figure in one.measure(tell)]
    except SectionError as error:
        return exits.fail(exits.UNAVAILABLE, str(error))
    if arguments.json:
        print(json.dumps({"machine": _machine(), "figures": list(map(_as_json, figures))}))
    else:
        _tell_figures(figures)
    return exits.OK if all(figure.met for figure in figures) else exits.NOT_SO


class _Teller:
    """Tells on standard error what is being measured, and since when the bench runs."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def __call__(self, what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began_s), 60)
        print(f"{minutes}:{seconds:02}  {what}", file=sys.stderr, flush=True)


def _machine() -> dict[str, str]:
    return {
        "commit": version.commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - no path is meant
            cores = [line for line in file if line.startswith("model name")]
    except OSError:
        cores = []
    if not cores:
        return platform.processor() or "unknown"
    return f"{len(cores)} x {cores[0].partition(':')[2].strip()}"


def _as_json(figure: Figure) -> dict[str, object]:
    """Return it for a program; JSON has no word for what is not a number."""
    facts = {**asdict(figure), "met": figure.met}
    return {key: None if value != value else value for key, value in facts.items()}  # noqa: PLR0124


def _tell_figures(figures: Sequence[Figure]) -> None:
    print(", ".join(f"{name} {value}" for name, value in _machine().items()))
    numbers = " ".join(f"{name:>9}" for name in ("median", "p95", "p99"))
    print(f"{'section':8} {'what':{_WIDTH}} {numbers} {'budget':>14}")
    for one in figures:
        numbers = " ".join(f"{_number(value):>9}" for value in (one.median, one.p95, one.p99))
        verdict = one.unit if one.met else f"{one.unit}  MISSED"
        print(f"{one.section:8} {one.what:{_WIDTH}} {numbers} {_budget(one):>14} {verdict}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _budget(figure: Figure) -> str:
    if figure.budget is None:
        return "-"
    which = "" if figure.judged == "median" else f"{figure.judged} "
    return f"{which}{'>=' if figure.least else '<='} {figure.budget:,.0f}"
