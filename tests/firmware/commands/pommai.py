"""``pommai`` as a person runs it: a program of its own, with its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
TIMEOUT_S: Final = 30
NO_SETTINGS: Final[Mapping[str, str]] = {}


def command(*arguments: str | Path) -> list[str]:
    """Return the command line; from the tree in the working folder, installed or not."""
    return [sys.executable, "-m", "firmware", *map(str, arguments)]


def environment(given: Mapping[str, str] = NO_SETTINGS) -> dict[str, str]:
    """Return a person's environment: no settings of a toy or of Python but those given."""
    ours = ("POMMAI_", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **given}


def pommai(
    *arguments: str | Path, typed: bytes = b"", cwd: Path = ROOT, patience_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    done = subprocess.run(
        command(*arguments),
        input=typed,
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environment(),
        timeout=patience_s,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@contextmanager
def running(
    *arguments: str | Path,
    stdin: int = subprocess.DEVNULL,
    script: str = "",
    env: Mapping[str, str] = NO_SETTINGS,
    patience_s: float = TIMEOUT_S,
) -> Iterator[subprocess.Popen[str]]:
    """Start it and give the process; whatever happens, it is gone at the end.

    A ``script`` is run in place of the module; it has the arguments in ``sys.argv``. A process that
    runs for longer than `patience_s` is killed, so that whoever reads what it says waits no longer.
    """
    line = command(*arguments)
    if script:
        line[1:3] = ["-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        line,
        stdin=stdin,
        stdout=pipe,
        stderr=pipe,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment(env),
    ) as process:
        patience = threading.Timer(patience_s, process.kill)
        patience.start()
        try:
            yield process
        finally:
            patience.cancel()
            if process.poll() is None:
                process.kill()


def complains(
    done: subprocess.CompletedProcess[str], code: int, *words: str, says: str = ""
) -> str:
    """Check that it failed with one clear line on standard error, and return that line."""
    assert done.returncode == code, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("pommai: "), line
    assert all(word in line for word in words), line
    assert not says or line == f"pommai: {says}"
    return line
