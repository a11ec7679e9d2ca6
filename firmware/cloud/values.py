"""Convex values as plain Python: what JSON has, and nothing else."""

from __future__ import annotations

from typing import Final

from firmware.bounded_json import Limits
from firmware.cloud.errors import MalformedError

ANSWER_BYTES_MAX: Final = 393_216
"""Longest answer of the cloud that is read, over HTTP and from the child: a hundred commands, each
with a page to be spoken."""

ANSWER_LIMITS: Final = Limits(depth_max=32, values_max=3_584, wide_bytes_max=262_144)
"""What an answer may cost. While it is unfolded its words are held twice, and over HTTP its values
too; beyond its own size that stays below a megabyte. A hundred commands with all that is known of
them have half of the values."""

CODE_CHARS_MAX: Final = 40
"""Longest code of a function's refusal that is passed on."""

TOKEN_REFUSALS: Final = frozenset({"UNAUTHENTICATED", "DEVICE_NOT_FOUND"})
"""The codes by which a function says that it does not take the token, or knows nobody of that name.

The answer to both is to authenticate anew; that shows whether the device is unknown indeed.
"""


def plain(value: object) -> object:
    """Return a Convex value with its 64-bit integers as ``int``; the rest of it is plain already.

    It is changed in its place: what is unfolded already is not held twice.

    Raises:
        MalformedError: There are bytes in it, which no function that we call returns.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            value[:] = map(plain, value)
            return value
        case dict():
            for key, item in value.items():
                value[key] = plain(item)
            return value
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
