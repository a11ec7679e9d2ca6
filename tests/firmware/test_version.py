"""Which firmware runs."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from firmware import version

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    """Let each test ask anew."""
    version.number.cache_clear()
    version.commit.cache_clear()
    version.built_s.cache_clear()


def test_the_number_is_that_of_the_installed_distribution() -> None:
    """What pip says."""
    assert version.number() == metadata.version("pommai-firmware")


def test_without_a_distribution_the_number_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare checkout runs too."""
    monkeypatch.setattr(version, "DISTRIBUTION", "no-such-distribution")
    assert version.number() == "unknown"


def test_in_a_checkout_the_commit_is_that_of_the_checkout(tmp_path: Path) -> None:
    """With a mark where files differ from it."""
    checkout = copied(tmp_path)
    for command in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"),
    ):
        subprocess.run(["git", "-C", str(checkout), *command], check=True)
    clean = commit_in(checkout)
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (checkout / "firmware" / "__init__.py").write_text("changed = True\n")
    assert commit_in(checkout) == clean + "+"


def test_outside_a_checkout_it_is_the_number(tmp_path: Path) -> None:
    """As on a flashed device."""
    assert commit_in(copied(tmp_path)) == version.number()


def test_a_checkout_without_git_is_told_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is missing, or a repository that it will not read, is no reason to fail."""
    checkout = copied(tmp_path)
    (checkout / ".git").mkdir()
    assert commit_in(checkout) == version.number()
    monkeypatch.setenv("PATH", "")
    assert version.commit() == version.number()


def test_in_a_checkout_it_was_made_when_it_was_committed(tmp_path: Path) -> None:
    """Or later."""
    checkout = copied(tmp_path)
    later = (version.RELEASED + dt.timedelta(days=3)).isoformat()
    who = {"GIT_COMMITTER_DATE": later, "GIT_AUTHOR_DATE": later}
    for command in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"),
    ):
        subprocess.run(
            ["git", "-C", str(checkout), *command], check=True, env={**os.environ, **who}
        )
    built_s = float(said_in(checkout, "version.built_s()"))
    assert built_s == (version.RELEASED + dt.timedelta(days=3)).timestamp()


def test_elsewhere_it_was_made_after_the_day_that_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a flashed device the image knows better, if it is newer."""
    monkeypatch.setattr(version, "CLOCK_EPOCH", tmp_path / "none")
    monkeypatch.setenv("PATH", "")
    released_s = version.RELEASED.timestamp()
    assert version.built_s() == released_s
    epoch = tmp_path / "clock-epoch"
    epoch.touch()
    monkeypatch.setattr(version, "CLOCK_EPOCH", epoch)
    for image_s, built_s in ((released_s + 9, released_s + 9), (9, released_s)):
        os.utime(epoch, (image_s, image_s))
        version.built_s.cache_clear()
        assert version.built_s() == built_s


def test_the_day_that_is_written_down_is_neither_in_the_future_nor_long_past() -> None:
    """A floor above the true time would stop every toy; one far below it is of no use."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    committed = dt.datetime.fromtimestamp(float(done.stdout), dt.UTC)
    assert dt.timedelta(0) <= committed - version.RELEASED <= dt.timedelta(days=365)


def copied(folder: Path) -> Path:
    """Return a copy of the module in a tree of its own."""
    package = folder / "firmware"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(ROOT / "firmware" / "version.py", package)
    return folder


def commit_in(folder: Path) -> str:
    """Return what the copy says."""
    return said_in(folder, "version.commit()")


def said_in(folder: Path, what: str) -> str:
    """Return what the copy says to a question."""
    script = f"from firmware import version; print({what})"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
