"""``pommai bench``: figures and whether they are within their budgets."""

from __future__ import annotations

import json

import pytest

from firmware.__main__ import main
from firmware.commands import bench
from firmware.commands.bench import Figure


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a little of everything: it is the shape that is tested here."""
    monkeypatch.setattr(bench, "STEPS", 200)
    monkeypatch.setattr(bench, "ROUNDS", 2)


def test_a_program_reads_the_figures_with_their_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    """And on which machine they were measured."""
    code = main(["bench", "core", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["machine"].keys() == {"commit", "python", "machine", "processor"}
    (figure,) = told["figures"]
    assert (figure["section"], figure["unit"], figure["budget"]) == ("core", "µs", 50)
    assert figure["p99"] >= figure["median"] > 0
    assert code == (0 if figure["met"] else 1)


def test_a_person_reads_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Every section, unless some are asked for."""
    main(["bench"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("commit ")
    assert lines[1].split() == ["section", "what", "median", "p99", "budget"]
    assert [line.split()[0] for line in lines[2:]] == ["core", "replay", "replay"] + ["stream"] * 5


def test_a_missed_budget_is_told_and_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Less is better, or more is, as the figure says."""
    figures = [
        Figure("core", "quick", "µs", 49, 60, 50),
        Figure("core", "slow", "µs", 51, 60, 50),
        Figure("core", "many", "steps/s", 20_000, None, 20_000, least=True),
        Figure("core", "few", "steps/s", 19_999, None, 20_000, least=True),
    ]
    monkeypatch.setitem(bench.SECTIONS, "core", lambda: figures)
    assert main(["bench", "core"]) == 1
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[1] for line in lines if line.endswith("MISSED")] == ["slow", "few"]
    monkeypatch.setitem(bench.SECTIONS, "core", lambda: figures[::2])
    assert main(["bench", "core"]) == 0


def test_an_unknown_section_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is measured."""
    assert main(["bench", "core", "cores"]) == 2
    assert capsys.readouterr() == (
        "",
        "pommai: no section 'cores'; known are core, replay, stream\n",
    )


def test_a_figure_without_a_budget_misses_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is there to be compared with."""
    monkeypatch.setitem(bench.SECTIONS, "core", lambda: [Figure("core", "x", "B", 7, None, None)])
    assert main(["bench", "core"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["core", "x", "7.0", "-", "-", "B"]


def test_the_walk_is_the_same_every_time() -> None:
    """Figures of two days can be compared."""
    assert bench.walk(50) == bench.walk(50)
    assert bench.walk(50, seed=2) != bench.walk(50)
