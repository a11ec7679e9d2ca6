"""What a Convex function of the development cloud is made of: its context, its body, its arguments.

A body is plain Python: the context and the arguments in, a Convex value out, or ``ConvexError`` for
what its protocol calls an error. It reads and changes the deployment; it does no I/O of its own and
returns at once, so a call cannot be caught half done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from devcloud.errors import ConvexError
from devcloud.validators import STRING

if TYPE_CHECKING:
    from devcloud.deployment import Deployment, Toy
    from devcloud.tokens import Identity
    from devcloud.validators import Validator
    from devcloud.values import ConvexObject, ConvexValue

LOG_LINES_MAX: Final = 256
LOG_CHARS_MAX: Final = 1000

OF_DEVICE: Final[dict[str, Validator]] = {"deviceId": STRING}
"""The argument that every function takes."""

OF_TOY: Final[dict[str, Validator]] = {**OF_DEVICE, "toyId": STRING}


@dataclass(frozen=True, slots=True)
class Context:
    """What a call brings beside its arguments. ``log_lines`` are what ``log`` has written."""

    deployment: Deployment
    identity: Identity | None
    log_lines: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        """Write a line as ``console.log`` does; whoever called gets to read it."""
        if len(self.log_lines) < LOG_LINES_MAX:
            self.log_lines.append(f"[LOG] '{text[:LOG_CHARS_MAX]}'")

    def device(self, arguments: ConvexObject) -> str:
        """Check that the caller is the device that it names, and return its id.

        Raises:
            ConvexError: UNAUTHENTICATED, or DEVICE_NOT_FOUND for one that is gone.
        """
        device_id = text(arguments, "deviceId")
        if self.identity is None or self.identity.device_id != device_id:
            raise ConvexError({"code": "UNAUTHENTICATED"})
        if self.deployment.device(device_id) is None:
            raise ConvexError({"code": "DEVICE_NOT_FOUND"})
        return device_id

    def toy(self, arguments: ConvexObject) -> Toy:
        """Check that the toy is one of the caller's, and find it.

        Raises:
            ConvexError: as ``device``, or TOY_NOT_FOUND.
        """
        toy = self.deployment.toy(text(arguments, "toyId"), self.device(arguments))
        if toy is None:
            raise ConvexError({"code": "TOY_NOT_FOUND"})
        return toy


Body: TypeAlias = Callable[[Context, "ConvexObject"], "ConvexValue"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function's body, and what its arguments must be before it sees them."""

    body: Body
    arguments: Validator


def text(arguments: ConvexObject, name: str) -> str:
    """Take an argument of which the function's validator says that it is a string."""
    value = arguments[name]
    assert isinstance(value, str)  # noqa: S101 - checked by the validator
    return value
