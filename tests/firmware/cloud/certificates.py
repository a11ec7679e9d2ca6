"""A certificate authority for one test, and servers of its own."""

from __future__ import annotations

import datetime as dt
import itertools
import ssl
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firmware.tls import pin_of

if TYPE_CHECKING:
    from pathlib import Path

_DAY: Final = dt.timedelta(days=1)


class Server(NamedTuple):
    """A server's certificate with its key, in a file, and the pin of that key."""

    path: Path
    pin: str

    def context(self) -> ssl.SSLContext:
        """Return what the server needs to speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context

    def old_context(self) -> ssl.SSLContext:
        """Return the same for a server that speaks TLS 1.1 and nothing newer."""
        context = self.context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        allow_old(context)
        return context


def allow_old(context: ssl.SSLContext) -> None:
    """Let OpenSSL 3 use the hashes that TLS 1.1 is made of: below every security level but 0."""
    context.set_ciphers("ALL:@SECLEVEL=0")


class Authority:
    """Signs certificates, which are for ``localhost`` alone unless told otherwise.

    ``path`` is the authority's own file, and ``server`` one that it signed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        self.path = folder / "authority.pem"
        own = self._certificate(self._name, self._key, is_authority=True)
        self.path.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        self.server = self.issue()

    def server_context(self) -> ssl.SSLContext:
        """Return what a server needs to speak TLS."""
        return self.server.context()

    def issue(
        self, host: str = "localhost", *, days: tuple[int, int] = (-1, 1), by_itself: bool = False
    ) -> Server:
        """Return a server's certificate, valid between two days from now.

        One that is signed `by_itself` has no authority.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        signer = (name, key) if by_itself else (self._name, self._key)
        certificate = self._certificate(name, key, host=host, days=days, signer=signer)
        path = self._folder / f"server-{next(self._numbers)}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return Server(path, pin_of(certificate.public_bytes(serialization.Encoding.DER)))

    def _certificate(  # noqa: PLR0913 - what is in one
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        is_authority: bool = False,
        host: str = "",
        days: tuple[int, int] = (-1, 1),
        signer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        issuer, issuer_key = signer or (subject, key)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        if is_authority:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True,
                content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        else:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())
