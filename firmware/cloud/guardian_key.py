"""The guardian's key, where one was enrolled: a release must then be signed with it."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from firmware.cloud.errors import SettingError

KEY_BYTES: Final = 32


class GuardianKey:
    """Checks Ed25519 signatures (RFC 8032) of releases; a check takes well under a millisecond.

    Args:
        key: The public key: 32 bytes in base64.

    Raises:
        SettingError: It is no such key.
    """

    def __init__(self, key: str) -> None:
        try:
            content = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            content = b""
        if len(content) != KEY_BYTES:
            raise SettingError("guardian_key", "must be an Ed25519 public key: 32 bytes in base64")
        # Only here: few toys have a guardian's key, and the library takes a while to load.
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )

        self._wrong = InvalidSignature
        self._key = Ed25519PublicKey.from_public_bytes(content)

    def has_signed(self, device_id: str, lock_id: str, signature: str) -> bool:
        """Whether `signature` (base64) is the guardian's, for the release of this very lock."""
        try:
            content = base64.b64decode(signature, validate=True)
            self._key.verify(content, f"pommai-release\n{device_id}\n{lock_id}".encode())
        except (self._wrong, binascii.Error, ValueError):
            return False
        return True
