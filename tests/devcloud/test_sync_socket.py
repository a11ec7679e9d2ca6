from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.devcloud.running import TIMEOUT_S, TOY, RunningCloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.devcloud.json_type import Json


class OfficialClient:
    """The official sync client; see ``convex_client``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def hear(self) -> Json:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the client ended with {self._process.wait(TIMEOUT_S)}"
        return json.loads(line)

    def hear_until(self, wanted: Json) -> None:
        while self.hear() != wanted:
            pass


@contextmanager
def official_client(cloud: RunningCloud, scenario: str) -> Iterator[OfficialClient]:
    command = [
        sys.executable,
        "-m",
        "tests.devcloud.convex_client",
        cloud.cloud.convex_url,
        scenario,
    ]
    with subprocess.Popen(
        ["timeout", f"{TIMEOUT_S:.0f}", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield OfficialClient(process)
        finally:
            process.terminate()


def test_the_official_client_gets_an_answer_to_every_sort_of_call(cloud: RunningCloud) -> None:
    with official_client(cloud, "calls") as client:
        assert [client.hear() for _ in range(7)] == [
            {"ConvexError": {"code": "BAD_SECRET"}},
            {"ConvexError": {"code": "DEVICE_NOT_FOUND"}},
            {"ConvexError": {"code": "UNAUTHENTICATED"}},
            {"ConvexError": {"code": "TOY_NOT_FOUND"}},
            "alexa",
            {
                "Exception": "Could not find public function for 'no:such'."
                " Did you forget to run `npx convex dev`?"
            },
            {
                "Exception": "Trying to execute toys:getConfiguration as Mutation,"
                " but it is defined as Query."
            },
        ]


def test_the_official_client_sees_a_change_of_the_configuration_live(cloud: RunningCloud) -> None:
    with official_client(cloud, "subscription") as client:
        version, _ = client.hear()
        assert cloud.put_configuration(volumeLimit=33)["version"] == version + 1
        client.hear_until([version + 1, 33.0])
        cloud.put_configuration(volumeLimit=80)
        client.hear_until([version + 2, 80.0])


async def exchange(cloud: RunningCloud, path: str, *texts: str | bytes) -> list[Json]:
    """Send texts, and collect what comes until the connection ends."""
    url = cloud.cloud.convex_url.replace("http", "ws") + path
    received: list[Json] = []
    async with asyncio.timeout(TIMEOUT_S), connect(url) as socket:
        for text in texts:
            await socket.send(text)
        try:
            while True:
                received.append(json.loads(await socket.recv()))
        except ConnectionClosed as closed:
            received.append(closed.rcvd and closed.rcvd.code)
    return received


@pytest.mark.parametrize("path", ["/api/sync", "/api/1.17.0/sync"])
def test_what_the_protocol_does_not_allow_is_told_and_closes(
    cloud: RunningCloud, path: str
) -> None:
    error, code = asyncio.run(exchange(cloud, path, "no json"))
    assert error["type"] == "FatalError"
    assert code == 1008


def test_a_token_that_is_refused_is_told_and_closes(cloud: RunningCloud) -> None:
    message = {"type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": "forged"}
    error, code = asyncio.run(exchange(cloud, "/api/sync", json.dumps(message)))
    assert (error["type"], code) == ("AuthError", 1008)


def test_a_message_that_is_too_long_closes(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devcloud.sync_socket.MESSAGE_BYTES_MAX", 1 << 20)
    assert asyncio.run(exchange(cloud, "/api/sync", " " * (1 << 20) + "{}")) == [1009]


def test_a_binary_message_is_passed_over(cloud: RunningCloud) -> None:
    error, code = asyncio.run(exchange(cloud, "/api/sync", b"\0", "no json"))
    assert (error["type"], code) == ("FatalError", 1008)


def test_silence_is_broken_by_a_ping(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devcloud.sync_socket.PING_INTERVAL_S", 0.01)

    async def first_message() -> Json:
        url = cloud.cloud.convex_url.replace("http", "ws") + "/api/sync"
        async with asyncio.timeout(TIMEOUT_S), connect(url) as socket:
            return json.loads(await socket.recv())

    assert asyncio.run(first_message()) == {"type": "Ping"}


def test_calls_over_both_ways_are_listed(cloud: RunningCloud) -> None:
    cloud.authenticate()
    asyncio.run(
        exchange(
            cloud,
            "/api/sync",
            json.dumps({"type": "Action", "requestId": 1, "udfPath": "no:such", "args": [TOY]}),
            "no json",
        )
    )
    assert cloud.get("calls")[-2:] == [
        {
            "transport": "http",
            "kind": "mutation",
            "function": "auth:authenticateDevice",
            "deviceId": "dev-sim-1",
            "outcome": "success",
        },
        {
            "transport": "sync",
            "kind": "action",
            "function": "no:such",
            "deviceId": "dev-sim-1",
            "outcome": "error",
        },
    ]
