"""Convex values as plain Python: what JSON has, and nothing else."""

from __future__ import annotations

from typing import Final

from firmware.cloud.errors import MalformedError

CODE_CHARS_MAX: Final = 40
"""Longest code of a function's refusal that is passed on."""

TOKEN_REFUSALS: Final = frozenset({"UNAUTHENTICATED", "DEVICE_NOT_FOUND"})
"""The codes by which a function says that it does not take the token, or knows nobody of that name.

The answer to both is to authenticate anew; that shows whether the device is unknown indeed.
"""


def plain(value: object) -> object:
    """Return a Convex value with its 64-bit integers as ``int``; the rest of it is plain already.

    Raises:
        MalformedError: There are bytes in it, which no function that we call returns.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    # By name: to import the class is to import the client, which is left to whoever needs it.
    if type(value).__name__ == "ConvexInt64":
        return int(value.value)  # type: ignore[attr-defined]
    raise MalformedError(f"the cloud sent a value of type {type(value).__name__}")


def refusal_code(data: object) -> str:
    """Return the code in the data of a ``ConvexError``, or an empty text.

    Only words of capital letters pass. Anything else, such as a secret that a function quotes, is
    not for a log.
    """
    code = data.get("code") if isinstance(data, dict) else data
    if not isinstance(code, str) or len(code) > CODE_CHARS_MAX:
        return ""
    words = code.split("_")
    return code if all(w.isascii() and w.isalpha() and w.isupper() for w in words) else ""
