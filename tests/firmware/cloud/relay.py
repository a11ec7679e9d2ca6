"""A TCP relay between a client and a server, which can fall silent, cut, and speak TLS."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from types import TracebackType


class Relay:
    """Passes bytes both ways between whoever connects and the server on a local port.

    While it is ``silent``, connections stay open and nothing passes, as when a router has forgotten
    them. Without a ``target`` every connection is accepted and never answered.
    """

    def __init__(self, target: int | None, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.silent = False
        self.connected = asyncio.Event()
        self._target = target
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
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

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        self.connected.set()
        try:
            with contextlib.suppress(ConnectionError):
                await self._serve(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target is None:
            while await reader.read(65_536):
                pass
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        there = asyncio.create_task(self._pass(reader, far_writer))
        try:
            await self._pass(far_reader, writer)
        finally:
            far_writer.transport.abort()
            await there

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while content := await reader.read(65_536):
                if not self.silent:
                    writer.write(content)
                    await writer.drain()
        writer.transport.abort()
