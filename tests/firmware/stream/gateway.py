"""A gateway that does what a test tells it: a real server on loopback, in any dialect.

What the dialects look like is written here once more, by hand: the device's codecs are not used.
"""

from __future__ import annotations

import http
import json
import struct
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    import asyncio
    import ssl
    from types import TracebackType

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.datastructures import Headers
    from websockets.http11 import Request, Response

    from tests.firmware.stream.bell import Bell

Fields = dict[str, Any]

Dialect: TypeAlias = Literal["seed", "gateway", "binary"]
DIALECTS: tuple[Dialect, ...] = ("seed", "gateway", "binary")

HEADER = struct.Struct(">BBHIII")
"""Version, kind, flags, turn, sequence, time."""

ANSWERS: dict[Dialect, Fields | None] = {
    "seed": None,
    "gateway": {"type": "handshake_ack", "status": "ok", "session_id": "1"},
    "binary": {"type": "handshake_ack", "dialect": "binary"},
}
"""What each says to a handshake, if it says anything."""


def reply_packet(packet: bytes, sequence: int = 0, **changed: object) -> Fields:
    """Return a packet of a reply, with some fields `changed`."""
    return {
        "type": "audio_response",
        "data": packet.hex(),
        "sequence": sequence,
        "format": "opus",
        "sampleRate": 16_000,
        "isFinal": False,
        **changed,
    }


REPLY_END: Fields = {**reply_packet(b""), "isFinal": True}


def wrapped(data: bytes, form: str = "opus", *, is_final: bool = False, **more: object) -> Fields:
    """Return a piece of a reply as the gateway dialect has it."""
    metadata = {"format": form, "sampleRate": 16_000, "isFinal": is_final, **more}
    return {"type": "audio_response", "payload": {"data": data.hex(), "metadata": metadata}}


def bare(
    kind: int, turn: int, payload: bytes = b"", *, sequence: int = 0, rate_hz: int = 0
) -> bytes:
    """Return a message of the binary dialect."""
    return HEADER.pack(1, kind, rate_hz // 100, turn, sequence, 0) + payload


def opus_piece(dialect: Dialect, packet: bytes, sequence: int = 0, turn: int = 1) -> Fields | bytes:
    """Return a packet of a reply in a dialect."""
    if dialect == "binary":
        return bare(3, turn, packet, sequence=sequence, rate_hz=16_000)
    return reply_packet(packet, sequence) if dialect == "seed" else wrapped(packet)


def reply_end(dialect: Dialect, sequence: int = 0, turn: int = 1) -> Fields | bytes:
    """Return the end of a reply in a dialect."""
    if dialect == "binary":
        return bare(5, turn, sequence=sequence)
    return REPLY_END if dialect == "seed" else wrapped(b"", is_final=True)


def unwrapped(data: str | bytes) -> Fields:
    """Return what a device has sent, as if it were the seed dialect."""
    if isinstance(data, bytes):
        version, kind, flags, turn, sequence, time_ms = HEADER.unpack_from(data)
        assert (version, flags) == (1, 0)
        assert kind in {1, 2}
        chunk = {"type": "audio_chunk", "data": data[HEADER.size :].hex(), "sequence": sequence}
        return {**chunk, "turn": turn, "timestamp": time_ms / 1000, "isFinal": kind == 2}
    fields: Fields = json.loads(data)
    if fields["type"] == "audio_chunk" and "payload" in fields:
        payload = fields["payload"]
        return {"type": "audio_chunk", "data": payload["data"], **payload["metadata"]}
    return fields


class Session:
    """One connection, as the gateway sees it."""

    def __init__(
        self, socket: ServerConnection, bell: Bell, dialect: Dialect, answer: Fields | None
    ) -> None:
        self._socket = socket
        self._bell = bell
        self._dialect: Dialect = dialect
        self._answer = answer
        self.raw: list[str | bytes] = []
        self.received: list[Fields] = []
        self.is_over = False

    @property
    def path(self) -> str:
        """The path that was asked for."""
        assert self._socket.request is not None
        return self._socket.request.path

    @property
    def headers(self) -> Headers:
        """What came with the request."""
        assert self._socket.request is not None
        return self._socket.request.headers

    @property
    def chunks(self) -> list[Fields]:
        """The speech that has arrived, final markers and all."""
        return [message for message in self.received if message["type"] == "audio_chunk"]

    @property
    def speech(self) -> list[bytes]:
        """The packets that have arrived."""
        return [bytes.fromhex(chunk["data"]) for chunk in self.chunks if chunk["data"]]

    @property
    def finals(self) -> int:
        """The final markers that have arrived."""
        return sum(chunk.get("isFinal", False) for chunk in self.chunks)

    async def listen(self) -> None:
        """Take what comes until the connection ends."""
        try:
            async for data in self._socket:
                self.raw.append(data)
                self.received.append(unwrapped(data))
                if self.received[-1]["type"] == "handshake" and self._answer is not None:
                    await self.send(self._answer)
                self._bell.ring()
        except ConnectionClosed:
            pass
        finally:
            self.is_over = True
            self._bell.ring()

    async def send(self, *messages: Fields | str | bytes) -> None:
        """Send messages, as they are or as JSON."""
        for message in messages:
            await self._socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def reply(self, *packets: bytes, turn: int = 1) -> None:
        """Send a whole reply."""
        for sequence, packet in enumerate(packets):
            await self.send(opus_piece(self._dialect, packet, sequence, turn))
        await self.send(reply_end(self._dialect, len(packets), turn))

    async def utterances(self, count: int = 1) -> None:
        """Wait until so many utterances have arrived whole."""
        await self._bell.until(lambda: self.finals == count)

    async def is_heard(self) -> None:
        """Wait until the device has dealt with all that was sent: it answers pings in order."""
        pongs = self._pongs()
        await self.send({"type": "ping"})
        await self._bell.until(lambda: self._pongs() > pongs)

    async def end(self) -> None:
        """Wait until the connection is over."""
        await self._bell.until(lambda: self.is_over)

    async def close(self) -> None:
        """Close politely."""
        await self._socket.close()

    def cut(self) -> None:
        """End it without a word."""
        self._socket.transport.abort()

    def fall_silent(self) -> None:
        """Stop reading: pings go unanswered, and what is sent piles up."""
        self._socket.transport.pause_reading()

    def listen_again(self) -> None:
        """Go on reading."""
        self._socket.transport.resume_reading()

    def write_raw(self, data: bytes) -> None:
        """Put bytes on the wire, whatever the protocol says."""
        self._socket.transport.write(data)

    def _pongs(self) -> int:
        return sum(message["type"] == "pong" for message in self.received)


class Gateway:
    """The server. Opens when entered; may be stopped and started again at the same port.

    Set `status` to refuse whoever comes, with `location` as where else to go; set `gate` to an
    event to keep them waiting for it; `answer` is what it says to a handshake.
    """

    def __init__(
        self, bell: Bell, tls: ssl.SSLContext | None = None, dialect: Dialect = "seed"
    ) -> None:
        self._bell = bell
        self.dialect: Dialect = dialect
        self._tls = tls
        self._server: Server | None = None
        self._port = 0
        self.status: http.HTTPStatus | None = None
        self.location = ""
        self.gate: asyncio.Event | None = None
        self.answer = ANSWERS[dialect]
        self.attempts = 0
        self.tokens: list[str] = []
        self.sessions: list[Session] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self._port}/audio-stream"

    async def start(self) -> None:
        """Open; at the same port as before, if there was one."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self._port,
            ssl=self._tls,
            process_request=self._answer,
            compression=None,
            ping_interval=None,
            close_timeout=0.1,
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut everybody off and close."""
        for session in self.sessions:
            session.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def session(self, number: int) -> Session:
        """Wait for the connection of that number, counted from 1, and its handshake."""
        await self._bell.until(
            lambda: len(self.sessions) >= number and self.sessions[number - 1].received
        )
        return self.sessions[number - 1]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.gate is not None:
            self.gate.set()
        await self.stop()

    async def _answer(self, socket: ServerConnection, request: Request) -> Response | None:
        self.attempts += 1
        self.tokens.append(request.headers["Authorization"].removeprefix("Bearer "))
        self._bell.ring()
        if self.gate is not None:
            await self.gate.wait()
        if self.status is None:
            return None
        response = socket.respond(self.status, "")
        if self.location:
            response.headers["Location"] = self.location
        return response

    async def _serve(self, socket: ServerConnection) -> None:
        session = Session(socket, self._bell, self.dialect, self.answer)
        self.sessions.append(session)
        await session.listen()
