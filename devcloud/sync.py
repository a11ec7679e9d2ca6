"""The server's side of Convex's sync protocol, without I/O.

One ``SyncSession`` is one WebSocket connection. Texts that arrive go into ``receive_text``; after
each call, ``messages_to_send`` gives the texts that must go out, in order, and ``closed`` says
whether the connection is to be closed after them, and why. ``refresh`` is called after every commit
that changed data.

The client holds a set of queries and an identity, and numbers every change it makes to either. The
server answers with ``Transition`` messages, each from one version ``{querySet, identity, ts}`` to
the next, with the results that differ. The rules that clients rely on:

- the first version is {0, 0, 0}, and each transition starts exactly where the one before ended;
- ``ts`` never falls, and a mutation's own ``ts`` is reached by the transition that follows it;
- a transition follows *every* mutation and action, even one that failed or changed nothing:
  clients hold a result back until they have seen it;
- ``ts`` and the like are u64, written as base64 of 8 little-endian bytes.

Time is an argument everywhere: seconds since 1970.

Source: the message types of Convex's own clients (``sync_types``), and the behaviour of its
open-source backend.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud import values
from devcloud.errors import MalformedMessageError, TokenError, ValueEncodingError
from devcloud.functions import Call, Functions, Kind, Outcome, decode_arguments
from devcloud.json_text import JsonObject, JsonValue, field, number_field, parse_object
from devcloud.tokens import Audience, Identity, Tokens

if TYPE_CHECKING:
    from devcloud.values import ConvexObject

QUERIES_MAX: Final = 1000
"""Queries that one connection may hold."""

U32_MAX: Final = 2**32 - 1
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011


class Close(NamedTuple):
    """Why the connection is to be closed: a WebSocket close code and its reason."""

    code: int
    reason: str


class Version(NamedTuple):
    """What a client has been told: its query set, its identity, and the data's time."""

    query_set: int = 0
    identity: int = 0
    timestamp: int = 0

    def to_json(self) -> JsonObject:
        """Write it as the protocol does."""
        return {
            "querySet": self.query_set,
            "identity": self.identity,
            "ts": values.encode_u64(self.timestamp),
        }


@dataclass(slots=True)
class _Query:
    """A query that the client holds, and what it was last told about it."""

    name: str
    arguments: ConvexObject
    outcome: Outcome | None = None


class SyncSession:
    """One connection of the sync protocol. See the module for how to drive it."""

    def __init__(self, functions: Functions, tokens: Tokens) -> None:
        self._functions = functions
        self._tokens = tokens
        self._identity: Identity | None = None
        self._queries: dict[int, _Query] = {}
        self._removed: list[int] = []
        # What the client has asked for, and what it has been told.
        self._query_set = 0
        self._identity_version = 0
        self._told = Version()
        self._clock_skew_ms: int | None = None
        self._outbox: list[str] = []
        self.closed: Close | None = None

    def receive_text(self, text: str, now_s: float) -> None:
        """Take a message from the client. Whatever is wrong with it ends the session."""
        if self.closed:
            return
        try:
            message = parse_object(text)
            self._receive(field(message, "type", str), message, now_s)
        except TokenError as error:
            self._end_unauthenticated(
                error, update_attempted=error.code not in {_EXPIRED, _REVOKED}
            )
        except (MalformedMessageError, ValueEncodingError) as error:
            self._send({"type": "FatalError", "error": str(error)})
            self.closed = Close(POLICY_VIOLATION, "BadRequest")

    def refresh(self, now_s: float) -> None:
        """Look at the data again, and tell the client what has changed for it.

        Due after every commit, and when tokens were taken back.
        """
        if self.closed:
            return
        try:
            self._refuse_revoked()
            if self._queries:
                self._transition(now_s, even_empty=False)
        except TokenError as error:
            self._end_unauthenticated(error, update_attempted=False)

    def ping(self) -> None:
        """Say that the connection lives; due when nothing was sent for a while."""
        if not self.closed:
            self._send({"type": "Ping"})

    def messages_to_send(self) -> list[str]:
        """Take the texts that must go out now, in this order."""
        messages, self._outbox = self._outbox, []
        return messages

    def _receive(self, kind: str, message: JsonObject, now_s: float) -> None:
        match kind:
            case "Connect":
                self._connect(message, now_s)
                return
            case "Event":
                # A client's own statistics.
                return
            case "Authenticate":
                self._authenticate(message)
            case "ModifyQuerySet":
                self._modify_query_set(message)
            case "Mutation" | "Action":
                self._run(Kind[kind.upper()], message, now_s)
            case _:
                raise MalformedMessageError(f"there is no message of type {kind[:32]!r}")
        self._transition(now_s)

    def _connect(self, message: JsonObject, now_s: float) -> None:
        if message.get("clientTs") is not None:
            self._clock_skew_ms = int(number_field(message, "clientTs") - now_s * 1000)
        if message.get("maxObservedTimestamp") is None:
            return
        observed = values.decode_u64(field(message, "maxObservedTimestamp", str))
        if observed > self._functions.timestamp:
            # The client has seen a future that this deployment does not know: showing it the past
            # would break its order of events. A real deployment fails the connection as well.
            self.closed = Close(INTERNAL_ERROR, "InternalServerError")

    def _authenticate(self, message: JsonObject) -> None:
        base = _u32(message, "baseVersion")
        identity: Identity | None = None
        match field(message, "tokenType", str):
            case "User":
                identity = self._tokens.verify(field(message, "value", str), Audience.CLOUD)
            case "None":
                pass
            case _:
                raise TokenError("BadAdminKey", "this deployment has no admin key")
        if base != self._identity_version:
            raise MalformedMessageError(
                f"identity version {base} passed up doesn't match {self._identity_version}"
            )
        self._identity = identity
        self._identity_version += 1

    def _modify_query_set(self, message: JsonObject) -> None:
        base, new = _u32(message, "baseVersion"), _u32(message, "newVersion")
        if base != self._query_set or new <= base:
            raise MalformedMessageError(
                f"base version {base} passed up doesn't match the current version"
                f" {self._query_set}, or {new} does not follow it"
            )
        for modification in field(message, "modifications", list):
            if not isinstance(modification, dict):
                raise MalformedMessageError("'modifications' must be a list of objects")
            query_id = _u32(modification, "queryId")
            match field(modification, "type", str):
                case "Add":
                    self._add_query(query_id, modification)
                case "Remove":
                    if self._queries.pop(query_id, None) is None:
                        raise MalformedMessageError(f"there is no query {query_id} to remove")
                    self._removed.append(query_id)
                case kind:
                    raise MalformedMessageError(f"there is no modification {kind[:32]!r}")
        self._query_set = new

    def _add_query(self, query_id: int, modification: JsonObject) -> None:
        if query_id in self._queries:
            raise MalformedMessageError(f"there is a query {query_id} already")
        if len(self._queries) == QUERIES_MAX:
            raise MalformedMessageError(f"a connection can hold {QUERIES_MAX} queries")
        self._queries[query_id] = _Query(
            field(modification, "udfPath", str), decode_arguments(modification.get("args", []))
        )

    def _run(self, kind: Kind, message: JsonObject, now_s: float) -> None:
        self._refuse_expired(now_s)
        request_id = _u32(message, "requestId")
        outcome = self._functions.run(
            Call(
                kind,
                field(message, "udfPath", str),
                decode_arguments(message.get("args", [])),
                self._identity,
                "sync",
            )
        )
        succeeded = outcome.error is None
        response: JsonObject = {
            "type": f"{kind.value.title()}Response",
            "requestId": request_id,
            "success": succeeded,
            "result": values.encode(outcome.value) if succeeded else outcome.error_message,
            "logLines": list(outcome.log_lines),
        }
        if kind is Kind.MUTATION:
            response["ts"] = values.encode_u64(self._functions.timestamp) if succeeded else None
        if outcome.error_data is not None:
            response["errorData"] = values.encode(outcome.error_data)
        self._send(response)

    def _transition(self, now_s: float, *, even_empty: bool = True) -> None:
        self._refuse_expired(now_s)
        modifications: list[JsonValue] = [
            {"type": "QueryRemoved", "queryId": query_id} for query_id in self._removed
        ]
        self._removed.clear()
        for query_id, query in self._queries.items():
            call = Call(Kind.QUERY, query.name, query.arguments, self._identity, "sync")
            run = self._functions.rerun if query.outcome else self._functions.run
            outcome = run(call)
            if outcome != query.outcome:
                modifications.append(_query_result(query_id, outcome))
            query.outcome = outcome
        if not (modifications or even_empty):
            return
        start = self._told
        self._told = Version(self._query_set, self._identity_version, self._functions.timestamp)
        self._send(
            {
                "type": "Transition",
                "startVersion": start.to_json(),
                "endVersion": self._told.to_json(),
                "modifications": modifications,
                "clientClockSkew": self._clock_skew_ms,
                "serverTs": int(now_s * 1_000_000_000),
            }
        )

    def _refuse_revoked(self) -> None:
        if self._identity and self._tokens.is_revoked(self._identity):
            raise TokenError(_REVOKED, "Convex token identity revoked")

    def _refuse_expired(self, now_s: float) -> None:
        self._refuse_revoked()
        if self._identity and self._tokens.expired(self._identity, now_s):
            raise TokenError(_EXPIRED, "Convex token identity expired")

    def _end_unauthenticated(self, error: TokenError, *, update_attempted: bool) -> None:
        response: JsonObject = {
            "type": "AuthError",
            "error": str(error),
            "baseVersion": self._told.identity,
        }
        if update_attempted:
            response["authUpdateAttempted"] = True
        self._send(response)
        self.closed = Close(POLICY_VIOLATION, "Unauthenticated")

    def _send(self, message: JsonObject) -> None:
        self._outbox.append(json.dumps(message))


_EXPIRED: Final = "TokenExpired"
_REVOKED: Final = "TokenRevoked"


def _query_result(query_id: int, outcome: Outcome) -> JsonObject:
    if outcome.error is None:
        return {
            "type": "QueryUpdated",
            "queryId": query_id,
            "value": values.encode(outcome.value),
            "logLines": list(outcome.log_lines),
            "journal": None,
        }
    result: JsonObject = {
        "type": "QueryFailed",
        "queryId": query_id,
        "errorMessage": outcome.error_message,
        "logLines": list(outcome.log_lines),
        "journal": None,
    }
    if outcome.error_data is not None:
        result["errorData"] = values.encode(outcome.error_data)
    return result


def _u32(message: JsonObject, name: str) -> int:
    number = field(message, name, int)
    if not 0 <= number <= U32_MAX:
        raise MalformedMessageError(f"{name!r} must be 0 to {U32_MAX}")
    return number
