"""Whom the toy speaks to: each way in which a server can be the wrong one, over real sockets.

The server counts. What was refused is shown not by what the client says but by what the server
heard: nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import logging
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidHandshake

from firmware.cloud.errors import CloudFaultError, NetworkError, ServerError
from firmware.cloud.live import LiveQueries
from firmware.cloud.query import Query
from firmware.cloud.session import Session
from firmware.cloud.settings import CloudSettings
from firmware.errors import PinError, WrongPinError
from firmware.stream.dialler import Dialler
from firmware.stream.settings import StreamSettings
from firmware.tls import PINS_MAX, checked_pins, client_context, pin_of
from hardware.clock import Clock
from tests.firmware.cloud.certificates import Authority, Server, allow_old
from tests.firmware.cloud.examples import CANARIES, CONVEX_TOKEN, SECRET, WEBSOCKET_TOKEN
from tests.firmware.ear import LIMIT_S, Ear, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

A_PIN: Final = "sha256/" + base64.b64encode(bytes(32)).decode()
ODD: Final = b"HTTP/1.1 500 Odd\r\nContent-Length: 0\r\n\r\n"
OURS: Final = ("http", "upload", "websocket")
CLIENTS: Final = (*OURS, "child")


class Wrong(NamedTuple):
    """A server that is not to be spoken to, and whom the client trusts."""

    tls: ssl.SSLContext
    ca_file: str
    pins: str = ""


def self_signed(authority: Authority) -> Wrong:
    """Vouched for by itself."""
    return Wrong(authority.issue(by_itself=True).context(), str(authority.path))


def wrong_host(authority: Authority) -> Wrong:
    """Good, and somebody else's."""
    return Wrong(authority.issue("elsewhere.example").context(), str(authority.path))


def expired(authority: Authority) -> Wrong:
    """Good until yesterday."""
    return Wrong(authority.issue(days=(-3, -1)).context(), str(authority.path))


def not_yet_valid(authority: Authority) -> Wrong:
    """Good from tomorrow."""
    return Wrong(authority.issue(days=(1, 3)).context(), str(authority.path))


def unknown_authority(authority: Authority) -> Wrong:
    """Vouched for by somebody whom the system does not know."""
    return Wrong(authority.server_context(), "")


def old_version(authority: Authority) -> Wrong:
    """Speaks TLS 1.1 at best."""
    return Wrong(authority.server.old_context(), str(authority.path))


def wrong_pin(authority: Authority) -> Wrong:
    """Good in every way, with a key that is not the one."""
    return Wrong(authority.server_context(), str(authority.path), f"{A_PIN} {_other(authority)}")


def wrong_pin_in_tls_1_2(authority: Authority) -> Wrong:
    """The same where the handshake has its last word from the server."""
    wrong = wrong_pin(authority)
    wrong.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    return wrong


WRONG: Final = (self_signed, wrong_host, expired, not_yet_valid, unknown_authority, old_version)
PINNED: Final = (wrong_pin, wrong_pin_in_tls_1_2)


def _other(authority: Authority) -> str:
    return authority.issue().pin


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of the test's own."""
    return Authority(tmp_path)


async def knock(client: str, port: int, ca_file: str, pins: str = "") -> None:
    """Try to say something secret to ``localhost``; raises whatever the client raises."""
    url = f"https://localhost:{port}"
    if client != "websocket":
        session = Session(CloudSettings(url=url, ca_file=ca_file, pins=pins))
        try:
            if client == "upload":
                speech = (f"{url}/upload", SECRET.encode(), "audio/opus", "dev-sim-1")
                await asyncio.to_thread(session.upload, *speech)
            else:
                secret = {"deviceSecret": SECRET}
                await asyncio.to_thread(session.call, "mutation", "a:b", secret, CONVEX_TOKEN)
        finally:
            session.close()
    else:
        stream = StreamSettings(url=f"wss://localhost:{port}/s", ca_file=ca_file, pins=pins)
        connection = await Dialler(stream, "dev-sim-1", "toy-sim-1").dial(WEBSOCKET_TOKEN, "toy-1")
        await connection.close()


async def watched_child(ear: Ear, ca_file: str, times: int = 1) -> Visit:
    """Have the live query's process knock so many times, and return the last visit."""
    cloud = CloudSettings(url=f"https://localhost:{ear.port}", ca_file=ca_file)
    live = LiveQueries(
        cloud,
        cloud.url,
        [Query("a:b", {}, lambda _: None, lambda _: None)],
        clock=Clock(),
        random=Random(1),  # noqa: S311 - waits
    )
    live.use(CONVEX_TOKEN)
    try:
        for _ in range(times):
            visit = await asyncio.to_thread(ear.visit)
        return visit
    finally:
        await live.close()


def refused(client: str, wrong: Wrong) -> Visit:
    """Return what a wrong server met with; the client must have raised what it promises."""
    with Ear(wrong.tls) as ear:
        if client == "child":
            return asyncio.run(watched_child(ear, wrong.ca_file))
        with pytest.raises((NetworkError, OSError)) as raised:
            asyncio.run(asyncio.wait_for(knock(client, ear.port, *wrong[1:]), LIMIT_S))
        assert not isinstance(raised.value, TimeoutError)
        assert not [canary for canary in CANARIES if canary in str(raised.value)]
        return ear.visit()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_server_hears_nothing(
    authority: Authority, client: str, wrong: Callable[[Authority], Wrong]
) -> None:
    """Not the first byte of a request: the handshake never comes to an end."""
    assert refused(client, wrong(authority)) == Visit(has_shaken=False, heard=b"")


@pytest.mark.parametrize("client", OURS)
@pytest.mark.parametrize("wrong", PINNED, ids=lambda wrong: wrong.__name__)
def test_a_wrong_pin_hears_nothing(
    authority: Authority, client: str, wrong: Callable[[Authority], Wrong]
) -> None:
    """Whether or not the server's side of the handshake came to an end, nothing follows it."""
    assert refused(client, wrong(authority)).heard == b""


@pytest.mark.parametrize("client", CLIENTS)
def test_the_right_server_is_spoken_to(authority: Authority, client: str) -> None:
    """The measure can fail: with a good certificate, and a backup pin, the request arrives."""
    pins = f"{A_PIN} {authority.server.pin}"
    with Ear(authority.server_context(), ODD) as ear:
        if client == "child":
            visit = asyncio.run(watched_child(ear, str(authority.path)))
        else:
            with pytest.raises((CloudFaultError, InvalidHandshake)):
                asyncio.run(knock(client, ear.port, str(authority.path), pins))
            visit = ear.visit()
    assert visit.has_shaken
    assert visit.heard.startswith(b"POST " if client in {"http", "upload"} else b"GET ")


def test_the_old_server_is_one_that_could_be_spoken_to(authority: Authority) -> None:
    """The measure can fail: a client that allows it does speak TLS 1.1 with it."""
    lax = client_context(str(authority.path))
    allow_old(lax)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        lax.minimum_version = ssl.TLSVersion.TLSv1_1
    with Ear(authority.server.old_context()) as ear:
        with (
            socket.create_connection(("localhost", ear.port), LIMIT_S) as plain,
            lax.wrap_socket(plain, server_hostname="localhost") as talk,
        ):
            assert talk.version() == "TLSv1.1"
            talk.sendall(b"hello")
        assert ear.visit() == Visit(has_shaken=True, heard=b"hello")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_redirect_is_not_followed(authority: Authority, client: str, status: int) -> None:
    """Neither to an address in the clear nor to another that is trusted."""
    with Ear(None) as clear, Ear(authority.server_context()) as other:
        for scheme, target in (("{}", clear), ("{}s", other)):
            name = scheme.format("http" if client in {"http", "upload"} else "ws")
            to = f"Location: {name}://localhost:{target.port}/"
            away = f"HTTP/1.1 {status} Away\r\n{to}\r\nContent-Length: 0\r\n\r\n"
            with Ear(authority.server_context(), away.encode()) as ear:
                if client == "child":
                    # That it came again shows that it made up its mind about the first answer.
                    asyncio.run(watched_child(ear, str(authority.path), times=2))
                else:
                    with pytest.raises((CloudFaultError, InvalidHandshake), match=str(status)):
                        asyncio.run(knock(client, ear.port, str(authority.path)))
            assert not target.has_visits()


def test_a_wrong_pin_is_told_in_the_log(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody ought to know: either the keys changed unannounced, or somebody listens in."""
    caplog.set_level(logging.DEBUG)
    refused("http", wrong_pin(authority))
    assert "none of those that are pinned" in caplog.text


def test_a_wrong_pin_ends_a_handshake_as_a_bad_certificate_does(authority: Authority) -> None:
    """Whoever knows what to do about one knows what to do about the other."""
    assert issubclass(WrongPinError, ssl.SSLCertVerificationError)
    with Ear(authority.server_context()) as ear:
        stream = StreamSettings(
            url=f"wss://localhost:{ear.port}", ca_file=str(authority.path), pins=A_PIN
        )
        dialler = Dialler(stream, "dev-sim-1", "toy-sim-1")
        with pytest.raises(WrongPinError, match=r"^the server's key is none of those"):
            asyncio.run(dialler.dial(WEBSOCKET_TOKEN, "toy-1"))


def test_an_authority_in_the_bundle_of_requests_is_not_trusted_beside_ones_own(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would load the bundle that it brings along into any context."""
    own = tmp_path / "own"
    own.mkdir()
    wrong = Wrong(authority.server_context(), str(Authority(own).path))
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority.path))
    assert refused("http", wrong) == Visit(has_shaken=False, heard=b"")


def test_keys_of_connections_are_written_nowhere(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of the environment would have the standard library do so."""
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    with Ear(authority.server_context(), ODD) as ear:
        for client in OURS:
            with pytest.raises((CloudFaultError, InvalidHandshake)):
                asyncio.run(knock(client, ear.port, str(authority.path)))
    assert not keys.exists()


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_authorities_that_cannot_be_read_are_a_failure_of_the_world(
    tmp_path: Path, content: str | None
) -> None:
    """Of the call and of the connection, which are tried again: nothing is trusted instead."""
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's affair
        client_context(str(path))
    with pytest.raises(NetworkError, match=f"ca_file {path}: cannot be used"):
        asyncio.run(knock("http", 9, str(path)))
    with pytest.raises(OSError):  # noqa: PT011
        asyncio.run(knock("websocket", 9, str(path)))


def test_authorities_that_can_be_read_again_are_read_again(authority: Authority) -> None:
    """A session that failed over a missing file is not spoilt by it."""
    moved = authority.path.rename(authority.path.with_name("moved.pem"))
    with Ear(authority.server_context(), ODD) as ear:
        session = Session(
            CloudSettings(url=f"https://localhost:{ear.port}", ca_file=str(authority.path))
        )
        with pytest.raises(NetworkError, match="cannot be used"):
            session.call("query", "a:b", {}, None)
        moved.rename(authority.path)
        with pytest.raises(ServerError):
            session.call("query", "a:b", {}, None)
        session.close()


def test_a_pin_is_what_openssl_makes_of_the_key(authority: Authority) -> None:
    """As anybody would compute it who reads how."""
    certificate = x509.load_pem_x509_certificate(authority.server.path.read_bytes())
    key = _openssl("x509", "-in", str(authority.server.path), "-pubkey", "-noout")
    der = _openssl("pkey", "-pubin", "-outform", "der", given=key)
    digest = _openssl("dgst", "-sha256", "-binary", given=der)
    pin = "sha256/" + base64.b64encode(digest).decode()
    assert pin == authority.server.pin
    assert checked_pins(pin) == (pin,)
    assert certificate.subject.rfc4514_string() == "CN=localhost"


@pytest.mark.parametrize("content", [b"", b"odd", bytes(100)])
def test_what_is_no_certificate_has_no_pin(content: bytes) -> None:
    """And so can match none."""
    with pytest.raises(ValueError, match="cannot be read"):
        pin_of(content)


@functools.cache
def a_certificate() -> bytes:
    """Return one in DER, for all examples the same."""
    with tempfile.TemporaryDirectory() as folder:
        pem = Authority(Path(folder)).server.path.read_bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_a_certificate_holds_nothing_else_is_raised(
    changes: list[tuple[int, int]],
) -> None:
    """The handshake would not know what to do with it."""
    der = bytearray(a_certificate())
    for at, value in changes:
        der[at % len(der)] = value
    with contextlib.suppress(ValueError):
        assert checked_pins(pin_of(bytes(der)))


def test_a_certificate_that_cannot_be_read_ends_the_handshake(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no pin, and one was asked for."""

    def unreadable(_: bytes) -> str:
        raise ValueError

    monkeypatch.setattr("firmware.tls.pin_of", unreadable)
    for client in OURS:
        right = Wrong(authority.server_context(), str(authority.path), authority.server.pin)
        assert refused(client, right).heard == b""


def test_pins_are_separated_by_spaces() -> None:
    """Any number of them; none at all is no pin."""
    assert checked_pins("") == checked_pins("  ") == ()
    assert checked_pins(f" {A_PIN}\n{A_PIN} ") == (A_PIN, A_PIN)


@pytest.mark.parametrize(
    "text",
    [
        "sha256/",
        "sha256/odd",
        A_PIN.removeprefix("sha256/"),
        A_PIN.upper(),
        A_PIN + "=",
        A_PIN.replace("=", ""),
        A_PIN.replace("A=", "B="),
        A_PIN.replace("A=", "é="),
        "sha1/" + base64.b64encode(bytes(20)).decode(),
        "sha256/" + base64.b64encode(bytes(31)).decode(),
        "x" * 1_000,
    ],
)
@pytest.mark.parametrize("make", [CloudSettings, StreamSettings])
def test_what_is_no_pin_is_refused_when_settings_load(
    text: str, make: type[CloudSettings | StreamSettings]
) -> None:
    """With the key, and a line that is not as long as whatever was given."""
    with pytest.raises(PinError):
        checked_pins(text)
    with pytest.raises(Exception, match=r"^(stream\.)?pins:? ") as raised:
        make(pins=f"{A_PIN} {text}")
    assert "pin 2 is" in str(raised.value)
    assert len(str(raised.value)) < 200


def test_too_many_pins_are_refused() -> None:
    """A list that long was made by mistake."""
    with pytest.raises(PinError, match="at most 8"):
        checked_pins(" ".join([A_PIN] * (PINS_MAX + 1)))


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    command = ("openssl", *arguments)
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout


def test_a_servers_old_context_stays_its_own(authority: Authority) -> None:
    """What the tests relax is theirs: ours has a floor whatever OpenSSL was configured with."""
    assert isinstance(authority.server, Server)
    assert client_context(str(authority.path)).minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context().verify_mode is ssl.CERT_REQUIRED
    assert client_context().check_hostname
