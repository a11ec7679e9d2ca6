"""The keys that tokens are signed with, and how others get to know them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from devcloud.json_text import JsonObject

RSA_BITS: Final = 2048
RSA_EXPONENT: Final = 65_537


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair with its id; ``algorithm`` is one of ``devcloud.settings.ALGORITHMS``."""

    key_id: str
    algorithm: str
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @classmethod
    def make(cls, algorithm: str) -> Self:
        """Make a new one. For RS256 that may take half a second."""
        private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
        if algorithm == "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
        else:
            private = rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)
        return cls(uuid.uuid4().hex, algorithm, private)

    @property
    def public(self) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
        """What signatures are checked with."""
        return self.private.public_key()

    def to_jwk(self) -> JsonObject:
        """Write the public half as a JSON Web Key (RFC 7517)."""
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            jwk = ECAlgorithm.to_jwk(self.private.public_key())
        else:
            jwk = RSAAlgorithm.to_jwk(self.private.public_key())
        written: JsonObject = json.loads(jwk)
        return {**written, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}
