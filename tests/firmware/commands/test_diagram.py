"""``pommai diagram``: on the screen, or into the copies that are checked in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from firmware.__main__ import main
from firmware.commands import diagram
from states.diagram import detail, overview
from tests.firmware.commands.pommai import ROOT, pommai


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a README and the folder for the diagram."""
    (tmp_path / "states").mkdir()
    (tmp_path / "README.md").write_text(f"before\n{diagram.BEGIN}old\n{diagram.END}after\n")
    monkeypatch.setattr(diagram, "ROOT", tmp_path)
    return tmp_path


def test_the_diagram_of_everything_is_printed() -> None:
    """Ready for any viewer of Mermaid."""
    done = pommai("diagram")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", detail())


def test_the_overview_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The eight states."""
    assert main(["diagram", "--overview"]) == 0
    assert capsys.readouterr() == (overview(), "")


def test_writing_renews_both_copies_and_nothing_else(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice is the same as once."""
    for _ in range(2):
        assert main(["diagram", "--write"]) == 0
        readme = (checkout / "README.md").read_text()
        fence = f"{diagram.BEGIN}```mermaid\n{overview()}```\n{diagram.END}"
        assert readme == f"before\n{fence}after\n"
        assert (checkout / "states" / "DIAGRAM.md").read_text() == diagram.document()
    assert capsys.readouterr() == ("", "")


def test_the_readme_of_this_repository_has_a_place_for_it() -> None:
    """Or writing would fail."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert overview() in diagram.with_overview(text)


def test_a_readme_without_a_place_for_it_is_left_alone(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says which marks are missing."""
    readme = checkout / "README.md"
    readme.write_text("no marks\n")
    assert main(["diagram", "--write"]) == 65
    assert capsys.readouterr().err == (
        f"pommai: {readme}: has no lines {diagram.BEGIN.strip()} and {diagram.END.strip()}\n"
    )
    assert readme.read_text() == "no marks\n"


def test_outside_a_checkout_it_says_where_to_run_it(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in an installed package."""
    (checkout / "README.md").unlink()
    assert main(["diagram", "--write"]) == 73
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line
        == f"pommai: {checkout / 'README.md'}: No such file or directory; run this in a checkout"
    )


def test_a_copy_that_cannot_be_written_is_named(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is gone, for instance."""
    shutil.rmtree(checkout / "states")
    assert main(["diagram", "--write"]) == 73
    assert str(checkout / "states" / "DIAGRAM.md") in capsys.readouterr().err
