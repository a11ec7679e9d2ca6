"""The command line: what there is, what went wrong in one line, and who left early."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points

import pytest

from firmware import __main__ as command_line
from firmware import version
from firmware.__main__ import GROUP, HELP, main
from tests.firmware.commands.pommai import ROOT, environment

HERE = __name__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` takes: this module is a subcommand of its own."""
    parser.add_argument("deed")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    match arguments.deed:
        case "interrupt":
            raise KeyboardInterrupt
        case "leave":
            raise BrokenPipeError
        case code:
            return int(code)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line whose one subcommand is this module."""
    point = EntryPoint("probe", HERE, GROUP)
    gone = EntryPoint("gone", "no_such_package.commands", GROUP)
    monkeypatch.setattr(command_line, "entry_points", lambda **_: (point, gone))


def test_every_command_has_its_line_of_help() -> None:
    """And no line is left over."""
    assert {point.name for point in entry_points(group=GROUP)} == HELP.keys()


def test_without_a_command_the_commands_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit code says that nothing was done."""
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    for name, says in HELP.items():
        assert f"    {name:9} {says}" in out


def test_help_imports_no_command() -> None:
    """Nor what commands need: it is there at once, also where a library is missing."""
    script = (
        "import sys\n"
        "from firmware.__main__ import main\n"
        "main([])\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(),
    )
    heavy = {"asyncio", "states", "hardware", "devcloud", "simulator", "requests", "websockets"}
    assert not heavy & set(done.stderr.split())


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """As pip tells it."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"pommai {version.number()}\n"


@pytest.mark.parametrize("name", sorted(HELP))
def test_each_command_tells_its_options_and_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its own help."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: pommai {name}")
    assert "xit code" in out or name == "cloud"


def test_an_unknown_command_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["fly"])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "'fly'" in err
    assert "replay" in err


@pytest.mark.usefixtures("probe")
def test_the_exit_code_is_the_commands() -> None:
    """Whatever it says."""
    assert [main(["probe", code]) for code in ("0", "1", "78")] == [0, 1, 78]


@pytest.mark.usefixtures("probe")
def test_an_interrupt_ends_it_without_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """As a shell expects of a program that Ctrl-C ended."""
    assert main(["probe", "interrupt"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("probe")
def test_a_reader_that_has_left_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    """As in ``pommai replay | head``; what is still printed goes nowhere."""
    kept = os.dup(1)
    try:
        assert main(["probe", "leave"]) == 0
        os.write(1, b"nobody reads this")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("probe")
def test_a_command_whose_package_is_not_installed_is_not_offered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A flashed device has no desk."""
    main([])
    out = capsys.readouterr().out
    assert "probe" in out
    assert "gone" not in out
    with pytest.raises(SystemExit):
        main(["gone"])
    assert "invalid choice: 'gone'" in capsys.readouterr().err
