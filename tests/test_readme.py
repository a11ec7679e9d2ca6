"""What the README says of the code is so."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from devcloud import commands
from devcloud.faults import FaultBoard
from firmware.__main__ import GROUP, main
from firmware.commands.diagram import document, with_overview
from firmware.unbuilt import UNBUILT
from hardware.patterns import Pattern
from states.table import STATES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_overview_in_the_readme_is_drawn_from_the_table() -> None:
    """``pommai diagram --write`` renews it."""
    assert with_overview(README) == README


def test_the_drawing_of_every_row_is_drawn_from_the_table() -> None:
    """``pommai diagram --write`` renews it."""
    assert (ROOT / "states" / "DIAGRAM.md").read_text(encoding="utf-8") == document()


def test_the_readme_names_what_this_build_cannot_do() -> None:
    """The status is made from the list of effects that nothing performs yet."""
    _, rest = README.split("<!-- unbuilt: checked against firmware/unbuilt.py -->\n")
    told, _ = rest.split("<!-- end of unbuilt -->")
    assert told == "".join(f"- `{name}`: {means}\n" for name, means in UNBUILT.items())


def test_the_table_shows_only_lights_that_exist() -> None:
    """A pattern that no light knows would leave a person in the dark about the toy."""
    patterns = {str(pattern) for pattern in Pattern} | {"dark"}
    assert {state.light for state in STATES} <= patterns
    assert "red-amber-alarm" in patterns


@pytest.mark.parametrize("command", [point.name for point in entry_points(group=GROUP)])
def test_the_readme_names_options_that_there_are(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [line for line in README.splitlines() if line.startswith(f"| `pommai {command}")]
    assert rows
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = capsys.readouterr().out
    for option in re.findall(r"--[a-z][a-z-]+", " ".join(rows)):
        assert option in options


def test_what_breaks_the_cloud_can_be_posted() -> None:
    """Each fault and each command of the table is one that the development cloud takes."""
    _, rest = README.split("## Break the cloud\n")
    told = dict.fromkeys(re.findall(r"`(\{.*?\})`|^\$ curl --json '(.*)'", rest, re.MULTILINE))
    bodies = [json.loads(row or shell) for row, shell in told]
    faults = [body for body in bodies if FaultBoard().to_json().keys() >= body.keys() > set()]
    for fault in faults:
        FaultBoard().set(fault)
    issued = [body for body in bodies if "kind" in body]
    for command in issued:
        commands._check(command)
    rest_of_it = [body for body in bodies if body not in faults + issued]
    assert rest_of_it == [{}, {"toyId": "toy-sim-2"}]
