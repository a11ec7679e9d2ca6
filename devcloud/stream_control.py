"""The part of the control API that is about the audio stream.

============================  ======================================================================
``GET  /_dev/stream-options`` how the gateway behaves (``devcloud.stream_options``)
``POST /_dev/stream-options`` changes what is named, and answers as GET does
``GET  /_dev/stream-replies`` what was said in the last two replies, oldest first: ``connection,
                              turn, text, format``, and as 16 kHz mono PCM16 in base64 ``pcm``, as
                              it was spoken, and ``decoded``, as its Opus packets say it when none
                              is lost; null where it was not sent as Opus
``GET  /_dev/stream-heard``   what was heard of the last utterances, oldest first: ``connection,
                              turn``, the decoded ``pcm`` as above, and of its ``chunks`` the
                              number, when it arrived, and how many samples there were with it
``POST /_dev/stream``         sends something on the open connections, of ``deviceId`` or of all,
                              and answers ``{"connections": n}``. One of:

                              - ``message``: an object in the seed's words, such as ``{"type":
                                "command", "command": "stop"}``, ``safety_override`` or
                                ``toy_config_update``, written as each connection's dialect has it
                              - ``text``, ``hex``: a text or a binary message as it stands
                              - ``error``: a code, such as RATE_LIMITED
                              - ``lateAudio``: ``{"turn"?: n, "afterCancel": true}`` lets the reply
                                of that turn, or the next one, go on after it was cancelled or
                                another utterance began, once; ``"afterCancel": false`` sends the
                                last pieces of an earlier reply at once; null takes it back. Where
                                turns have no number any reply is meant.
                              - ``expel``: true closes them as after a revoked token
============================  ======================================================================
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from devcloud.control import PREFIX, json_body
from devcloud.dialects.messages import TURN_MAX, ErrorCode
from devcloud.errors import MalformedMessageError, UnknownNameError
from devcloud.json_text import field
from devcloud.late_audio import Wanted

if TYPE_CHECKING:
    from devcloud.gateway import Gateway
    from devcloud.heard import HeardLog
    from devcloud.json_text import JsonObject
    from devcloud.late_audio import LateAudio
    from devcloud.spoken import SpokenLog
    from devcloud.stream_options import StreamOptionsBoard

KINDS = ("message", "text", "hex", "error", "lateAudio", "expel")


class StreamControl:
    """The routes under ``/_dev`` that begin with ``stream``."""

    def __init__(
        self,
        gateway: Gateway,
        options: StreamOptionsBoard,
        late_audio: LateAudio,
        spoken: SpokenLog,
        heard: HeardLog,
    ) -> None:
        self._gateway = gateway
        self._options = options
        self._late_audio = late_audio
        self._spoken = spoken
        self._heard = heard

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [
            web.get(f"{PREFIX}/stream-options", self._get_options),
            web.post(f"{PREFIX}/stream-options", self._post_options),
            web.get(f"{PREFIX}/stream-replies", self._get_replies),
            web.get(f"{PREFIX}/stream-heard", self._get_heard),
            web.post(f"{PREFIX}/stream", self._post_stream),
        ]

    async def _get_options(self, _: web.Request) -> web.Response:
        return web.json_response(self._options.to_json())

    async def _post_options(self, request: web.Request) -> web.Response:
        self._options.set(await json_body(request))
        return web.json_response(self._options.to_json())

    async def _get_replies(self, _: web.Request) -> web.Response:
        replies = self._spoken.all()
        return web.json_response(
            await asyncio.to_thread(lambda: [spoken.to_json() for spoken in replies])
        )

    async def _get_heard(self, _: web.Request) -> web.Response:
        return web.json_response(self._heard.to_json())

    async def _post_stream(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        device_id = field(body, "deviceId", str) if "deviceId" in body else None
        named = [name for name in body if name != "deviceId"]
        if len(named) != 1:
            raise MalformedMessageError(f"the body must have one of {', '.join(KINDS)}")
        return web.json_response({"connections": await self._send(named[0], body, device_id)})

    async def _send(self, kind: str, body: JsonObject, device_id: str | None) -> int:
        match kind:
            case "message":
                return await self._gateway.push(field(body, kind, dict), device_id)
            case "text":
                return await self._gateway.push_raw(field(body, kind, str), device_id)
            case "hex":
                return await self._gateway.push_raw(_from_hex(field(body, kind, str)), device_id)
            case "error":
                return await self._gateway.complain(_code(field(body, kind, str)), device_id)
            case "lateAudio":
                return await self._send_late(body, device_id)
            case "expel":
                return await self._gateway.expel(device_id) if field(body, kind, bool) else 0
            case _:
                raise UnknownNameError("thing to send", kind, KINDS)

    async def _send_late(self, body: JsonObject, device_id: str | None) -> int:
        if body["lateAudio"] is None:
            self._late_audio.wanted = None
            return 0
        wanted = field(body, "lateAudio", dict)
        turn = field(wanted, "turn", int) if wanted.get("turn") is not None else None
        if turn is not None and not 0 <= turn <= TURN_MAX:
            raise MalformedMessageError(f"'turn' must be 0 to {TURN_MAX}")
        if not field(wanted, "afterCancel", bool):
            return await self._gateway.send_late(turn, device_id)
        self._late_audio.wanted = Wanted(turn, device_id)
        return 0


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedMessageError("'hex' must be hex") from None


def _code(name: str) -> ErrorCode:
    if name not in ErrorCode.__members__:
        raise UnknownNameError("error code", name, ErrorCode.__members__)
    return ErrorCode[name]
