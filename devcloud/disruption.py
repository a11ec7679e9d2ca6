"""Carrying out the faults of calls; what each one means is in ``devcloud.faults``.

Over HTTP it happens around the handlers, on the sync socket around the session. Neither knows. What
is done to an answer strikes only where there was one to a call that succeeded: nobody is to believe
that a refusal was a lost commit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeAlias

from aiohttp import web

from devcloud.call_faults import UPLOAD
from devcloud.errors import MalformedMessageError
from devcloud.functions import UPLOAD_PATH, Kind, canonical
from devcloud.garbage import GARBAGE
from devcloud.http_api import BODY_BYTES_MAX, read_body, refusal
from devcloud.json_text import JsonObject, JsonValue, parse_object

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from devcloud.call_faults import CallFault
    from devcloud.faults import FaultBoard
    from devcloud.sync import Close, SyncSession

CALLS: Final = {f"/api/{kind.value}": kind for kind in Kind}

READ_BYTES: Final = 4096
"""The most that is read at once of an upload that will be cut."""


def http_disruption(faults: FaultBoard) -> Middleware:
    """Make the middleware that disrupts calls and uploads over HTTP."""

    @web.middleware
    async def disrupt(request: web.Request, handler: Handler) -> web.StreamResponse:
        if faults.disrupt_calls and request.path == UPLOAD_PATH:
            return await _disrupted_upload(faults, request, handler)
        if faults.disrupt_calls and request.path in CALLS:
            return await _disrupted_call(faults, request, handler)
        return await handler(request)

    return disrupt


def answer_instead(faults: FaultBoard, function: str | None) -> web.Response | None:
    """Make the answer that a fault has in place of the function's own; None when there is none."""
    if fault := faults.strike("http_status", function):
        status = fault.status or web.HTTPServiceUnavailable.status_code
        return refusal(status, "DisruptedOnCommand", "this answer was asked for")
    if fault := faults.strike("redirect", function):
        return web.Response(
            status=fault.status or web.HTTPTemporaryRedirect.status_code,
            headers={"Location": fault.to or ""},
        )
    return None


class DisruptedSession:
    """A session of the sync protocol whose client does not get what the session answered.

    It is driven as ``SyncSession`` is. A message that is bytes is to be sent as text all the same,
    for it is none; ``dropped`` says that the connection is to be aborted.
    """

    def __init__(self, session: SyncSession, faults: FaultBoard) -> None:
        self._session = session
        self._faults = faults
        self._outbox: list[str | bytes] = []
        self.dropped = False

    @property
    def closed(self) -> Close | None:
        """Whether the connection is to be closed, and why."""
        return self._session.closed

    def receive_text(self, text: str, now_s: float) -> None:
        """Take a message from the client."""
        self._session.receive_text(text, now_s)
        kind, called = _contents(text)
        functions = _succeeded(called, self._collect())
        if kind == "Mutation" and self._strike("duplicate_delivery", functions):
            self._session.receive_text(text, now_s)
            self._collect(with_responses=False)
        if kind in {"Mutation", "Action"} and self._strike("commit_then_drop", functions):
            self._outbox.clear()
            self.dropped = True
        elif garbage := self._strike("garbage", functions):
            self._outbox = [GARBAGE[garbage.kind or ""]()]

    def refresh(self, now_s: float) -> None:
        """Look at the data again."""
        self._session.refresh(now_s)
        self._collect()

    def ping(self) -> None:
        """Say that the connection lives."""
        self._session.ping()
        self._collect()

    def messages_to_send(self) -> list[str | bytes]:
        """Take what must go out now, in this order."""
        messages, self._outbox = self._outbox, []
        return messages

    def _strike(self, name: str, functions: list[str]) -> CallFault | None:
        for function in functions:
            if fault := self._faults.strike(name, function):
                return fault
        return None

    def _collect(self, *, with_responses: bool = True) -> list[JsonObject]:
        """Take what the session answered; returns it read."""
        messages: list[JsonObject] = []
        for text in self._session.messages_to_send():
            message = json.loads(text)
            messages.append(message)
            if message["type"] != "MutationResponse" or with_responses:
                self._outbox.append(text)
            if message["type"] == "Transition" and message["modifications"]:
                self._say_again(message)
        return messages

    def _say_again(self, transition: JsonObject) -> None:
        """Add a transition that leads nowhere and says what the last one said."""
        said = transition["modifications"]
        assert isinstance(said, list)  # noqa: S101 - the session's own message
        results = [
            result for result in said if isinstance(result, dict) and result["type"] != _REMOVED
        ]
        if results and self._faults.strike("duplicate_delivery"):
            again = {**transition, "startVersion": transition["endVersion"]}
            self._outbox.append(json.dumps({**again, "modifications": results}))


_REMOVED: Final = "QueryRemoved"
_UPDATED: Final = "QueryUpdated"


async def _disrupted_call(
    faults: FaultBoard, request: web.Request, handler: Handler
) -> web.StreamResponse:
    try:
        function = await _called(request)
    except web.HTTPRequestEntityTooLarge as error:
        return refusal(413, "RequestTooLarge", str(error.text))
    return await _disrupted(faults, request, handler, function, CALLS[request.path])


async def _disrupted_upload(
    faults: FaultBoard, request: web.Request, handler: Handler
) -> web.StreamResponse:
    if faults.strike("expire_uploads", UPLOAD):
        return refusal(401, "StorageTokenExpired", "Store File Authorization expired")
    if fault := faults.strike("cut_uploads", UPLOAD):
        await _read(request, fault.after_bytes or 0)
        return _dropped(request)
    return await _disrupted(faults, request, handler, UPLOAD, kind=None)


async def _disrupted(
    faults: FaultBoard,
    request: web.Request,
    handler: Handler,
    function: str | None,
    kind: Kind | None,
) -> web.StreamResponse:
    if answer := answer_instead(faults, function):
        return answer
    response = await handler(request)
    if not _has_succeeded(response, kind):
        return response
    if kind is Kind.MUTATION and faults.strike("duplicate_delivery", function):
        response = await handler(request)
    if kind is not Kind.QUERY and faults.strike("commit_then_drop", function):
        return _dropped(request)
    if fault := faults.strike("garbage", function):
        return web.Response(
            body=GARBAGE[fault.kind or ""](), headers={"Content-Type": "application/json"}
        )
    return response


async def _called(request: web.Request) -> str | None:
    """Find the function that a call names; what is wrong with it, its handler will say."""
    try:
        message = parse_object(await read_body(request, BODY_BYTES_MAX))
    except MalformedMessageError:
        return None
    return _name(message.get("path"))


async def _read(request: web.Request, bytes_most: int) -> None:
    """Read so much of a body, or all of it."""
    while bytes_most > 0 and (piece := await request.content.read(min(bytes_most, READ_BYTES))):
        bytes_most -= len(piece)


def _dropped(request: web.Request) -> web.Response:
    """Abort a request's connection; the response that it still owes goes nowhere."""
    if request.transport:
        request.transport.abort()
    return web.Response()


def _has_succeeded(response: web.StreamResponse, kind: Kind | None) -> bool:
    """Tell whether a call, or an upload, was carried out and answered so."""
    if response.status != web.HTTPOk.status_code or not isinstance(response, web.Response):
        return False
    return kind is None or parse_object(response.text or "")["status"] == "success"


_Called: TypeAlias = "list[tuple[JsonValue, str]]"
"""Functions that a message calls, each with the number of its request or query."""


def _contents(text: str) -> tuple[str | None, _Called]:
    """Find the type of a client's message, and the functions that it names."""
    try:
        message = parse_object(text)
    except MalformedMessageError:
        return None, []
    modifications = message.get("modifications")
    callers: list[JsonValue] = [
        message,
        *(modifications if isinstance(modifications, list) else ()),
    ]
    called = [
        (caller.get("requestId", caller.get("queryId")), name)
        for caller in callers
        if isinstance(caller, dict) and (name := _name(caller.get("udfPath")))
    ]
    kind = message.get("type")
    return kind if isinstance(kind, str) else None, called


def _succeeded(called: _Called, answers: list[JsonObject]) -> list[str]:
    """Find those of the called functions that were carried out and answered so."""
    succeeded = [answer["requestId"] for answer in answers if answer.get("success")]
    for answer in answers:
        results = answer.get("modifications")
        succeeded += [
            result["queryId"]
            for result in (results if isinstance(results, list) else ())
            if isinstance(result, dict) and result["type"] == _UPDATED
        ]
    return [name for number, name in called if number in succeeded]


def _name(name: JsonValue) -> str | None:
    return canonical(name) if isinstance(name, str) else None
