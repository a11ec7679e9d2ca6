"""TLS towards the cloud and the gateway: who is trusted, and whose key it must be.

One context serves ``requests`` and ``asyncio`` alike. A pin is checked at the end of the handshake,
inside it as far as either of them can tell: a server with another key gets no application byte, not
even the request line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import ssl
from typing import TYPE_CHECKING, Final

from firmware.errors import PinError, WrongPinError

if TYPE_CHECKING:
    from collections.abc import Sequence

PINS_MAX: Final = 8
"""Pins of one server: the key in use, and those that may follow it."""

_PREFIX: Final = "sha256/"
_DIGEST_BYTES: Final = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


def checked_pins(text: str) -> tuple[str, ...]:
    """Return the pins in `text`, which are separated by spaces: ``sha256/<base64>``.

    A pin is the SHA-256 of a public key, as RFC 7469 (section 2.4) writes it: over the DER form of
    the certificate's SubjectPublicKeyInfo.

    Raises:
        PinError: One of them is no pin, or there are more than `PINS_MAX`.
    """
    pins = tuple(text.split())
    if len(pins) > PINS_MAX:
        raise PinError(f"holds {len(pins)} pins: give at most {PINS_MAX}")
    for number, pin in enumerate(pins, 1):
        if not _is_pin(pin):
            raise PinError(f"pin {number} is {pin[:80]!r}: write {_PREFIX} and 44 characters")
    return pins


def client_context(ca_file: str = "", pins: Sequence[str] = ()) -> ssl.SSLContext:
    """Return what a client needs to speak TLS 1.2 or newer with a server that it trusts.

    The server's name is checked against its certificate, and that against the authorities in
    `ca_file` or, without one, the system's (``SSL_CERT_FILE`` names others). With `pins`, the key
    of the certificate must be one of them besides; a second pin is the way to change keys. A
    handshake with any other key ends as one with a bad certificate does: in `WrongPinError`.

    It reads files, which takes a Pi most of a second: call it on a worker's thread. Who uses the
    context must leave the handshake to ``do_handshake``, as ``requests`` and ``asyncio`` do.

    Raises:
        OSError: `ca_file` cannot be read, or holds no certificate.
    """
    # Not `create_default_context`: it would write the keys of every connection into the file that
    # SSLKEYLOGFILE names, and it is stricter on some versions of Python than on others.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
    if pins:
        _pin(context, frozenset(pins))
    return context


def pin_of(certificate: bytes) -> str:
    """Return the pin of the key in a certificate, which is given in DER.

    Raises ValueError when it cannot be read.
    """
    # By whoever pins: it takes longer to import than a handshake does.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception as error:  # whatever it makes of a strange version, form or kind of key
        raise ValueError("the certificate's key cannot be read") from error
    return _PREFIX + base64.b64encode(hashlib.sha256(spki).digest()).decode()


def _is_pin(text: str) -> bool:
    if not text.startswith(_PREFIX) or not text.isascii():
        return False
    encoded = text.removeprefix(_PREFIX)
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    # Encoded again: base64 has spare bits, and a pin is compared as text.
    return len(digest) == _DIGEST_BYTES and base64.b64encode(digest).decode() == encoded


def _pin(context: ssl.SSLContext, pins: frozenset[str]) -> None:
    """Have the handshakes of `context` check `pins`, through the classes it makes them with."""

    class PinnedSocket(ssl.SSLSocket):
        """What blocking clients connect with."""

        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as it is there
            super().do_handshake(block)
            _check(self.getpeercert(binary_form=True), pins)

    class PinnedObject(ssl.SSLObject):
        """What asyncio connects with."""

        def do_handshake(self) -> None:
            super().do_handshake()
            _check(self.getpeercert(binary_form=True), pins)

    context.sslsocket_class = PinnedSocket
    context.sslobject_class = PinnedObject


def _check(certificate: bytes | None, pins: frozenset[str]) -> None:
    try:
        is_pinned = certificate is not None and pin_of(certificate) in pins
    except ValueError:
        is_pinned = False
    if not is_pinned:
        _log.warning("a server showed a certificate whose key is none of those that are pinned")
        raise WrongPinError
