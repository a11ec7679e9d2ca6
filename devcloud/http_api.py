"""Convex's HTTP API: one POST per call.

``POST /api/query``, ``/api/mutation`` and ``/api/action`` take
``{"path": "module:function", "format": "convex_encoded_json", "args": {…}}`` and an optional
``Authorization: Bearer`` token. A call that reached its function is answered 200, with
``{"status": "success", "value": …}`` or
``{"status": "error", "errorMessage": …, "errorData"?: …}``, both with the function's ``logLines``;
one that did not is answered with another status and ``{"code": …, "message": …}``.

Source: Convex's documentation of its HTTP API, and what its Python client reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from devcloud import values
from devcloud.errors import MalformedMessageError, TokenError, ValueEncodingError
from devcloud.functions import Call, Functions, Kind, decode_arguments
from devcloud.json_text import JsonObject, field, parse_object
from devcloud.tokens import Audience, Tokens

if TYPE_CHECKING:
    from devcloud.values import ConvexObject

BODY_BYTES_MAX: Final = 20 << 20
"""More than the arguments' own limit: JSON is longer than what Convex counts."""

FORMATS: Final = (None, "json", "convex_encoded_json")
"""What ``format`` may be; for the values that are offered, both are the same."""


class HttpApi:
    """The routes under ``/api`` that take one call each."""

    def __init__(self, functions: Functions, tokens: Tokens) -> None:
        self._functions = functions
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [
            web.post("/api/{kind:query|mutation|action}", self._call),
            web.get("/version", self._version),
        ]

    async def _call(self, request: web.Request) -> web.Response:
        try:
            identity = self._tokens.verify_header(
                request.headers.get("Authorization"), Audience.CLOUD
            )
        except TokenError as error:
            return refusal(401, error.code, str(error))
        try:
            name, arguments = _parse(await read_body(request, BODY_BYTES_MAX))
        except web.HTTPRequestEntityTooLarge as error:
            return refusal(413, "RequestTooLarge", str(error.text))
        except (MalformedMessageError, ValueEncodingError) as error:
            return refusal(400, "BadRequest", str(error))
        kind = Kind(request.match_info["kind"])
        outcome = self._functions.run(Call(kind, name, arguments, identity, "http"))
        answer: JsonObject
        if outcome.error is None:
            answer = {"status": "success", "value": values.encode(outcome.value)}
        else:
            answer = {"status": "error", "errorMessage": outcome.error_message}
            if outcome.error_data is not None:
                answer["errorData"] = values.encode(outcome.error_data)
        answer["logLines"] = list(outcome.log_lines)
        return web.json_response(answer)

    async def _version(self, _: web.Request) -> web.Response:
        return web.Response(text="devcloud")


def _parse(body: bytes) -> tuple[str, ConvexObject]:
    request = parse_object(body)
    if request.get("format") not in FORMATS:
        raise MalformedMessageError("'format' must be 'convex_encoded_json'")
    return field(request, "path", str), decode_arguments(request.get("args", {}))


_BODY: Final = web.RequestKey("body", bytes)


async def read_body(request: web.Request, bytes_max: int) -> bytes:
    """Read a request's body, whatever the application's own limit is, or what was read before.

    Raises:
        web.HTTPRequestEntityTooLarge: it is longer; not all of it was read.
    """
    if _BODY in request:
        return request[_BODY]
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            raise web.HTTPRequestEntityTooLarge(bytes_max, len(body))
    request[_BODY] = bytes(body)
    return bytes(body)


def refusal(status: int, code: str, message: str) -> web.Response:
    """Answer as Convex does when a request does not come to a function."""
    return web.json_response({"code": code, "message": message}, status=status)
