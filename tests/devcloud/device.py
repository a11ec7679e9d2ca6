"""A device of the seed dialect, for tests: what it sends is as right or wrong as the test says."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from websockets.asyncio.client import ClientConnection, connect

from devcloud.opus import Encoder
from tests.devcloud import clips

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.devcloud.json_type import Json
    from tests.devcloud.running import RunningCloud

HANDSHAKE: Final = {
    "type": "handshake",
    "deviceId": "dev-sim-1",
    "toyId": "toy-sim-1",
    "capabilities": {"audio": ["opus"], "sampleRate": 16000, "frameMs": 20},
}
FINAL: Final = {"type": "audio_chunk", "data": "", "timestamp": 0.0, "isFinal": True}


def headers(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "X-Device-ID": "dev-sim-1",
        "X-Device-Type": "raspberry-pi-zero-2w",
        "X-Toy-ID": "toy-sim-1",
    }


def chunks(pcm: bytes) -> list[dict[str, Json]]:
    """Encode sound to the chunks of one utterance, its end included."""
    with Encoder() as encoder:
        packets = [encoder.encode(frame) for frame in clips.frames(pcm)]
    spoken = [
        {"type": "audio_chunk", "data": packet.hex(), "timestamp": n / 50, "sequence": n}
        for n, packet in enumerate(packets)
    ]
    return [*spoken, {**FINAL, "sequence": len(packets)}]


class StreamDevice:
    """One connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *messages: dict[str, Json] | str | bytes) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def receive(self) -> dict[str, Json]:
        message: dict[str, Json] = json.loads(await self.socket.recv())
        return message

    async def receive_all(self, kind: str) -> list[dict[str, Json]]:
        """Receive up to the end of the reply; the messages of one kind."""
        received = []
        while True:
            message = await self.receive()
            if message["type"] == kind:
                received.append(message)
            if message.get("isFinal"):
                return received

    async def expect(self, kind: str) -> dict[str, Json]:
        message = await self.receive()
        assert message["type"] == kind, message
        return message


@asynccontextmanager
async def connected(cloud: RunningCloud, token: str) -> AsyncIterator[StreamDevice]:
    """Open a connection; the handshake is up to the test."""
    async with connect(cloud.cloud.stream_url, additional_headers=headers(token)) as socket:
        yield StreamDevice(socket)


@asynccontextmanager
async def welcomed(cloud: RunningCloud, token: str) -> AsyncIterator[StreamDevice]:
    """Open a connection and go through the handshake."""
    async with connected(cloud, token) as device:
        await device.send(HANDSHAKE)
        await device.expect("handshake_ack")
        yield device
