"""The guardian's key."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.cloud.errors import SettingError
from firmware.cloud.guardian_key import GuardianKey

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()


def signed(text: str) -> str:
    """Return the guardian's signature of a text."""
    return base64.b64encode(PRIVATE.sign(text.encode())).decode()


def test_the_guardians_signature_of_this_device_and_lock_counts() -> None:
    """Over exactly the agreed bytes."""
    key = GuardianKey(PUBLIC)
    assert key.has_signed("dev-1", "lock-1", signed("pommai-release\ndev-1\nlock-1"))


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "no base64!",
        "ä",
        base64.b64encode(bytes(64)).decode(),
        base64.b64encode(bytes(7)).decode(),
        signed("pommai-release\ndev-1\nlock-2"),
        signed("pommai-release\ndev-2\nlock-1"),
        signed("pommai-release\ndev-1\nlock-1\n"),
        pytest.param(
            base64.b64encode(
                Ed25519PrivateKey.generate().sign(b"pommai-release\ndev-1\nlock-1")
            ).decode(),
            id="another key's",
        ),
    ],
)
def test_no_other_signature_does(signature: str) -> None:
    """Of another lock, another device, another key, or none at all."""
    assert not GuardianKey(PUBLIC).has_signed("dev-1", "lock-1", signature)


@pytest.mark.parametrize("key", ["", "x", "ä", base64.b64encode(bytes(31)).decode(), PUBLIC + "=="])
def test_what_is_no_key_is_refused(key: str) -> None:
    """At the start, and it says which setting."""
    with pytest.raises(SettingError, match="guardian_key: must be an Ed25519 public key"):
        GuardianKey(key)
