"""``pommai run``: the toy as a service and at a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware.__main__ import main
from firmware.commands import run
from firmware.settings import describe
from hardware.sim.clock import run_virtual
from states.journal import read
from states.replay import replay
from tests.firmware.commands.pommai import TIMEOUT_S, complains, pommai, running
from tests.firmware.composed import Composed, nobody

END_S_MAX = 2.0
"""How long ending may take."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that is not there yet."""
    return tmp_path / "data"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that holds a secret, as it should be."""
    path = tmp_path / "secret"
    path.write_text("tell-nobody\n")
    path.chmod(0o600)
    return path


def owned(secret: Path, *, cloud: str = "", stream: str = "") -> dict[str, str]:
    """Return the environment of a toy with identity, whose cloud is down unless it is given."""
    address = nobody()
    return {
        "POMMAI_IDENTITY_DEVICE_ID": "dev-1",
        "POMMAI_IDENTITY_TOY_ID": "toy-1",
        "POMMAI_IDENTITY_SECRET_FILE": str(secret),
        "POMMAI_CLOUD_URL": cloud or f"http://{address}",
        "POMMAI_STREAM_URL": stream or f"ws://{address}",
    }


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: Path
) -> Callable[..., str]:
    """Run in this process what must fail with 78 or another code, and return its one line."""
    for name in [name for name in os.environ if name.startswith("POMMAI_")]:
        monkeypatch.delenv(name)

    def run_it(*arguments: object, code: int = 78, **env: str) -> str:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        assert main(["run", "--data-dir", str(data), *map(str, arguments)]) == code
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("pommai: ")
        assert "tell-nobody" not in line
        assert not data.exists(), "a start that fails leaves the disk alone"
        return line.removeprefix("pommai: ")

    return run_it


def test_every_key_is_described() -> None:
    """As a configuration that can be saved and changed."""
    done = pommai("run", "--describe")
    assert (done.returncode, done.stdout, done.stderr) == (0, describe() + "\n", "")


def test_an_unreadable_configuration_is_one_line(tmp_path: Path) -> None:
    """As a person meets it: no trace, nothing else."""
    done = pommai("run", "--config", tmp_path / "none.toml")
    complains(done, 78, str(tmp_path / "none.toml"), "cannot be read: No such file or directory")
    assert done.stdout == ""


def test_a_configuration_that_is_wrong_is_one_line(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Unknown keys with the nearest name, values out of range, and what is no TOML."""
    file = tmp_path / "toy.toml"
    for content, words in (
        ("[clod]", "section [clod] is not known: did you mean cloud?"),
        ("[voice]\nvolum_percent = 3", "did you mean volume_percent?"),
        ("[voice]\nvolume_percent = 300", "volume_percent is 300: give 0 to 100"),
        ("voice", "is not TOML"),
    ):
        file.write_text(content)
        line = refused("--config", file)
        assert line.startswith(f"{file}: ")
        assert words in line


def test_a_variable_that_is_unknown_is_one_line(refused: Callable[..., str]) -> None:
    """With the nearest name."""
    line = refused(POMMAI_CLOUD_ULR="x")
    assert line.endswith("did you mean POMMAI_CLOUD_URL?")


def test_an_identity_that_is_not_whole_is_refused(refused: Callable[..., str]) -> None:
    """The first key that is missing is named."""
    line = refused(POMMAI_IDENTITY_DEVICE_ID="dev-1")
    assert line == "identity.toy_id is empty while others are given: give all three or none"


def test_a_missing_secret_file_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    """Key and file are named."""
    line = refused(**owned(tmp_path / "none"))
    assert line.startswith(
        f"identity.secret_file {tmp_path / 'none'}: cannot be read: No such file"
    )


def test_a_secret_file_that_others_may_read_is_refused(
    refused: Callable[..., str], secret: Path
) -> None:
    """And how to mend it is told; the secret is not."""
    secret.chmod(0o644)
    line = refused(**owned(secret))
    assert line == f"identity.secret_file {secret}: others may read it: chmod 600 it"


def test_an_unknown_board_is_refused(refused: Callable[..., str]) -> None:
    """With what this build can drive."""
    line = refused("--board", "pi-5")
    assert line.startswith("device.board is 'pi-5': ")
    assert line.endswith("write sim, or run with --board sim")


def test_addresses_that_cannot_be_used_are_refused_by_their_key(
    refused: Callable[..., str], secret: Path
) -> None:
    """Empty, or in the clear over a network."""
    line = refused(**owned(secret) | {"POMMAI_CLOUD_URL": "http://far.example"})
    assert line.startswith("cloud.url: 'http://far.example' must be https")
    line = refused(**owned(secret) | {"POMMAI_STREAM_URL": ""})
    assert line.startswith("stream.url is empty: give the gateway's address")


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """With the key, the folder, the reason and what to do."""
    (tmp_path / "file").touch()
    done = pommai("run", "--data-dir", tmp_path / "file" / "data")
    complains(done, 73, "device.data_dir", "Not a directory; give a folder that may be written")


def steps_of(process: subprocess.Popen[str]) -> Iterator[dict[str, object]]:
    """Yield each step that a toy with ``--json`` prints."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def arrive(steps: Iterator[dict[str, object]], leaf: str) -> dict[str, object]:
    """Return the first step to a state."""
    return next(step for step in steps if step["to"] == leaf)


def ended_by(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, float]:
    """Send a signal; return what was still said on standard error, and how long ending took."""
    began_s = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=TIMEOUT_S)
    return err, time.monotonic() - began_s


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_device_without_identity_waits_to_be_set_up_until_it_is_told_to_stop(
    data: Path, number: signal.Signals
) -> None:
    """It ends with 0, and what it did is on disk and replays."""
    with running("run", "--data-dir", data, "--json") as process:
        step = arrive(steps_of(process), "boot.unprovisioned")
        assert (step["event"], step["row"]) == ("records_read", "boot.unowned")
        err, took_s = ended_by(process, number)
    assert process.returncode == 0
    assert took_s < END_S_MAX
    (line,) = err.splitlines()
    assert line.startswith("WARNING firmware.unbuilt: start_setup(): set-up is done by editing")
    journal = read((data / "journal.jsonl").read_text().splitlines(keepends=True))
    assert [entry.step.event.name for entry in journal.entries][-1] == "shutdown"
    assert replay(journal).difference is None


def test_a_toy_whose_cloud_is_down_keeps_trying_and_ends_at_once(data: Path, secret: Path) -> None:
    """In the start-up state, after the first refusals; the log has a line for all of them."""
    with running("run", "--data-dir", data, "--json", env=owned(secret)) as process:
        steps = steps_of(process)
        arrive(steps, "auth")
        next(step for step in steps if step["event"] == "auth_failed")
        err, took_s = ended_by(process, signal.SIGTERM)
    assert process.returncode == 0
    assert took_s < END_S_MAX
    (line,) = err.splitlines()
    assert line.startswith("WARNING firmware.cloud.authentication: authentication failed, ")
    assert "tell-nobody" not in err


HUNG = """
import asyncio, sys, threading
from firmware.app import Toy
from firmware.__main__ import main
really_start = Toy.start
def start(toy):
    really_start(toy)
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
Toy.start = start
sys.exit(main(sys.argv[1:]))
"""
"""The command, with a thread that waits for ever, as one does that asks a silent name server."""


def test_a_thread_that_cannot_be_ended_does_not_hold_up_the_end(data: Path) -> None:
    """The process ends in time, with 0, and with all on disk that was recorded."""
    with running("run", "--data-dir", data, "--json", script=HUNG) as process:
        arrive(steps_of(process), "boot.unprovisioned")
        err, took_s = ended_by(process, signal.SIGTERM)
    assert process.returncode == 0
    assert run.END_TIMEOUT_S <= took_s < END_S_MAX + 0.5
    assert "Traceback" not in err
    journal = read((data / "journal.jsonl").read_text().splitlines(keepends=True))
    assert [entry.step.event.name for entry in journal.entries][-1] == "shutdown"


def test_a_toy_whose_watcher_leaves_ends(data: Path) -> None:
    """As in ``pommai run | head -1``: there is nobody any more, and no trace is shown."""
    keyboard, terminal = pty.openpty()
    with running("run", "--data-dir", data, stdin=terminal) as process:
        os.close(terminal)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        os.write(keyboard, b"press\n")  # so that there is something to print
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(TIMEOUT_S) == 0
    os.close(keyboard)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_at_a_terminal_words_are_hands(data: Path) -> None:
    """What is typed happens, what is not understood is said, and the end of input is the end."""
    keyboard, terminal = pty.openpty()
    with running("run", "--data-dir", data, stdin=terminal) as process:
        os.close(terminal)
        assert process.stdout is not None
        lines = iter(process.stdout)
        next(line for line in lines if "boot.unowned" in line)
        os.write(keyboard, b"press\nrelease\njump\n\n")
        told = [next(lines).split() for _ in range(2)]
        assert [words[1] for words in told] == ["press", "release"]
        assert told[0][-1] == "setup.reopened"
        os.write(keyboard, b"\x04")
        _, err = process.communicate(timeout=TIMEOUT_S)
    os.close(keyboard)
    assert process.returncode == 0
    said = [line for line in err.splitlines() if not line.startswith("WARNING firmware.unbuilt")]
    assert len(said) == 1
    assert said[0].startswith("not understood: jump; known are press, release, tap, ")


def typed(tmp_path: Path, *lines: str, seconds: float = 3) -> Composed:
    """Return a toy at whose terminal lines were typed, some time later."""

    async def type_them() -> Composed:
        async with Composed(tmp_path) as toy:
            await toy.arrives_at("auth")
            for line in lines:
                run.typed(toy.toy, line)
            await asyncio.sleep(seconds)
            return toy

    return run_virtual(type_them())


@pytest.mark.parametrize(
    ("line", "presses", "held_ms"),
    [("tap\n", 1, 120), ("double\n", 2, 120), ("hold 1.5\n", 1, 1_500), ("  hold  0.3", 1, 300)],
)
def test_a_gesture_is_made_of_presses(
    tmp_path: Path, line: str, presses: int, held_ms: int
) -> None:
    """As long as the word says, one after the other."""
    toy = typed(tmp_path, line)
    down = [step.event.at_ms for step in toy.steps if step.event.name == "press"]
    up = [step.event.at_ms for step in toy.steps if step.event.name == "release"]
    assert len(down) == presses
    assert [later - earlier for earlier, later in zip(down, up, strict=True)] == [held_ms] * presses


def test_three_taps_stop_the_toy(tmp_path: Path) -> None:
    """Typed as one word."""
    assert "stop.press" in typed(tmp_path, "triple\n").rows


def test_what_is_said_is_heard(tmp_path: Path) -> None:
    """A file with blanks in its name too."""
    clip = tmp_path / "good morning.raw"
    clip.write_bytes(b"\1\0" * 16_000)
    toy = typed(tmp_path, f"say {clip}\n", seconds=0)
    assert toy.toy.microphone.speaking_until_ms == 1_000 + toy.steps[-1].event.at_ms


def test_the_end_is_a_word_too(tmp_path: Path) -> None:
    """The wake word is not: who wants it heard says it."""
    toy = typed(tmp_path, "wake\n", "quit\n")
    events = [step.event.name for step in toy.steps]
    assert "wake_heard" not in events
    assert "shutdown" in events
    assert toy.toy.stopped.is_set()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fly\n", "not understood: fly; known are press"),
        ("hold\n", "not understood: hold; known are press"),
        ("press 3\n", "not understood: press 3; known are press"),
        ("hold long\n", "hold long: give seconds, at most 60"),
        ("hold nan\n", "hold nan: give seconds, at most 60"),
        ("hold inf\n", "hold inf: give seconds, at most 60"),
        ("hold -1\n", "hold -1: give seconds, at most 60"),
        ("hold 0\n", "hold 0: give seconds, at most 60"),
        ("say none.wav\n", "none.wav: cannot be read (No such file or directory)"),
        ("say /\n", "/: cannot be read (Is a directory)"),
    ],
)
def test_what_cannot_be_done_is_said_and_hurts_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    """On standard error, in one line; the toy goes on."""
    toy = typed(tmp_path, line, "tap")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(says)
    assert len(err.splitlines()) == 1
    assert "denied.starting" in toy.rows


def test_too_many_voices_at_once_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says what to wait for."""
    clip = tmp_path / "a.raw"
    clip.write_bytes(b"\1\0" * 16_000)
    typed(tmp_path, *[f"say {clip}"] * 9)
    assert "voices speak already" in capsys.readouterr().err


def test_an_empty_line_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody pressed the return key."""
    events = {step.event.name for step in typed(tmp_path, "\n", "   \n").steps}
    assert not events & {"press", "release", "wake_heard", "shutdown"}
    assert capsys.readouterr() == ("", "")
