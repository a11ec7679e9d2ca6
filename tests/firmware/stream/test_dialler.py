"""How a connection is made: what is shown to whom, and over what."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firmware.stream.dialler import Dialler
from firmware.stream.errors import AddressError, CredentialError
from firmware.stream.settings import StreamSettings
from tests.firmware.stream.stage import on_loop, stage

if TYPE_CHECKING:
    from pathlib import Path


def certificate(folder: Path, host: str) -> Path:
    """Write a certificate for `host` with its key, signed by itself, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test gateway")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address(host))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "gateway.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


def server_tls(path: Path) -> ssl.SSLContext:
    """Return the gateway's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@on_loop
async def test_request_carries_what_the_dialect_asks_for() -> None:
    """Token, device and toy; nothing of the machine, and no offer to compress."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        assert session.path == "/audio-stream"
        headers = session.headers
        assert headers["Authorization"] == "Bearer token"
        assert headers["X-Device-ID"] == "device-1"
        assert headers["X-Device-Type"] == "raspberry-pi-zero-2w"
        assert headers["X-Toy-ID"] == "toy-1"
        assert "User-Agent" not in headers
        assert "Sec-WebSocket-Extensions" not in headers


@on_loop
async def test_proxy_of_the_environment_is_not_used() -> None:
    """The token goes where the settings say and nowhere else."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
            patch.setenv(name, "http://127.0.0.1:1")
        async with stage() as scene:
            await scene.gateway.session(1)


def test_no_speech_waits_beyond_reach_under_tls_either(tmp_path: Path) -> None:
    """Neither in its own transport nor in the one below, which has a limit of its own."""
    path = certificate(tmp_path, "127.0.0.1")

    @on_loop
    async def scene_of_a_stall() -> None:
        trust = ssl.create_default_context(cafile=str(path))
        async with stage(tls=server_tls(path), trust=trust, uplink_frames_max=50) as scene:
            session = await scene.gateway.session(1)
            await scene.open_turn(1)
            session.fall_silent()
            while scene.stream.counters.uplink_overflowed < 5:
                scene.stream.send(bytes(640), captured_ms=0)
                await asyncio.sleep(0)
            connection = scene.stream._link.connection
            assert connection is not None
            assert connection._socket is not None
            above = connection._socket.transport
            below = above._ssl_protocol._transport  # type: ignore[attr-defined]
            unsent_bytes = above.get_write_buffer_size() + below.get_write_buffer_size()
            assert 0 < unsent_bytes < 5_000
            scene.perform("end_turn", turn=1, outcome="interrupted")
            await asyncio.sleep(0)
            assert below.get_write_buffer_size() == 0
            session.listen_again()

    scene_of_a_stall()


def test_gateway_with_a_trusted_certificate_is_spoken_to(tmp_path: Path) -> None:
    """A whole turn over TLS, with a fence in it."""
    path = certificate(tmp_path, "127.0.0.1")

    @on_loop
    async def scene_of_trust() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(path))
            async with stage(tls=server_tls(path)) as scene:
                await scene.gateway.session(1)
                await scene.hold_turn(1, 1, b"reply" * 200)
                await scene.open_turn(2)
                scene.speak(b"speech")
                scene.perform("end_turn", turn=2, outcome="interrupted")
                await scene.gateway.session(2)
                await scene.hold_turn(3, 2, b"reply")

    scene_of_trust()


@pytest.mark.parametrize(
    ("host", "is_known"), [("127.0.0.1", False), ("127.0.0.2", True)], ids=["stranger", "other"]
)
def test_gateway_that_is_not_who_it_says_is_not_spoken_to(
    tmp_path: Path, host: str, *, is_known: bool
) -> None:
    """Neither one whose certificate nobody vouches for, nor one with another's."""
    path = certificate(tmp_path, host)

    @on_loop
    async def scene_of_distrust() -> None:
        with pytest.MonkeyPatch.context() as patch:
            if is_known:
                patch.setenv("SSL_CERT_FILE", str(path))
            async with stage(tls=server_tls(path)) as scene:
                await scene.loop.until("link_down")
                assert scene.gateway.attempts == 0

    scene_of_distrust()


def test_whom_to_trust_can_be_given(tmp_path: Path) -> None:
    """Then nobody else is trusted, whatever the system says."""
    path, other = certificate(tmp_path, "127.0.0.1"), tmp_path / "other"
    other.mkdir()

    @on_loop
    async def scene_of_trust(trusted: Path) -> None:
        trust = ssl.create_default_context(cafile=str(trusted))
        async with stage(tls=server_tls(path), trust=trust) as scene:
            await scene.loop.until("link_up" if trusted == path else "link_down")
            assert scene.gateway.attempts == (trusted == path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        scene_of_trust(path)
        scene_of_trust(certificate(other, "127.0.0.1"))


@pytest.mark.parametrize(("device_id", "toy_id"), [("", "toy"), ("device", "a b"), ("\n", "toy")])
def test_id_that_cannot_be_sent_is_refused(device_id: str, toy_id: str) -> None:
    """When the stream is made, not when a child waits."""
    with pytest.raises(CredentialError, match="id cannot be sent"):
        Dialler(StreamSettings(url="wss://gateway.example"), device_id, toy_id)


def test_address_is_checked_when_the_dialler_is_made() -> None:
    """Not when a child waits."""
    with pytest.raises(AddressError, match="is empty"):
        Dialler(StreamSettings(), "device", "toy")
