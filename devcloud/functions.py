"""The Convex functions that are offered, and how a call becomes an outcome.

A function is plain Python: the caller's identity and the arguments in, a Convex value out, or
``ConvexError`` for what its protocol calls an error. It sees the deployment and changes it; it does
no I/O and returns at once, so a call cannot be caught half done.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from devcloud import values
from devcloud.calls import CallLog, ReceivedCall
from devcloud.errors import ConvexError, FunctionError, MalformedMessageError
from devcloud.tokens import Audience, Identity, Tokens

if TYPE_CHECKING:
    from devcloud.deployment import Deployment
    from devcloud.faults import FaultBoard
    from devcloud.json_text import JsonValue
    from devcloud.values import ConvexObject, ConvexValue

NAME_CHARS_MAX: Final = 200


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
    """What became of a call: a value, or an error text with, for a ConvexError, its data."""

    value: ConvexValue = None
    error: str | None = None
    error_data: ConvexObject | None = None
    request_id: str = field(default_factory=lambda: secrets.token_hex(8), compare=False)

    @property
    def error_message(self) -> str:
        """The error as a deployment words it to a client."""
        return f"[Request ID: {self.request_id}] Server Error\n{self.error}"


class Functions:
    """The functions of one development cloud.

    Each is declared below with its kind and the arguments it takes, all of them strings.
    """

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
        self._functions: Mapping[tuple[Kind, str], _Function] = {
            (Kind.MUTATION, "auth:authenticateDevice"): _Function(
                self._authenticate_device, ("deviceId", "deviceSecret")
            ),
            (Kind.QUERY, "toys:getConfiguration"): _Function(
                self._get_configuration, ("deviceId", "toyId")
            ),
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
        if call.kind is Kind.MUTATION and outcome.error is None:
            self._deployment.commit()
        return outcome

    def rerun(self, call: Call) -> Outcome:
        """Carry out a query again for a subscriber; it is not a call of its own."""
        try:
            return Outcome(self._call(call))
        except ConvexError as error:
            message = f"Uncaught ConvexError: {json.dumps(values.encode(error.data))}"
            return Outcome(error=message, error_data=error.data)
        except FunctionError as error:
            return Outcome(error=str(error))

    def _call(self, call: Call) -> ConvexValue:
        name = canonical(call.name)
        function = self._functions.get((call.kind, name))
        if function is None:
            raise FunctionError(_missing(call.kind, name, self._functions))
        return function.body(call.identity, *_checked(call.arguments, function.arguments))

    def _authenticate_device(
        self, _: Identity | None, device_id: str, device_secret: str
    ) -> ConvexValue:
        if self._faults.now.refuse_auth:
            self._faults.struck("refuse_auth")
            raise ConvexError({"code": "BAD_SECRET"})
        device = self._deployment.device(device_id)
        if device is None:
            raise ConvexError({"code": "DEVICE_NOT_FOUND"})
        if not device.knows(device_secret):
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

    def _get_configuration(
        self, identity: Identity | None, device_id: str, toy_id: str
    ) -> ConvexValue:
        if identity is None or identity.device_id != device_id:
            raise ConvexError({"code": "UNAUTHENTICATED"})
        toy = self._deployment.toy(toy_id, device_id)
        if toy is None:
            raise ConvexError({"code": "TOY_NOT_FOUND"})
        return toy.configuration


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


@dataclass(frozen=True, slots=True)
class _Function:
    """A function's body, and the names of the arguments it takes after the caller's identity."""

    body: Callable[..., ConvexValue]
    arguments: tuple[str, ...]


def _missing(kind: Kind, name: str, functions: Mapping[tuple[Kind, str], object]) -> str:
    name = name[:NAME_CHARS_MAX]
    for other_kind, other_name in functions:
        if other_name == name:
            return (
                f"Trying to execute {name} as {kind.value.title()},"
                f" but it is defined as {other_kind.value.title()}."
            )
    return f"Could not find public function for '{name}'. Did you forget to run `npx convex dev`?"


def _checked(arguments: ConvexObject, names: tuple[str, ...]) -> list[str]:
    unknown = set(arguments) - set(names)
    if unknown:
        extra = min(unknown)[:NAME_CHARS_MAX]
        raise FunctionError(
            f"ArgumentValidationError: Object contains extra field `{extra}` that is not in the"
            " validator."
        )
    checked = []
    for name in names:
        if name not in arguments:
            raise FunctionError(
                f"ArgumentValidationError: Object is missing the required field `{name}`."
            )
        argument = arguments[name]
        if not isinstance(argument, str):
            raise FunctionError(f"ArgumentValidationError: `{name}` must be v.string().")
        checked.append(argument)
    return checked


def _outcome_word(outcome: Outcome) -> str:
    if outcome.error is None:
        return "success"
    code = (outcome.error_data or {}).get("code")
    return code if isinstance(code, str) else "error"
