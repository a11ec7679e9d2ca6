"""A vault in memory."""

from __future__ import annotations

import secrets

from hardware.errors import VaultError
from hardware.vault import KEY_BYTES, checked_name


class VirtualVault:
    """A `hardware.vault.Vault` that keeps nothing longer than the process lives.

    Args:
        secret: The device's secret; empty for a device that has none.
        is_sealed: What it says of itself.
    """

    def __init__(self, secret: str = "", *, is_sealed: bool = True) -> None:
        self.is_sealed = is_sealed
        self._secret = secret
        self._keys: dict[str, bytes] = {}

    def secret(self) -> str:
        """Return the secret."""
        if not self._secret:
            raise VaultError("there is no secret")
        return self._secret

    def key(self, name: str) -> bytes:
        """Return a key, made at the first use."""
        return self._keys.setdefault(checked_name(name), secrets.token_bytes(KEY_BYTES))

    def rotate_key(self, name: str) -> None:
        """Replace a key."""
        self._keys[checked_name(name)] = secrets.token_bytes(KEY_BYTES)

    def erase(self) -> None:
        """Forget all."""
        self._secret = ""
        self._keys.clear()
