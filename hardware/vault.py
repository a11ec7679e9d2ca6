"""Where the device's secret and its keys are kept."""

from __future__ import annotations

import re
from typing import Final, Protocol

from hardware.errors import MisuseError

KEY_BYTES: Final = 32
"""Length of every key: as AES-256 and ChaCha20 take them."""

SECRET_CHARS_MAX: Final = 1_024
"""Longest secret."""

_NAME: Final = re.compile("[a-z][a-z0-9-]{0,31}")


class Vault(Protocol):
    """Keeps the secret that proves who the device is, and keys for what it encrypts.

    All of it blocks, for as long as a disk or a chip takes: call it on a worker's thread, on any.
    Nothing that it keeps is in a representation or an exception of it. Names of keys are 1 to 32
    small letters, digits and hyphens, a letter first.
    """

    @property
    def is_sealed(self) -> bool:
        """Whether what it keeps can be read on this device alone; if not, that is reported."""
        ...

    def secret(self) -> str:
        """Return the device's secret, 1 to `SECRET_CHARS_MAX` characters of ASCII.

        Raises VaultError when there is none, or when it is not safe where it is.
        """
        ...

    def key(self, name: str) -> bytes:
        """Return the key `name`, `KEY_BYTES` long: made by chance at the first use, then kept.

        A new key is on the disk before it is returned.

        Raises:
            VaultError: It cannot be read or kept, or is damaged. What it encrypted would be lost
                with it, so it is not replaced by itself: `rotate_key` does that.
            MisuseError: That is no name for a key.
        """
        ...

    def rotate_key(self, name: str) -> None:
        """Replace the key `name` by a new one; what the old one encrypted can never be read again.

        Raises as `key` does, but not over a damaged one.
        """
        ...

    def erase(self) -> None:
        """Forget the secret and every key.

        Raises VaultError when some of it is left; the rest is gone all the same.
        """
        ...


def checked_name(name: str) -> str:
    """Return `name` if a key can be called so. Raises MisuseError."""
    if not _NAME.fullmatch(name):
        raise MisuseError(f"{name[:40]!r} is no name for a key: give small letters and hyphens")
    return name
