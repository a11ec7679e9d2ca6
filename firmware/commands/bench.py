"""Measure what the budgets are about.

Prints medians and 99th percentiles with the machine and the versions in the header. Rates are per
second of processor time, so that a busy neighbour does not count; compare ratios within one run.
Exit codes: 0 every budget is met, 1 one is not, 2 there is no such section.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from firmware import version
from firmware.commands import exits, wire
from states import fingerprint
from states.events import EVENTS, Event
from states.explore import variants
from states.journal import FORMAT, Header, Recorder, read
from states.machine import Core, Step
from states.replay import replay

STEPS: Final = 20_000
ROUNDS: Final = 5
SEED: Final = 1
SPEECH_BYTES_PER_S_MAX: Final = 4_000
"""32 kbit/s, for an utterance in Opus at 24."""


@dataclass(frozen=True)
class Figure:
    """One measured figure and its budget, if it has one; ``least`` where more is better."""

    section: str
    what: str
    unit: str
    median: float
    p99: float | None
    budget: float | None
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether the median is within its budget."""
        if self.budget is None:
            return True
        return self.median >= self.budget if self.least else self.median <= self.budget


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    known = ", ".join(SECTIONS)
    parser.add_argument("section", nargs="*", help=f"what to measure: {known} (default: all)")
    parser.add_argument("--json", action="store_true", help="print the result for a program")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    wanted = arguments.section or list(SECTIONS)
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        known = ", ".join(SECTIONS)
        return exits.fail(exits.USAGE, f"no section {unknown[0]!r}; known are {known}")
    figures = [figure for name in wanted for figure in SECTIONS[name]()]
    if arguments.json:
        told = [{**asdict(one), "met": one.met} for one in figures]
        print(json.dumps({"machine": _machine(), "figures": told}))
    else:
        _tell(figures)
    return exits.OK if all(figure.met for figure in figures) else exits.NOT_SO


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


def _tell(figures: Sequence[Figure]) -> None:
    print(", ".join(f"{name} {value}" for name, value in _machine().items()))
    print(f"{'section':9} {'what':38} {'median':>10} {'p99':>10} {'budget':>12}")
    for one in figures:
        p99 = f"{one.p99:,.1f}" if one.p99 is not None else "-"
        budget = f"{'>=' if one.least else '<='} {one.budget:,.0f}" if one.budget else "-"
        verdict = one.unit if one.met else f"{one.unit}  MISSED"
        measured = f"{one.median:>10,.1f} {p99:>10}"
        print(f"{one.section:9} {one.what:38} {measured} {budget:>12} {verdict}")


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


def _core() -> list[Figure]:
    events = walk(STEPS)
    spent: list[float] = []
    for _ in range(ROUNDS):
        core, recorder = Core(), _recorder()
        for event in events:
            began = time.perf_counter_ns()
            recorder.line(core.step(event))
            spent.append((time.perf_counter_ns() - began) / 1_000)
    p99 = statistics.quantiles(spent, n=100)[98]
    return [Figure("core", "step and its journal line", "µs", statistics.median(spent), p99, 50)]


def _replay() -> list[Figure]:
    lines = _recorded(walk(STEPS))
    replays, reads = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        journal = read(lines)
        halfway = time.process_time()
        result = replay(journal)
        ended = time.process_time()
        if result.difference is not None:
            raise AssertionError(f"the walk does not replay: {result.difference}")
        reads.append(len(lines) / (halfway - began))
        replays.append(result.total / (ended - halfway))
    return [
        _rate("replayed", "steps/s", replays),
        _rate("read and verified", "lines/s", reads),
    ]


def _rate(what: str, unit: str, rounds: Sequence[float]) -> Figure:
    return Figure("replay", what, unit, statistics.median(rounds), None, 20_000, least=True)


def _stream() -> list[Figure]:
    costs = wire.costs()
    budgets: Mapping[str, float | None] = {"binary": SPEECH_BYTES_PER_S_MAX}
    figures = [
        Figure(
            "stream", f"{name}, an utterance", "bytes/s", cost.utterance, None, budgets.get(name)
        )
        for name, cost in costs.items()
    ]
    tls = wire.TLS_BYTES_PER_RECORD * wire.FRAMES_PER_S
    return [
        *figures,
        Figure("stream", "binary, without a pause", "bytes/s", costs["binary"].voice, None, None),
        Figure("stream", "TLS on top of each, estimated", "bytes/s", tls, None, None),
    ]


def _recorder() -> Recorder:
    recorder = Recorder()
    recorder.header(_header())
    return recorder


def _header() -> Header:
    table, rows = fingerprint.table(), fingerprint.rows()
    return Header(FORMAT, version.commit(), table, rows, "bench", Core().situation)


def _recorded(events: Sequence[Event]) -> list[str]:
    core, recorder = Core(), Recorder()
    steps: list[Step] = [core.step(event) for event in events]
    return [recorder.header(_header()) + "\n", *(recorder.line(step) + "\n" for step in steps)]


SECTIONS: Final[dict[str, Callable[[], list[Figure]]]] = {
    "core": _core,
    "replay": _replay,
    "stream": _stream,
}
