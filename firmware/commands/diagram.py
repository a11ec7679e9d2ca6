"""Draw the tables as Mermaid state diagrams.

Prints the diagram of every leaf and row; ``--overview`` that of the eight states. ``--write``
brings the copies up to date that are checked in: ``states/DIAGRAM.md`` and the one in the README.
Exit codes: 0 done, 65 the README has no place for it, 73 a copy cannot be written.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from firmware.commands import exits
from states.diagram import detail, overview

ROOT: Final = Path(__file__).parent.parent.parent
BEGIN: Final = "<!-- diagram: made by `pommai diagram --write` -->\n"
END: Final = "<!-- end of diagram -->\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--overview", action="store_true", help="the eight states only")
    parser.add_argument(
        "--write", action="store_true", help="bring the checked-in copies up to date"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the diagram, or write the copies."""
    if not arguments.write:
        print(overview() if arguments.overview else detail(), end="")
        return exits.OK
    readme = ROOT / "README.md"
    try:
        text = with_overview(readme.read_text(encoding="utf-8"))
        readme.write_text(text, encoding="utf-8")
        (ROOT / "states" / "DIAGRAM.md").write_text(document(), encoding="utf-8")
    except ValueError:
        return exits.fail(exits.DATA, f"{readme}: has no lines {BEGIN.strip()} and {END.strip()}")
    except OSError as error:
        return exits.fail(
            exits.CANNOT_CREATE, f"{error.filename}: {error.strerror}; run this in a checkout"
        )
    return exits.OK


def document() -> str:
    """Return the text of ``states/DIAGRAM.md``."""
    return (
        "# The toy's states\n\n"
        "Made by `pommai diagram --write` from `states/table.py`; "
        "a test fails when it is stale.\n\n"
        f"## Overview\n\n```mermaid\n{overview()}```\n\n"
        f"## Every state and row\n\n```mermaid\n{detail()}```\n"
    )


def with_overview(text: str) -> str:
    """Return ``text`` with the overview between its marks. Raises ValueError without marks."""
    begin, end = text.index(BEGIN), text.index(END)
    return f"{text[:begin]}{BEGIN}```mermaid\n{overview()}```\n{text[end:]}"
