"""Breaks the state table, one break at a time, and asks who notices.

Run it as ``make mutants``. Each mutant is our table with one row broken. The scenario tests play it
first, up to the first that fails; a mutant that they let pass is explored, in a small scope and, if
it is of a kind that is asked for, in the standing ones, up to the first invariant that fails. What
survives all of it is listed.

Asked of every row (issue 2: at least 95 % must be noticed):

- ``deleted``: the row is gone;
- ``elsewhere``: it leads to another state, of another parent and with another microphone;
- ``stays``: a row that moves the toy leaves it where it is.

Further kinds, for those who tend the tests: ``nearby`` (it leads to a sibling of its target),
``guard``, ``change`` and ``effect`` (one of its guards, changes or effects is dropped) and
``order`` (it comes after the next row that could fire at the same place).

Golden journals kill nothing here: they would notice any change, and say nothing of the claims.
Exit status: 0; 1 when too few are noticed, or when EQUIVALENT names a mutant that is; 2 for wrong
arguments or tests that fail unbroken.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, tools/ is the path; the tree is one above

from states import lookup as lookup_module  # noqa: E402 - the path comes first
from states.derive import HOMES, STATES  # noqa: E402
from states.errors import TableError  # noqa: E402
from states.events import EVENTS, Event  # noqa: E402
from states.explore import QUICK, SCOPES, Exploration, Scope, coverage  # noqa: E402
from states.lookup import Lookup, Rules  # noqa: E402
from states.machine import Core, Step  # noqa: E402
from states.rows import HOME, STAY, Row  # noqa: E402
from states.table import ANY  # noqa: E402

TESTS: Final = "tests/states"
SCENARIOS: Final = ("test_scenarios_*.py", "test_precedence.py", "test_machine.py")
PROCESSES_MAX: Final = 2
MUTANT_S_MAX: Final = 900
"""Longer than the standing scopes take on a busy machine; a mutant may grow without end."""
KILLED_RATIO_MIN: Final = 0.95
PROGRESS_EVERY: Final = 25

ASKED: Final = ("deleted", "elsewhere", "stays")
FURTHER: Final = ("nearby", "guard", "change", "effect", "order")

_NO_LOCK_YET: Final = "it fires where no lock is in force yet, so there is none to be replaced"
_OWNER_KNOWN: Final = "who the toy is was read by then, so nothing is read again"
_PAUSE_OR_NOT: Final = "the record is no pause in one of the two rows, and a pause in the other"
_DROWSY_OR_NOT: Final = (
    "a turn may begin in one of the two rows, and the toy is drowsy in the other"
)
_NO_CHAIN: Final = "holding the button ended its chain, so a release that is held is not chained"
EQUIVALENT: Final[dict[str, str]] = {
    "effect:stop.press:acknowledge_replaced": _NO_LOCK_YET,
    "effect:stop.pause:acknowledge_replaced": _NO_LOCK_YET,
    "effect:stop.violations:acknowledge_replaced": _NO_LOCK_YET,
    "effect:stop.lock_unowned:acknowledge_replaced": _NO_LOCK_YET,
    "effect:stop.full_unowned:acknowledge_replaced": _NO_LOCK_YET,
    "effect:boot.locked:acknowledge_replaced": _NO_LOCK_YET,
    "effect:boot.paused:acknowledge_replaced": _NO_LOCK_YET,
    "effect:stop.lock_unowned:read_unread": _OWNER_KNOWN,
    "effect:stop.full_unowned:read_unread": _OWNER_KNOWN,
    "effect:boot.locked:read_unread": _OWNER_KNOWN,
    "effect:boot.paused:read_unread": _OWNER_KNOWN,
    "effect:boot.read_late_locked:read_unread": _OWNER_KNOWN,
    "effect:boot.read_late_nobodys:read_unread": _OWNER_KNOWN,
    "guard:boot.locked_unowned:no owned": "the two rows above it took every owned toy that it fits",
    "guard:tokens.granted_ready:has_identity": "no toy without identity comes to offline.ready",
    "order:boot.locked:boot.paused": _PAUSE_OR_NOT,
    "order:boot.read_late_locked:boot.read_late_paused": _PAUSE_OR_NOT,
    "order:turn.press:denied.asleep": _DROWSY_OR_NOT,
    "order:turn.press_offline:denied.asleep": _DROWSY_OR_NOT,
    "order:release.ends_hearing:release.counts": _NO_CHAIN,
    "order:release.ends_sending:release.counts": _NO_CHAIN,
    "order:release.ends_offline:release.counts": _NO_CHAIN,
    "order:consent.withdrawn_noted:configured.rest": "at rest, consent.withdrawn came before both",
}
"""Mutants that behave as the table does, by name, and why. One that is noticed is an error here."""

_SMALL_EVENTS: Final = (
    "started records_read down_at_start state_elapsed press release hold_elapsed chain_elapsed "
    "parts_tested tokens_granted configured emergency_stop pause pause_elapsed unlock"
)
SMALL: Final = Scope(
    "small",
    "the way to the first turn, and the locks: seconds, not a minute",
    frozenset(EVENTS) - frozenset(_SMALL_EVENTS.split()),
    ((False, False, False),),
)


class Mutant(NamedTuple):
    """Our table with one break. ``part`` says which, where a row has several of that kind."""

    kind: str
    row: str
    part: str
    pairs: frozenset[tuple[str, str]]
    rules: Rules

    @property
    def name(self) -> str:
        """How reports and EQUIVALENT call it."""
        return ":".join(filter(None, (self.kind, self.row, self.part)))


class Fate(NamedTuple):
    """Who noticed a mutant: ``by`` is table, test or invariant, or empty for nobody."""

    by: str
    what: str
    seconds: float = 0.0


# -- The mutants.
def unbroken(rules: Rules) -> Mutant:
    """Return the table as it is, planted like a mutant: nobody may notice it."""
    pairs = frozenset((leaf, event) for leaf in ANY for event in EVENTS)
    return Mutant("unbroken", "", "", pairs, Rules(tuple(rules.rows), rules.unacted))


def mutants(rules: Rules, kinds: Sequence[str], prefix: str) -> Iterator[Mutant]:
    """Yield the mutants of these kinds, of the rows whose ids begin with ``prefix``."""
    for place, row in enumerate(rules.rows):
        if row.id.startswith(prefix):
            for kind in kinds:
                for part, rows in _BROKEN[kind](rules.rows, place):
                    yield Mutant(
                        kind,
                        row.id,
                        part,
                        frozenset((leaf, event) for leaf in row.sources for event in row.events),
                        rules._replace(rows=tuple(rows)),
                    )


Rows = Sequence[Row]
Broken = Iterator[tuple[str, Rows]]


def _with(rows: Rows, place: int, row: Row) -> Rows:
    return [*rows[:place], row, *rows[place + 1 :]]


def _deleted(rows: Rows, place: int) -> Broken:
    yield "", [*rows[:place], *rows[place + 1 :]]


def _elsewhere(rows: Rows, place: int) -> Broken:
    target = _other_target(rows[place])
    yield target, _with(rows, place, rows[place]._replace(target=target))


def _other_target(row: Row) -> str:
    """Return a leaf of another parent and, where there is one, with another microphone."""
    present = {STAY: row.sources, HOME: HOMES}.get(row.target, (row.target,))
    parents = {leaf.split(".")[0] for leaf in present}
    microphones = {STATES[leaf].microphone for leaf in present}
    others = [leaf for leaf in ANY if leaf.split(".")[0] not in parents] or list(ANY)
    for leaf in others:
        if STATES[leaf].microphone not in microphones:
            return leaf
    return others[0]


def _stays(rows: Rows, place: int) -> Broken:
    if rows[place].target != STAY:
        yield "", _with(rows, place, rows[place]._replace(target=STAY))


def _nearby(rows: Rows, place: int) -> Broken:
    row = rows[place]
    for leaf in ANY:
        if leaf != row.target and leaf.split(".")[0] == row.target.split(".")[0]:
            yield leaf, _with(rows, place, row._replace(target=leaf))
            return


def _guard(rows: Rows, place: int) -> Broken:
    row = rows[place]
    for index, guard in enumerate(row.when):
        left = row.when[:index] + row.when[index + 1 :]
        yield guard.__name__, _with(rows, place, row._replace(when=left))


def _change(rows: Rows, place: int) -> Broken:
    row = rows[place]
    for index, change in enumerate(row.then):
        left = row.then[:index] + row.then[index + 1 :]
        yield change.__name__, _with(rows, place, row._replace(then=left))


def _effect(rows: Rows, place: int) -> Broken:
    row = rows[place]
    for index, effect in enumerate(row.do):
        left = row.do[:index] + row.do[index + 1 :]
        yield effect.__name__, _with(rows, place, row._replace(do=left))


def _order(rows: Rows, place: int) -> Broken:
    row = rows[place]
    for later in range(place + 1, len(rows)):
        other = rows[later]
        if set(row.events) & set(other.events) and set(row.sources) & set(other.sources):
            yield other.id, [*rows[:place], *rows[place + 1 : later + 1], row, *rows[later + 1 :]]
            return


_BROKEN: Final[dict[str, Callable[[Rows, int], Broken]]] = {
    "deleted": _deleted,
    "elsewhere": _elsewhere,
    "stays": _stays,
    "nearby": _nearby,
    "guard": _guard,
    "change": _change,
    "effect": _effect,
    "order": _order,
}


# -- The tests, collected once and played in forked processes.
class Bench:
    """A pytest plugin: surveys the scenario tests once, then lets mutants meet them."""

    def __init__(self, work: Callable[[Bench], int]) -> None:
        """Do ``work`` when the tests are collected."""
        self._work = work
        self._items: list[pytest.Item] = []
        self._failed = ""
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._met: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._fired: defaultdict[str, set[str]] = defaultdict(set)
        self._scene = ""
        self.status = 2

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        self._items = session.items
        self.status = self._work(self)
        return True

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Count what a fixture does for all tests of its module, who share it."""
        self._scene = str(item.path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Count what a test does for itself."""
        self._scene = item.nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure, and how long tests take."""
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            self._failed = report.nodeid

    def survey(self) -> list[str]:
        """Play every test unbroken, noting what it meets and fires; return those that fail."""
        step, failures = Core.step, []

        def noted(core: Core, event: Event) -> Step:
            self._met[self._scene].add((core.situation.leaf, event.name))
            taken = step(core, event)
            self._fired[self._scene].add(taken.row)
            return taken

        with mock.patch.object(Core, "step", noted):
            for item, following in zip(self._items, [*self._items[1:], None], strict=True):
                failure = self._play(item, following)
                if failure:
                    failures.append(failure)
        return failures

    def first_failure(self, mutant: Mutant) -> str:
        """Return the first test that notices ``mutant``, or nothing."""
        lookup_module.OURS = mutant.rules  # type: ignore[misc]
        chosen = self._concerned(mutant)
        for item, following in zip(chosen, [*chosen[1:], None], strict=False):
            failure = self._play(item, following)
            if failure:
                return failure
        return ""

    def _concerned(self, mutant: Mutant) -> list[pytest.Item]:
        """Return the tests that could notice: those that fire the row first, quick ones first."""

        def patience(item: pytest.Item) -> tuple[bool, bool, float]:
            fires = mutant.row in self._fired[item.nodeid]
            return "scenarios" not in item.nodeid, not fires, self._seconds[item.nodeid]

        return sorted((i for i in self._items if self._seen(i) & mutant.pairs), key=patience)

    def _seen(self, item: pytest.Item) -> set[tuple[str, str]]:
        return self._met[item.nodeid] | self._met[str(item.path)]

    def _play(self, item: pytest.Item, following: pytest.Item | None) -> str:
        self._failed = ""
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return self._failed


# -- The fate of a mutant.
def fate(mutant: Mutant, bench: Bench | None) -> Fate:
    """Return who notices ``mutant``; in a process of its own, because the table is planted.

    Without a ``bench`` the exploration alone is asked.
    """
    try:
        lookup = Lookup(mutant.rules)
    except TableError as error:
        return Fate("table", str(error))
    failure = bench.first_failure(mutant) if bench else ""
    if failure:
        return Fate("test", failure)
    try:
        return explored(lookup, QUICK if mutant.kind in ASKED else ())
    except (AssertionError, TableError) as error:
        return Fate("table", repr(error))


def explored(lookup: Lookup, names: Sequence[str]) -> Fate:
    """Return the first invariant that notices how ``lookup`` is broken, in these scopes at last."""
    reports = []
    for scope in (SMALL, *(SCOPES[name] for name in reversed(names))):
        report = Exploration(scope, lookup, stop_at_first=True).run()
        if report.violations:
            return Fate("invariant", report.violations[0].invariant)
        reports.append(report)
    for missing in coverage(reports, lookup) if names else ():
        return Fate("invariant", missing.invariant)
    return Fate("", "")


class Running(NamedTuple):
    """A mutant whose fate is awaited."""

    mutant: Mutant
    process: ForkProcess
    began: float


Judge = Callable[[Mutant], Fate]


def fates(queue: Iterable[Mutant], judge: Judge) -> Iterator[tuple[Mutant, Fate]]:
    """Yield each mutant with its fate, as they come; two at a time."""
    context = multiprocessing.get_context("fork")
    waiting, running = iter(queue), dict[Connection, Running]()
    while True:
        while len(running) < PROCESSES_MAX and (mutant := next(waiting, None)):
            receive, send = context.Pipe(duplex=False)
            process = context.Process(target=_alone, args=(mutant, judge, send), daemon=True)
            process.start()
            send.close()
            running[receive] = Running(mutant, process, time.monotonic())
        if not running:
            return
        for ended in _ended(running):
            one = running.pop(ended)
            yield one.mutant, _told(ended, one)
            ended.close()


def _ended(running: dict[Connection, Running]) -> list[Connection]:
    ready = multiprocessing.connection.wait(running, timeout=1)
    late = time.monotonic() - MUTANT_S_MAX
    return [one for one, its in running.items() if one in ready or its.began < late]


def _told(receive: Connection, one: Running) -> Fate:
    seconds = time.monotonic() - one.began
    found = Fate("", f"not known after {MUTANT_S_MAX} s")
    if receive.poll():
        try:
            found = receive.recv()
        except EOFError:
            found = Fate("", "its process ended without a word")
    one.process.kill()
    one.process.join()
    return found._replace(seconds=round(seconds, 1))


def _alone(mutant: Mutant, judge: Judge, send: Connection) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    send.send(judge(mutant))


# -- The report.
class Verdict(NamedTuple):
    """All fates, and what is to be said of them."""

    fates: dict[str, tuple[Mutant, Fate]]

    def of(self, *kinds: str) -> list[tuple[Mutant, Fate]]:
        """Return those of these kinds."""
        return [one for one in self.fates.values() if one[0].kind in kinds]

    @property
    def stale(self) -> list[str]:
        """Mutants that are called equivalent and were noticed."""
        return [name for name in EQUIVALENT if name in self.fates and self.fates[name][1].by]

    @property
    def enough(self) -> bool:
        """Whether as many of those asked for were noticed as must be."""
        asked = self.of(*ASKED)
        return sum(bool(found.by) for _, found in asked) >= KILLED_RATIO_MIN * len(asked)


def printed(verdict: Verdict, kinds: Sequence[str]) -> None:
    """Print figures, who noticed, and the survivors."""
    print(f"{'kind':10} {'mutants':>8} {'table':>6} {'test':>6} {'invariant':>10} {'survive':>8}")
    asked = tuple(kind for kind in kinds if kind in ASKED)
    for names in (*((kind,) for kind in kinds), *([asked] if len(asked) > 1 else [])):
        found = verdict.of(*names)
        by = Counter(its.by for _, its in found)
        title = names[0] if len(names) == 1 else "asked for"
        ratio = 100 * (len(found) - by[""]) / len(found) if found else 100.0
        print(
            f"{title:10} {len(found):8} {by['table']:6} {by['test']:6} {by['invariant']:10} "
            f"{by['']:8}   {ratio:5.1f} % noticed"
        )
    invariants = Counter(its.what for _, its in verdict.fates.values() if its.by == "invariant")
    for name, times in invariants.most_common():
        print(f"  {times:3} by {name}")
    for name, (_, its) in verdict.fates.items():
        if not its.by:
            why = EQUIVALENT.get(name)
            print(f"equivalent: {name}: {why}" if why else f"survives: {name} {its.what}".rstrip())
    for name in verdict.stale:
        print(f"no longer equivalent: {name}: {verdict.fates[name][1].what} notices it")


def as_json(verdict: Verdict) -> str:
    """Return all fates for programs."""
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "kind": mutant.kind,
            "row": mutant.row,
            "by": its.by or None,
            "what": its.what or None,
            "seconds": its.seconds,
            "equivalent": EQUIVALENT.get(name),
        }
        for name, (mutant, its) in verdict.fates.items()
    ]
    return json.dumps(found, indent=1)


def judged(bench: Bench, arguments: argparse.Namespace) -> int:
    """Meet all mutants that are asked for; return the exit status."""
    kinds = arguments.kind or ASKED
    queue = list(mutants(lookup_module.OURS, kinds, arguments.only))
    if not queue:
        print("no row has such an id, or none has such a part", file=sys.stderr)
        return 2
    if not arguments.without_tests and not sound(bench):
        return 2
    judge = None if arguments.without_tests else bench
    verdict = Verdict({})
    for mutant, found in fates(queue, lambda mutant: fate(mutant, judge)):
        verdict.fates[mutant.name] = (mutant, found)
        if len(verdict.fates) % PROGRESS_EVERY == 0 or not found.by:
            alive = "" if found.by else f"  {mutant.name} survives"
            print(f"{len(verdict.fates)} of {len(queue)}{alive}", file=sys.stderr, flush=True)
    if arguments.json:
        print(as_json(verdict))
    else:
        printed(verdict, kinds)
    return int(bool(verdict.stale) or not verdict.enough)


def sound(bench: Bench) -> bool:
    """Tell whether the tests pass on the table as it is, found and planted; else say which fail."""
    failures = bench.survey()
    asis = fates(
        [unbroken(lookup_module.OURS)], lambda mutant: Fate("test", bench.first_failure(mutant))
    )
    failures += [found.what for _, found in asis if found.what]
    for name in failures:
        print(f"fails on the table as it is: {name}", file=sys.stderr)
    return not failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Break the table as the command line says."""
    parser = argparse.ArgumentParser(
        description="Break every row of the state table; each break must be noticed."
    )
    parser.add_argument("--only", default="", metavar="PREFIX", help="rows whose ids begin so")
    parser.add_argument("--kind", action="append", choices=(*ASKED, *FURTHER), help="repeatable")
    parser.add_argument(
        "--without-tests", action="store_true", help="ask the exploration alone; takes long"
    )
    parser.add_argument("--json", action="store_true", help="print all fates for programs")
    asked = parser.parse_args(arguments)
    bench = Bench(lambda bench: judged(bench, asked))
    modules = sorted(str(path) for name in SCENARIOS for path in (ROOT / TESTS).glob(name))
    options = ["-p", "no:terminal", "-o", "addopts="]
    found = pytest.main(
        [f"--rootdir={ROOT}", "--import-mode=importlib", *options, *modules], plugins=[bench]
    )
    return bench.status if found == pytest.ExitCode.OK else 2


if __name__ == "__main__":
    sys.exit(main())
