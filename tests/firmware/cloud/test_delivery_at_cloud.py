"""Outbox and delivery against the development cloud over real sockets: it is no part of ours."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from firmware.cloud.caller import Caller
from firmware.cloud.credentials import Tokens
from firmware.cloud.delivery import Delivery
from firmware.cloud.session import Kind
from firmware.cloud.settings import CloudSettings
from firmware.cloud.uploads import Uploader
from firmware.store.audio import AudioSettings, AudioStore
from firmware.store.outbox import Outbox
from firmware.store.record import REPORT_FUNCTION
from hardware.clock import Clock
from tests.devcloud.json_type import Json
from tests.devcloud.running import CREDENTIALS, DEVICE, RunningCloud
from tests.firmware.cloud.examples import settings
from tests.firmware.store.shelf import World, opened, put

LIMIT_S = 60
DEVICE_ID = str(DEVICE["deviceId"])
CUT_OPEN_ONES = {"connections": "established", "cut_after_bytes": 0}
"""For faults that only new connections suffer."""
ANSWERS_LOST = {"direction": "down", "cut_after_bytes": 50}
AUDIO = b"OggS and so on"

_T = TypeVar("_T")


@pytest.fixture(scope="module")
def running() -> Iterator[RunningCloud]:
    """A cloud for all tests here."""
    with RunningCloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(running: RunningCloud) -> Iterator[RunningCloud]:
    """The cloud without a fault."""
    yield running
    running.reset()


class Watched:
    """`Calls` of a caller, and how they went."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._outcomes: Counter[str] = Counter()
        self._news = asyncio.Event()

    async def call(
        self,
        kind: Kind,
        function: str,
        arguments: Callable[[], Mapping[str, object]],
        parse: Callable[[object], _T],
        *,
        token: str | None = None,
    ) -> _T:
        """Call."""
        outcome = "failed"
        try:
            result = await self._caller.call(kind, function, arguments, parse, token=token)
            outcome = "taken"
        finally:
            self._outcomes[outcome] += 1
            self._news.set()
        return result

    async def until(self, outcome: str, count: int) -> None:
        """Wait until this many more calls went so."""
        count += self._outcomes[outcome]
        async with asyncio.timeout(LIMIT_S):
            while self._outcomes[outcome] < count:
                self._news.clear()
                await self._news.wait()


class Device:
    """A device that is sent by its outbox to the cloud, and authenticates when it must."""

    def __init__(self, cloud: RunningCloud, data: Path) -> None:
        self.settings: CloudSettings = settings(
            cloud.cloud.convex_url,
            retry_delay_ms_min=20,
            retry_delay_ms_max=200,
            connect_timeout_ms=500,
            read_timeout_ms=500,
            call_deadline_ms=1_000,
        )
        self.data = data
        self.grants = 0
        self.world = World()
        self.world.toy = "toy-sim-1"
        self._tokens: Tokens | None = None
        self._authenticating: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self, *, boot_id: str) -> AsyncIterator[Outbox]:
        """Run the device from a start to a stop."""
        chance = Random(1)  # noqa: S311 - the same each time
        caller = Caller(self.settings)
        audio = AudioStore(self.data / "audio", lambda: bytes(32), AudioSettings())
        self.speech = audio
        self.calls = Watched(caller)
        uploader = Uploader(
            caller,
            caller,
            audio,
            device_id=DEVICE_ID,
            token=lambda: self._tokens.convex if self._tokens else None,
            clock=Clock(),
            random=chance,
        )
        async with opened(self.data, self.world, boot_id=boot_id) as outbox:
            self.delivery = Delivery(
                self.settings,
                outbox,
                self.calls,
                device_id=DEVICE_ID,
                tokens=lambda: self._tokens,
                on_rejected=lambda _: self._authenticate(caller),
                uploader=uploader,
                random=chance,
            )
            self.delivery.start()
            self._authenticate(caller)
            yield outbox
            await self.delivery.close()
        if self._authenticating is not None:
            self._authenticating.cancel()
            await asyncio.wait([self._authenticating])
        uploader.close()
        caller.close()

    def _authenticate(self, caller: Caller) -> None:
        self._tokens = None
        self._authenticating = asyncio.create_task(self._obtain(caller))

    async def _obtain(self, caller: Caller) -> None:
        while self._tokens is None:
            try:
                self._tokens = await caller.call(
                    "mutation", "auth:authenticateDevice", lambda: CREDENTIALS, Tokens.parse
                )
            except Exception:  # noqa: BLE001 - the network is what is tested
                await asyncio.sleep(0.05)
        self.grants += 1
        self.delivery.wake()


async def drained(outbox: Outbox) -> None:
    """Wait until nothing waits."""
    async with asyncio.timeout(LIMIT_S):
        while not (outbox.is_empty("urgent") and outbox.is_empty("bulk")):
            await outbox.emptied("urgent")
            await outbox.emptied("bulk")


def report(outbox: Outbox, name: str, *, urgent: bool = True) -> None:
    """Put a report of this id."""
    put(outbox, name, urgent=urgent, details={}, isUrgent=urgent)


def stored(cloud: RunningCloud, table: str, prefix: str) -> list[dict[str, Any]]:
    """Return the rows of a table whose ids begin so, in order of arrival."""
    rows = cloud.get(f"tables/{table}")
    assert isinstance(rows, list)
    return [row for row in rows if str(row["recordId"]).startswith(prefix)]


def ids(cloud: RunningCloud, table: str, prefix: str) -> list[str]:
    """Return their ids."""
    return [row["recordId"] for row in stored(cloud, table, prefix)]


def test_a_thousand_records_queued_offline_over_a_restart_arrive_in_order_and_once_each(
    cloud: RunningCloud, tmp_path: Path
) -> None:
    """Urgent ones, and others of which some are joined; with answers lost on the way."""
    urgent = [f"k-u{number:03}" for number in range(200)]
    logs = [f"k-l{number:03}" for number in range(200)]
    metrics = [f"k-m{number:03}" for number in range(600)]

    async def main() -> None:
        device = Device(cloud, tmp_path)
        for start, half in enumerate((slice(None, None, 2), slice(1, None, 2))):
            cloud.post_faults(network={"refuse": True})
            async with device.running(boot_id=f"boot-{start}") as outbox:
                for name in urgent[half]:
                    report(outbox, name)
                for name in logs[half]:
                    log = {"level": "info", "code": "test", "context": {}}
                    outbox.put("logs:create", log, urgent=False, record_id=name)
                for name in metrics[half]:
                    outbox.put(
                        "metrics:record", {"metrics": {"cpu": 1.5}}, urgent=False, record_id=name
                    )
                await outbox.settle()
        cloud.post_faults(network=None)
        async with device.running(boot_id="boot-3") as outbox:
            await device.calls.until("taken", 20)
            cloud.post_faults(network={**ANSWERS_LOST, "cut_connections_max": 5})
            await drained(outbox)
            assert outbox.counts.set_aside == 0

    asyncio.run(main())
    faults = cloud.get("faults")
    assert isinstance(faults, dict)
    assert faults["struck"]["network"]["cut"] == 5
    for table, names in (("reports", urgent), ("logs", logs), ("metrics", metrics)):
        assert ids(cloud, table, "k-") == [*names[::2], *names[1::2]]
    rows = [row for table in ("reports", "logs") for row in stored(cloud, table, "k-")]
    assert max(row["arrival"] for row in stored(cloud, "reports", "k-")) < min(
        row["arrival"] for row in (*stored(cloud, "logs", "k-"), *stored(cloud, "metrics", "k-"))
    )
    assert sum(row["deliveries"] > 1 for row in rows) > 0, "no answer was lost"


@pytest.mark.parametrize(
    "fault",
    [
        [{"accept_and_stall": True}, CUT_OPEN_ONES],
        [{"refuse": True}, CUT_OPEN_ONES],
        {"half_open": True},
        {"cut_after_bytes": 0},
        ANSWERS_LOST,
        {"direction": "down", "cut_after_bytes": 100},
        {"loss_percent": 100},
    ],
    ids=str,
)
def test_whatever_the_network_does_a_record_arrives_once_when_it_is_over(
    cloud: RunningCloud, tmp_path: Path, fault: Json
) -> None:
    """And nothing is set aside for it."""
    name = "f-" + re.sub("[^a-z0-9]+", "-", str(fault))

    async def main() -> None:
        device = Device(cloud, tmp_path)
        async with device.running(boot_id="boot") as outbox:
            report(outbox, f"{name}-before")
            await drained(outbox)
            cloud.post_faults(network=fault)
            report(outbox, f"{name}-urgent")
            await device.calls.until("failed", 2)
            report(outbox, f"{name}-bulk", urgent=False)
            cloud.post_faults(network=None)
            await drained(outbox)
            assert outbox.counts.set_aside == 0

    asyncio.run(main())
    assert ids(cloud, "reports", name) == [f"{name}-before", f"{name}-urgent", f"{name}-bulk"]


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        ("http_status", {"status": 500}),
        ("http_status", {"status": 503}),
        ("http_status", {"status": 429}),
        ("http_status", {"status": 404}),
        ("http_status", {"status": 401}),
        ("redirect", {"to": "http://127.0.0.1:9/"}),
        ("commit_then_drop", {}),
        ("duplicate_delivery", {}),
        ("garbage", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("of", ["urgent", "bulk"])
def test_whatever_the_cloud_answers_for_a_time_a_record_arrives_once(
    cloud: RunningCloud, tmp_path: Path, of: str, fault: str, settings: dict[str, Json]
) -> None:
    """One row, in its place among the others."""
    name = f"a-{of}-{fault}-{settings.get('status', '')}"

    async def main() -> None:
        device = Device(cloud, tmp_path)
        async with device.running(boot_id="boot") as outbox:
            cloud.post_faults(**{fault: {**settings, "function": REPORT_FUNCTION, "times": 3}})
            for number in range(4):
                report(outbox, f"{name}-{number}", urgent=of == "urgent")
            await drained(outbox)
            assert outbox.counts.set_aside == 0

    asyncio.run(main())
    assert ids(cloud, "reports", name) == [f"{name}-{number}" for number in range(4)]
    assert cloud.get("faults")["struck"][fault] >= 3


def test_tokens_that_expire_are_renewed_and_nothing_is_set_aside(
    cloud: RunningCloud, tmp_path: Path
) -> None:
    """However often: the cloud may doubt who asks, and the record is none the worse for it."""

    async def main() -> None:
        device = Device(cloud, tmp_path)
        async with device.running(boot_id="boot") as outbox:
            cloud.post_faults(expire_tokens={"times": 3})
            report(outbox, "e-1")
            report(outbox, "e-2", urgent=False)
            await drained(outbox)
            assert device.grants >= 4
            assert outbox.counts.set_aside == 0

    asyncio.run(main())
    assert ids(cloud, "reports", "e-") == ["e-1", "e-2"]


def test_revoked_tokens_cost_nothing_but_another_grant(cloud: RunningCloud, tmp_path: Path) -> None:
    """Records go on where they stood."""

    async def main() -> None:
        device = Device(cloud, tmp_path)
        async with device.running(boot_id="boot") as outbox:
            report(outbox, "r-1")
            await drained(outbox)
            cloud.post("revoke")
            report(outbox, "r-2")
            report(outbox, "r-3", urgent=False)
            await drained(outbox)
            assert device.grants == 2
            assert outbox.counts.set_aside == 0

    asyncio.run(main())
    assert ids(cloud, "reports", "r-") == ["r-1", "r-2", "r-3"]


def test_what_the_cloud_will_not_take_is_set_aside_and_told(
    cloud: RunningCloud, tmp_path: Path
) -> None:
    """An acknowledgement of a command that it never issued, among what is in order."""

    async def main() -> None:
        device = Device(cloud, tmp_path)
        async with device.running(boot_id="boot") as outbox:
            outbox.put(
                "devices:ackCommand",
                {"commandId": "never", "outcome": "done"},
                urgent=False,
                record_id="p-ack",
            )
            report(outbox, "p-next", urgent=False)
            await drained(outbox)
            assert outbox.counts.set_aside == 1

    asyncio.run(main())
    assert ids(cloud, "reports", "p-") == ["p-next"]
    told = [row["arguments"]["context"] for row in stored(cloud, "logs", "")]
    assert {
        "function": "devices:ackCommand",
        "code": "NO_SUCH_COMMAND",
        "recordId": "p-ack",
    } in told


def test_a_conversation_arrives_with_its_audio_through_a_cut(
    cloud: RunningCloud, tmp_path: Path
) -> None:
    """The audio is at the cloud, and no longer on the card."""
    told: dict[str, object] = {
        "transcript": None,
        "replyText": None,
        "wasOffline": False,
        "outcome": "answered",
        "durations": {},
    }

    async def main() -> None:
        device = Device(cloud, tmp_path)
        async with device.running(boot_id="boot") as outbox:
            name = await asyncio.to_thread(device.speech.put, AUDIO)
            cloud.post_faults(network={**ANSWERS_LOST, "cut_connections_max": 3})
            outbox.put("conversations:create", told, urgent=False, record_id="c-1", audio=name)
            await drained(outbox)
            assert await outbox.audio_names() == set()
        assert not await asyncio.to_thread(device.speech.has, name)

    asyncio.run(main())
    (row,) = stored(cloud, "conversations", "c-")
    assert row["arguments"]["audioStorageId"] in {upload["storageId"] for upload in _uploads(cloud)}


def _uploads(cloud: RunningCloud) -> list[dict[str, Any]]:
    found = cloud.get("tables/uploads")
    assert isinstance(found, list)
    return [dict(row) for row in found]
