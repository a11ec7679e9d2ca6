"""The link: keeping one connection up."""

from __future__ import annotations

import asyncio
import http
import logging
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from firmware.stream.counters import Counters
from firmware.stream.dialects.choice import Dialects
from firmware.stream.dialler import Dialler
from firmware.stream.errors import CredentialError
from firmware.stream.link import Link
from firmware.stream.settings import StreamSettings
from hardware.clock import Clock
from tests.firmware.stream.bell import PATIENCE_S
from tests.firmware.stream.stage import on_loop, stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.ports import Post
    from firmware.stream.messages import Incoming


@on_loop
async def test_gateway_that_comes_back_is_found_again() -> None:
    """However often nobody answers, the stream goes on; the link is said to be down once."""
    async with stage() as scene:
        await scene.gateway.session(1)
        await scene.gateway.stop()
        await scene.bell.until(lambda: scene.loop.count("link_down"))
        await scene.until_failed(10)
        await scene.gateway.start()
        await scene.gateway.session(2)
        await scene.loop.until("link_up", count=2)
        assert scene.loop.names == ["link_up", "link_down", "link_up"]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_token_is_not_shown_again(status: int) -> None:
    """It is told once, and the stream waits for another; the gateway is there, so the link is not
    down.
    """

    @on_loop
    async def scene_of_one_refusal() -> None:
        async with stage(token=None) as scene:
            scene.gateway.status = http.HTTPStatus(status)
            scene.stream.set_token("old")
            scene.perform("open_stream", turn=1)
            await scene.loop.until("stream_failed", turn=1)
            assert scene.loop.names == ["tokens_lost", "stream_failed"]
            scene.perform("open_stream", turn=2)
            assert scene.loop.count("stream_failed", turn=2) == 1
            scene.gateway.status = None
            scene.stream.set_token("new")
            await scene.loop.until("link_up")
            assert scene.gateway.tokens == ["old", "new"]

    scene_of_one_refusal()


@on_loop
async def test_newer_token_survives_the_refusal_of_an_older_one() -> None:
    """The one in hand was not refused, and is tried."""
    async with stage(token=None) as scene:
        scene.gateway.status = http.HTTPStatus.UNAUTHORIZED
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("old")
        await scene.bell.until(lambda: scene.gateway.attempts)
        scene.stream.set_token("new")
        scene.gateway.gate.set()
        await scene.bell.until(lambda: scene.gateway.attempts == 2)
        await scene.loop.until("tokens_lost")
        assert scene.gateway.tokens == ["old", "new"]
        assert scene.loop.names == ["tokens_lost"]


@pytest.mark.parametrize("status", [302, 404, 429, 500, 503])
def test_other_refusals_are_retried(status: int) -> None:
    """The gateway cannot be had just now; the token is not the matter."""

    @on_loop
    async def scene_of_one_status() -> None:
        async with stage(token=None) as scene:
            scene.gateway.status = http.HTTPStatus(status)
            scene.stream.set_token("token")
            await scene.bell.until(lambda: scene.gateway.attempts == 3)
            scene.gateway.status = None
            await scene.loop.until("link_up")
            assert scene.loop.names == ["link_down", "link_up"]

    scene_of_one_status()


@on_loop
async def test_redirect_is_not_followed() -> None:
    """The token goes where the settings say and nowhere else."""
    async with stage(token=None) as elsewhere, stage(token=None) as scene:
        scene.gateway.status = http.HTTPStatus.TEMPORARY_REDIRECT
        scene.gateway.location = elsewhere.gateway.url
        scene.stream.set_token("token")
        await scene.bell.until(lambda: scene.gateway.attempts == 3)
        assert elsewhere.gateway.attempts == 0


@on_loop
async def test_server_that_speaks_no_http_is_a_gateway_that_is_not_there() -> None:
    """Whatever answers, it is retried; nothing escapes."""

    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00SSH-2.0 garbage\r\n\r\n" * 100)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, stage(url=f"ws://127.0.0.1:{port}/") as scene:
        await scene.loop.until("link_down")
        await scene.until_failed(3)


@on_loop
async def test_host_that_cannot_be_named_is_a_gateway_that_is_not_there() -> None:
    """Also where its name is not even one that can be looked up."""
    async with stage(url=f"wss://{'a' * 64}.invalid/") as scene:
        await scene.loop.until("link_down")


@on_loop
async def test_withdrawn_token_ends_the_connection() -> None:
    """With it goes the turn; without a token nobody dials."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.stream.set_token(None)
        await session.end()
        assert scene.loop.names == ["link_up", "stream_opened", "stream_lost"]
        scene.stream.set_token("another")
        await scene.gateway.session(2)
        assert scene.gateway.tokens == ["token", "another"]


@on_loop
async def test_withdrawn_token_ends_an_attempt_and_a_wait() -> None:
    """A turn that waited has failed."""
    async with stage(token=None) as scene:
        scene.stream.set_token(None)
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("token")
        scene.perform("open_stream", turn=1)
        await scene.bell.until(lambda: scene.gateway.attempts)
        scene.stream.set_token(None)
        assert scene.loop.events == [("stream_failed", {"turn": 1})]
        scene.gateway.gate.set()
        await scene.gateway.stop()
        scene.stream.set_token("token")
        await scene.loop.until("link_down")
        scene.stream.set_token(None)
        await scene.gateway.start()
        scene.perform("open_stream", turn=2)
        assert scene.loop.names[-1] == "stream_failed"


@on_loop
async def test_new_token_leaves_an_open_connection_alone() -> None:
    """Renewal disturbs no turn; the next connection uses it."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.stream.set_token("renewed")
        await session.is_heard()
        session.cut()
        await scene.gateway.session(2)
        assert scene.gateway.tokens == ["token", "renewed"]


@pytest.mark.parametrize("token", ["", "two words", "a\r\nX-Toy-ID: another", "tökén", "x" * 9_000])
def test_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    """A line break in it would begin another header."""

    @on_loop
    async def scene_of_one_token() -> None:
        async with stage() as scene:
            await scene.gateway.session(1)
            with pytest.raises(CredentialError, match=r"^the token cannot be sent") as caught:
                scene.stream.set_token(token)
            assert not token or token not in str(caught.value)
            await scene.gateway.sessions[0].is_heard()

    scene_of_one_token()


# The waits, with a clock that is asked and never goes.


class Asked(NamedTuple):
    """What a clock was asked for."""

    delay_ms: int
    call: Callable[[], None]
    timer: asyncio.TimerHandle


class StoppedClock(Clock):
    """Keeps what it is asked to call later, and calls when told."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: asyncio.Queue[Asked] = asyncio.Queue()

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Keep it, and return a handle of a timer that is a day away."""
        timer = super().call_later(86_400_000, callback)
        self._asked.put_nowait(Asked(delay_ms, callback, timer))
        return timer

    async def next(self) -> Asked:
        """Wait until something is asked for, and hand it out."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._asked.get()


class Silence:
    """Stands for the stream: takes no interest."""

    def link_opened(self) -> None:
        """Ignore it."""

    def link_received(self, message: Incoming) -> None:
        """Ignore it."""

    def link_flushed(self, turn: int) -> None:
        """Ignore it."""

    def link_ended(self) -> None:
        """Ignore it."""


class Highest(Random):
    """Always draws the longest wait."""

    def randint(self, a: int, b: int) -> int:
        """Return the upper bound."""
        del a
        return b


def a_link(url: str, clock: Clock, post: Post) -> Link:
    """Return a link with the settings as they come."""
    return Link(
        Dialler(StreamSettings(url=url, dialect="seed"), "device-1", "toy-1"),
        Dialects(StreamSettings(url=url, dialect="seed")),
        Counters(),
        clock=clock,
        post=post,
        random=Highest(),
        owner=Silence(),
    )


@on_loop
async def test_waits_between_attempts_grow_to_a_minute() -> None:
    """Their upper bound doubles from 1 s to 60 s, and there is no last attempt."""
    async with stage(token=None) as scene:
        await scene.gateway.stop()
        clock = StoppedClock()
        link = a_link(scene.gateway.url, clock, scene.loop.post)
        link.set_token("token")
        waits = []
        for _ in range(9):
            again = await clock.next()
            waits.append(again.delay_ms)
            again.call()
        assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
        await link.close()


@on_loop
async def test_waits_begin_anew_only_after_a_connection_has_worked_for_a_while() -> None:
    """A gateway that takes everybody in and throws them out again is not stormed."""
    async with stage(token=None) as scene:
        clock = StoppedClock()
        link = a_link(scene.gateway.url, clock, scene.loop.post)
        link.set_token("token")
        waits = []
        for number in range(1, 6):
            await scene.gateway.session(number)
            settle = await clock.next()
            assert settle.delay_ms == 10_000
            if number == 4:
                settle.call()
            scene.gateway.sessions[-1].cut()
            again = await clock.next()
            waits.append(again.delay_ms)
            assert settle.timer.cancelled()
            again.call()
        assert waits == [1_000, 2_000, 4_000, 1_000, 2_000]
        await link.close()


@on_loop
async def test_renewed_token_does_not_cut_a_wait_short() -> None:
    """The gateway that cannot be had is no nearer for it."""
    async with stage(token=None) as scene:
        await scene.gateway.stop()
        clock = StoppedClock()
        link = a_link(scene.gateway.url, clock, scene.loop.post)
        link.set_token("token")
        again = await clock.next()
        link.set_token("renewed")
        assert link.connection is None
        await scene.gateway.start()
        again.call()
        await scene.gateway.session(1)
        assert scene.gateway.tokens == ["renewed"]
        await link.close()


@on_loop
async def test_token_after_a_refusal_waits_as_after_a_failure() -> None:
    """A cloud that grants what the gateway refuses does not make a storm of it."""
    async with stage(token=None) as scene:
        scene.gateway.status = http.HTTPStatus.UNAUTHORIZED
        clock = StoppedClock()
        link = a_link(scene.gateway.url, clock, scene.loop.post)
        waits = []
        link.set_token("token")
        for number in range(1, 5):
            await scene.loop.until("tokens_lost", count=number)
            link.set_token("token")
            again = await clock.next()
            waits.append(again.delay_ms)
            again.call()
        assert waits == [1_000, 2_000, 4_000, 8_000]
        await link.close()
        assert scene.loop.names == ["tokens_lost"] * 4


# What is said of it.

CANARY = "SECRET-TOKEN"


@on_loop
async def test_outage_is_logged_once_with_its_cause() -> None:
    """One line when the gateway is gone, one when it is back; never the token."""
    heard = Hearing()
    with heard:
        async with stage(token=CANARY) as scene:
            await scene.gateway.session(1)
            await scene.gateway.stop()
            await scene.until_failed(3)
            await scene.gateway.start()
            await scene.gateway.session(2)
    assert len(heard.of("firmware.stream.link")) == 3
    assert "connection 1" in heard.of("firmware.stream.link")[0]
    assert "closed with code 1006" in heard.of("firmware.stream.link")[1]


@on_loop
async def test_neither_token_nor_speech_nor_words_are_logged() -> None:
    """Not even with every logger turned up as far as it goes."""
    heard = Hearing()
    with heard:
        async with stage(token=CANARY) as scene:
            session = await scene.gateway.session(1)
            await scene.open_turn(1)
            scene.speak(b"SECRET-SPEECH")
            await session.utterances()
            await session.send(
                {"type": "transcript", "text": "SECRET-WORDS"},
                {"type": "error", "code": "SECRET-CODE", "message": "SECRET-ERROR"},
                {"type": "SECRET-TYPE"},
                "SECRET-JUNK",
            )
            await session.is_heard()
            await session.close()
            await scene.loop.until("link_down")
    said = "\n".join(heard.lines)
    assert "SECRET" not in said
    assert b"SECRET-SPEECH".hex() not in said
    assert "dropped a message from the gateway: not JSON" in said


@on_loop
async def test_unusable_messages_are_logged_once_for_each_reason() -> None:
    """A flood of them is no flood of the log."""
    heard = Hearing()
    with heard:
        async with stage() as scene:
            session = await scene.gateway.session(1)
            await session.send(*["junk", "[]"] * 50)
            await session.is_heard()
    assert len(heard.of("firmware.stream.connection")) == 2


class Hearing(logging.Handler):
    """Hears everything that is logged by our side while it is entered."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, unless it is the server's."""
        if not record.name.startswith("websockets.server"):
            self.lines.append(record.getMessage())
            self._names.append(record.name)

    def of(self, name: str) -> list[str]:
        """Return the lines of one logger."""
        return [line for of, line in zip(self._names, self.lines, strict=True) if of == name]

    def __enter__(self) -> None:
        self._level = logging.root.level
        logging.root.addHandler(self)
        logging.root.setLevel(logging.DEBUG)

    def __exit__(self, *_: object) -> None:
        logging.root.removeHandler(self)
        logging.root.setLevel(self._level)
