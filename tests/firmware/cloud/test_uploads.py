"""Stored speech on its way to the cloud, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud.caller import Caller
from firmware.cloud.errors import (
    AuthenticationError,
    CloudFaultError,
    DeadlineError,
    MalformedError,
    NetworkError,
    ServerError,
    SpeechUnavailableError,
    UploadExpiredError,
    UploadRefusedError,
)
from firmware.cloud.uploads import CARD_WAITING_MAX, TRIES_MAX, Uploader, storage_id, upload_url
from firmware.store.audio import AudioSettings, AudioStore
from hardware.clock import Clock
from tests.firmware.cloud import standin
from tests.firmware.cloud.examples import CONVEX_TOKEN, settings
from tests.firmware.cloud.standin import Reply, Request, StandIn

LIMIT_S = 10
SPEECH = b"OggS" + bytes(range(256)) * 400  # 100 KB: half a minute
KEY = bytes(32)
STORED = standin.body(b'{"storageId": "kg2abc"}')


class Storage:
    """A deployment that gives addresses on itself, and does at each what a test says."""

    def __init__(self, *replies: Reply) -> None:
        self.addresses = 0
        self._replies = list(replies)

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Reply to a request."""
        if request.path == "/api/mutation":
            self.addresses += 1
            url = f"http://{request.headers['host']}/upload/{self.addresses}?token=canary-address"
            await standin.answer({"url": url})(request, writer)
        else:
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
            await reply(request, writer)


class Rig:
    """An uploader with everything it needs, beside a server."""

    def __init__(self, folder: Path, server: StandIn, **changes: Any) -> None:  # noqa: ANN401 - any setting
        self.store = AudioStore(folder, lambda: KEY, AudioSettings())
        self.name = self.store.put(SPEECH)
        self.token: str | None = CONVEX_TOKEN
        self.caller = Caller(settings(server.url, **changes))
        self.uploader = Uploader(
            self.caller,
            self.caller,
            self.store,
            device_id="dev-sim-1",
            token=lambda: self.token,
            clock=Clock(),
            random=Random(1),  # noqa: S311 - waits, not secrets
        )

    async def upload(self, name: str | None = None) -> str | None:
        """Upload the one file there is."""
        async with asyncio.timeout(LIMIT_S):
            return await self.uploader.upload(name or self.name)

    def close(self) -> None:
        """Close what was made."""
        self.uploader.close()
        self.caller.close()


def uploaded(
    folder: Path,
    *replies: Reply,
    prepare: Callable[[Rig], None] = lambda _: None,
    **changes: Any,  # noqa: ANN401 - any setting
) -> tuple[str | None, Rig, StandIn]:
    """Return what an upload brings when the storage replies so."""

    async def main() -> tuple[str | None, Rig, StandIn]:
        async with StandIn(Storage(*replies)) as server:
            rig = Rig(folder, server, **changes)
            prepare(rig)
            try:
                return await rig.upload(), rig, server
            finally:
                rig.close()

    return asyncio.run(main())


def failure(folder: Path, *replies: Reply, **changes: Any) -> CloudFaultError:  # noqa: ANN401 - any setting
    """Return what an upload raises; the speech is still there."""
    with pytest.raises(CloudFaultError) as raised:
        uploaded(folder, *replies, **changes)
    assert len(list(folder.iterdir())) == 1
    return raised.value


def posts(server: StandIn) -> list[Request]:
    """Return what was posted to the storage."""
    return [request for request in server.requests if request.path != "/api/mutation"]


def test_speech_is_posted_as_it_was_stored(tmp_path: Path) -> None:
    """Whole, as Ogg Opus, from a named device, without the token."""
    found, rig, server = uploaded(tmp_path, STORED)
    assert found == "kg2abc"
    asked, posted = server.requests
    assert asked.body["path"] == "storage:generateUploadUrl"
    assert asked.arguments == {"deviceId": "dev-sim-1"}
    assert asked.headers["authorization"] == f"Bearer {CONVEX_TOKEN}"
    assert posted.content == SPEECH
    assert posted.headers["content-type"] == "audio/opus"
    assert posted.headers["user-agent"] == "PommaiDevice/dev-sim-1"
    assert posted.headers["content-length"] == str(len(SPEECH))
    assert "authorization" not in posted.headers
    assert rig.store.has(rig.name)


def test_the_file_is_removed_once_its_conversation_is_stored(tmp_path: Path) -> None:
    """Not before: the conversation may have to be sent again."""

    async def main() -> list[bool]:
        async with StandIn(Storage(STORED)) as server:
            rig = Rig(tmp_path, server)
            await rig.upload()
            there = [rig.store.has(rig.name)]
            await rig.uploader.stored(rig.name)
            await rig.uploader.stored(rig.name)
            rig.close()
            return [*there, rig.store.has(rig.name)]

    assert asyncio.run(main()) == [True, False]


def test_a_file_in_memory_is_posted_as_what_it_is(tmp_path: Path) -> None:
    """What a guardian exports goes the same way."""

    async def main() -> tuple[str, StandIn]:
        async with StandIn(Storage(standin.body(b"", "410 Gone"), STORED)) as server:
            rig = Rig(tmp_path, server)
            found = await rig.uploader.upload_bytes(b'{"a": 1}', "application/x-export")
            rig.close()
            return found, server

    found, server = asyncio.run(main())
    assert found == "kg2abc"
    posted = posts(server)[-1]
    assert posted.content == b'{"a": 1}'
    assert posted.headers["content-type"] == "application/x-export"


def test_speech_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    """The conversation goes without it, and no address is asked for."""

    def forget(rig: Rig) -> None:
        rig.store.erase()

    found, _, server = uploaded(tmp_path, STORED, prepare=forget)
    assert found is None
    assert server.requests == []


def test_speech_that_must_not_be_kept_any_more_is_not_referred_to(tmp_path: Path) -> None:
    """Consent withdrawn while it was on its way: no conversation will name it."""

    async def main() -> str | None:
        async def withdraw(request: Request, writer: asyncio.StreamWriter) -> None:
            rig.store.erase()
            await STORED(request, writer)

        async with StandIn(Storage(withdraw)) as server:
            rig = Rig(tmp_path, server)
            try:
                return await rig.upload()
            finally:
                rig.close()

    assert asyncio.run(main()) is None


@pytest.mark.parametrize("withdrawn_at", ["the address", "the post"])
def test_speech_that_was_withdrawn_is_not_posted_once_more(
    tmp_path: Path, withdrawn_at: str
) -> None:
    """Before every try it is asked whether it may still go."""

    async def main() -> tuple[str | None, int]:
        storage = Storage(standin.body(b"", "410 Gone"), STORED)

        async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
            if (request.path == "/api/mutation") == (withdrawn_at == "the address"):
                rig.store.erase()
            await storage(request, writer)

        async with StandIn(reply) as server:
            rig = Rig(tmp_path, server)
            try:
                return await rig.upload(), len(posts(server))
            finally:
                rig.close()

    assert asyncio.run(main()) == (None, 0 if withdrawn_at == "the address" else 1)


@pytest.mark.parametrize("is_closed", [True, False])
def test_what_cannot_be_removed_ends_nobodys_work(tmp_path: Path, *, is_closed: bool) -> None:
    """Not even where the threads are closed, or too much waits for them."""

    async def main() -> None:
        async with StandIn(STORED) as server:
            rig = Rig(tmp_path, server)
            if is_closed:
                rig.uploader.close()
            go_on = threading.Event()

            def hang() -> None:
                go_on.wait(LIMIT_S)

            for _ in range(0 if is_closed else 1 + CARD_WAITING_MAX):
                asyncio.get_running_loop().run_in_executor(rig.uploader._workers, hang)
            await rig.uploader.stored(rig.name)
            go_on.set()
            assert rig.store.has(rig.name)
            rig.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone"]
)
def test_an_address_that_expired_is_replaced(tmp_path: Path, status: str) -> None:
    """The whole of it is posted again, elsewhere."""
    found, _, server = uploaded(tmp_path, standin.body(b"", status), STORED)
    assert found == "kg2abc"
    first, second = posts(server)
    assert first.path != second.path
    assert first.content == second.content == SPEECH


def test_addresses_that_all_expire_are_given_up_for_now(tmp_path: Path) -> None:
    """After three, the delivery's own waits begin."""
    gone = standin.body(b"", "410 Gone")

    async def main() -> int:
        async with StandIn(Storage(gone)) as server:
            rig = Rig(tmp_path, server)
            with pytest.raises(UploadExpiredError, match="410"):
                await rig.upload()
            rig.close()
            return len(posts(server))

    assert asyncio.run(main()) == TRIES_MAX


@pytest.mark.parametrize("status", ["413 Content Too Large", "415 Unsupported Media Type"])
def test_speech_that_the_cloud_never_takes_is_told_apart(tmp_path: Path, status: str) -> None:
    """To be set aside, not to be tried for ever."""
    assert type(failure(tmp_path, standin.body(b"", status))) is UploadRefusedError


@pytest.mark.parametrize(
    ("reply", "error", "changes"),
    [
        (standin.body(b"", "500 Internal Server Error"), ServerError, {}),
        (standin.body(b"", "503 Service Unavailable"), ServerError, {}),
        (standin.body(b"", "429 Too Many Requests"), ServerError, {}),
        (standin.body(b"", "408 Request Timeout"), ServerError, {}),
        (standin.hang_up, NetworkError, {}),
        (standin.stall, NetworkError, {"read_timeout_ms": 100}),
        (standin.stall, DeadlineError, {"upload_deadline_ms": 200}),
        (standin.body(b""), MalformedError, {}),
        (standin.body(b"{}"), MalformedError, {}),
        (standin.body(b"[]"), MalformedError, {}),
        (standin.body(b'{"storageId": 7}'), MalformedError, {}),
        (standin.body(b'{"storageId": ""}'), MalformedError, {}),
        (standin.body(b'{"storageId": "a b"}'), MalformedError, {}),
        (standin.body(b'{"storageId": "kg2'), MalformedError, {}),
        (standin.body(b"[" * 100_000), MalformedError, {}),
        (standin.body(b"\xff\xfe"), MalformedError, {}),
        (standin.body(b" " * 2_000_000), MalformedError, {}),
    ],
)
def test_every_failure_has_its_class(
    tmp_path: Path, reply: Reply, error: type[Exception], changes: dict[str, int]
) -> None:
    """And says nothing of the address, which is a permission, nor of the token."""
    raised = failure(tmp_path, reply, **changes)
    assert type(raised) is error
    told = "".join(traceback.format_exception(raised)) + repr(vars(raised))
    assert "canary" not in told
    assert raised.__cause__ is None
    assert raised.__context__ is None


def test_an_answer_that_breaks_off_is_a_failure_of_the_network(tmp_path: Path) -> None:
    """The id may be half of one."""

    async def break_off(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"storageId": "kg2')
        await writer.drain()
        writer.close()

    assert type(failure(tmp_path, break_off)) is NetworkError


def test_after_a_cut_the_whole_is_posted_again(tmp_path: Path) -> None:
    """By the next attempt, to another address; nothing is pieced together."""

    async def main() -> tuple[str | None, StandIn]:
        async with StandIn(Storage(standin.hang_up, STORED)) as server:
            rig = Rig(tmp_path, server)
            with pytest.raises(NetworkError):
                await rig.upload()
            found = await rig.upload()
            rig.close()
            return found, server

    found, server = asyncio.run(main())
    assert found == "kg2abc"
    assert posts(server)[-1].content == SPEECH


def test_a_redirection_is_not_followed(tmp_path: Path) -> None:
    """Speech goes to the address that was checked, or nowhere."""

    async def main() -> int:
        async with StandIn(STORED) as other:
            away = standin.body(b"", "307 Temporary Redirect", f"Location: {other.url}/")
            assert type(await asyncio.to_thread(failure, tmp_path, away)) is ServerError
            return other.connections

    assert asyncio.run(main()) == 0


def test_a_server_that_stops_reading_ends_at_the_deadline() -> None:
    """The speech trickles away or not at all: an hour of it helps nobody."""

    async def main() -> CloudFaultError:
        writers: list[asyncio.StreamWriter] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            del reader  # it is not read: the little that it takes by itself is soon taken
            writers.append(writer)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        caller = Caller(settings(url, upload_deadline_ms=500, connect_timeout_ms=200))
        try:
            with pytest.raises(CloudFaultError) as raised:
                await caller.upload(url, bytes(30_000_000), "audio/opus", "dev-1")
        finally:
            caller.close()
            for writer in writers:
                writer.transport.abort()
            server.close()
            await server.wait_closed()
        return raised.value

    assert isinstance(asyncio.run(main()), NetworkError)


def test_an_upload_does_not_hold_up_calls(tmp_path: Path) -> None:
    """An emergency does not wait for half a minute of speech."""

    async def main() -> object:
        async with StandIn(Storage(standin.stall)) as server:
            rig = Rig(tmp_path, server)
            uploads = [asyncio.create_task(rig.uploader.upload(rig.name)) for _ in range(3)]
            while not posts(server):
                await rig.caller.call("mutation", "a:b", dict, lambda value: value)
            value = await rig.caller.call("mutation", "a:b", dict, lambda value: value)
            for upload in uploads:
                upload.cancel()
            await asyncio.gather(*uploads, return_exceptions=True)
            rig.close()
            return value

    assert asyncio.run(main()) is not None


def test_without_a_token_nothing_is_asked(tmp_path: Path) -> None:
    """Whoever delivers waits for one."""

    def forget(rig: Rig) -> None:
        rig.token = None

    with pytest.raises(AuthenticationError):
        uploaded(tmp_path, STORED, prepare=forget)


def test_a_card_that_fails_is_a_failure_to_be_tried_later(tmp_path: Path) -> None:
    """The vault, or the card, may work again."""

    def break_vault(rig: Rig) -> None:
        rig.store._key = lambda: b"short"

    with pytest.raises(SpeechUnavailableError):
        uploaded(tmp_path, STORED, prepare=break_vault)


GOOD_URLS = (
    "https://store.example/upload?token=a.b-c",
    "https://127.0.0.1:8443/x",
    "http://127.0.0.1:3210/x",
    "http://localhost/x",
    "http://[::1]:80/x",
)
BAD_URLS: tuple[object, ...] = (
    *(
        "http://store.example/x",
        "ftp://store.example/x",
        "https://",
        "https:///x",
        "//a/x",
        "",
        "x",
    ),
    *("https://user@store.example/x", "https://u:p@store.example/x", "https://a/x#part"),
    *("https://a b/x", "https://a/\r\nX: y", "https://ä/x", "https://a:99999/x", "https://[::1/x"),
    *("https://a/" + "x" * 3_000, 7, None, ["https://a/x"], "file:///etc/passwd", "HTTP://a/x"),
)


@pytest.mark.parametrize("url", GOOD_URLS)
def test_an_address_may_be_on_another_host(url: str) -> None:
    """As long as it is encrypted, or is this machine."""
    assert upload_url({"url": url}) == url


@pytest.mark.parametrize("url", BAD_URLS)
def test_an_address_that_speech_must_not_go_to_is_refused(url: object) -> None:
    """And is not quoted."""
    with pytest.raises(MalformedError) as raised:
        upload_url({"url": url})
    assert str(raised.value) == "the cloud's address for an upload cannot be used"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("url"), inner),
)


@given(JSON)
def test_no_answer_makes_the_parsers_raise_anything_else(value: object) -> None:
    """A hostile cloud may send whatever it likes."""
    for parse in (upload_url, storage_id):
        for given_value in (value, {"url": value, "storageId": value}):
            with contextlib.suppress(MalformedError):
                assert isinstance(parse(given_value), str)
