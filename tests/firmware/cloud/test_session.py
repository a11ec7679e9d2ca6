"""Calls through the official HTTP client, against a server that does what it is told."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import subprocess
import sys
import traceback
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from firmware.cloud.errors import (
    AddressError,
    ApplicationError,
    AuthenticationError,
    CloudFaultError,
    DeadlineError,
    MalformedError,
    NetworkError,
    ServerError,
)
from firmware.cloud.session import Session
from firmware.cloud.values import ANSWER_BYTES_MAX
from tests.firmware.cloud import standin
from tests.firmware.cloud.certificates import Authority
from tests.firmware.cloud.examples import CANARIES, CONVEX_TOKEN, SECRET, settings
from tests.firmware.cloud.standin import StandIn

if TYPE_CHECKING:
    from pathlib import Path

    from firmware.cloud.settings import CloudSettings
    from tests.firmware.cloud.standin import Reply

LIMIT_S = 10
ARGUMENTS = {"deviceId": "dev-sim-1", "deviceSecret": SECRET}


async def ask(cloud_settings: CloudSettings, times: int = 1) -> object:
    """Call a mutation on a thread, as a worker would, and return the last value."""
    session = Session(cloud_settings)
    try:
        for _ in range(times):
            value = await asyncio.wait_for(
                asyncio.to_thread(session.call, "mutation", "a:b", ARGUMENTS, CONVEX_TOKEN), LIMIT_S
            )
    finally:
        session.close()
    return value


def answered(*replies: Reply, times: int = 1, **changes: Any) -> tuple[object, StandIn]:  # noqa: ANN401 - any setting
    """Return what a call brings when the server replies so, and the server."""

    async def main() -> tuple[object, StandIn]:
        async with StandIn(*replies) as server:
            return await ask(settings(server.url, **changes), times), server

    return asyncio.run(main())


def failure(*replies: Reply, **changes: Any) -> CloudFaultError:  # noqa: ANN401 - any setting
    """Return what a call raises when the server replies so."""
    with pytest.raises(CloudFaultError) as raised:
        answered(*replies, **changes)
    return raised.value


def test_a_call_is_made_as_the_official_client_makes_it() -> None:
    """Path, form, token and the name of the client: their code, not ours."""
    value, server = answered(standin.answer({"a": [1.0, None, True, "x"]}))
    assert value == {"a": [1.0, None, True, "x"]}
    (request,) = server.requests
    assert request.path == "/api/mutation"
    assert request.body == {"path": "a:b", "format": "convex_encoded_json", "args": ARGUMENTS}
    assert request.headers["authorization"] == f"Bearer {CONVEX_TOKEN}"
    assert request.headers["convex-client"] == "python-0.8.1"


def test_a_query_without_a_token_speaks_for_nobody() -> None:
    """Each call has its own client: no token of another call is left in it."""

    async def main() -> StandIn:
        async with StandIn(standin.answer(None)) as server:
            session = Session(settings(server.url))
            await asyncio.to_thread(session.call, "mutation", "a:b", {}, CONVEX_TOKEN)
            await asyncio.to_thread(session.call, "query", "a:b", {}, None)
            session.close()
            return server

    server = asyncio.run(main())
    assert [request.path for request in server.requests] == ["/api/mutation", "/api/query"]
    assert ["authorization" in request.headers for request in server.requests] == [True, False]


def test_calls_share_a_connection() -> None:
    """A toy does not pay for a TLS handshake at every question."""
    _, server = answered(standin.answer(1.0), times=3)
    assert (len(server.requests), server.connections) == (3, 1)


def test_integers_come_plain_in_either_of_their_forms() -> None:
    """Convex writes 64-bit integers its own way; a careless server writes them as JSON does."""
    wrapped = {"$integer": b64encode(struct.pack("<q", 2**60)).decode()}
    assert answered(standin.answer([wrapped, 7]))[0] == [2**60, 7]


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (standin.refusal({"code": "BAD_SECRET"}), ApplicationError, "refused: BAD_SECRET"),
        (standin.refusal("TOY_NOT_FOUND"), ApplicationError, "refused: TOY_NOT_FOUND"),
        (standin.refusal({"why": "because"}), ApplicationError, "it gave no code"),
        (
            standin.body(b'{"status":"error","errorMessage":"Server Error"}'),
            ApplicationError,
            "it gave no code",
        ),
        (standin.refusal({"code": "UNAUTHENTICATED"}), AuthenticationError, "UNAUTHENTICATED"),
        (standin.refusal("DEVICE_NOT_FOUND"), AuthenticationError, "token: DEVICE_NOT_FOUND"),
        (standin.body(b"{}", "401 Unauthorized"), AuthenticationError, "HTTP status 401"),
        (standin.body(b"", "403 Forbidden"), AuthenticationError, "HTTP status 403"),
        (standin.body(b"{}", "500 Internal Server Error"), ServerError, "HTTP status 500"),
        (standin.body(b"<html>", "502 Bad Gateway"), ServerError, "HTTP status 502"),
        (standin.body(b"", "429 Too Many Requests"), ServerError, "HTTP status 429"),
        (standin.body(b"", "404 Not Found"), ServerError, "HTTP status 404"),
        (standin.body(b"", "204 No Content"), ServerError, "HTTP status 204"),
        (standin.body(b""), MalformedError, "not that of a Convex function"),
        (standin.body(b"<html>"), MalformedError, "not that of a Convex function"),
        (standin.body(b"[]"), MalformedError, "not that of a Convex function"),
        (standin.body(b"{}"), MalformedError, "not that of a Convex function"),
        (standin.body(b'{"status":"success"}'), MalformedError, "not that of a Convex"),
        (standin.body(b'{"status":"error"}'), MalformedError, "not that of a Convex function"),
        (standin.body(b'{"status":"odd","value":1}'), MalformedError, "not that of a Convex"),
        (standin.body(b"\xff\xfe\x00"), MalformedError, "not that of a Convex function"),
        (standin.body(b"[" * 200_000), MalformedError, "not that of a Convex function"),
        (standin.answer({"$integer": "!"}), MalformedError, "cannot be read"),
        (standin.answer({"$odd": 1}), MalformedError, "cannot be read"),
        (standin.answer({"$bytes": "AAAA"}), MalformedError, "a value of type bytes"),
        (
            standin.body(b"\x1f\x8b\x08\x00", "200 OK", "Content-Encoding: gzip"),
            MalformedError,
            "not that of a Convex function",
        ),
        (standin.hang_up, NetworkError, "cannot be reached (ConnectionError)"),
        (standin.body(b"", "999999 ?"), NetworkError, "cannot be reached"),
    ],
)
def test_every_failure_has_its_class(reply: Reply, error: type[Exception], text: str) -> None:
    """What failed is told by the class; the text is ours."""
    raised = failure(reply)
    assert type(raised) is error
    assert text in str(raised)


def test_what_the_code_and_the_status_were_can_be_asked() -> None:
    """Those who must decide do not read texts."""
    refused = failure(standin.refusal({"code": "BAD_SECRET"}))
    assert isinstance(refused, ApplicationError)
    assert refused.code == "BAD_SECRET"
    answered_badly = failure(standin.body(b"", "503 Service Unavailable"))
    assert isinstance(answered_badly, ServerError)
    assert answered_badly.status == 503


def test_a_secret_is_not_carried_to_another_address() -> None:
    """Redirections are not followed: 307 would send the body along."""

    async def main() -> int:
        async with StandIn(standin.answer(None)) as other:
            away = standin.body(
                b"", "307 Temporary Redirect", f"Location: {other.url}/api/mutation"
            )
            async with StandIn(away) as server:
                with pytest.raises(ServerError, match="HTTP status 307"):
                    await ask(settings(server.url))
            return other.connections

    assert asyncio.run(main()) == 0


def test_silence_ends_at_the_read_timeout() -> None:
    """The official client would wait for ever."""
    raised = failure(standin.stall, read_timeout_ms=100)
    assert type(raised) is NetworkError
    assert "ReadTimeout" in str(raised)


def test_an_answer_that_trickles_ends_at_the_deadline() -> None:
    """Each byte comes in time, the answer never: the read timeout alone would wait for ever."""

    async def trickle(_: standin.Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        pause = asyncio.Event()
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            asyncio.get_running_loop().call_later(0.01, pause.set)
            await pause.wait()
            pause.clear()

    raised = failure(trickle, call_deadline_ms=200)
    assert type(raised) is DeadlineError


@pytest.mark.parametrize("head", ["Content-Length: 9999999", "Transfer-Encoding: chunked"])
def test_an_answer_without_end_is_cut_off(head: str) -> None:
    """However its length is told, no more than the limit is kept in memory."""

    async def pour(_: standin.Request, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        piece = b" " * 65_536
        if "chunked" in head:
            piece = b"10000\r\n" + piece + b"\r\n"
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    raised = failure(pour)
    assert type(raised) is MalformedError
    assert f"longer than {ANSWER_BYTES_MAX} bytes" in str(raised)


def test_an_answer_that_breaks_off_is_a_failure_of_the_network() -> None:
    """Half a configuration is none."""

    async def break_off(_: standin.Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"status":')
        await writer.drain()
        writer.close()

    assert type(failure(break_off)) is NetworkError


def test_an_answer_in_chunks_is_read() -> None:
    """As a deployment behind a proxy sends it."""

    async def chunked(_: standin.Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b'{"status":"succ', b'ess","value":[', b'"x"]}'):
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        writer.write(b"0\r\n\r\n")

    value, server = answered(chunked, times=2)
    assert value == ["x"]
    assert server.connections == 1


def test_a_server_that_is_not_there_is_a_failure_of_the_network() -> None:
    """Nobody listens on the port."""

    async def main() -> None:
        async with StandIn(standin.stall) as server:
            url = server.url
        with pytest.raises(NetworkError, match="cannot be reached"):
            await ask(settings(url))

    asyncio.run(main())


def test_cookies_and_proxies_are_not_for_a_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a server or an environment suggests changes where or what is sent."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    reply = standin.body(b'{"status":"success","value":1}', "200 OK", "Set-Cookie: a=b; Path=/")
    _, server = answered(reply, times=2)
    assert ["cookie" in request.headers for request in server.requests] == [False, False]


def test_what_a_deprecation_header_says_is_not_printed(recwarn: pytest.WarningsRecorder) -> None:
    """The official client would warn in the server's words."""
    reply = standin.body(
        b'{"status":"success","value":1}',
        "200 OK",
        "x-convex-deprecation-state: warning",
        f"x-convex-deprecation-message: {SECRET}",
    )
    assert answered(reply)[0] == 1
    assert not recwarn.list


def test_an_authority_of_ones_own_is_trusted_and_only_if_named(tmp_path: Path) -> None:
    """TLS is checked: the certificate's authority, and its host name."""
    authority = Authority(tmp_path)

    async def main() -> None:
        async with StandIn(standin.answer("tls"), tls=authority.server_context()) as server:
            ca_file = str(authority.path)
            named = f"https://localhost:{server.port}"
            assert await ask(settings(named, ca_file=ca_file)) == "tls"
            with pytest.raises(NetworkError, match="SSLError"):
                await ask(settings(named))
            with pytest.raises(NetworkError, match="SSLError"):
                await ask(settings(f"https://127.0.0.1:{server.port}", ca_file=ca_file))

    asyncio.run(main())


def test_an_address_that_cannot_be_called_is_refused_at_once() -> None:
    """Before anything is sent anywhere."""
    with pytest.raises(AddressError, match="url: is empty"):
        Session(settings(""))


@pytest.mark.parametrize(
    "reply",
    [
        standin.echo(),
        standin.echo("401 Unauthorized"),
        standin.echo("500 Internal Server Error", '{"code": %s, "message": "x"}'),
        standin.echo(wrap='{"status": "error", "errorMessage": %s}'),
        standin.echo(wrap='{"status": "error", "errorMessage": "x", "errorData": %s}'),
        standin.echo(wrap='{"status": "error", "errorMessage": "x", "errorData": {"code": %s}}'),
        standin.echo(wrap='{"status": %s}'),
        standin.echo(wrap='{"status": "success", "value": {"$odd": %s}}'),
        standin.echo(wrap='{"status": "success", "value": {"$integer": %s}}'),
        standin.hang_up,
        standin.stall,
    ],
)
def test_no_secret_is_in_what_a_failure_says(
    reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that sends back all it was sent does not get it into any text of ours."""
    caplog.set_level(logging.DEBUG)
    raised = failure(reply, read_timeout_ms=100)
    texts = [str(raised), repr(raised), repr(vars(raised)), caplog.text]
    texts += traceback.format_exception(raised)
    assert not [canary for canary in CANARIES for text in texts if canary in text]
    # Nor in anything that hangs on it: theirs hold requests, responses and data.
    assert raised.__cause__ is None
    assert raised.__context__ is None


def test_the_official_module_stays_as_it_was() -> None:
    """Whoever else imports it gets it whole: it is not patched."""
    program = (
        "import requests, convex.http_client as official\n"
        "from firmware.cloud.session import Session\n"
        "from firmware.cloud.settings import CloudSettings\n"
        "from firmware.cloud.errors import NetworkError\n"
        "try:\n"
        "    Session(CloudSettings(url='http://127.0.0.1:9')).call('query', 'a:b', {}, None)\n"
        "except NetworkError:\n"
        "    assert official.requests is requests\n"
        "    print('whole')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=LIMIT_S, check=True
    )
    assert ended.stdout == b"whole\n"


def test_nothing_heavy_is_imported_before_the_first_call() -> None:
    """A toy starts without waiting for ``requests`` and ``convex``."""
    program = (
        "import sys, json\n"
        "import firmware.cloud.cloud\n"
        "heavy = {'requests', 'urllib3', 'convex', '_convex', 'http.client'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=LIMIT_S, check=True
    )
    assert json.loads(ended.stdout) == []
