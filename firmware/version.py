"""Which firmware this is."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "pommai-firmware"

RELEASED: Final = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
"""A day on which this firmware was not finished yet. A test sees that it is moved now and then."""

CLOCK_EPOCH: Final = Path("/usr/lib/clock-epoch")
"""The file whose time of change is that of the image's making (systemd 253, systemd(1))."""


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


@cache
def built_s() -> float:
    """Return a time before which this firmware was not made, in seconds since 1970 (UTC).

    It is the newest that is known: of the commit in a checkout, of the image on a flashed device,
    of `RELEASED` everywhere. The time at which files were installed counts for nothing, since the
    clock may have been wrong then.
    """
    known = [RELEASED.timestamp()]
    with contextlib.suppress(OSError):
        known.append(CLOCK_EPOCH.stat().st_mtime)
    root = Path(__file__).parent.parent
    if (root / ".git").exists():
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            known.append(float(_git(root, "log", "-1", "--format=%ct")))
    return max(known)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603 - fixed arguments
    return done.stdout.strip()
