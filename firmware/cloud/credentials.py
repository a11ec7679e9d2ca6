"""Who the device is, and the tokens that it is given for proving so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from firmware.cloud.errors import MalformedError

TOKEN_CHARS_MAX: Final = 8_192
"""Longest token: what the stream puts into a header, and no longer, or it would refuse a grant."""

LIFETIME_S_MIN: Final = 1
LIFETIME_S_MAX: Final = 30 * 24 * 3_600

# What may stand behind "Bearer " in a header: RFC 6750, section 2.1.
_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")

SecretProvider = Callable[[], str]
"""Gives the device's secret, from a vault or a file. It is called on a worker's thread, so it may
block. It may raise whatever it likes: only the fact is kept."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the device is to the cloud, and which toy it is.

    The secret is asked for when it is needed and kept by nobody here.
    """

    device_id: str
    toy_id: str
    secret: SecretProvider = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """One grant of the cloud: a token for its functions and one for the audio stream.

    Lifetimes are in seconds, from the moment the grant was asked for. The tokens themselves are in
    no representation of this. Two grants are never equal, whatever is in them.
    """

    convex: str = field(repr=False)
    websocket: str = field(repr=False)
    convex_lifetime_s: float
    websocket_lifetime_s: float

    @property
    def lifetime_s(self) -> float:
        """How long both are valid."""
        return min(self.convex_lifetime_s, self.websocket_lifetime_s)

    @classmethod
    def parse(cls, value: object) -> Tokens:
        """Check what ``auth:authenticateDevice`` returned.

        Keys that are not known here are left to newer firmware.

        Raises:
            MalformedError: A key is missing or not what was agreed. Its value is not in the text.
        """
        if not isinstance(value, dict):
            raise MalformedError("the cloud granted no object")
        return cls(
            _token(value, "convexToken"),
            _token(value, "websocketToken"),
            _lifetime_s(value, "convexTokenLifetimeS"),
            _lifetime_s(value, "websocketTokenLifetimeS"),
        )


def _token(grant: dict[str, object], key: str) -> str:
    token = grant.get(key)
    if isinstance(token, str) and len(token) <= TOKEN_CHARS_MAX and _BEARER.fullmatch(token):
        return token
    raise MalformedError(f"{key} must be a bearer token of 1 to {TOKEN_CHARS_MAX} characters")


def _lifetime_s(grant: dict[str, object], key: str) -> float:
    lifetime_s = grant.get(key)
    if isinstance(lifetime_s, int | float) and not isinstance(lifetime_s, bool):  # noqa: SIM102 - two questions
        if LIFETIME_S_MIN <= lifetime_s <= LIFETIME_S_MAX:
            return lifetime_s
    raise MalformedError(f"{key} must be {LIFETIME_S_MIN} to {LIFETIME_S_MAX} seconds")
