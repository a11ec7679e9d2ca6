from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.devcloud.running import TIMEOUT_S, RunningCloud
from tests.devcloud.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "devcloud"]


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def seconds_to_end(process: subprocess.Popen[str], number: signal.Signals) -> float:
    """Send a signal, and tell how long the process lives on; nobody has waited for it then."""
    ended = os.pidfd_open(process.pid)
    try:
        watch = Stopwatch(process.pid)
        process.send_signal(number)
        assert select.select([ended], [], [], TIMEOUT_S)[0], "it did not end"
        return watch.seconds
    finally:
        os.close(ended)


def fails(*options: str, **environment: str) -> tuple[int, str]:
    """Run it where it cannot run; its exit code, and what it says."""
    done = subprocess.run(
        [*COMMAND, *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_ctrl_c_ends_it_cleanly_within_two_seconds() -> None:
    with started() as process:
        line = first_line(process)
        assert line.startswith("cloud ready: CONVEX_URL=http://127.0.0.1:")
        assert "/audio-stream CONTROL_URL=http://127.0.0.1:" in line
        assert "/_dev (Ctrl-C stops it)" in line
        assert seconds_to_end(process, signal.SIGINT) < 2
        rest = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, rest) == (0, ("", ""))


def test_sigterm_ends_it_within_two_seconds_though_a_peer_does_not_answer() -> None:
    with started("--json") as process:
        port = int(json.loads(first_line(process))["convex_url"].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as peer:
            peer.sendall(
                b"GET /api/sync HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            assert peer.recv(1000).startswith(b"HTTP/1.1 101")
            assert seconds_to_end(process, signal.SIGTERM) < 2
            assert process.wait(TIMEOUT_S) == 0


def test_programs_get_one_line_of_json_and_can_connect() -> None:
    with started("--json", "--device-id", "d", "--device-secret", "s", "--toy-id", "t") as process:
        ready = json.loads(first_line(process))
        assert ready["event"] == "ready"
        assert ready["pid"] == process.pid
        assert ready["stream_url"].endswith("/audio-stream")
        answer = requests.post(
            f"{ready['convex_url']}/api/mutation",
            json={
                "path": "auth:authenticateDevice",
                "args": {"deviceId": "d", "deviceSecret": "s"},
            },
            timeout=TIMEOUT_S,
        )
        assert answer.json()["status"] == "success"
        assert requests.get(f"{ready['control_url']}/turns", timeout=TIMEOUT_S).json() == []


def test_with_tls_programs_are_told_whom_to_trust(tmp_path: Path) -> None:
    with started("--json", "--tls", "--authority", str(tmp_path)) as process:
        ready = json.loads(first_line(process))
        assert ready["ca_file"] == str(tmp_path / "ca.pem")
        assert ready["spki_pin"].startswith("sha256/")
        answer = requests.get(
            f"{ready['convex_url']}/version", verify=ready["ca_file"], timeout=TIMEOUT_S
        )
        assert answer.ok
        assert ready["control_url"].startswith("http://")


def test_with_tls_people_are_told_too_and_what_was_made_for_it_goes() -> None:
    with started("--tls") as process:
        line = first_line(process)
        assert "CONVEX_URL=https://" in line
        ca_file = Path(line.partition("SSL_CERT_FILE=")[2].partition(" (")[0])
        assert ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
        assert not ca_file.exists()


def test_an_authority_without_tls_is_one_clear_line(tmp_path: Path) -> None:
    assert fails("--authority", str(tmp_path)) == (
        os.EX_USAGE,
        "cloud: authority: is for TLS, which is off\n",
    )


def test_a_busy_port_is_one_clear_line(cloud: RunningCloud) -> None:
    port = cloud.cloud.convex_url.rsplit(":", 1)[1]
    code, says = fails("--port", port)
    assert code == os.EX_UNAVAILABLE
    assert says == (
        f"cloud: port {port} on 127.0.0.1 is in use: end the program that listens there,"
        " or give another with --port (0 takes a free one)\n"
    )


def test_a_missing_synthesiser_is_one_clear_line() -> None:
    code, says = fails("--port", "0", PATH="/nonexistent")
    assert code == os.EX_UNAVAILABLE
    assert says == "cloud: espeak-ng cannot be found: install the package espeak-ng\n"


def test_an_option_that_cannot_be_is_one_clear_line() -> None:
    code, says = fails("--token-lifetime-s", "0")
    assert code == os.EX_USAGE
    assert says.startswith("cloud: token_lifetime_s 0.0: must be above 0")
    assert says.count("\n") == 1


def test_what_was_stored_in_a_file_is_there_in_the_next_run(tmp_path: Path) -> None:
    data = str(tmp_path / "cloud.sqlite")
    for expected_version in (1.0, 2.0):
        with started("--json", "--data", data) as process:
            url = json.loads(first_line(process))["control_url"] + "/configuration"
            before = requests.get(url, timeout=TIMEOUT_S).json()
            assert before["version"] == expected_version
            requests.put(url, json={"volumeLimit": 10}, timeout=TIMEOUT_S).raise_for_status()
            # Whatever was committed survives it.
            process.kill()
            process.wait(TIMEOUT_S)


def test_a_file_that_is_no_data_of_ours_is_refused_in_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("shopping " * 1000)
    code, says = fails("--port", "0", "--data", str(notes))
    assert code == os.EX_UNAVAILABLE
    assert "notes.txt" in says
    assert says.count("\n") == 1


def test_tokens_are_signed_as_the_option_says() -> None:
    with started("--json", "--signing-algorithm", "RS256") as process:
        url = json.loads(first_line(process))["convex_url"] + "/.well-known/jwks.json"
        (key,) = requests.get(url, timeout=TIMEOUT_S).json()["keys"]
        assert (key["kty"], key["alg"]) == ("RSA", "RS256")
