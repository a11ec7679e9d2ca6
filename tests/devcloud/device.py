"""A device of each dialect, for tests: what it sends is as right or wrong as the test says."""

from __future__ import annotations

import json
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.asyncio.client import ClientConnection, connect

from devcloud import wav
from devcloud.opus import Encoder
from tests.devcloud import clips

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.devcloud.json_type import Json
    from tests.devcloud.running import RunningCloud

CAPABILITIES: Final = {"audio": ["opus"], "sampleRate": 16000, "frameMs": 20}
HANDSHAKE: Final = {
    "type": "handshake",
    "deviceId": "dev-sim-1",
    "toyId": "toy-sim-1",
    "capabilities": CAPABILITIES,
}
GATEWAY_HANDSHAKE: Final = {
    **HANDSHAKE,
    "capabilities": {"audio": True, "opus": True, "pcm16": True, "wav": True, "sampleRate": 16000},
    "timestamp": 0.0,
}
FINAL: Final = {"type": "audio_chunk", "data": "", "timestamp": 0.0, "isFinal": True}


def headers(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "X-Device-ID": "dev-sim-1",
        "X-Device-Type": "raspberry-pi-zero-2w",
        "X-Toy-ID": "toy-sim-1",
    }


def _connect(url: str, token: str) -> connect:
    # Garbage may be longer than what a real device would read.
    return connect(url, additional_headers=headers(token), max_size=None)


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
            if message.get("payload", {}).get("metadata", message).get("isFinal"):
                return received

    async def expect(self, kind: str) -> dict[str, Json]:
        message = await self.receive()
        assert message["type"] == kind, message
        return message


def frame(kind: int, turn: int, sequence: int, payload: bytes = b"") -> bytes:
    """Write a binary message from the device."""
    return struct.pack(">BBHIII", 1, kind, 0, turn, sequence, 0) + payload


def frames(turn: int, pcm: bytes) -> list[bytes]:
    """Encode sound to the binary messages of one utterance, its end included."""
    with Encoder() as encoder:
        packets = [encoder.encode(sound) for sound in clips.frames(pcm)]
    spoken = [frame(1, turn, n, packet) for n, packet in enumerate(packets)]
    return [*spoken, frame(2, turn, len(packets))]


def payloads(pcm: bytes, format_: str = "pcm16") -> list[dict[str, Json]]:
    """Write sound as the chunks of one utterance of the gateway dialect, its end included."""
    sounds = clips.frames(pcm)
    if format_ == "opus":
        with Encoder() as encoder:
            sounds = [encoder.encode(sound) for sound in sounds]
    if format_ == "wav":
        sounds = [wav.header(len(pcm), 16_000, 1) + sounds[0], *sounds[1:]]
    return [
        {
            "type": "audio_chunk",
            "payload": {
                "data": sound.hex(),
                "metadata": {
                    "isFinal": not sound,
                    "format": format_,
                    "sampleRate": 16000,
                    "timestamp": n / 50,
                    "sequence": n,
                },
            },
        }
        for n, sound in enumerate([*sounds, b""])
    ]


class Heard(NamedTuple):
    """A binary message from the cloud."""

    kind: int
    flags: int
    turn: int
    sequence: int
    payload: bytes


class BinaryDevice(StreamDevice):
    """One connection in the binary dialect."""

    async def receive_frame(self) -> Heard:
        message = await self.socket.recv()
        assert isinstance(message, bytes), message
        version, kind, flags, turn, sequence, _ = struct.unpack_from(">BBHIII", message)
        assert version == 1
        return Heard(kind, flags, turn, sequence, message[16:])

    async def receive_reply(self) -> list[Heard]:
        """Receive the frames of a reply, its end included."""
        heard: list[Heard] = []
        while not heard or heard[-1].kind != 5:
            heard.append(await self.receive_frame())
        return heard

    async def receive_texts_and_frames(
        self, last: Callable[[Heard], bool]
    ) -> tuple[list[dict[str, Json]], list[Heard]]:
        """Receive up to a certain frame."""
        texts: list[dict[str, Json]] = []
        heard: list[Heard] = []
        while not (heard and last(heard[-1])):
            message = await self.socket.recv()
            if isinstance(message, str):
                texts.append(json.loads(message))
            else:
                _, kind, flags, turn, sequence, _ = struct.unpack_from(">BBHIII", message)
                heard.append(Heard(kind, flags, turn, sequence, message[16:]))
        return texts, heard


@asynccontextmanager
async def welcomed_in_binary(cloud: RunningCloud, token: str) -> AsyncIterator[BinaryDevice]:
    """Open a connection and agree on the binary dialect."""
    async with _connect(cloud.cloud.stream_url, token) as socket:
        device = BinaryDevice(socket)
        await device.send({**HANDSHAKE, "capabilities": {**CAPABILITIES, "binary": 1}})
        assert (await device.expect("handshake_ack"))["dialect"] == "binary"
        yield device


@asynccontextmanager
async def connected_to_gateway(
    cloud: RunningCloud, token: str, path: str = "/ws/dev-sim-1/toy-sim-1"
) -> AsyncIterator[StreamDevice]:
    """Open a connection of the gateway dialect; the handshake is up to the test."""
    url = cloud.cloud.stream_url.removesuffix("/audio-stream") + path
    async with _connect(url, token) as socket:
        yield StreamDevice(socket)


@asynccontextmanager
async def welcomed_by_gateway(cloud: RunningCloud, token: str) -> AsyncIterator[StreamDevice]:
    """Open a connection of the gateway dialect and go through its handshake."""
    async with connected_to_gateway(cloud, token) as device:
        await device.send(GATEWAY_HANDSHAKE)
        ack = await device.expect("handshake_ack")
        assert ack["status"] == "connected"
        assert ack["session_id"]
        yield device


@asynccontextmanager
async def connected(cloud: RunningCloud, token: str) -> AsyncIterator[StreamDevice]:
    """Open a connection; the handshake is up to the test."""
    async with _connect(cloud.cloud.stream_url, token) as socket:
        yield StreamDevice(socket)


@asynccontextmanager
async def welcomed(cloud: RunningCloud, token: str) -> AsyncIterator[StreamDevice]:
    """Open a connection and go through the handshake."""
    async with connected(cloud, token) as device:
        await device.send(HANDSHAKE)
        await device.expect("handshake_ack")
        yield device
