"""The listener: what it hears in time, what it drops, and that it hears on a thread of its own."""

from __future__ import annotations

import logging
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from firmware.voice.wake.hearing import Engines
from firmware.voice.wake.listener import (
    DUCK_INTERVAL_MS,
    FRAMES_WAITING_MAX,
    PLAYED_FRAMES_WAITING_MAX,
    WakeListener,
)
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.voice.rig import Posted
from tests.firmware.voice.wake.scripted import (
    ALMOST,
    BROKEN,
    SILENCE,
    SPEECH,
    WORD,
    ScriptedEngine,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Rig:
    """A listener with scripted engines, and a time line."""

    def __init__(self) -> None:
        self.posted = Posted()
        self.ducks = 0
        self.now_ms = 0
        self.microphone = ScriptedEngine()
        self.playback = ScriptedEngine()
        self.listener = WakeListener(Clock(), self.posted, self._duck)

    def _duck(self) -> None:
        self.ducks += 1

    @property
    def engines(self) -> Engines:
        return Engines(self.microphone, self.playback)

    async def hears(self, *frames: bytes, played: bytes | None = None) -> None:
        """Let frames be captured, one after the other, while something plays."""
        for frame in frames:
            if played is not None:
                self.listener.reference(played, self.now_ms)
            self.listener.hear(frame, self.now_ms)
            self.now_ms += 20
            await settle(self.listener)


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    try:
        yield made
    finally:
        await made.listener.close()


class Gate(ScriptedEngine):
    """An engine that takes its time over the first frame: until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.is_hearing = threading.Event()
        self.may_go_on = threading.Event()

    def hear(self, frame: bytes) -> bool:
        """Take a frame, as soon as it may."""
        self.is_hearing.set()
        assert self.may_go_on.wait(10)
        return super().hear(frame)


def test_the_word_is_told_with_the_time_at_which_it_ended() -> None:
    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            assert r.listener.heard_ms is None
            r.listener.begin()
            await r.hears(SILENCE, SPEECH, WORD, SILENCE)
            assert r.posted == [("wake_heard", {})]
            assert r.listener.heard_ms == 60
            assert r.listener.words_heard == 1

    run_virtual(main())


def test_nothing_is_heard_unless_it_samples() -> None:
    """Not before it begins, and not after it ends."""

    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            await r.hears(WORD, played=SPEECH)
            r.listener.begin()
            r.listener.end()
            await r.hears(WORD, played=SPEECH)
            assert (r.posted, r.microphone.heard, r.playback.heard) == ([], [], [])

    run_virtual(main())


def test_without_a_word_nothing_is_heard() -> None:
    """And no thread is started for it."""

    async def main() -> None:
        async with rig() as r:
            await r.listener.use(None)
            r.listener.begin()
            await r.hears(WORD, played=WORD)
            assert r.posted == []
            assert r.listener._thread is None

    run_virtual(main())


@pytest.mark.parametrize("begins_again", [False, True])
def test_nothing_that_was_heard_before_the_end_counts_after_it(*, begins_again: bool) -> None:
    """Not even what the thread is hearing at that very moment."""

    async def main() -> None:
        async with rig() as r:
            gate = Gate()
            await r.listener.use(Engines(gate, None))
            r.listener.begin()
            r.listener.hear(WORD, 0)
            assert gate.is_hearing.wait(10)
            r.listener.hear(WORD, 20)
            r.listener.end()
            if begins_again:
                r.listener.begin()
                r.listener.hear(SPEECH, 40)
            gate.may_go_on.set()
            await settle(r.listener)
            assert r.posted == []
            assert r.listener.heard_ms is None
            assert gate.heard == ([SPEECH] if begins_again else [WORD])

    run_virtual(main())


def test_a_thread_that_cannot_keep_up_leaves_out_the_oldest() -> None:
    """And counts them; what came last is heard."""

    async def main() -> None:
        async with rig() as r:
            gate = Gate()
            await r.listener.use(Engines(gate, None))
            r.listener.begin()
            r.listener.hear(SILENCE, 0)
            assert gate.is_hearing.wait(10)
            for n in range(FRAMES_WAITING_MAX + 3):
                r.listener.hear(WORD if n < 3 else SPEECH, 20 * n)
            gate.may_go_on.set()
            await settle(r.listener)
            assert gate.heard == [SILENCE] + [SPEECH] * FRAMES_WAITING_MAX
            assert r.listener.frames_dropped == 3
            assert r.posted == []

    run_virtual(main())


def test_what_is_played_waits_in_a_bounded_place_too() -> None:
    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            for n in range(PLAYED_FRAMES_WAITING_MAX + 2):
                r.listener.reference(SPEECH, 20 * n)
            await r.hears(SILENCE)
            assert r.playback.heard == [SPEECH] * PLAYED_FRAMES_WAITING_MAX
            assert r.listener.frames_dropped == 2

    run_virtual(main())


def test_what_was_played_before_it_began_to_sample_is_not_heard() -> None:
    """The speaker's thread may be in the middle of telling of it."""

    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            r.listener.reference(WORD, 0)
            late = r.listener._played[0]
            r.listener.end()
            r.listener.begin()
            r.listener._played.append(late)
            await r.hears(SPEECH)
            assert (r.microphone.heard, r.playback.heard) == ([SPEECH], [])

    run_virtual(main())


def test_each_sampling_is_a_piece_of_sound_of_its_own() -> None:
    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            for _ in range(3):
                r.listener.begin()
                await r.hears(SPEECH, SPEECH)
                assert r.microphone.heard == [SPEECH, SPEECH]
                r.listener.end()
            assert r.microphone.resets == 3

    run_virtual(main())


def test_the_engines_are_swapped_while_it_listens() -> None:
    """Every frame is heard by one of them; those before are closed when the others have begun."""

    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            await r.hears(SPEECH, SPEECH)
            other = Engines(ScriptedEngine(word=SPEECH), ScriptedEngine())
            await r.listener.use(other)
            assert (r.microphone.is_closed, r.playback.is_closed) == (True, True)
            await r.hears(WORD)
            assert r.posted == []
            await r.hears(SPEECH)
            assert r.posted.names == ["wake_heard"]
            assert r.listener.frames_dropped == 0

    run_virtual(main())


def test_a_reply_that_contains_the_word_is_counted_and_wakes_nobody() -> None:
    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            await r.hears(*[SPEECH] * 10, played=SPEECH)
            await r.hears(SPEECH, played=WORD)
            await r.hears(SPEECH, WORD, *[SPEECH] * 30, played=SPEECH)
            assert (r.posted, r.ducks) == ([], 0)
            assert (r.listener.words_heard, r.listener.words_discarded) == (0, 1)

    run_virtual(main())


def test_a_person_who_says_the_word_over_a_reply_wakes_it() -> None:
    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            await r.hears(*[SPEECH] * 10, WORD, *[SPEECH] * 20, played=SPEECH)
            assert r.posted.names == ["wake_heard"]
            assert r.listener.heard_ms == 220

    run_virtual(main())


def test_the_playback_is_told_now_and_then_while_somebody_talks() -> None:
    """It stays quieter by itself for a while."""

    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            await r.hears(*[SPEECH] * 10, played=SPEECH)
            assert r.ducks == 0
            await r.hears(*[ALMOST] * 20, played=SPEECH)
            assert r.ducks == 20 * 20 // DUCK_INTERVAL_MS
            await r.hears(*[SPEECH] * 20, played=SPEECH)
            assert r.ducks == 20 * 20 // DUCK_INTERVAL_MS

    run_virtual(main())


def test_nobody_is_ducked_for_once_it_has_ended() -> None:
    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            await r.hears(SPEECH, played=SPEECH)
            r.listener.hear(ALMOST, r.now_ms)
            r.listener._talk(r.listener._sampling - 1)
            r.listener.end()
            await settle(r.listener)
            assert r.ducks == 0

    run_virtual(main())


def test_an_engine_that_fails_at_a_frame_hears_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said once, without the engine's own words."""

    async def main() -> None:
        async with rig() as r:
            await r.listener.use(r.engines)
            r.listener.begin()
            await r.hears(BROKEN, BROKEN, WORD)
            assert r.posted.names == ["wake_heard"]
            assert r.listener.failures == 2

    with caplog.at_level(logging.DEBUG, "firmware"):
        run_virtual(main())
    assert caplog.messages == ["the wake word's engine failed (RuntimeError)"]


def test_an_engine_that_cannot_be_closed_gives_way_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stuck(ScriptedEngine):
        def close(self) -> None:
            raise OSError("somewhere")

    async def main() -> None:
        async with rig() as r:
            await r.listener.use(Engines(Stuck(), None))
            await r.listener.use(r.engines)
            r.listener.begin()
            await r.hears(WORD)
            assert r.posted.names == ["wake_heard"]

    run_virtual(main())
    assert caplog.messages == ["a wake word's engine could not be closed (OSError)"]


def test_closing_ends_the_thread_and_closes_the_engines() -> None:
    async def main() -> None:
        r = Rig()
        await r.listener.use(r.engines)
        thread = r.listener._thread
        assert thread is not None
        r.listener.begin()
        r.listener.hear(WORD, 0)
        await r.listener.close()
        await r.listener.close()
        assert not thread.is_alive()
        assert (r.microphone.is_closed, r.playback.is_closed) == (True, True)
        r.listener.begin()
        await r.hears(WORD, played=WORD)
        late = ScriptedEngine()
        await r.listener.use(Engines(late, None))
        assert late.is_closed
        assert r.posted == []

    run_virtual(main())
