"""The command line: ``pommai``, whose subcommands register themselves through entry points."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Final

from firmware import version
from firmware.commands import exits

GROUP: Final = "pommai.commands"
INTERRUPTED: Final = 130
"""As a shell says of a program that SIGINT ended."""

_DESCRIPTION: Final = "The Pommai toy: run it, replay its journals, check its behaviour."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that ``arguments`` name and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    commands = {point.name: point for point in entry_points(group=GROUP) if _is_here(point)}
    parser = _parser(commands, wanted=_first_word(arguments))
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return exits.USAGE
    try:
        code = int(commands[chosen.command].load().run(chosen))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has left: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    return code


def _is_here(point: EntryPoint) -> bool:
    """Tell whether the command's package is installed: a flashed device has no desk."""
    return find_spec(point.module.split(".", maxsplit=1)[0]) is not None


def _parser(commands: dict[str, EntryPoint], wanted: str) -> argparse.ArgumentParser:
    """Return the parser; only the wanted command's module is imported, so that help is quick."""
    parser = argparse.ArgumentParser("pommai", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"pommai {version.number()}")
    added = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, point in sorted(commands.items()):
        if name == wanted:
            module = point.load()
            says = (module.__doc__ or "").strip()
            sub = added.add_parser(
                name,
                help=HELP.get(name, ""),
                description=says,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            module.add_arguments(sub)
        else:
            added.add_parser(name, help=HELP.get(name, ""), add_help=False)
    return parser


HELP: Final = {
    "run": "run the toy",
    "demo": "the whole toy on a desk: a conversation, heard and journalled",
    "cloud": "the development cloud alone",
    "replay": "replay a journal by today's table, to the line where they part",
    "explore": "check every situation that the table can reach",
    "diagram": "draw the tables",
    "bench": "measure what the budgets are about",
}


def _first_word(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


if __name__ == "__main__":
    raise SystemExit(main())
