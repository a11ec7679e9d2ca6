"""The tokens a device carries: one for the Convex functions, one for the audio stream.

Both are JSON Web Tokens (RFC 7519) signed with ES256 and a ``kid``, as Convex asks of an identity
provider. Their audiences differ, so that one is worthless where the other belongs. The key is made
when the cloud starts: tokens of an earlier run are refused, as after a key rotation.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from devcloud.counters import Counters
from devcloud.errors import TokenError
from devcloud.faults import FaultBoard

if TYPE_CHECKING:
    from collections.abc import Callable

ISSUER: Final = "https://devcloud.invalid"
ALGORITHM: Final = "ES256"
TOKEN_CHARS_MAX: Final = 4096
BEARER: Final = "bearer "


class Audience(Enum):
    """What a token is good for."""

    CLOUD = "convex"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a valid token speaks for, and until when (seconds since 1970)."""

    device_id: str
    expires_at_s: float


class Tokens:
    """Makes and checks the tokens of one run.

    ``now_s`` gives seconds since 1970; tests pass their own. ``faults`` may have tokens expire on
    command, and ``counters`` counts those that were refused.
    """

    def __init__(
        self,
        now_s: Callable[[], float] = time.time,
        faults: FaultBoard | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._now_s = now_s
        self._faults = faults or FaultBoard()
        self._counters = counters or Counters()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._key_id = uuid.uuid4().hex

    def issue(self, device_id: str, audience: Audience, lifetime_s: float) -> str:
        """Make a token for a device that proved who it is; it lasts ``lifetime_s`` seconds."""
        now_s = self._now_s()
        claims = {
            "iss": ISSUER,
            "sub": device_id,
            "aud": audience.value,
            "iat": now_s,
            "exp": now_s + lifetime_s,
            "jti": uuid.uuid4().hex,  # two tokens of the same second differ
        }
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._key_id})

    def verify(self, token: str, audience: Audience) -> Identity:
        """Check a token and say who carries it.

        Raises:
            TokenError: it is not one of ours, is for another use, or has expired.
        """
        try:
            return self._read(token, audience)
        except TokenError:
            self._counters.refused_tokens += 1
            raise

    def expired(self, identity: Identity, now_s: float) -> bool:
        """Tell whether a token has expired, by the clock or on command."""
        return identity.expires_at_s <= now_s or bool(self._faults.strike("expire_tokens"))

    def _read(self, token: str, audience: Audience) -> Identity:
        if len(token) > TOKEN_CHARS_MAX:
            raise TokenError("InvalidAuthHeader", "the token is too long to be one")
        try:
            if jwt.get_unverified_header(token).get("kid") != self._key_id:
                raise TokenError("NoAuthProvider", "the token was signed with an unknown key")
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[ALGORITHM],
                audience=audience.value,
                issuer=ISSUER,
                # The times are checked below, against a clock that tests can turn.
                options={
                    "require": ["sub", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenError("InvalidAuthHeader", f"the token was refused: {error}") from None
        identity = Identity(claims["sub"], claims["exp"])
        if self.expired(identity, self._now_s()):
            raise TokenError("InvalidAuthHeader", "the token has expired")
        return identity

    def verify_header(self, authorization: str | None, audience: Audience) -> Identity | None:
        """Check an ``Authorization`` header; without one, nobody is identified.

        Raises:
            TokenError: as ``verify``, or the header is not ``Bearer`` and a token.
        """
        if authorization is None:
            return None
        if authorization[: len(BEARER)].lower() != BEARER:
            raise TokenError("InvalidAuthHeader", "the header must begin with `Bearer `")
        return self.verify(authorization[len(BEARER) :].strip(), audience)
