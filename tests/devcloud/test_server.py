from __future__ import annotations

import asyncio
import os

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from devcloud.errors import MissingPartError, PortBusyError
from devcloud.server import DevelopmentCloud
from devcloud.settings import Settings
from tests.devcloud.running import TIMEOUT_S, RunningCloud


def test_a_busy_port_is_named(cloud: RunningCloud) -> None:
    port = int(cloud.cloud.convex_url.rsplit(":", 1)[1])

    async def scenario() -> None:
        async with DevelopmentCloud(Settings(port=port)):
            pytest.fail("the port is in use")

    with pytest.raises(PortBusyError, match=str(port)):
        asyncio.run(scenario())


def test_a_missing_synthesiser_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    async def scenario() -> None:
        async with DevelopmentCloud(Settings(port=0)):
            pytest.fail("there is no synthesiser")

    with pytest.raises(MissingPartError, match="espeak-ng"):
        asyncio.run(scenario())


def test_it_listens_on_loopback_only(cloud: RunningCloud) -> None:
    assert cloud.cloud.convex_url.startswith("http://127.0.0.1:")
    assert cloud.cloud.stream_url.startswith("ws://127.0.0.1:")
    assert cloud.cloud.control_url.startswith("http://127.0.0.1:")


def test_when_it_ends_it_says_goodbye_and_leaves_no_process() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            async with DevelopmentCloud(Settings(port=0)) as cloud:
                process_id = cloud.recogniser.process_id
                assert process_id
                os.kill(process_id, 0)
                socket = await connect(cloud.convex_url.replace("http", "ws") + "/api/sync")
            with pytest.raises(ConnectionClosed, match="1001"):
                await socket.recv()
            with pytest.raises(ProcessLookupError):
                os.kill(process_id, 0)

    asyncio.run(scenario())


def test_recognition_is_not_done_by_the_process_that_serves(cloud: RunningCloud) -> None:
    """Decoding holds the interpreter's lock; here it would stop the event loop."""
    assert cloud.cloud.recogniser.process_id not in {None, os.getpid()}
