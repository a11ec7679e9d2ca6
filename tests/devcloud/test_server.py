from __future__ import annotations

import asyncio
import os

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from devcloud.errors import MissingPartError, PortBusyError
from devcloud.server import DevelopmentCloud
from devcloud.settings import Settings
from tests.devcloud.device import headers
from tests.devcloud.running import TIMEOUT_S, RunningCloud
from tests.devcloud.stopwatch import Stopwatch


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


def test_the_control_api_is_reached_past_the_networks_faults(cloud: RunningCloud) -> None:
    before = cloud.post_faults(network={"refuse": True})["struck"]["network"]["refuse"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{cloud.cloud.convex_url}/version", timeout=TIMEOUT_S)
    assert cloud.get("faults")["struck"]["network"]["refuse"] == before
    cloud.post_faults(network=None)
    assert requests.get(f"{cloud.cloud.convex_url}/_dev/counters", timeout=TIMEOUT_S).ok


def test_what_is_around_the_network_is_the_control_api_alone(cloud: RunningCloud) -> None:
    url = cloud.cloud.control_url.removesuffix("/_dev")
    assert requests.get(f"{url}/version", timeout=TIMEOUT_S).status_code == 404


def test_a_stalled_stream_leaves_the_functions_alone(cloud: RunningCloud) -> None:
    token = cloud.authenticate()["websocketToken"]
    cloud.post_faults(network={"accept_and_stall": True, "channel": "stream"})

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with connect(
                cloud.cloud.stream_url, additional_headers=headers(token), open_timeout=0.2
            ):
                pytest.fail("it was answered")

    asyncio.run(scenario())
    assert cloud.authenticate()["websocketToken"]


def test_a_half_open_cloud_ends_in_time() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            async with DevelopmentCloud(Settings(port=0)) as cloud:
                await connect(cloud.convex_url.replace("http", "ws") + "/api/sync")
                cloud.faults.set({"network": {"half_open": True}})
                watch = Stopwatch()
            assert watch.seconds < 2

    asyncio.run(scenario())
