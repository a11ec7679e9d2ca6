"""The relay between real sockets, with a server behind it that says everything back."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

import pytest

from devcloud import link
from devcloud.faults import FaultBoard
from devcloud.relay import Relay
from tests.devcloud.running import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from tests.devcloud.json_type import Json

STREAM = b"GET /audio-stream HTTP/1.1\r\n"
SYNC = b"GET /api/sync HTTP/1.1\r\n"


class Echo(asyncio.Protocol):
    """Says everything back, until it is told of an end."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        scene.accepted.append(self)
        self.heard = b""
        self.is_gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_gone.set()


class Client:
    """A client's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def echo(self, data: bytes) -> bytes:
        await self.say(data)
        return await self.reader.readexactly(len(data))

    async def hears_nothing(self, data: bytes) -> bool:
        await self.say(data)
        try:
            async with asyncio.timeout(0.1):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


class Scene:
    """A relay, its faults, and what the server behind it saw."""

    def __init__(self) -> None:
        self.board = FaultBoard()
        self.accepted: list[Echo] = []
        self.port = 0

    def set(self, *rules: Json) -> None:
        self.board.set({"network": list(rules)})

    def struck(self, name: str) -> int:
        return self.board.network.struck_to_json()[name]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def relayed() -> AsyncIterator[Scene]:
    scene = Scene()
    relay = Relay(scene.board.network, lambda: Echo(scene), None, Random(1))  # noqa: S311 - no secret
    scene.port = relay.start(0)
    try:
        yield scene
    finally:
        for server in scene.accepted:
            server.transport.close()
        await relay.close()


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, TIMEOUT_S))


def test_without_a_fault_all_bytes_pass_both_ways_and_the_end_is_told() -> None:
    async def scenario() -> None:
        async with relayed() as scene:
            async with scene.client() as client:
                data = bytes(range(256)) * 20_000
                back, _ = await asyncio.gather(
                    client.reader.readexactly(len(data)), client.say(data)
                )
                assert back == data
                client.writer.write_eof()
                assert await client.reader.read() == b""
            await scene.accepted[0].is_gone.wait()
            assert not any(scene.board.network.struck_to_json().values())

    run(scenario())


def test_the_end_of_the_server_reaches_the_client_after_what_it_said() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.accepted[0].transport.write(b"goodbye")
            scene.accepted[0].transport.close()
            assert await client.reader.read() == b"goodbye"

    run(scenario())


@pytest.mark.parametrize(
    ("rule", "least_ms"),
    [
        ({"latency_ms": 60}, 120),
        ({"latency_ms": 60, "direction": "up"}, 60),
        ({"latency_ms": 60, "direction": "down"}, 60),
        ({"latency_ms": 60, "channel": "stream"}, 120),
        ({"latency_ms": 60, "channel": "sync"}, 0),
        ({"latency_ms": 60, "connections": "new"}, 0),
    ],
    ids=str,
)
def test_latency_is_felt_by_those_it_is_meant_for(rule: Json, least_ms: int) -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(STREAM)
            scene.set(rule)
            begun_s = time.monotonic()
            await client.echo(b"hello")
            took_ms = (time.monotonic() - begun_s) * 1000
            assert took_ms >= least_ms
            assert scene.struck("latency") == (least_ms + 59) // 60

    run(scenario())


def test_jitter_keeps_the_order_also_of_what_follows_the_fault() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"jitter_ms": 40})
            data = bytes(range(200))
            for start in range(0, 100, 10):
                await client.say(data[start : start + 10])
                await asyncio.to_thread(lambda: None)
            scene.set()
            await client.say(data[100:])
            assert await client.reader.readexactly(200) == data

    run(scenario())


def test_a_slow_network_does_not_fill_the_memory() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"latency_ms": 30, "direction": "up"})
            data = bytes(8 * link.QUEUE_BYTES_MAX)
            back, _ = await asyncio.gather(client.reader.readexactly(len(data)), client.say(data))
            assert back == data
            # It took several rounds: what did not fit waited with the client.
            assert scene.struck("latency") > 8

    run(scenario())


def test_a_lost_segment_holds_up_all_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "RETRANSMIT_S", 0.002)

    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"loss_percent": 100, "direction": "up"})
            begun_s = time.monotonic()
            await client.echo(b"hello")
            # 1 + 2 + 4 + ... times the shortest, for six losses in a row.
            assert time.monotonic() - begun_s >= 0.126
            assert scene.struck("loss") == link.RETRANSMITS_MAX

    run(scenario())


def test_only_some_segments_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "RETRANSMIT_S", 0.0001)

    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"loss_percent": 10})
            data = bytes(link.SEGMENT_BYTES * 1000)
            back, _ = await asyncio.gather(client.reader.readexactly(len(data)), client.say(data))
            assert back == data
            assert 150 < scene.struck("loss") < 350

    run(scenario())


def test_an_open_connection_is_cut_at_once_with_a_reset() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"cut_after_bytes": 0, "connections": "established"})
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
            await scene.accepted[0].is_gone.wait()
            assert scene.struck("cut") == 1
            async with scene.client() as another:
                await another.echo(b"the next one is not\r\n")

    run(scenario())


def test_only_the_next_connection_is_cut() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as open_one:
            await open_one.echo(SYNC)
            scene.set({"cut_after_bytes": 0, "cut_connections_max": 1, "connections": "new"})
            async with scene.client() as client:
                with pytest.raises(ConnectionError):
                    await client.echo(SYNC)
            async with scene.client() as client:
                await client.echo(SYNC)
            await open_one.echo(SYNC)
            assert scene.struck("cut") == 1

    run(scenario())


def test_a_connection_is_cut_after_so_many_bytes() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            scene.set({"cut_after_bytes": 40, "direction": "up", "channel": "stream"})
            await client.echo(STREAM)
            await client.say(bytes(100))
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
            await scene.accepted[0].is_gone.wait()
            assert len(scene.accepted[0].heard) == 40
            async with scene.client() as another:
                await another.echo(SYNC + bytes(100))

    run(scenario())


def test_a_half_open_connection_is_silent_for_ever_and_new_ones_work() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"half_open": True, "connections": "established"})
            assert await client.hears_nothing(b"hello")
            scene.accepted[0].transport.write(b"hello")
            async with scene.client() as another:
                await another.echo(SYNC)
            scene.set()
            assert await client.hears_nothing(b"hello")
            assert scene.accepted[0].heard == SYNC
            client.writer.close()
            async with scene.client() as another:
                await another.echo(SYNC)
            # The server is never told.
            assert not scene.accepted[0].is_gone.is_set()
            assert scene.struck("half_open") == 1

    run(scenario())


def test_half_open_for_all_takes_new_connections_and_their_bytes_too() -> None:
    async def scenario() -> None:
        async with relayed() as scene:
            scene.set({"half_open": True})
            async with scene.client() as client:
                assert await client.hears_nothing(SYNC)
            assert scene.struck("half_open") == 1

    run(scenario())


def test_one_direction_alone_can_go_silent() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"half_open": True, "direction": "up"})
            assert await client.hears_nothing(b"hello")
            scene.accepted[0].transport.write(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
            scene.accepted[0].transport.close()
            assert await client.reader.read() == b""

    run(scenario())


def test_who_waits_behind_a_silence_is_let_go_when_the_client_leaves() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            scene.set({"half_open": True})
            client.writer.write_eof()
            assert await client.reader.read() == b""

    run(scenario())


@pytest.mark.parametrize("channel", ["all", "stream"])
def test_a_stalled_connection_is_accepted_and_never_answered(channel: str) -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as open_one:
            await open_one.echo(STREAM)
            scene.set({"accept_and_stall": True, "channel": channel})
            await open_one.echo(b"hello")
            async with scene.client() as client:
                assert await client.hears_nothing(STREAM)
            assert scene.struck("accept_and_stall") == 1
            if channel == "stream":
                async with scene.client() as client:
                    await client.echo(SYNC)

    run(scenario())


def test_a_closed_port_refuses_stays_ours_and_opens_again() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as open_one:
            await open_one.echo(SYNC)
            scene.set({"refuse": True})
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", scene.port)
            await open_one.echo(SYNC)
            with socket.socket() as thief, pytest.raises(OSError, match="in use"):
                thief.bind(("127.0.0.1", scene.port))
            scene.set({"latency_ms": 1})
            async with scene.client() as client:
                await client.echo(SYNC)
            assert scene.struck("refuse") == 1

    run(scenario())


def test_the_port_may_be_closed_when_the_relay_ends() -> None:
    async def scenario() -> None:
        async with relayed() as scene:
            scene.set({"refuse": True})

    run(scenario())


def test_faults_can_be_set_from_another_thread() -> None:
    async def scenario() -> None:
        async with relayed() as scene, scene.client() as client:
            await client.echo(SYNC)
            await asyncio.to_thread(scene.set, {"cut_after_bytes": 0})
            with pytest.raises(ConnectionResetError):
                await client.reader.read()

    run(scenario())
