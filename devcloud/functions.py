"""The Convex functions that are offered, and how a call becomes an outcome.

A mutation is a transaction: it changes all that it says or, if it raises, nothing. What its
arguments must be is checked before it starts. The functions that store records are in
``record_functions``, those of the development cloud's own in ``own_functions``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from devcloud import values
from devcloud.calls import CallLog, ReceivedCall
from devcloud.errors import ConvexError, FunctionError, MalformedMessageError
from devcloud.function import OF_DEVICE, OF_TOY, Context, Function, text
from devcloud.own_functions import ECHO, FAIL
from devcloud.record_functions import MUTATIONS
from devcloud.tokens import Audience, Identity, Tokens
from devcloud.validators import STRING, fields, optional

if TYPE_CHECKING:
    from devcloud.deployment import Deployment
    from devcloud.faults import FaultBoard
    from devcloud.json_text import JsonValue
    from devcloud.values import ConvexObject, ConvexValue

NAME_CHARS_MAX: Final = 200

ARGUMENTS_BYTES_MAX: Final = 16 << 20
"""Convex's limit of one call's arguments, by its own way of counting them."""

UPLOAD_PATH: Final = "/api/storage/upload"


class Kind(Enum):
    """The three kinds of Convex function."""

    QUERY = "query"
    MUTATION = "mutation"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in: ``name`` is ``module:function``; no identity is nobody."""

    kind: Kind
    name: str
    arguments: ConvexObject
    identity: Identity | None
    transport: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: a value, or an error text with, for a ConvexError, its data.

    ``log_lines`` are what the function wrote with ``console.log``.
    """

    value: ConvexValue = None
    error: str | None = None
    error_data: ConvexValue = None
    log_lines: tuple[str, ...] = field(default=(), compare=False)
    request_id: str = field(default_factory=lambda: secrets.token_hex(8), compare=False)

    @property
    def error_message(self) -> str:
        """The error as a deployment words it to a client."""
        return f"[Request ID: {self.request_id}] Server Error\n{self.error}"


class Functions:
    """The functions of one development cloud."""

    def __init__(
        self,
        deployment: Deployment,
        tokens: Tokens,
        faults: FaultBoard,
        calls: CallLog,
        token_lifetime_s: float,
    ) -> None:
        self._deployment = deployment
        self._tokens = tokens
        self._faults = faults
        self._calls = calls
        self._token_lifetime_s = token_lifetime_s
        self._functions: Mapping[tuple[Kind, str], Function] = {
            (Kind.MUTATION, "auth:authenticateDevice"): Function(
                self._authenticate_device, fields(**OF_DEVICE, deviceSecret=STRING)
            ),
            (Kind.QUERY, "toys:getConfiguration"): Function(_get_configuration, fields(**OF_TOY)),
            (Kind.QUERY, "devices:commands"): Function(_list_commands, fields(**OF_DEVICE)),
            (Kind.MUTATION, "storage:generateUploadUrl"): Function(
                _generate_upload_url,
                fields(
                    **OF_DEVICE,
                    toyId=optional(STRING),
                    recordId=optional(STRING),
                    timestamp=optional(STRING),
                ),
            ),
            **{(Kind.MUTATION, name): function for name, function in MUTATIONS.items()},
            **{(kind, "dev:echo"): ECHO for kind in Kind},
            **{(kind, "dev:fail"): FAIL for kind in Kind},
        }

    @property
    def timestamp(self) -> int:
        """The time of the deployment's last commit, in nanoseconds since 1970."""
        return self._deployment.timestamp

    def run(self, call: Call) -> Outcome:
        """Carry out a call that a client made, and note it."""
        outcome = self.rerun(call)
        device_id = call.arguments.get("deviceId")
        self._calls.add(
            ReceivedCall(
                call.transport,
                call.kind.value,
                call.name,
                device_id if isinstance(device_id, str) else None,
                _outcome_word(outcome),
            )
        )
        return outcome

    def rerun(self, call: Call) -> Outcome:
        """Carry out a query again for a subscriber; it is not a call of its own."""
        context = Context(self._deployment, call.identity)
        try:
            value = self._call(call, context)
        except ConvexError as error:
            message = f"Uncaught ConvexError: {json.dumps(values.encode(error.data))}"
            return Outcome(error=message, error_data=error.data, log_lines=tuple(context.log_lines))
        except FunctionError as error:
            return Outcome(error=str(error), log_lines=tuple(context.log_lines))
        return Outcome(value, log_lines=tuple(context.log_lines))

    def _call(self, call: Call, context: Context) -> ConvexValue:
        name = canonical(call.name)
        function = self._functions.get((call.kind, name))
        if function is None:
            raise FunctionError(_missing(call.kind, name, self._functions))
        size = values.size(call.arguments)
        if size > ARGUMENTS_BYTES_MAX:
            raise FunctionError(
                f"Arguments for {name} are too large (actual: {size} bytes, limit:"
                f" {ARGUMENTS_BYTES_MAX} bytes)"
            )
        function.arguments.check(call.arguments)
        changes = call.kind is Kind.MUTATION
        with self._deployment.transaction() if changes else nullcontext():
            return function.body(context, call.arguments)

    def _authenticate_device(self, _: Context, arguments: ConvexObject) -> ConvexValue:
        device_id = text(arguments, "deviceId")
        if self._faults.now.refuse_auth:
            self._faults.struck("refuse_auth")
            raise ConvexError({"code": "BAD_SECRET"})
        device = self._deployment.device(device_id)
        if device is None:
            raise ConvexError({"code": "DEVICE_NOT_FOUND"})
        if not device.knows(text(arguments, "deviceSecret")):
            raise ConvexError({"code": "BAD_SECRET"})
        lifetime_s = self._faults.now.token_lifetime_s or self._token_lifetime_s
        if self._faults.now.token_lifetime_s:
            self._faults.struck("token_lifetime_s")
        return {
            "convexToken": self._tokens.issue(device_id, Audience.CLOUD, lifetime_s),
            "websocketToken": self._tokens.issue(device_id, Audience.STREAM, lifetime_s),
            "convexTokenLifetimeS": lifetime_s,
            "websocketTokenLifetimeS": lifetime_s,
        }


def _get_configuration(context: Context, arguments: ConvexObject) -> ConvexValue:
    return context.toy(arguments).configuration


def _list_commands(context: Context, arguments: ConvexObject) -> ConvexValue:
    open_commands = context.deployment.commands.open(context.device(arguments))
    return [values.decode(command) for command in open_commands]


def _generate_upload_url(context: Context, arguments: ConvexObject) -> ConvexValue:
    deployment = context.deployment
    token = deployment.uploads.issue(context.device(arguments), deployment.now_ms)
    return {"url": f"{deployment.url}{UPLOAD_PATH}?token={token}"}


def canonical(name: str) -> str:
    """Write a name as ``module:function``; clients may say ``module.js:function`` or ``module``."""
    module, _, function = name.partition(":")
    return f"{module.removesuffix('.js')}:{function or 'default'}"


def decode_arguments(json_arguments: JsonValue) -> ConvexObject:
    """Read a call's arguments: one object, or a list with that object.

    Raises:
        MalformedMessageError: they are neither.
        ValueEncodingError: they hold something that is no Convex value.
    """
    if isinstance(json_arguments, list):
        if len(json_arguments) > 1:
            raise MalformedMessageError("'args' must be one object")
        json_arguments = json_arguments[0] if json_arguments else {}
    arguments = values.decode(json_arguments)
    if not isinstance(arguments, Mapping):
        raise MalformedMessageError("'args' must be one object")
    return arguments


def _missing(kind: Kind, name: str, functions: Mapping[tuple[Kind, str], object]) -> str:
    name = name[:NAME_CHARS_MAX]
    for other_kind, other_name in functions:
        if other_name == name:
            return (
                f"Trying to execute {name} as {kind.value.title()},"
                f" but it is defined as {other_kind.value.title()}."
            )
    return f"Could not find public function for '{name}'. Did you forget to run `npx convex dev`?"


def _outcome_word(outcome: Outcome) -> str:
    if outcome.error is None:
        return "success"
    data = outcome.error_data
    code = data.get("code") if isinstance(data, Mapping) else None
    return code if isinstance(code, str) else "error"
