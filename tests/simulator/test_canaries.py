"""A toy with canaries: its secret and its tokens are nowhere where anybody could read them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
from pathlib import Path
from typing import Final

import pytest
import requests

from tests.firmware.commands.pommai import TIMEOUT_S, running
from tests.hardware.voices import voice

SECRET: Final = "canary-of-the-vault-0123456789"  # noqa: S105 - it guards nothing
TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{10,}")
"""How every token of the development cloud begins: the base64 of a JSON object, `{"`."""

LOUD: Final = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
for name in ("firmware", "urllib3", "websockets", "asyncio", "convex"):
    logging.getLogger(name).setLevel(logging.DEBUG)
from firmware.__main__ import main
sys.exit(main())
"""
"""The firmware, with everybody telling all they know."""


def children_of(pid: int) -> list[int]:
    """Return the processes that one has started, on any of its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def seen_from_outside(pid: int) -> str:
    """Return what anybody may read of a process."""
    folder = Path(f"/proc/{pid}")
    return "".join((folder / name).read_text() for name in ("cmdline", "environ"))


def granted(convex_url: str) -> str:
    """Return a token of the development cloud, to see what they look like."""
    identity = {"deviceId": "dev-sim-1", "deviceSecret": SECRET}
    call = {"path": "auth:authenticateDevice", "format": "convex_encoded_json", "args": identity}
    answer = requests.post(f"{convex_url}/api/mutation", json=call, timeout=TIMEOUT_S)
    return str(answer.json()["value"]["convexToken"])


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """The canary, kept as it should be."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


def test_nothing_secret_is_in_logs_journal_arguments_or_environments(
    tmp_path: Path, secret_file: Path
) -> None:
    """Through a whole turn and an outage, with every logger at its loudest."""
    clip, data = tmp_path / "voice.raw", tmp_path / "data"
    clip.write_bytes(voice())
    keyboard, terminal = pty.openpty()
    told = ""
    with running("cloud", "--port", "0", "--json", f"--device-secret={SECRET}") as cloud:
        assert cloud.stdout is not None
        ready = json.loads(cloud.stdout.readline())
        settings = {
            "POMMAI_IDENTITY_DEVICE_ID": "dev-sim-1",
            "POMMAI_IDENTITY_TOY_ID": "toy-sim-1",
            "POMMAI_IDENTITY_SECRET_FILE": str(secret_file),
            "POMMAI_CLOUD_URL": ready["convex_url"],
            "POMMAI_STREAM_URL": ready["stream_url"],
            "PYTHONASYNCIODEBUG": "1",
        }
        assert TOKEN.match(granted(ready["convex_url"]))
        arguments = ("run", "--json", "--data-dir", data)
        with running(*arguments, stdin=terminal, script=LOUD, env=settings) as toy:
            os.close(terminal)
            assert toy.stdout is not None
            for line in toy.stdout:
                told += line
                step = json.loads(line)
                if step["row"] == "configured.rest":
                    (child,) = children_of(toy.pid)
                    outside = seen_from_outside(toy.pid) + seen_from_outside(child)
                    os.write(keyboard, f"tap\nsay {clip}\n".encode())
                if step["to"] == "streaming.sending":
                    cloud.kill()
                if step["event"] == "link_down":
                    break
            toy.send_signal(signal.SIGTERM)
            out, err = toy.communicate(timeout=TIMEOUT_S)
    os.close(keyboard)
    assert "firmware.cloud.child" in outside
    assert "DEBUG:urllib3" in err
    assert "DEBUG:asyncio" in err
    assert (data / "journal.jsonl").exists()
    kept = "".join(
        path.read_bytes().decode("latin-1") for path in data.rglob("*") if path.is_file()
    )
    for text in (told, out, err, outside, kept):
        assert SECRET not in text
        assert not TOKEN.search(text)
