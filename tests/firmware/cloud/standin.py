"""A server that does over HTTP exactly what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    import ssl
    from types import TracebackType


class Request(NamedTuple):
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    """What was posted, if it is JSON; else nothing."""
    content: bytes
    """What was posted, as it came."""

    @property
    def arguments(self) -> Any:  # noqa: ANN401 - any JSON
        """The arguments of the function that was called."""
        return self.body["args"]


Reply = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
"""Writes what it likes; what it does not write, the client waits for."""


class StandIn:
    """Answers each request with the next of `replies`, and with the last one from then on."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._replies = list(replies)
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    request = await _read(reader)
                    self.requests.append(request)
                    reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                    await reply(request, writer)
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()


def answer(value: object) -> Reply:
    """Reply that the function returned `value`, in Convex's JSON."""
    return body(json.dumps({"status": "success", "value": value}).encode())


def refusal(data: object) -> Reply:
    """Reply that the function threw a ConvexError with `data`."""
    text = {"status": "error", "errorMessage": "Uncaught ConvexError", "errorData": data}
    return body(json.dumps(text).encode())


def body(content: bytes, status: str = "200 OK", *headers: str) -> Reply:
    """Reply with a status and any content."""

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + content)

    return reply


def echo(status: str = "200 OK", wrap: str = "%s") -> Reply:
    """Reply with all that was sent, headers and body, as a careless server might."""

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        sent = json.dumps(f"{request.headers} {request.body}")
        await body((wrap % sent).encode(), status)(request, writer)

    return reply


async def hang_up(_: Request, writer: asyncio.StreamWriter) -> None:
    """Cut the connection instead of replying."""
    writer.transport.abort()


async def stall(_: Request, writer: asyncio.StreamWriter) -> None:
    """Never reply."""
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    is_json = headers.get("content-type") == "application/json"
    return Request(head[0].split(" ")[1], headers, json.loads(content) if is_json else {}, content)
