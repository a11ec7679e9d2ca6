"""A certificate authority of our own, for tests: what a device must trust, and what it must not.

An authority lives in a folder: ``ca.pem`` (what a device is given), its key, and the key and
certificate of the server, which is made anew each time for the same key, so that a pin stays good.
Keys are readable by their owner alone.

Source: RFC 5280; pins as in RFC 7469, section 2.4.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import ssl
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devcloud.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

HOSTS: Final = ("localhost", "127.0.0.1")
"""What the cloud is called; it listens nowhere else."""

DAY: Final = timedelta(days=1)
AUTHORITY_LIFETIME: Final = 3650 * DAY
LEAF_LIFETIME: Final = 397 * DAY
"""As long as a public authority would make it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server's certificate: its files, and the pin of its key."""

    certificate_file: Path
    key_file: Path
    spki_pin: str
    """``sha256/`` and the base64 of the SHA-256 of its SubjectPublicKeyInfo."""

    def context(self) -> ssl.SSLContext:
        """Make what a server is to be given: TLS 1.2 or later."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context

    def outdated_context(self) -> ssl.SSLContext:
        """Make what a server is to be given that speaks TLS 1.1 and nothing better."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # OpenSSL has no hash for the handshake of TLS 1.1 above its security level 0.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            # That is the point of it.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


class Authority:
    """A certificate authority in a folder, made there if there is none yet.

    Raises:
        SettingsError: the folder cannot be written, or what is in it is no authority.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._key = _kept_key(folder / "ca-key.pem")
            if not self.ca_file.exists():
                self.ca_file.write_bytes(_pem(_make_authority(self._key)))
            self._certificate = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        except OSError as error:
            raise SettingsError(f"authority: {folder}: {error.strerror}") from None
        except (ValueError, TypeError) as error:
            raise SettingsError(f"authority: {folder} holds something else: {error}") from None
        if self._certificate.public_key() != self._key.public_key():
            raise SettingsError(f"authority: {self.ca_file} and its key do not belong together")

    def issue(
        self,
        name: str = "server",
        hosts: tuple[str, ...] = HOSTS,
        valid: tuple[timedelta, timedelta] = (-DAY, LEAF_LIFETIME - DAY),
    ) -> Leaf:
        """Make a certificate for a server.

        ``name`` is what its files are called; ``valid`` says from when to when, as seen from now.
        A key that is there already stays.
        """
        key = _kept_key(self._folder / f"{name}-key.pem")
        subject = _name(hosts[0])
        issuer = self._certificate.subject
        certificate = _sign(_leaf(key, subject, issuer, hosts, valid), self._key)
        return self._keep(name, key, certificate)

    def issue_self_signed(self, name: str = "self-signed") -> Leaf:
        """Make a certificate for a server that nobody but itself speaks for."""
        key = _kept_key(self._folder / f"{name}-key.pem")
        subject = _name(HOSTS[0])
        valid = -DAY, LEAF_LIFETIME - DAY
        certificate = _sign(_leaf(key, subject, subject, HOSTS, valid), key)
        return self._keep(name, key, certificate)

    def _keep(
        self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> Leaf:
        certificate_file = self._folder / f"{name}.pem"
        certificate_file.write_bytes(_pem(certificate))
        return Leaf(certificate_file, self._folder / f"{name}-key.pem", _spki_pin(key))


class Impostors:
    """Servers that a device must refuse, each as what such a server is to be given.

    The device trusts ``ca_file``. ``honest`` is the one it must not refuse, unless it was given a
    pin of another.
    """

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder / "authority")
        self._stranger = Authority(folder / "stranger")
        self.ca_file = self._authority.ca_file
        self.honest = self._authority.issue()

    def self_signed(self) -> ssl.SSLContext:
        """No authority speaks for it."""
        return self._authority.issue_self_signed().context()

    def wrong_host(self) -> ssl.SSLContext:
        """It is somebody else's certificate."""
        return self._authority.issue("wrong-host", ("elsewhere.example",)).context()

    def expired(self) -> ssl.SSLContext:
        """It was good until yesterday."""
        return self._authority.issue("expired", valid=(-30 * DAY, -DAY)).context()

    def not_yet_valid(self) -> ssl.SSLContext:
        """It will be good tomorrow."""
        return self._authority.issue("not-yet-valid", valid=(DAY, 30 * DAY)).context()

    def unknown_authority(self) -> ssl.SSLContext:
        """An authority speaks for it that the device does not know."""
        return self._stranger.issue().context()

    def outdated(self) -> ssl.SSLContext:
        """Its certificate is good, and it speaks TLS 1.1."""
        return self.honest.outdated_context()


def _make_authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = _name("Pommai development authority")
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _certificate(public, subject, subject, (-DAY, AUTHORITY_LIFETIME))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer: x509.Name,
    hosts: tuple[str, ...],
    valid: tuple[timedelta, timedelta],
) -> x509.CertificateBuilder:
    return (
        _certificate(key.public_key(), subject, issuer, valid)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(map(_host, hosts)), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def _certificate(
    public: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    issuer: x509.Name,
    valid: tuple[timedelta, timedelta],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _spki_pin(key: ec.EllipticCurvePrivateKey) -> str:
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "sha256/" + base64.b64encode(hashlib.sha256(spki).digest()).decode()


def _kept_key(file: Path) -> ec.EllipticCurvePrivateKey:
    """Read a key, or make one and keep it."""
    if file.exists():
        kept = serialization.load_pem_private_key(file.read_bytes(), password=None)
        if not isinstance(kept, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{file.name} is no key of an elliptic curve")
        return kept
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as writer:
        writer.write(pem)
    return key
