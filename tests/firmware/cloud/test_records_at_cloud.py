"""What we tell the cloud, told to the development cloud: it knows nothing of ours, and judges."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path
from random import Random

import requests

from devcloud.settings import Settings
from firmware.cloud.caller import Caller
from firmware.cloud.configuration import ToyConfiguration
from firmware.cloud.conversations import Conversations
from firmware.cloud.reports import Reports
from firmware.cloud.uploads import Uploader
from firmware.error_log import ErrorLog
from firmware.metrics import Metrics
from firmware.store.audio import AudioSettings, AudioStore
from firmware.stream.counters import Counters
from firmware.turn_times import TurnTimes
from firmware.voice.recorder import Recorder
from hardware.clock import Clock
from hardware.sensors import SystemSensors
from states.effects import Effect
from states.events import Event
from states.machine import Step
from tests.devcloud.running import TIMEOUT_S, TOY, RunningCloud
from tests.firmware.cloud.examples import configuration, settings
from tests.firmware.outlets import KeptOutlet, Put
from tests.firmware.voice.test_recorder import Listener
from tests.hardware.voices import frames, voice

DEVICE_ID = "dev-sim-1"


class Rig:
    """Everything that makes records, and a caller that delivers them one by one."""

    def __init__(self, cloud: RunningCloud, folder: Path) -> None:
        self.token = str(cloud.authenticate()["convexToken"])
        self.caller = Caller(settings(cloud.cloud.convex_url))
        self.outbox = KeptOutlet()
        self.clock = Clock()
        self.store = AudioStore(folder, lambda: bytes(32), AudioSettings())
        self.uploader = Uploader(
            self.caller,
            self.caller,
            self.store,
            device_id=DEVICE_ID,
            token=lambda: self.token,
            clock=self.clock,
            random=Random(1),  # noqa: S311 - waits, not secrets
        )
        self._delivered = 0

    async def deliver(self, put: Put) -> object:
        """Deliver a record as `firmware.ports.Outlet` says that it is delivered."""
        self._delivered += 1
        audio = {}
        if put.audio:
            audio["audioStorageId"] = await self.uploader.upload(put.audio)
        arguments = {
            **put.arguments,
            **audio,
            **TOY,
            "recordId": f"record-{self._delivered}",
            "timestamp": "2026-11-25T02:14:53.120Z",
        }
        return await self.caller.call(
            "mutation", put.function, lambda: arguments, lambda value: value, token=self.token
        )

    def close(self) -> None:
        """Close what was made."""
        self.uploader.close()
        self.caller.close()


def rows(cloud: RunningCloud, table: str) -> list[dict[str, object]]:
    """Return what the cloud stored in a table."""
    found = cloud.get(f"tables/{table}")
    assert isinstance(found, list)
    return [dict(row["arguments"]) for row in found]


def step(at_ms: int, source: str, to: str, *effects: Effect) -> Step:
    """Return a step of a turn."""
    return Step(Event("any", {}, "e1", at_ms), source, "row", to, effects)


async def said(rig: Rig) -> Put:
    """Return the record of a turn whose speech and words may be stored."""
    recorder = Recorder(Listener("pcm16"))
    conversations = Conversations(
        rig.outbox,
        recorder,
        rig.store,
        toy_id=lambda: "toy-sim-1",
        clock=rig.clock,
        forget_words=lambda: None,
        forget_speech=lambda: None,
    )
    consent = {"listen": True, "storeAudio": True, "storeTranscripts": True}
    conversations.take_up(ToyConfiguration.parse(configuration(consent=consent)))
    capture = Effect("microphone", {"mode": "capture", "turn": 1})
    conversations(step(1_000, "idle.awake", "listening.hearing", capture))
    for frame in frames(voice(500)):
        recorder.send(frame, 0)
    conversations.take_words(1, "transcript", "do whales sleep")
    ended = Effect("end_turn", {"turn": 1, "outcome": "answered"})
    conversations(step(4_000, "speaking", "idle.awake", ended))
    await conversations.close()
    return rig.outbox.puts[-1]


def test_a_conversation_arrives_with_its_speech(tmp_path: Path) -> None:
    """Byte for byte what lay sealed on the card, which is empty afterwards."""

    async def main(cloud: RunningCloud) -> str:
        rig = Rig(cloud, tmp_path)
        put = await said(rig)
        audio = rig.store.get(put.audio)
        assert audio is not None
        await rig.deliver(put)
        await rig.uploader.stored(put.audio)
        rig.close()
        return hashlib.sha256(audio).hexdigest()

    with RunningCloud() as cloud:
        expected = asyncio.run(main(cloud))
        (row,) = rows(cloud, "conversations")
        answer = requests.get(
            f"{cloud.cloud.control_url}/uploads/{row['audioStorageId']}", timeout=TIMEOUT_S
        )
    assert hashlib.sha256(answer.content).hexdigest() == expected
    assert answer.headers["content-type"] == "audio/opus"
    assert (row["transcript"], row["replyText"], row["outcome"]) == (
        *("do whales sleep", None, "answered"),
    )
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_expires_at_once_is_replaced_until_the_delivery_waits(
    tmp_path: Path,
) -> None:
    """The real answer of a deployment to a late upload."""

    async def main(cloud: RunningCloud) -> str:
        rig = Rig(cloud, tmp_path)
        put = await said(rig)
        try:
            await rig.uploader.upload(put.audio)
        except Exception as error:  # noqa: BLE001 - its class is what is asked
            return type(error).__name__
        finally:
            rig.close()
        return ""

    with RunningCloud(Settings(port=0, upload_lifetime_s=0.001)) as cloud:
        assert asyncio.run(main(cloud)) == "UploadExpiredError"
        calls = cloud.get("calls")
    assert str(calls).count("storage:generateUploadUrl") == 3
    assert len(list(tmp_path.iterdir())) == 1


def test_reports_metrics_and_logs_are_taken(tmp_path: Path) -> None:
    """Every kind of record has the arguments that its function asks for."""

    async def main(cloud: RunningCloud) -> None:
        rig = Rig(cloud, tmp_path)
        reports = Reports(rig.outbox).effects["report"]
        reports(kind="emergency_stop", urgent=True, detail="boot1")
        reports(kind="self_test_late", urgent=False, detail=None)
        metrics = Metrics(
            rig.outbox, SystemSensors(tmp_path), [TurnTimes().take], {"bulk": lambda: 3}, Counters
        )
        metrics.sample()
        assert metrics._sampling is not None
        await asyncio.wait([metrics._sampling])
        metrics.close()
        uninstall = ErrorLog(rig.clock, rig.outbox).install()
        try:
            int("canary")
        except ValueError:
            logging.getLogger("firmware.tests").exception("it failed with %s", "canary")
        handed_over = asyncio.Event()
        rig.clock.call_soon_threadsafe(handed_over.set)
        await handed_over.wait()
        uninstall()
        for put in rig.outbox.puts:
            await rig.deliver(put)
        rig.close()

    with RunningCloud() as cloud:
        asyncio.run(main(cloud))
        told = {table: rows(cloud, table) for table in ("reports", "metrics", "logs")}
    assert [row["isUrgent"] for row in told["reports"]] == [True, False]
    (figures,) = told["metrics"]
    assert {"cpuPercent", "rssBytes", "bulk", "turns"} <= set(figures["metrics"])  # type: ignore[call-overload]
    (log,) = told["logs"]
    assert log["context"] == {
        "template": "it failed with %s",
        "count": 1,
        "error": "ValueError",
        "raisedAt": "",
    }
