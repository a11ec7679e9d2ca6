"""``python -m devcloud``: the development cloud without the rest of the command line."""

from __future__ import annotations

import argparse
import sys

from devcloud.cli import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m devcloud",
        description="Run the development cloud on loopback until it is interrupted.",
    )
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
