"""The control and inspection API, for tests and for whoever looks on. JSON in, JSON out.

===========================  =======================================================================
``GET  /_dev/turns``         the last turns: what came over the stream, and what came of it
                             (``devcloud.turns``)
``GET  /_dev/calls``         the last Convex calls: ``transport, kind, function, deviceId, outcome``
``GET  /_dev/counters``      ``connections, connections_open, refused_upgrades, malformed_messages,
                             outdated_messages, late_packets, refused_tokens``
``GET  /_dev/configuration`` the toy's configuration
``PUT  /_dev/configuration`` merges an object into it (``devcloud.configuration``), and answers with
                             the new one; live queries see it
``GET  /_dev/faults``        the faults in force (``devcloud.faults``), and ``struck``: how often
                             each one was carried out
``POST /_dev/faults``        changes those that are named, and answers as GET does
===========================  =======================================================================

What is stored, and tokens, are in ``devcloud.data_control``. ``?toyId=`` names the toy; without it,
it is the one that the only device carries. What cannot be is answered 400 with ``{"error":
…}``. A page in a browser can reach loopback too: requests that name another host, or carry a body
that is not declared as JSON, are refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from aiohttp import web

from devcloud import values
from devcloud.errors import MalformedMessageError, MisuseError
from devcloud.json_text import JsonObject, parse_object

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from devcloud.calls import CallLog
    from devcloud.counters import Counters
    from devcloud.deployment import Deployment
    from devcloud.faults import FaultBoard
    from devcloud.turns import TurnLog

PREFIX: Final = "/_dev"


class ControlApi:
    """The routes under ``/_dev``."""

    def __init__(
        self,
        deployment: Deployment,
        faults: FaultBoard,
        turns: TurnLog,
        calls: CallLog,
        counters: Counters,
    ) -> None:
        self._deployment = deployment
        self._faults = faults
        self._turns = turns
        self._calls = calls
        self._counters = counters

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [
            web.get(f"{PREFIX}/turns", self._get_turns),
            web.get(f"{PREFIX}/calls", self._get_calls),
            web.get(f"{PREFIX}/counters", self._get_counters),
            web.get(f"{PREFIX}/configuration", self._get_configuration),
            web.put(f"{PREFIX}/configuration", self._put_configuration),
            web.get(f"{PREFIX}/faults", self._get_faults),
            web.post(f"{PREFIX}/faults", self._post_faults),
        ]

    async def _get_turns(self, _: web.Request) -> web.Response:
        return web.json_response(self._turns.to_json())

    async def _get_calls(self, _: web.Request) -> web.Response:
        return web.json_response(self._calls.to_json())

    async def _get_counters(self, _: web.Request) -> web.Response:
        return web.json_response(self._counters.to_json())

    async def _get_configuration(self, request: web.Request) -> web.Response:
        configuration = self._deployment.configuration(request.query.get("toyId"))
        return web.json_response(values.encode(configuration))

    async def _put_configuration(self, request: web.Request) -> web.Response:
        changes = values.decode(await json_body(request))
        assert isinstance(changes, Mapping)  # noqa: S101 - an object was sent
        configuration = self._deployment.configure(changes, request.query.get("toyId"))
        return web.json_response(values.encode(configuration))

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._faults.to_json())

    async def _post_faults(self, request: web.Request) -> web.Response:
        self._faults.set(await json_body(request))
        return web.json_response(self._faults.to_json())


@web.middleware
async def refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Guard the routes under ``/_dev``, and turn misuse of them into 400."""
    if not request.path.startswith(PREFIX):
        return await handler(request)
    if not _is_loopback(request.host):
        return _error("the control API answers to loopback only", status=403)
    try:
        return await handler(request)
    except MisuseError as error:
        return _error(str(error), status=400)


async def json_body(request: web.Request) -> JsonObject:
    """Read a request's body, one JSON object.

    Raises:
        MalformedMessageError: it is none, or is not declared as one.
    """
    if request.content_type != "application/json":
        raise MalformedMessageError("the body must be application/json")
    return parse_object(await request.read())


def _is_loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _error(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)
