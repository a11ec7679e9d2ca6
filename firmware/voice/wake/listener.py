"""Listens for the wake word while the microphone samples, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from firmware.voice.wake.hearing import Hearing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.ports import Post
    from firmware.voice.wake.hearing import Engines, Finding
    from hardware.clock import Clock

FRAMES_WAITING_MAX: Final = 25
"""Half a second of sound: of a word that is heard later than that, the utterance after it would be
cut off."""

PLAYED_FRAMES_WAITING_MAX: Final = 100
"""Frames of the playback, which is pulled ahead of being heard."""

DUCK_INTERVAL_MS: Final = 100
"""How often the playback is told anew that somebody talks."""

_log = logging.getLogger(__name__)


class _Frame(NamedTuple):
    """A frame of the microphone or the playback, and the sampling within which it came."""

    sampling: int
    pcm: bytes
    at_ms: int


class _Work(NamedTuple):
    """Something for the thread to do between two frames, and what tells that it is done."""

    do: Callable[[], None]
    done: threading.Event


class WakeListener:
    """The `firmware.ports.Ear` of the toy; what it hears with is given to it by `use`.

    Posts `wake_heard`. What is heard in one sampling, from `begin` to `end`, is one piece of sound,
    and whatever comes of it afterwards is dropped. A thread hears, which is started with the first
    engines and takes frames as fast as it can; where that is too slow, the oldest are left out.

    All but `reference` belongs to the loop's thread.

    Args:
        clock: Whose time the frames bear.
        post: Where events go.
        duck: Makes the playback quieter for a while: somebody seems to talk over it.
    """

    def __init__(self, clock: Clock, post: Post, duck: Callable[[], None]) -> None:
        self.words_heard = 0
        """Wake words that counted."""
        self.words_discarded = 0
        """Wake words that the toy itself had said."""
        self.frames_dropped = 0
        """Frames for which there was no room."""
        self.failures = 0
        """Frames at which an engine failed."""
        self._clock = clock
        self._post = post
        self._duck = duck
        self._heard_ms: int | None = None
        self._ducked_ms: int | None = None
        self._sampling = 0
        self._is_sampling = False
        self._is_ready = False
        self._is_closed = False
        self._thread: threading.Thread | None = None
        # What the thread takes; guarded by the condition.
        self._news = threading.Condition()
        self._works: deque[_Work] = deque()
        self._frames: deque[_Frame] = deque()
        # Filled in the speaker's thread, whose patience is short: no lock, each step is atomic.
        self._played: deque[_Frame] = deque(maxlen=PLAYED_FRAMES_WAITING_MAX)
        # The thread's own.
        self._hearing: Hearing | None = None
        self._heard_sampling = 0

    @property
    def heard_ms(self) -> int | None:
        """Monotonic ms at which the word ended that was heard last; None before the first."""
        return self._heard_ms

    @property
    def gauges(self) -> Mapping[str, Callable[[], float | None]]:
        """What it counts, for the metrics."""
        return {
            "wakeWordsHeard": lambda: self.words_heard,
            "wakeDiscardedAsEcho": lambda: self.words_discarded,
            "wakeFramesDropped": lambda: self.frames_dropped,
            "wakeFailures": lambda: self.failures,
        }

    async def use(self, engines: Engines | None) -> None:
        """Hear with these from now on, or with nothing, in the midst of sampling as well.

        They belong to the listener; those before are closed on return.
        """
        if self._is_closed:
            if engines is not None:
                engines.close()
            return
        if self._thread is None and engines is not None:
            self._thread = threading.Thread(target=self._run, name="wake word", daemon=True)
            self._thread.start()
        self._is_ready = engines is not None
        await self._on_thread(partial(self._take_up, engines))

    def begin(self) -> None:
        """Sampling begins: what is heard from now on is one piece."""
        self._forget()
        self._is_sampling = True

    def hear(self, frame: bytes, captured_ms: int) -> None:
        """Take the next frame; returns at once."""
        if not (self._is_sampling and self._is_ready):
            return
        with self._news:
            if len(self._frames) >= FRAMES_WAITING_MAX:
                self._frames.popleft()
                self.frames_dropped += 1
            self._frames.append(_Frame(self._sampling, frame, captured_ms))
            self._news.notify()

    def end(self) -> None:
        """Sampling is over: nothing that was heard before counts any more."""
        self._is_sampling = False
        self._forget()

    def reference(self, frame: bytes, heard_ms: int) -> None:
        """Take a frame of the playback, which begins to be heard at that time; from any thread."""
        if self._is_sampling and self._is_ready:
            if len(self._played) == PLAYED_FRAMES_WAITING_MAX:
                self.frames_dropped += 1
            self._played.append(_Frame(self._sampling, frame, heard_ms))

    async def close(self) -> None:
        """Hear nothing more; the thread has ended and the engines are closed on return."""
        self.end()
        self._is_ready = False
        with self._news:
            self._is_closed = True
            self._news.notify()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _forget(self) -> None:
        self._sampling += 1
        with self._news:
            self._frames.clear()
        self._played.clear()

    async def _on_thread(self, do: Callable[[], None]) -> None:
        """Have the thread do something between two frames; it is done on return."""
        if self._thread is None or self._is_closed:
            return
        work = _Work(do, threading.Event())
        with self._news:
            self._works.append(work)
            self._news.notify()
        await asyncio.get_running_loop().run_in_executor(None, work.done.wait)

    def _word(self, sampling: int, word_ms: int) -> None:
        if sampling == self._sampling:
            self.words_heard += 1
            self._heard_ms = word_ms
            self._post("wake_heard")

    def _talk(self, sampling: int) -> None:
        if sampling == self._sampling:
            self._duck()

    # -- On the thread.

    def _run(self) -> None:
        while (job := self._next()) is not None:
            if isinstance(job, _Work):
                self._do(job)
            else:
                self._hear(job)
        self._take_up(None)

    def _do(self, work: _Work) -> None:
        try:
            work.do()
        except Exception as error:  # noqa: BLE001 - an engine that cannot be closed is lost anyway
            _log.error("a wake word's engine could not be closed (%s)", type(error).__name__)
        finally:
            work.done.set()

    def _next(self) -> _Work | _Frame | None:
        """Wait for something to do; None once it is closed and all work is done."""
        with self._news:
            while True:
                if self._works:
                    return self._works.popleft()
                if self._is_closed:
                    return None
                if self._frames:
                    return self._frames.popleft()
                self._news.wait()

    def _take_up(self, engines: Engines | None) -> None:
        before, self._hearing = self._hearing, None if engines is None else Hearing(engines)
        if before is not None:
            before.close()

    def _hear(self, frame: _Frame) -> None:
        hearing = self._hearing
        if hearing is None:
            return
        try:
            if frame.sampling != self._heard_sampling:
                self._heard_sampling = frame.sampling
                hearing.reset()
            self._hear_played(hearing, frame.sampling)
            found = hearing.hear(frame.pcm, frame.at_ms)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the next frame may work
            self.failures += 1
            if self.failures == 1:
                _log.error("the wake word's engine failed (%s)", type(error).__name__)
        else:
            self._tell(frame, found)

    def _hear_played(self, hearing: Hearing, sampling: int) -> None:
        while self._played:
            try:
                played = self._played.popleft()
            except IndexError:  # sampling has ended this very moment
                return
            if played.sampling == sampling:
                hearing.take_played(played.pcm, played.at_ms)

    def _tell(self, frame: _Frame, found: Finding) -> None:
        if found.word_ms is not None:
            self._clock.call_soon_threadsafe(partial(self._word, frame.sampling, found.word_ms))
        if found.is_echo:
            self.words_discarded += 1
        if found.is_over_playback and self._may_duck(frame.at_ms):
            self._ducked_ms = frame.at_ms
            self._clock.call_soon_threadsafe(partial(self._talk, frame.sampling))

    def _may_duck(self, now_ms: int) -> bool:
        return self._ducked_ms is None or now_ms - self._ducked_ms >= DUCK_INTERVAL_MS
