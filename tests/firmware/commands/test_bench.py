"""``pommai bench``: figures and whether they are within their budgets."""

from __future__ import annotations

import json

import pytest

from firmware.__main__ import main
from firmware.bench import core, section, walk
from firmware.bench.errors import SectionError
from firmware.bench.section import Figure, percentile, spread


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a little of everything: it is the shape that is tested here."""
    monkeypatch.setattr(walk, "STEPS", 200)
    monkeypatch.setattr(walk, "ROUNDS", 2)


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
    """Every section that takes seconds, unless some are asked for."""
    main(["bench"])
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith("commit ")
    assert lines[1].split() == ["section", "what", "median", "p95", "p99", "budget"]
    assert [line.split(maxsplit=1)[1] for line in told.err.splitlines()] == [
        "steps of the machine",
        "a journal, replayed",
        "speech on the wire",
    ]
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
    monkeypatch.setattr(core, "measure", lambda _: figures)
    assert main(["bench", "core"]) == 1
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[1] for line in lines if line.endswith("MISSED")] == ["slow", "few"]
    monkeypatch.setattr(core, "measure", lambda _: figures[::2])
    assert main(["bench", "core"]) == 0


def test_an_unknown_section_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is measured."""
    assert main(["bench", "core", "cores"]) == 2
    assert capsys.readouterr() == (
        "",
        "pommai: no section 'cores'; known are core, replay, stream, voice\n",
    )


def test_a_figure_without_a_budget_misses_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is there to be compared with."""
    monkeypatch.setattr(core, "measure", lambda _: [Figure("core", "x", "B", 7, None, None)])
    assert main(["bench", "core"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split() == ["core", "x", "7.0", "-", "-", "-", "B"]


def test_the_walk_is_the_same_every_time() -> None:
    """Figures of two days can be compared."""
    assert walk.walk(50) == walk.walk(50)
    assert walk.walk(50, seed=2) != walk.walk(50)


def test_a_budget_is_for_what_it_says_it_is_for() -> None:
    """The median, or what one measurement in twenty or in a hundred exceeds."""
    measured = [10.0] * 90 + [30.0] * 8 + [70.0] * 2
    cases: list[tuple[section.Judged, int, bool]]
    cases = [("median", 10, True), ("p95", 30, True), ("p99", 69, False)]
    for judged, budget, met in cases:
        figure = spread("voice", "x", "ms", measured, budget=budget, judged=judged)
        assert (figure.median, figure.p95, figure.p99) == (10, 30, 70)
        assert figure.met is met


def test_few_measurements_have_no_exception() -> None:
    """The worst of ten is what one in a hundred exceeds, as far as one can tell."""
    assert percentile([5, 1, 3], 50) == 3
    assert percentile([float(n) for n in range(1, 11)], 99) == 10


def test_what_was_not_measured_is_not_within_its_budget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And is null for a program."""
    figure = spread("voice", "x", "ms", [], budget=10)
    monkeypatch.setattr(core, "measure", lambda _: [figure])
    assert main(["bench", "core", "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["figures"]
    assert (told["median"], told["p99"], told["met"]) == (None, None, False)


def test_a_section_that_cannot_be_measured_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On one line, with an exit code of its own."""

    def measure(_: section.Tell) -> list[Figure]:
        raise SectionError("install the package pulseaudio")

    monkeypatch.setattr(core, "measure", measure)
    assert main(["bench", "core"]) == 69
    assert capsys.readouterr().err == "pommai: install the package pulseaudio\n"


def test_what_takes_minutes_is_measured_only_where_it_is_named() -> None:
    """`pommai bench` is for every day."""
    slow = {name for name in section.names() if section.load(name).TAKES_S > section.QUICK_S_MAX}
    assert slow == {"voice"}
