from __future__ import annotations

import asyncio
import os
import ssl
import stat
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pytest
import requests
from websockets.asyncio.client import connect

from devcloud.errors import SettingsError
from devcloud.settings import Settings
from devcloud.tls import Authority, Impostors
from tests.devcloud.device import HANDSHAKE, StreamDevice, headers
from tests.devcloud.running import TIMEOUT_S, RunningCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def impostors(tmp_path_factory: pytest.TempPathFactory) -> Impostors:
    return Impostors(tmp_path_factory.mktemp("impostors"))


def shaken(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> str | None:
    """Shake hands without a network; the version of TLS that both have settled on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    done = [False, False]
    while not all(done):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done[number] = True
            except ssl.SSLWantReadError:
                continue
    return ends[0].version()


def trusting(ca_file: Path) -> ssl.SSLContext:
    client = ssl.create_default_context(cafile=str(ca_file))
    # Debian's Python leaves it to the system, where it is lower.
    client.minimum_version = ssl.TLSVersion.TLSv1_2
    return client


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_honest_server_is_accepted_by_both_its_names(impostors: Impostors, host: str) -> None:
    client = trusting(impostors.ca_file)
    # As strict as the newest Python is by itself.
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert shaken(impostors.honest.context(), client, host) == "TLSv1.3"


@pytest.mark.parametrize(
    ("impostor", "says"),
    [
        (Impostors.self_signed, "self.signed certificate"),
        (Impostors.wrong_host, "Hostname mismatch"),
        (Impostors.expired, "certificate has expired"),
        (Impostors.not_yet_valid, "certificate is not yet valid"),
        (Impostors.unknown_authority, "unable to get local issuer|signature failure"),
        (Impostors.outdated, "PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS"),
    ],
)
def test_each_impostor_is_refused_for_its_own_reason(
    impostors: Impostors, impostor: Callable[[Impostors], ssl.SSLContext], says: str
) -> None:
    with pytest.raises(ssl.SSLError, match=rf"(?i){says}"):
        shaken(impostor(impostors), trusting(impostors.ca_file))


def test_the_outdated_server_speaks_tls_1_1_with_those_who_still_do(impostors: Impostors) -> None:
    client = trusting(impostors.ca_file)
    client.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = ssl.TLSVersion.TLSv1_1
    assert shaken(impostors.outdated(), client) == "TLSv1.1"


def test_an_authority_is_kept_and_the_pin_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "authority"
    first = Authority(folder).issue()
    ca = (folder / "ca.pem").read_bytes()
    certificate = first.certificate_file.read_bytes()
    again = Authority(folder).issue()
    assert (folder / "ca.pem").read_bytes() == ca
    assert again.certificate_file.read_bytes() != certificate
    assert again.spki_pin == first.spki_pin
    assert first.spki_pin.startswith("sha256/")
    shaken(again.context(), trusting(folder / "ca.pem"))


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    Authority(tmp_path / "authority").issue()
    assert {
        stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "authority").glob("*-key.pem")
    } == {0o600}


@pytest.mark.parametrize("spoilt", ["ca.pem", "ca-key.pem"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, spoilt: str) -> None:
    Authority(tmp_path)
    (tmp_path / spoilt).write_text("something else")
    with pytest.raises(SettingsError, match="holds something else"):
        Authority(tmp_path)


def test_an_authority_with_the_key_of_another_is_refused(tmp_path: Path) -> None:
    Authority(tmp_path / "one")
    Authority(tmp_path / "two")
    (tmp_path / "one" / "ca.pem").write_bytes((tmp_path / "two" / "ca.pem").read_bytes())
    with pytest.raises(SettingsError, match="do not belong together"):
        Authority(tmp_path / "one")


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="authority"):
        Authority(tmp_path / "file")


def test_an_authority_without_tls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TLS"):
        Settings(authority=tmp_path)


@pytest.fixture(scope="module")
def secure_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    folder = tmp_path_factory.mktemp("authority")
    with RunningCloud(Settings(port=0, tls=True, authority=folder)) as running:
        yield running


def credentials(cloud: RunningCloud) -> dict[str, str]:
    answer = requests.post(
        f"{cloud.cloud.convex_url}/api/mutation",
        json={
            "path": "auth:authenticateDevice",
            "args": {"deviceId": "dev-sim-1", "deviceSecret": "sim-secret"},
        },
        verify=str(cloud.cloud.ca_file),
        timeout=TIMEOUT_S,
    )
    value: dict[str, str] = answer.json()["value"]
    return value


def test_functions_and_stream_are_served_over_tls(secure_cloud: RunningCloud) -> None:
    cloud = secure_cloud.cloud
    assert cloud.convex_url.startswith("https://")
    assert cloud.stream_url.startswith("wss://")
    assert cloud.ca_file
    trust = trusting(cloud.ca_file)

    async def scenario() -> None:
        async with connect(
            cloud.stream_url,
            additional_headers=headers(credentials(secure_cloud)["websocketToken"]),
            ssl=trust,
        ) as socket:
            device = StreamDevice(socket)
            await device.send(HANDSHAKE)
            await device.expect("handshake_ack")

    asyncio.run(asyncio.wait_for(scenario(), TIMEOUT_S))


def test_who_does_not_trust_the_authority_gets_nothing(secure_cloud: RunningCloud) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{secure_cloud.cloud.convex_url}/version", timeout=TIMEOUT_S)
    assert credentials(secure_cloud)


def test_plain_http_gets_nothing_from_the_port(secure_cloud: RunningCloud) -> None:
    plain = secure_cloud.cloud.convex_url.replace("https", "http")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{plain}/version", timeout=TIMEOUT_S)


def test_a_network_fault_strikes_below_tls(secure_cloud: RunningCloud) -> None:
    secure_cloud.post_faults(network={"accept_and_stall": True})
    try:
        with pytest.raises(requests.exceptions.Timeout):
            requests.get(
                f"{secure_cloud.cloud.convex_url}/version",
                verify=str(secure_cloud.cloud.ca_file),
                timeout=0.2,
            )
    finally:
        secure_cloud.post_faults(network=None)
    assert credentials(secure_cloud)


def test_convexs_own_client_is_told_of_the_authority_by_its_environment(
    secure_cloud: RunningCloud,
) -> None:
    """Its certificates are chosen once in a process; hence one of its own."""
    script = """if True:
        import sys
        from convex import ConvexClient

        answer = ConvexClient(sys.argv[1]).mutation(
            "auth:authenticateDevice", {"deviceId": "dev-sim-1", "deviceSecret": "sim-secret"}
        )
        print(*sorted(answer))
    """
    done = subprocess.run(
        [sys.executable, "-c", script, secure_cloud.cloud.convex_url],
        env={**os.environ, "SSL_CERT_FILE": str(secure_cloud.cloud.ca_file)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert "convexToken" in done.stdout
