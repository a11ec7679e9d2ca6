"""The tokens a device carries: one for the Convex functions, one for the audio stream.

Both are JSON Web Tokens (RFC 7519) signed with ES256 or RS256 and a ``kid``, as Convex asks of an
identity provider. Their audiences differ, so that one is worthless where the other belongs. Keys
are made when the cloud starts and are never written down: tokens of an earlier run are refused. The
newest key signs; older ones still verify until they are retired.

Tokens are numbered as they are issued, and revoking takes back all those so far: a clock that
stands still tells nobody which of two came first.
"""

from __future__ import annotations

import itertools
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

import jwt

from devcloud.counters import Counters
from devcloud.errors import TokenError
from devcloud.faults import FaultBoard
from devcloud.settings import ALGORITHMS
from devcloud.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ISSUER: Final = "https://devcloud.invalid"
TOKEN_CHARS_MAX: Final = 4096
BEARER: Final = "bearer "
NUMBER: Final = "num"
"""The claim that numbers tokens."""


class Audience(Enum):
    """What a token is good for."""

    CLOUD = "convex"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a valid token speaks for, and until when (seconds since 1970).

    ``key_id`` and ``number`` say which token it was: see ``Tokens.is_revoked``.
    """

    device_id: str
    expires_at_s: float
    key_id: str = field(default="", compare=False)
    number: int = field(default=0, compare=False)


class Tokens:
    """Makes and checks the tokens of one run.

    ``now_s`` gives seconds since 1970; tests pass their own. ``algorithm`` is for the first key.
    ``faults`` may have tokens expire on command, and ``counters`` counts those that were refused.
    """

    def __init__(
        self,
        now_s: Callable[[], float] = time.time,
        *,
        algorithm: str = ALGORITHMS[0],
        faults: FaultBoard | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._now_s = now_s
        self._faults = faults or FaultBoard()
        self._counters = counters or Counters()
        self._numbers = itertools.count(1)
        self._revoked: dict[str | None, int] = {}
        self._watchers: set[Callable[[], None]] = set()
        self._keys = [SigningKey.make(algorithm)]

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """The keys that verify, oldest first; the last one signs."""
        return tuple(self._keys)

    @property
    def algorithms(self) -> list[str]:
        """What those keys sign with."""
        return sorted({key.algorithm for key in self._keys})

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
            NUMBER: next(self._numbers),
        }
        key = self._keys[-1]
        return jwt.encode(claims, key.private, key.algorithm, headers={"kid": key.key_id})

    def verify(self, token: str, audience: Audience) -> Identity:
        """Check a token and say who carries it.

        Raises:
            TokenError: it is not one of ours, is for another use, has expired or was revoked.
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
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                audience=audience.value,
                issuer=ISSUER,
                # The times are checked below, against a clock that tests can turn.
                options={
                    "require": ["sub", "exp", NUMBER],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenError("InvalidAuthHeader", f"the token was refused: {error}") from None
        identity = Identity(claims["sub"], claims["exp"], key.key_id, claims[NUMBER])
        if self.expired(identity, self._now_s()):
            raise TokenError("InvalidAuthHeader", "the token has expired")
        if self.is_revoked(identity):
            raise TokenError("InvalidAuthHeader", "the token was revoked")
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

    def rotate(self, key: SigningKey, *, retire_old: bool = False) -> None:
        """Sign with another key from now on; ``retire_old`` makes what older ones signed void."""
        self._keys = [key] if retire_old else [*self._keys, key]
        self._tell()

    def revoke(self, device_id: str | None = None) -> None:
        """Take back all tokens that were issued so far, to one device or to all."""
        self._revoked[device_id] = next(self._numbers)
        self._tell()

    def is_revoked(self, identity: Identity) -> bool:
        """Tell whether a token that was good once has been taken back, or its key retired."""
        if identity.key_id not in {key.key_id for key in self._keys}:
            return True
        latest = max(self._revoked.get(identity.device_id, 0), self._revoked.get(None, 0))
        return identity.number < latest

    @contextmanager
    def watching(self, watcher: Callable[[], None]) -> Iterator[None]:
        """Have ``watcher`` called whenever tokens were taken back, while the context lasts.

        For those who hold a connection that was let in with a token: ``is_revoked`` says whether
        it must end.
        """
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()

    def _key(self, key_id: object) -> SigningKey:
        for key in self._keys:
            if key.key_id == key_id:
                return key
        raise TokenError("NoAuthProvider", "the token was signed with an unknown key")
