"""``pommai run`` against ``pommai cloud``: it gets ready, talks, and ends at once in any phase."""

from __future__ import annotations

import json
import os
import pty
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from states.journal import read
from states.replay import replay
from tests.firmware.commands.pommai import TIMEOUT_S, running
from tests.hardware.voices import voice

END_S_MAX = 2.0
"""How long ending may take."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a toy whose cloud is up."""
    secret = tmp_path_factory.mktemp("identity") / "secret"
    secret.write_text("the-secret-of-this-test")
    secret.chmod(0o600)
    with running("cloud", "--port", "0", "--json", "--device-secret", secret.read_text()) as cloud:
        assert cloud.stdout is not None
        ready = json.loads(cloud.stdout.readline())
        yield {
            "POMMAI_IDENTITY_DEVICE_ID": "dev-sim-1",
            "POMMAI_IDENTITY_TOY_ID": "toy-sim-1",
            "POMMAI_IDENTITY_SECRET_FILE": str(secret),
            "POMMAI_CLOUD_URL": ready["convex_url"],
            "POMMAI_STREAM_URL": ready["stream_url"],
        }


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of something that sounds like a voice."""
    path = tmp_path_factory.mktemp("clips") / "voice.raw"
    path.write_bytes(voice())
    return path


@pytest.mark.parametrize("phase", ["auth", "idle.awake", "listening.hearing", "streaming.sending"])
def test_a_toy_that_is_told_to_stop_ends_at_once_whatever_it_is_doing(
    tmp_path: Path, settings: dict[str, str], clip: Path, phase: str
) -> None:
    """With 0, without a word on standard error, and with a journal to its last step."""
    keyboard, terminal = pty.openpty()
    data = tmp_path / "data"
    with running("run", "--json", "--data-dir", data, stdin=terminal, env=settings) as toy:
        os.close(terminal)
        assert toy.stdout is not None
        for step in map(json.loads, toy.stdout):
            if step["to"] == phase:
                break
            if step["row"] == "configured.rest":
                os.write(keyboard, f"tap\nsay {clip}\n".encode())
        began_s = time.monotonic()
        toy.send_signal(signal.SIGTERM)
        _, err = toy.communicate(timeout=TIMEOUT_S)
        took_s = time.monotonic() - began_s
    os.close(keyboard)
    assert (toy.returncode, err) == (0, "")
    assert took_s < END_S_MAX
    journal = read((data / "journal.jsonl").read_text().splitlines(keepends=True))
    assert "shutdown" in [entry.step.event.name for entry in journal.entries[-3:]]
    assert replay(journal).difference is None


def test_the_next_start_knows_the_configuration_before_the_cloud_tells_it(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """It was kept; so the toy is awake as soon as it has its tokens."""
    for row in ("configured.rest", "auth.granted"):
        with running("run", "--json", "--data-dir", tmp_path, env=settings) as toy:
            assert toy.stdout is not None
            step = next(step for step in map(json.loads, toy.stdout) if step["to"] == "idle.awake")
            assert step["row"] == row
            toy.send_signal(signal.SIGTERM)
            assert toy.wait(TIMEOUT_S) == 0
