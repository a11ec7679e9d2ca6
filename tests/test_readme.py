"""What the README says of the code is so."""

from __future__ import annotations

from pathlib import Path

from firmware.commands.diagram import document, with_overview
from firmware.unbuilt import NOT_ACTED_ON, UNBUILT
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


def test_the_readme_names_the_settings_that_change_nothing_yet() -> None:
    """A parent who sets quiet hours is not to believe in them."""
    _, rest = README.split("<!-- not acted on: checked against firmware/unbuilt.py -->\n")
    told, _ = rest.split("<!-- end of not acted on -->")
    assert told == "".join(f"- `{name}`: {means}\n" for name, means in NOT_ACTED_ON.items())


def test_the_table_shows_only_lights_that_exist() -> None:
    """A pattern that no light knows would leave a person in the dark about the toy."""
    patterns = {str(pattern) for pattern in Pattern} | {"dark"}
    assert {state.light for state in STATES} <= patterns
    assert "red-amber-alarm" in patterns
