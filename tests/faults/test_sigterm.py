"""``pommai run`` is told to stop in the middle of what takes long: it ends, and loses nothing.

The toy is a process as a service manager starts it, and so is the cloud. What was put for the cloud
is read from the log on the card, and all that was in memory is removed before the next start, as by
a power cut.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from firmware.store.bulk import LOG
from firmware.store.bulk_log import BulkLog
from firmware.store.record import Record
from tests.firmware.commands.pommai import TIMEOUT_S, running
from tests.hardware.voices import voice

END_S_MAX: Final = 2.0
"""How long ending may take."""
ESTABLISHED: Final = {"connections": "established", "cut_after_bytes": 0}
CONVERSATION: Final = "conversations:create"
REPORT: Final = "guardian:reportEvent"


class Cloud:
    """A cloud that runs, seen through its control API."""

    def __init__(self, ready: Mapping[str, str]) -> None:
        self.urls = {
            "POMMAI_CLOUD_URL": ready["convex_url"],
            "POMMAI_STREAM_URL": ready["stream_url"],
        }
        self._control_url = ready["control_url"]

    def get(self, what: str) -> Any:  # noqa: ANN401 - any JSON
        """Ask it."""
        answer = requests.get(f"{self._control_url}/{what}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def post(self, what: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - any JSON
        """Tell it."""
        answer = requests.post(f"{self._control_url}/{what}", json=body, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def consent(self, toy_id: str) -> None:
        """Let the guardian of a toy agree that speech is stored."""
        answer = requests.put(
            f"{self._control_url}/configuration?toyId={toy_id}",
            json={"consent": {"storeAudio": True}},
            timeout=TIMEOUT_S,
        )
        answer.raise_for_status()

    def upload(self, storage_id: str) -> bytes:
        """Return a file that was uploaded."""
        answer = requests.get(f"{self._control_url}/uploads/{storage_id}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.content

    def suffer(self, *rules: Mapping[str, object]) -> None:
        """Let these rules be what the network does; without any, it works."""
        self.post("faults", {"network": list(rules)})

    def recover(self) -> None:
        """End every fault."""
        self.post("faults", {"network": None, "http_status": None})

    def struck(self, fault: str) -> int:
        """Return how often a fault of the network was carried out."""
        return int(self.get("faults")["struck"]["network"][fault])

    def until_struck(self, fault: str, since: int = 0) -> None:
        """Wait until a fault has struck once more."""
        until(lambda: self.struck(fault) > since)

    def until_stored(self, table: str, record_id: str, device_id: str) -> dict[str, Any]:
        """Wait for a row, and return it."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = [
                row
                for row in self.get(f"tables/{table}")
                if (row["recordId"], row["deviceId"]) == (record_id, device_id)
            ]
            return bool(found)

        until(is_there)
        (row,) = found
        return row


def until(holds: Callable[[], bool]) -> None:
    """Ask until it holds; what is asked takes a while by itself."""
    patience_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < patience_s, "waited in vain"


@pytest.fixture(scope="module")
def running_cloud() -> Iterator[Cloud]:
    """A cloud for all tests here."""
    with running("cloud", "--port", "0", "--json", patience_s=120) as process:
        assert process.stdout is not None
        yield Cloud(json.loads(process.stdout.readline()))


@pytest.fixture
def cloud(running_cloud: Cloud) -> Iterator[Cloud]:
    """The cloud without a fault, now and afterwards."""
    yield running_cloud
    running_cloud.recover()


class Service:
    """A toy of its own, which can be started again and again.

    Attributes:
        device_id: Who it is.
    """

    def __init__(self, cloud: Cloud, name: str, folder: Path) -> None:
        self.device_id = f"dev-{name}"
        secret = folder / "secret"
        secret.write_text("the-secret-of-this-test")
        secret.chmod(0o600)
        self._clip = folder / "voice.raw"
        self._clip.write_bytes(voice())
        toy_id = f"toy-{name}"
        device = {"deviceId": self.device_id, "toyId": toy_id}
        cloud.post("devices", {**device, "deviceSecret": secret.read_text()})
        self._environment = {
            **cloud.urls,
            "POMMAI_IDENTITY_DEVICE_ID": self.device_id,
            "POMMAI_IDENTITY_TOY_ID": toy_id,
            "POMMAI_IDENTITY_SECRET_FILE": str(secret),
        }
        self._data = folder / "data"

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Run it at a terminal; whatever happens, it is gone at the end."""
        keyboard, terminal = pty.openpty()
        try:
            with running(
                "run", "--json", "--data-dir", self._data, stdin=terminal, env=self._environment
            ) as process:
                os.close(terminal)
                yield Running(process, keyboard, self._clip)
        finally:
            os.close(keyboard)

    def saved(self) -> list[Record]:
        """Return what waits for the cloud by what is on the card."""
        return list(BulkLog(self._data / LOG).read().values())

    def lose_power(self) -> None:
        """Forget what was in memory only."""
        shutil.rmtree(self._data / "run")


class Running:
    """A toy that runs: what it does can be followed, and it can be typed to."""

    def __init__(self, process: subprocess.Popen[str], keyboard: int, clip: Path) -> None:
        self._process = process
        self._keyboard = keyboard
        self._clip = clip

    def arrives_at(self, leaf: str) -> None:
        """Wait until it is somewhere."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if json.loads(line)["to"] == leaf:
                return
        pytest.fail(f"it ended before it was in {leaf}")

    def press(self) -> None:
        """Press its button."""
        os.write(self._keyboard, b"tap\n")

    def speak(self) -> None:
        """Press its button, and speak."""
        os.write(self._keyboard, f"tap\nsay {self._clip}\n".encode())

    def stops(self) -> None:
        """Tell it to stop, and check that it does so in time and without a complaint."""
        began_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        _, err = self._process.communicate(timeout=TIMEOUT_S)
        took_s = time.monotonic() - began_s
        assert self._process.returncode == 0
        assert "Traceback" not in err
        assert took_s < END_S_MAX

    def ends(self) -> None:
        """Let it end."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=TIMEOUT_S)


def only(records: list[Record], function: str) -> Record:
    """Return the one record that becomes a call of this function."""
    (found,) = [record for record in records if record.function == function]
    return found


def delivered(cloud: Cloud, toy: Service, table: str, record: Record) -> dict[str, Any]:
    """Start the toy after a power cut with a cloud that works, and return the record's row."""
    cloud.recover()
    toy.lose_power()
    with toy.running() as again:
        row = cloud.until_stored(table, record.record_id, toy.device_id)
        again.ends()
    return row


@pytest.mark.parametrize(
    "fault", [{"accept_and_stall": True}, {"latency_ms": 5_000}], ids=["stall", "latency"]
)
def test_while_it_authenticates(tmp_path: Path, cloud: Cloud, fault: Mapping[str, object]) -> None:
    """What it had to say since its start is on the card."""
    (strike,) = (name.removesuffix("_ms") for name in fault)
    toy = Service(cloud, f"authenticates-{strike.replace('_', '-')}", tmp_path)
    struck = cloud.struck(strike)
    cloud.suffer(fault)
    with toy.running() as started:
        started.arrives_at("auth")
        cloud.until_struck(strike, struck)
        started.stops()
    record = only(toy.saved(), REPORT)
    row = delivered(cloud, toy, "reports", record)
    assert row["arguments"]["eventType"] == "vault_degraded"


def test_while_a_record_is_delivered(tmp_path: Path, cloud: Cloud) -> None:
    """Of a turn that was over before: its call is never answered."""
    toy = Service(cloud, "delivers", tmp_path)
    struck = cloud.struck("accept_and_stall")
    with toy.running() as started:
        started.arrives_at("idle.awake")
        cloud.suffer(
            {"channel": "http", "accept_and_stall": True}, {**ESTABLISHED, "channel": "http"}
        )
        started.press()
        started.arrives_at("listening.hearing")
        started.arrives_at("idle.awake")
        cloud.until_struck("accept_and_stall", struck)
        started.stops()
    row = delivered(cloud, toy, "conversations", only(toy.saved(), CONVERSATION))
    assert row["arguments"]["outcome"] == "nothing said"


def test_while_speech_is_uploaded(tmp_path: Path, cloud: Cloud) -> None:
    """The speech stays on the card with its record, and both arrive after the next start."""
    toy = Service(cloud, "uploads", tmp_path)
    cloud.consent("toy-uploads")
    with toy.running() as started:
        started.arrives_at("idle.awake")
        started.speak()
        started.arrives_at("streaming.waiting")
        cloud.suffer({"channel": "http", "direction": "down", "latency_ms": 1_500})
        call = {"function": "storage:generateUploadUrl", "deviceId": toy.device_id}
        until(lambda: any(call.items() <= made.items() for made in cloud.get("calls")))
        # The answer is still on its way; the next that comes up is the upload.
        struck = cloud.struck("latency")
        cloud.suffer({"channel": "http", "direction": "up", "latency_ms": 5_000})
        cloud.until_struck("latency", struck)
        started.stops()
    record = only(toy.saved(), CONVERSATION)
    assert record.audio
    assert not record.storage_id
    row = delivered(cloud, toy, "conversations", record)
    assert cloud.upload(row["arguments"]["audioStorageId"]).startswith(b"OggS")


def test_while_a_turn_is_under_way(tmp_path: Path, cloud: Cloud) -> None:
    """Whose speech goes nowhere for the time being; nor does the record of the turn before."""
    toy = Service(cloud, "talks", tmp_path)
    with toy.running() as started:
        started.arrives_at("idle.awake")
        cloud.suffer(
            {"channel": "http", "accept_and_stall": True}, {**ESTABLISHED, "channel": "http"}
        )
        started.press()
        started.arrives_at("listening.hearing")
        started.arrives_at("idle.awake")
        started.speak()
        started.arrives_at("streaming.sending")
        struck = cloud.struck("latency")
        cloud.suffer({"channel": "http", "accept_and_stall": True}, {"latency_ms": 5_000})
        cloud.until_struck("latency", struck)
        started.stops()
    delivered(cloud, toy, "conversations", only(toy.saved(), CONVERSATION))


def test_while_the_live_queries_connect(tmp_path: Path, cloud: Cloud) -> None:
    """Their process is killed, whatever it waits for."""
    toy = Service(cloud, "connects", tmp_path)
    struck = cloud.struck("accept_and_stall")
    cloud.suffer({"channel": "sync", "accept_and_stall": True})
    cloud.post("faults", {"http_status": {"function": REPORT}})
    with toy.running() as started:
        cloud.until_struck("accept_and_stall", struck)
        started.stops()
    delivered(cloud, toy, "reports", only(toy.saved(), REPORT))
