"""The WebSocket under the sync protocol: texts in, texts out, one session each."""

from __future__ import annotations

import asyncio
import functools
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import WSMsgType, web

from devcloud.disruption import DisruptedSession
from devcloud.sync import SyncSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.deployment import Deployment
    from devcloud.faults import FaultBoard
    from devcloud.functions import Functions
    from devcloud.sockets import Sockets
    from devcloud.tokens import Tokens

MESSAGE_BYTES_MAX: Final = 20 << 20
"""As much as a call over HTTP may have; a longer message closes its connection (1009)."""

PING_INTERVAL_S: Final = 15.0
"""Clients take 30 s without a message for a dead server."""

CLOSE_DELAY_S: Final = 0.05
"""How long a client waits to be told that its connection ends. No deployment tells sooner; and the
Python client, told while it still sends, tries a bad token again, later each time, before it looks
for a better one: on loopback that took up to 34 s, and with this delay about 1 s."""


class SyncSockets:
    """The routes that upgrade to the sync protocol."""

    def __init__(
        self,
        deployment: Deployment,
        functions: Functions,
        tokens: Tokens,
        sockets: Sockets,
        faults: FaultBoard,
    ) -> None:
        self._deployment = deployment
        self._functions = functions
        self._tokens = tokens
        self._sockets = sockets
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register: the Python client's, and the JavaScript client's."""
        return [web.get("/api/sync", self._serve), web.get("/api/{version}/sync", self._serve)]

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = await self._sockets.accept(request, MESSAGE_BYTES_MAX)
        session = DisruptedSession(SyncSession(self._functions, self._tokens), self._faults)
        connection = _Connection(socket, session, request.transport)
        with (
            self._deployment.watching(connection.committed.set),
            self._tokens.watching(connection.committed.set),
        ):
            updates = asyncio.create_task(connection.push_updates())
            try:
                await connection.receive()
            finally:
                updates.cancel()
                with suppress(asyncio.CancelledError):
                    await updates
        return socket


class _Connection:
    """One socket and its session; whoever changes the session sends what follows from it."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        session: DisruptedSession,
        transport: asyncio.Transport | None,
    ) -> None:
        self._socket = socket
        self._session = session
        self._transport = transport
        self._turn = asyncio.Lock()
        self.committed = asyncio.Event()

    async def receive(self) -> None:
        """Feed the session with what arrives, until the socket closes."""
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self._advance(functools.partial(self._session.receive_text, message.data))

    async def push_updates(self) -> None:
        """Tell the client about commits as they happen, and that we live when there are none."""
        while True:
            try:
                async with asyncio.timeout(PING_INTERVAL_S):
                    await self.committed.wait()
            except TimeoutError:
                await self._advance(lambda _: self._session.ping())
            else:
                self.committed.clear()
                await self._advance(self._session.refresh)

    async def _advance(self, change: Callable[[float], None]) -> None:
        # One at a time: messages must go out in the order in which the session made them. Waiting
        # for a slow reader here also keeps its outbox from growing.
        async with self._turn:
            change(time.time())
            if self._session.closed:
                await asyncio.sleep(CLOSE_DELAY_S)
            try:
                for message in self._session.messages_to_send():
                    data = message if isinstance(message, bytes) else message.encode()
                    await self._socket.send_frame(data, WSMsgType.TEXT)
                if self._session.dropped and self._transport:
                    self._transport.abort()
                elif self._session.closed:
                    code, reason = self._session.closed
                    await self._socket.close(code=code, message=reason.encode())
            except ConnectionError:
                # The peer is gone; `receive` ends.
                return
