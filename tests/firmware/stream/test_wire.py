"""A gateway that is hostile below the messages: in the opening handshake, and in the frames.

Other tests of frames are floods: `tests.firmware.stream.test_flood`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import struct
from random import Random
from typing import Final, NamedTuple

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from firmware.stream.settings import StreamSettings
from firmware.stream.stream import Stream
from hardware.clock import Clock
from tests import hostile
from tests.firmware.stream.bell import Bell
from tests.firmware.stream.gateway import reply_packet
from tests.firmware.stream.stage import QUICK, Loop, Playback, on_loop

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""

ACCEPT: Final = b"<accept>"
OPENING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)
OPENINGS: Final = (
    b"",
    b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 404 \xff\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 99999999999999999999\r\n\r\nx",
    b"HTTP/1.1 307 Away\r\nLocation: ws://127.0.0.1:1/\r\n\r\n",
    b"HTTP/1.1 101 X\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    b"HTTP/1.1 101 X\r\nUpgrade: " + b"x" * 20_000,
    OPENING.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
    OPENING.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: other\r\n\r\n"),
)


class Script(NamedTuple):
    """What one connection is answered with, before it is cut."""

    opening: bytes
    frames: bytes


def _frame(first: int, payload: bytes, declared: int | None) -> bytes:
    """Return a frame (RFC 6455, section 5.2) whose first byte and length may be anything."""
    length = len(payload) if declared is None else declared
    if length < 126:
        return bytes([first, length]) + payload
    if length < 65_536:
        return bytes([first, 126]) + length.to_bytes(2) + payload
    return bytes([first, 127]) + length.to_bytes(8) + payload


TEXTS: Final = (
    json.dumps({"type": "handshake_ack", "dialect": "binary"}).encode(),
    json.dumps(reply_packet(bytes(20))).encode(),
    struct.pack(">BBHIII", 1, 3, 160, 1, 0, 0) + b"packet",
    struct.pack(">H", 1_000) + b"bye",
    b"\xff\xfe",
    b"",
)
FRAMES: Final = st.builds(
    _frame,
    st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A]) | st.integers(0, 255),
    st.sampled_from(TEXTS) | st.binary(max_size=130),
    st.none() | st.sampled_from([0, 1, 125, 65_535, 1_000_001, 2**31, 2**63, 2**64 - 1]),
)
SCRIPTS: Final = st.builds(
    Script,
    st.just(OPENING) | st.sampled_from(OPENINGS) | hostile.damaged(OPENING),
    st.lists(FRAMES, max_size=4).map(b"".join) | st.binary(max_size=40),
)


class RawGateway:
    """Answers each connection by the next script, and those after the last by cutting them."""

    def __init__(self, scripts: list[Script]) -> None:
        self.bell = Bell()
        self.left = list(scripts)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if self.left:
                script = self.left.pop(0)
                writer.write(script.opening.replace(ACCEPT, _accept(head)) + script.frames)
                await writer.drain()
        writer.close()
        self.bell.ring()


def _accept(head: bytes) -> bytes:
    key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    return base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - as the RFC has it


@settings(max_examples=6, phases=[Phase.generate])  # to shrink it takes too long
@given(st.lists(SCRIPTS, min_size=20, max_size=30))
def test_no_handshake_and_no_frame_keeps_the_stream_from_trying_again(
    scripts: list[Script],
) -> None:
    """Nothing escapes into the loop; the last script is reached, and the stream closes."""

    @on_loop
    async def scene() -> None:
        gateway = RawGateway(scripts)
        server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stream = Stream(
            StreamSettings(url=f"ws://127.0.0.1:{port}", **QUICK),
            "device-1",
            "toy-1",
            Clock(),
            Loop(gateway.bell).post,
            Playback(gateway.bell),
            Random(1),  # noqa: S311 - the same in every run
        )
        stream.set_token("token")
        await gateway.bell.until(lambda: not gateway.left)
        async with asyncio.timeout(2):
            await stream.close()
        server.close()
        await server.wait_closed()

    scene()
