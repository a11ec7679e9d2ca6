"""The WebSockets that are open: made in one way, and closed together."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakSet

from aiohttp import WSCloseCode, web

MESSAGE_BYTES_MAX: Final = 1 << 20
"""A longer message closes its connection (1009)."""

HEARTBEAT_S: Final = 20.0
"""Between WebSocket's own pings; a peer that does not answer within half of it is gone."""

CLOSE_TIMEOUT_S: Final = 0.5
"""How long a peer may take to answer a close."""


class Sockets:
    """The WebSockets of one cloud that are open."""

    def __init__(self) -> None:
        self._open: WeakSet[web.WebSocketResponse] = WeakSet()

    async def accept(
        self, request: web.Request, message_bytes_max: int = MESSAGE_BYTES_MAX
    ) -> web.WebSocketResponse:
        """Carry out an upgrade."""
        socket = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            heartbeat=HEARTBEAT_S,
            max_msg_size=message_bytes_max,
            compress=False,
        )
        try:
            await socket.prepare(request)
        except ConnectionError:
            # Nobody will read it; but aiohttp reports whatever else is raised as our failure.
            raise web.HTTPBadRequest(text="the peer is gone") from None
        self._open.add(socket)
        return socket

    async def close_all(self, _: web.Application) -> None:
        """Tell every peer that the cloud goes away."""
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in self._open))
