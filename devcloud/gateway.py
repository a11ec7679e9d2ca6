"""The stream gateway: a device's speech comes in over a WebSocket, a spoken reply goes out.

``/audio-stream`` is where the seed's devices connect; one that offers it is answered in the binary
dialect. ``/ws/{deviceId}/{toyId}`` is where those connect that speak the gateway dialect. What
happens on a connection is in ``connection``. The token is looked at when a connection is made, as
existing gateways do; one that expires later does not end it, one that is revoked does.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

from aiohttp import web

from devcloud.call_faults import STREAM
from devcloud.connection import Connection, Peer, Services
from devcloud.dialects.gateway import GatewayDialect
from devcloud.dialects.messages import ErrorCode
from devcloud.dialects.seed import SeedDialect
from devcloud.disruption import answer_instead
from devcloud.errors import TokenError
from devcloud.opus import Decoder
from devcloud.tokens import Audience
from devcloud.uplink import Uplink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from devcloud.dialects.dialect import Dialect
    from devcloud.dialects.messages import Wire
    from devcloud.json_text import JsonObject

PATH: Final = "/audio-stream"
GATEWAY_PATH: Final = "/ws/{device_id}/{toy_id}"
DEVICE_TYPE: Final = "raspberry-pi-zero-2w"

CONNECTIONS_MAX: Final = 64


class Gateway:
    """The routes that upgrade to the audio stream, and the connections that they made."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._numbers = itertools.count(1)
        self._connections: set[Connection] = set()

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [web.get(PATH, self._serve), web.get(GATEWAY_PATH, self._serve)]

    async def push(self, message: JsonObject, device_id: str | None = None) -> int:
        """Send a message in the seed's words, as each connection's dialect writes it.

        ``device_id`` None means every device. Returns how many connections it was sent on.
        """
        return await self._each(device_id, lambda to: to.send(to.dialect.push(message)))

    async def push_raw(self, message: Wire, device_id: str | None = None) -> int:
        """Send a message as it is, right or wrong; as ``push``."""
        return await self._each(device_id, lambda to: to.send(message))

    async def complain(self, code: ErrorCode, device_id: str | None = None) -> int:
        """Send an error that nothing gave rise to; as ``push``."""
        text = "sent on command"
        return await self._each(device_id, lambda to: to.send(to.dialect.error(code, text, None)))

    async def send_late(self, turn: int | None, device_id: str | None = None) -> int:
        """Send audio of an earlier reply again, as that turn's; as ``push``."""
        return await self._each(device_id, lambda to: to.send_late(turn))

    async def expel(self, device_id: str | None = None) -> int:
        """Close the connections of a device whose tokens were revoked; as ``push``."""
        return await self._each(
            device_id, lambda to: to.dismiss(ErrorCode.AUTH_FAILED, "the token was revoked")
        )

    async def _each(
        self, device_id: str | None, act: Callable[[Connection], Awaitable[None]]
    ) -> int:
        chosen = [
            connection
            for connection in self._connections
            if connection.welcomed and device_id in {None, connection.device_id}
        ]
        results = await asyncio.gather(*map(act, chosen), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, ConnectionError):
                raise result
        return sum(result is None for result in results)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        counters = self._services.counters
        if answer := answer_instead(self._services.faults, STREAM):
            counters.refused_upgrades += 1
            return answer
        try:
            peer = self._admit(request)
        except web.HTTPException:
            counters.refused_upgrades += 1
            raise
        in_path = "toy_id" in request.match_info
        dialect: Dialect = GatewayDialect() if in_path else SeedDialect()
        socket = await self._services.sockets.accept(request)
        counters.connections += 1
        counters.connections_open += 1
        with Decoder() as decoder:
            connection = Connection(self._services, peer, socket, dialect, Uplink(decoder))
            self._connections.add(connection)
            try:
                with self._services.tokens.watching(connection.look_at_token):
                    await connection.run()
            finally:
                self._connections.discard(connection)
                counters.connections_open -= 1
        return socket

    def _admit(self, request: web.Request) -> Peer:
        """Check the headers and the path of an upgrade, and note who it is."""
        headers = request.headers
        if self._services.faults.now.refuse_auth:
            self._services.faults.struck("refuse_auth")
            raise web.HTTPUnauthorized(text="refused on command")
        try:
            identity = self._services.tokens.verify_header(
                headers.get("Authorization"), Audience.STREAM
            )
        except TokenError as error:
            raise web.HTTPUnauthorized(text=str(error)) from None
        device_id = request.match_info.get("device_id", headers.get("X-Device-ID"))
        if identity is None or {identity.device_id} != {device_id, headers.get("X-Device-ID")}:
            raise web.HTTPUnauthorized(text="X-Device-ID must be the device of the Bearer token")
        if headers.get("X-Device-Type") != DEVICE_TYPE or "X-Toy-ID" not in headers:
            raise web.HTTPBadRequest(text=f"X-Device-Type must be {DEVICE_TYPE}, X-Toy-ID is due")
        toy_id = headers["X-Toy-ID"]
        if request.match_info.get("toy_id", toy_id) != toy_id:
            raise web.HTTPBadRequest(text="X-Toy-ID must be the toy of the address")
        if self._services.counters.connections_open >= CONNECTIONS_MAX:
            raise web.HTTPServiceUnavailable(text=f"{CONNECTIONS_MAX} connections are open")
        return Peer(next(self._numbers), identity, toy_id, request.transport)
