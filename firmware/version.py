"""Which firmware this is."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "pommai-firmware"


@cache
def number() -> str:
    """Return the version of the installed distribution, or ``unknown`` in a bare checkout."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


@cache
def commit() -> str:
    """Return the commit that runs, with ``+`` where files differ from it.

    Outside a checkout, as on a flashed device, it is the version.
    """
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return number()
    try:
        found = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return number()
    return found + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603 - fixed arguments
    return done.stdout.strip()
