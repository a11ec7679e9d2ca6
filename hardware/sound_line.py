"""One direction of a sound card, kept up: opened, watched, given up, tried again.

A `Line` lives on the loop and says what it wants; `hardware.sound_card` has the thread that does
it. Between them, and to PortAudio's own thread, goes a `Session`: one opening of the line. What
belongs to an older session is recognised by that, and dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from hardware.errors import SoundError, SoundStreamError
from hardware.portaudio import INPUT_OVERFLOW, OUTPUT_UNDERFLOW, Direction, Form
from hardware.ticker import Ticker

if TYPE_CHECKING:
    from hardware.clock import Clock

WATCH_MS: Final = 250
"""How often a line that is open is looked at."""

SILENT_MS_MAX: Final = 2_500
"""Time without a single callback after which a stream is given up. A sound server that does not
rewind its buffers has been seen to take 1,841 ms for the first; a second without must be survived.
"""

RETRY_MS_MIN: Final = 500
RETRY_MS_MAX: Final = 8_000
"""How long after a failure the next attempt is made; the time doubles from one to the next."""

TEST_MS_MAX: Final = 5_000
"""How long a line may take to be tested: PortAudio looks at everything that might be a card."""

STALL_MS: Final = 100
"""A callback that comes so long after the one before is counted: more than a card's buffer holds.
"""

_LOST: Final = INPUT_OVERFLOW | OUTPUT_UNDERFLOW

_log = logging.getLogger(__name__)


@dataclass
class Counters:
    """What a line has gone through since it was made."""

    glitches: int = 0
    """Callbacks before which sound was lost or left out, by PortAudio's word or by their lateness.
    """
    stalls: int = 0
    """Of these, the ones that came `STALL_MS` after the one before, or later."""
    frames_dropped: int = 0
    """Frames of the microphone that the loop did not take in time."""
    callbacks_failed: int = 0
    """Callbacks in which something of ours raised; they gave silence."""
    lapses: int = 0
    """Times that the microphone closed itself because the loop hung."""
    failures: int = 0
    """Times that the line was found not to work, having worked before."""

    def gauges(self, direction: Direction) -> Mapping[str, Callable[[], float]]:
        """Return what is worth telling of a direction, by the names it has at the cloud."""
        told = {
            f"{direction}Glitches": lambda: self.glitches,
            f"{direction}Failures": lambda: self.failures,
        }
        if direction == "microphone":
            told["microphoneFramesDropped"] = lambda: self.frames_dropped
            told["microphoneLapses"] = lambda: self.lapses
        return told


class Session:
    """One opening of a line. `callback` runs in PortAudio's thread.

    Args:
        clock: Whose time.
        counters: The line's.
        on_begun: Called with the session, in PortAudio's thread, at the first callback.
    """

    def __init__(
        self, clock: Clock, counters: Counters, on_begun: Callable[[Session], None]
    ) -> None:
        self.is_live = True
        """Whether anybody wants it. Once it is not, it never is again."""
        self.is_lapsed = False
        """Whether it has ended by itself, because the loop gives no sign of life."""
        self.callbacks = 0
        """How many there were."""
        self._clock = clock
        self._counters = counters
        self._on_begun = on_begun
        self._called_ms = 0

    @property
    def is_wanted(self) -> bool:
        """Whether a stream is to be open for it."""
        return self.is_live and not self.is_lapsed

    def prepare(self, form: Form) -> None:
        """Get ready for what the device gives or takes; before its first callback."""
        raise NotImplementedError

    def renew(self, now_ms: int) -> None:
        """Note that the loop is alive; on the loop."""

    def callback(
        self, data: bytes | None, samples: int, times: Mapping[str, float], flags: int
    ) -> tuple[bytes | None, int]:
        """Be `hardware.portaudio.Callback`."""
        raise NotImplementedError

    def _note(self, now_ms: int, flags: int) -> None:
        is_late = self.callbacks > 0 and now_ms - self._called_ms >= STALL_MS
        self._counters.stalls += is_late
        self._counters.glitches += is_late or bool(flags & _LOST)
        self._called_ms = now_ms
        self.callbacks += 1
        if self.callbacks == 1:
            self._on_begun(self)


class Thread(Protocol):
    """What a line needs of `hardware.sound_card.SoundCard`; each returns at once."""

    def settle(self) -> None:
        """Open and close streams as they are wanted now."""

    def inspect(self, line: Line[Any]) -> None:
        """Look whether its stream is alive, and fail it if not."""

    def probe(self, line: Line[Any]) -> asyncio.Future[SoundError | None]:
        """Find out whether it could be opened; not to be cancelled, for others may ask too."""


SessionT = TypeVar("SessionT", bound=Session)


class Line(Generic[SessionT]):
    """A direction that is wanted or not, and works or does not.

    While it does not work it is tried again and again: in earnest if it is wanted, else only as far
    as opening goes, without taking in a sample. Belongs to the loop's thread.

    Args:
        thread: Does what takes time.
        clock: Whose time.
        direction: Which one.
        name: (A part of) the device's name; `hardware.portaudio.DEFAULT` for the system's choice.
        make_session: Makes a session, given whom to tell of its first callback.
        on_failed: Told that it has stopped working, after `is_failed` is set.
        on_recovered: Told that it works again.
    """

    def __init__(  # noqa: PLR0913 - what it is, and who is told of it
        self,
        thread: Thread,
        clock: Clock,
        direction: Direction,
        name: str,
        make_session: Callable[[Callable[[Session], None]], SessionT],
        *,
        counters: Counters,
        on_failed: Callable[[], None],
        on_recovered: Callable[[], None],
    ) -> None:
        self.direction: Final = direction
        self.name: Final = name
        self.session: SessionT | None = None
        """The present one; replaced on the loop, read in any thread."""
        self.is_failed = False
        """Whether it was found not to work, and not found to work since."""
        self.is_wanted = False
        """Whether it is to be open."""
        self._thread = thread
        self._clock = clock
        self._make_session = make_session
        self._counters = counters
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._watch = Ticker(clock, WATCH_MS, self._look)
        self._callbacks_seen = 0
        self._silent_ms = 0
        self._retry_ms = 0
        self._retry: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Want it; it opens as soon as it can. Harmless when wanted."""
        if not self.is_wanted:
            self.is_wanted = True
            self._begin()

    def close(self) -> None:
        """Want it no more: the session is over at once, its stream soon. Harmless when closed."""
        self.is_wanted = False
        self._drop()
        if self.is_failed and self._retry is None:  # the attempt under way is nobody's any more
            self._try_later()

    def end(self) -> None:
        """Close, and try nothing again."""
        self.close()
        self._stop_trying()

    async def test(self) -> bool:
        """Return whether it works, within `TEST_MS_MAX`; not a sample is taken in or given out.

        One that does not work is tried again from then on, without `on_failed`: who asks is told.
        """
        error: SoundError | None = SoundStreamError(
            f"the {self.direction} cannot be tested within {TEST_MS_MAX} ms: does a sound server "
            "hang?"
        )
        try:
            async with asyncio.timeout(TEST_MS_MAX / 1000):
                error = await asyncio.shield(self._thread.probe(self))
        except TimeoutError:
            pass
        if error is None:
            self._note_success()
        elif not self.is_failed:
            self._note_failure(error)
        return error is None

    def fail(self, session: Session, error: SoundError) -> None:
        """Give a session up; one that is over already is nobody's concern."""
        if session is not self.session:
            return
        self._drop()
        was_failed = self.is_failed
        self._note_failure(error)
        if not was_failed:
            self._on_failed()

    def _begin(self) -> None:
        self._drop()
        self._stop_trying()
        self._callbacks_seen = self._silent_ms = 0
        self.session = self._make_session(self._first_callback)
        self._watch.start(self._clock.monotonic_ms() + WATCH_MS)
        self._thread.settle()

    def _drop(self) -> None:
        self._watch.stop()
        session, self.session = self.session, None
        if session is not None:
            session.is_live = False
            self._thread.settle()

    def _first_callback(self, session: Session) -> None:
        """Take note, in PortAudio's thread, that sound flows."""
        self._clock.call_soon_threadsafe(lambda: self._note_sound(session))

    def _note_sound(self, session: Session) -> None:
        if session is self.session:
            self._note_success()

    def _look(self, due_ms: int) -> None:
        session = self.session
        if session is None:
            return
        if session.is_lapsed:
            self._counters.lapses += 1
            _log.error("the loop hung: the %s had closed itself", self.direction)
            self._begin()
            return
        session.renew(due_ms)
        if session.callbacks != self._callbacks_seen:
            self._callbacks_seen = session.callbacks
            self._silent_ms = 0
            return
        # The time is counted in looks: whoever was stopped as a whole must not blame the card.
        self._silent_ms += WATCH_MS
        if self._silent_ms >= SILENT_MS_MAX:
            problem = f"the {self.direction} gives no sign of life: was it disconnected?"
            self.fail(session, SoundStreamError(problem))
        else:
            self._thread.inspect(self)

    def _note_success(self) -> None:
        self._stop_trying()
        self._retry_ms = 0
        if self.is_failed:
            self.is_failed = False
            _log.warning("the %s works again", self.direction)
            self._on_recovered()

    def _note_failure(self, error: SoundError) -> None:
        if not self.is_failed:
            self.is_failed = True
            self._counters.failures += 1
            _log.warning("%s", error)
        self._try_later()

    def _try_later(self) -> None:
        self._retry_ms = min(max(RETRY_MS_MIN, 2 * self._retry_ms), RETRY_MS_MAX)
        self._stop_trying()
        self._retry = self._clock.call_later(self._retry_ms, self._try_again)

    def _stop_trying(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _try_again(self) -> None:
        self._retry = None
        if self.is_wanted:
            self._begin()
        else:
            self._thread.probe(self).add_done_callback(self._take_probe)

    def _take_probe(self, done: asyncio.Future[SoundError | None]) -> None:
        if done.cancelled() or self.session is not None or not self.is_failed:
            return  # it was opened meanwhile: that says more
        error = done.result()
        if error is None:
            self._note_success()
        else:
            self._note_failure(error)
