"""Exit codes that mean something, and the one way to say what went wrong."""

from __future__ import annotations

import sys
from typing import Final

OK: Final = 0
NOT_SO: Final = 1
"""The command did its work and the answer is no: a difference, a violation, a turn unanswered."""
USAGE: Final = 2
DATA: Final = 65
"""A file's content cannot be used (EX_DATAERR)."""
NO_INPUT: Final = 66
"""A file is missing or cannot be read (EX_NOINPUT)."""
UNAVAILABLE: Final = 69
"""Something that is needed is not there: a service, a port, a program (EX_UNAVAILABLE)."""
CANNOT_CREATE: Final = 73
"""A file cannot be written (EX_CANTCREAT)."""
CONFIGURATION: Final = 78
"""The configuration cannot be used (EX_CONFIG)."""


def fail(code: int, message: str) -> int:
    """Say ``message`` on standard error, on one line whatever is in it, and return ``code``."""
    print("pommai:", *message.splitlines(), file=sys.stderr)
    return code
