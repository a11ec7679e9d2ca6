"""What a test of the stream plays on: a gateway, a stream, and those who watch what it does."""

from __future__ import annotations

import asyncio
import functools
import gc
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

from firmware.stream.settings import StreamSettings
from firmware.stream.stream import Stream
from firmware.stream.wav import Sound
from hardware.clock import Clock
from hardware.pcm import FRAME_BYTES
from states.events import EVENTS, Event, FieldValue, check
from tests.firmware.stream.bell import PATIENCE_S, Bell
from tests.firmware.stream.gateway import DIALECTS, Dialect, Gateway

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

_P = ParamSpec("_P")


class Posted(NamedTuple):
    """An event, as it was posted."""

    name: str
    fields: dict[str, FieldValue]


class Loop:
    """Stands for the loop: keeps what is posted, and takes nothing that the machine would not."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self.events: list[Posted] = []

    @property
    def names(self) -> list[str]:
        """The names of the events, in order."""
        return [event.name for event in self.events]

    def post(self, name: str, /, **fields: FieldValue) -> None:
        """Keep an event."""
        assert name in EVENTS
        check(Event(name, fields))
        self.events.append(Posted(name, fields))
        self._bell.ring()

    async def until(self, name: str, count: int = 1, **fields: FieldValue) -> None:
        """Wait until so many such events have been posted."""
        await self._bell.until(lambda: self.count(name, **fields) >= count)

    def count(self, name: str, **fields: FieldValue) -> int:
        """Return how many such events have been posted."""
        return sum(
            event.name == name and event.fields.items() >= fields.items() for event in self.events
        )


class Playback:
    """Stands for playback: keeps what it is given, and may do something at each packet."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self.packets: list[tuple[int, int, bytes, int]] = []
        self.sounds: list[tuple[int, int, Sound]] = []
        self.ends: list[tuple[int, int]] = []
        self.numbers: list[int | None] = []
        self.pieces: list[int | None] = []
        self.on_packet: Callable[[], None] = lambda: None

    def reply_packet(
        self,
        turn: int,
        connection: int,
        packet: bytes,
        sample_rate_hz: int,
        number: int | None = None,
    ) -> None:
        """Keep a packet."""
        self.packets.append((turn, connection, packet, sample_rate_hz))
        self.numbers.append(number)
        self._bell.ring()
        self.on_packet()

    def reply_pcm(
        self, turn: int, connection: int, pcm: bytes, sample_rate_hz: int, channels: int = 1
    ) -> None:
        """Keep samples."""
        self.sounds.append((turn, connection, Sound(pcm, sample_rate_hz, channels)))
        self._bell.ring()

    def reply_end(self, turn: int, connection: int, pieces: int | None = None) -> None:
        """Keep the end."""
        self.ends.append((turn, connection))
        self.pieces.append(pieces)
        self._bell.ring()

    async def until_end(self, turn: int) -> None:
        """Wait for the end of the reply to `turn`."""
        await self._bell.until(lambda: any(ended == turn for ended, _ in self.ends))

    def of_turn(self, turn: int) -> list[bytes]:
        """Return the packets of the reply to `turn`."""
        return [packet for of, _, packet, _ in self.packets if of == turn]


class WatchedClock(Clock):
    """Rings whenever something is put off, as another attempt is, and keeps the timer."""

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self._bell = bell
        self._timers: list[tuple[int, asyncio.TimerHandle]] = []

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Ring, and do as usual."""
        self._bell.ring()
        timer = super().call_later(delay_ms, callback)
        self._timers.append((delay_ms, timer))
        return timer

    def armed(self) -> list[int]:
        """Return the delays of the timers that are still to fire."""
        now_s = asyncio.get_running_loop().time()
        return [ms for ms, timer in self._timers if not timer.cancelled() and timer.when() > now_s]


class Stage:
    """All of it."""

    def __init__(self, bell: Bell, gateway: Gateway) -> None:
        self.bell = bell
        self.clock = WatchedClock(bell)
        self.gateway = gateway
        self.loop = Loop(bell)
        self.playback = Playback(bell)
        self.hints: list[str] = []
        self.words: list[tuple[int, str, str]] = []
        self.stream: Stream

    def take_hint(self, kind: str) -> None:
        """Keep a hint."""
        self.hints.append(kind)
        self.bell.ring()

    def take_words(self, turn: int, kind: str, text: str) -> None:
        """Keep words."""
        self.words.append((turn, kind, text))
        self.bell.ring()

    def perform(self, name: str, **fields: FieldValue) -> None:
        """Perform an effect as the loop does."""
        self.stream.effects[name](**fields)

    async def open_turn(self, turn: int) -> None:
        """Begin a turn and wait for its stream."""
        self.perform("open_stream", turn=turn)
        await self.loop.until("stream_opened", turn=turn)

    @property
    def frame(self) -> bytes:
        """Something that can be said in the present dialect."""
        return b"speech" if self.stream.speech_format == "opus" else bytes(FRAME_BYTES)

    def speak(self, *packets: bytes) -> None:
        """Say something whole."""
        for number, packet in enumerate(packets):
            self.stream.send(packet, captured_ms=20 * number)
        self.stream.finish()

    async def until_failed(self, count: int) -> None:
        """Wait until so many attempts at a connection have failed."""
        await self.bell.until(lambda: self.stream.counters.connections_failed >= count)

    async def hold_turn(self, turn: int, session: int, *reply: bytes) -> None:
        """Let a turn take its course, up to its answer."""
        await self.open_turn(turn)
        before = self.gateway.sessions[session - 1].finals
        self.speak(self.frame)
        await self.gateway.sessions[session - 1].utterances(before + 1)
        await self.loop.until("uplink_flushed", turn=turn)
        await self.gateway.sessions[session - 1].reply(*reply, turn=turn)
        await self.playback.until_end(turn)
        self.perform("end_turn", turn=turn, outcome="answered")


QUICK: dict[str, Any] = {"retry_delay_ms_min": 1, "retry_delay_ms_max": 4}
"""Settings for tests that wait for another attempt."""


@asynccontextmanager
async def stage(  # noqa: PLR0913 - whatever a test may want
    *,
    token: str | None = "token",  # noqa: S107 - of a gateway that takes any
    tls: ssl.SSLContext | None = None,
    trust: ssl.SSLContext | None = None,
    speaks: Dialect | None = None,
    dialect: str = "seed",
    names: tuple[str, str] = ("device-1", "toy-1"),
    **settings: Any,  # noqa: ANN401 - as the fields of the settings
) -> AsyncIterator[Stage]:
    """Set everything up; afterwards see that the stream closes in time and leaves nothing."""
    bell = Bell()
    before = asyncio.all_tasks()
    heard: Dialect = next((known for known in DIALECTS if known == dialect), "seed")
    async with Gateway(bell, tls, speaks or heard) as gateway:
        scene = Stage(bell, gateway)
        scene.stream = Stream(
            StreamSettings(**{"url": gateway.url, "dialect": dialect, **QUICK, **settings}),
            *names,
            scene.clock,
            scene.loop.post,
            scene.playback,
            Random(1),  # noqa: S311 - the same in every run
            scene.take_hint,
            on_words=scene.take_words,
            tls=trust,
        )
        if token is not None:
            scene.stream.set_token(token)
        try:
            yield scene
        finally:
            async with asyncio.timeout(1):
                await scene.stream.close()
            posted = len(scene.loop.events)
            assert scene.clock.armed() == []
    assert asyncio.all_tasks() <= before
    assert len(scene.loop.events) == posted


def on_loop(test: Callable[_P, Awaitable[None]]) -> Callable[_P, None]:
    """Run a test on a loop of its own, where nothing may go wrong unseen."""

    @functools.wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        async def main() -> None:
            unseen: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, what: unseen.append(what))
            async with asyncio.timeout(4 * PATIENCE_S):
                await test(*args, **kwargs)
            gc.collect()  # a task that failed unseen says so when it is collected
            assert not unseen

        asyncio.run(main())

    return run
