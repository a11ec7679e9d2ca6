"""``pommai explore``: what was walked, what holds, and the shortest way to what does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from states.events import EVENTS
from states.table import ANY, ROWS
from tests.firmware.commands.pommai import TIMEOUT_S, environment
from tests.firmware.commands.test_replay import altered_tree

SCRIPT = """
import sys
from states import explore
from states.events import EVENTS
wanted = "started records_read parts_tested tokens_granted configured state_elapsed pause_elapsed"
wanted = {*wanted.split(), "safety_override", "lock_written"}
explore.SCOPES["tiny"] = explore.Scope(
    "tiny", "a start and a pause", frozenset(EVENTS) - wanted, ((False, False, False),)
)
from firmware.__main__ import main
sys.exit(main(["explore", "--scope", "tiny", *sys.argv[1:]]))
"""
"""The command with a scope of a few hundred configurations, for those there are take long."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree in which the server's stop no longer works at rest."""
    return altered_tree(
        tmp_path_factory.mktemp("tree"),
        'row("stop.pause",            "safety_override pause", FREE,    PAUSE,',
        'row("stop.pause",            "safety_override pause", STARTING + TURN, PAUSE,',
    )


def explore(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a tree."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment(),
        timeout=TIMEOUT_S,
    )


def test_a_scope_in_which_all_holds(pytestconfig: pytest.Config) -> None:
    """States, events, pairs and rows; configurations and steps; each invariant with its count."""
    done = explore(pytestconfig.rootpath)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    pairs = f"{len(ANY) * len(EVENTS):,}"
    assert lines[0] == f"{len(ANY)} states, {len(EVENTS)} events, {pairs} pairs, {len(ROWS)} rows"
    assert lines[1].split()[0] == "tiny"
    assert lines[1].endswith("a start and a pause")
    invariants = [line for line in lines if " holds " in line]
    # All but M5: whether every state is reached and left can only be asked of all scopes together.
    asked = {f"M{number}" for number in range(1, 12)} - {"M5"}
    assert {line.split()[0] for line in invariants} >= asked
    assert sum(" 0 holds" not in line for line in invariants) > 10
    assert lines[-1] == "All hold in this scope."


def test_a_program_reads_the_same(pytestconfig: pytest.Config) -> None:
    """Under stable names."""
    done = explore(pytestconfig.rootpath, "--json")
    told = json.loads(done.stdout)
    assert (told["states"], told["events"], told["rows"]) == (len(ANY), len(EVENTS), len(ROWS))
    (scope,) = told["scopes"]
    assert (scope["name"], told["violations"]) == ("tiny", [])
    assert scope["steps"] > scope["configurations"] > 10
    assert sum(told["checked"].values()) > scope["steps"]


def test_a_broken_row_is_found_by_a_named_invariant_with_the_shortest_path(tree: Path) -> None:
    """The exit code says so, and the path can be followed from the start."""
    done = explore(tree)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    broken = [line for line in lines if "stop-in-one-step" in line]
    assert broken[0].split()[0] == "M2"
    assert " BROKEN " in broken[0]
    assert broken[1].startswith("BROKEN stop-in-one-step: safety_override leads to ")
    path = lines[lines.index(broken[1]) + 2 :][:4]
    assert [line.split("(")[0].split() for line in path] == [
        ["1.", "started"],
        ["2.", "records_read"],
        ["3.", "pause_elapsed"],
        ["4.", "safety_override"],
    ]
    assert "All hold" not in done.stdout


def test_a_program_is_told_what_is_broken(tree: Path) -> None:
    """Invariant, what is wrong, and the path."""
    done = explore(tree, "--json")
    assert done.returncode == 1
    violations = {one["invariant"]: one for one in json.loads(done.stdout)["violations"]}
    assert len(violations["stop-in-one-step"]["path"]) == 4
    assert violations["every-pair-defined"]["what"]
