"""The microphone of a sound card."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from hardware.pcm import (
    FRAME_BYTES,
    FRAME_MS,
    FRAME_SAMPLES,
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_MS,
    from_bytes,
    mixed_down,
)
from hardware.portaudio import CONTINUE, OURS
from hardware.resampler import FOR_LIVE, Resampler
from hardware.sound_line import Counters, Line, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hardware.clock import Clock
    from hardware.microphone import OnFrame
    from hardware.portaudio import Form
    from hardware.sound_card import SoundCard

LEASE_MS: Final = 2_000
"""So long after the loop's last sign of life the microphone is closed, whatever the loop does."""

LEASE_CLOSING_MS: Final = 200
"""What of that is left for the closing itself."""

WAITING_FRAMES_MAX: Final = LEASE_MS // FRAME_MS
"""Frames that a busy loop may find waiting; the oldest are dropped."""

DELIVERED_FRAMES_MAX: Final = 10
"""Frames delivered in one turn of the loop: after a second of starvation fifty come at once."""

DELAY_MS_MAX: Final = 10_000
"""A sound card that claims to hold more than that is not believed."""


class _Hearing(Session):
    """The microphone, from one opening to its closing.

    Args:
        clock: Whose time.
        counters: The line's.
        on_begun: Told of the first callback.
        on_frames: Called in the loop when frames are waiting.
        on_lapsed: Called in PortAudio's thread when the lease has run out.
    """

    def __init__(
        self,
        clock: Clock,
        counters: Counters,
        on_begun: Callable[[Session], None],
        on_frames: Callable[[_Hearing], None],
        on_lapsed: Callable[[], None],
    ) -> None:
        super().__init__(clock, counters, on_begun)
        self.frames: deque[tuple[bytes, int]] = deque()
        """Frames and their times, oldest first; PortAudio's thread adds, the loop takes."""
        self._on_frames = on_frames
        self._on_lapsed = on_lapsed
        self._opened_ms = self._renewed_ms = clock.monotonic_ms()
        self._is_announced = False
        self._form: Form = OURS
        self._resampler: Resampler | None = None
        self._pending = b""
        self._taken = 0
        """Samples of each channel that have come, as the card counts them."""
        self._given = 0
        """Samples of ours that have gone on."""

    def prepare(self, form: Form) -> None:
        """Get ready for what the device gives."""
        self._form = form
        self._pending = b""
        self._taken = self._given = 0
        self._resampler = None
        if form.rate_hz != SAMPLE_RATE_HZ:
            self._resampler = Resampler(form.rate_hz, SAMPLE_RATE_HZ, FOR_LIVE)

    def renew(self, now_ms: int) -> None:
        """Note that the loop is alive."""
        self._renewed_ms = now_ms

    def callback(
        self, data: bytes | None, samples: int, times: Mapping[str, float], flags: int
    ) -> tuple[bytes | None, int]:
        """Take what was recorded. An exception would end the stream: none gets out."""
        try:
            self._take(data or b"", samples, times, flags)
        except BaseException:  # noqa: BLE001 - as above
            self._counters.callbacks_failed += 1
        return None, CONTINUE

    def announced(self) -> bool:
        """Note, on the loop, that it looks at what waits."""
        self._is_announced = False
        return self.is_live

    def announce(self) -> None:
        """Let the loop look at what waits, unless it is about to."""
        if not self._is_announced:
            self._is_announced = True
            self._clock.call_soon_threadsafe(partial(self._on_frames, self))

    def _take(self, data: bytes, samples: int, times: Mapping[str, float], flags: int) -> None:
        now_ms = self._clock.monotonic_ms()
        self._note(now_ms, flags)
        if not self.is_wanted:
            return
        if now_ms - self._renewed_ms >= LEASE_MS - LEASE_CLOSING_MS:
            self.is_lapsed = True
            self.frames.clear()
            self._on_lapsed()
            return
        # A buffer is as old as it is long, at least; with what else the card holds, older.
        delay_ms = round((times["current_time"] - times["input_buffer_adc_time"]) * 1000)
        age_ms = samples * 1000 // self._form.rate_hz
        if age_ms < delay_ms <= DELAY_MS_MAX:
            age_ms = delay_ms
        # PulseAudio hands out the first buffer of a monitor before its time.
        for frame in self._cut(data, max(now_ms - age_ms, self._opened_ms)):
            if len(self.frames) == WAITING_FRAMES_MAX:
                self.frames.popleft()
                self._counters.frames_dropped += 1
            self.frames.append(frame)
        if self.frames:
            self.announce()

    def _cut(self, data: bytes, captured_ms: int) -> Iterator[tuple[bytes, int]]:
        """Yield whole frames of what has come by now, the last of which began at `captured_ms`."""
        if self._form.is_ours and len(data) == FRAME_BYTES and not self._pending:
            yield data, captured_ms
            return
        # What waits for more, here and in the resampler, is older than what comes.
        began_ms = captured_ms - round(
            self._taken * 1000 / self._form.rate_hz - self._given / SAMPLES_PER_MS
        )
        self._taken += len(data) // (SAMPLE_BYTES * self._form.channels)
        self._pending += self._converted(data)
        while len(self._pending) >= FRAME_BYTES:
            yield self._pending[:FRAME_BYTES], began_ms
            self._pending = self._pending[FRAME_BYTES:]
            self._given += FRAME_SAMPLES
            began_ms += FRAME_MS

    def _converted(self, data: bytes) -> bytes:
        if self._form.is_ours:
            return data
        recorded = from_bytes(data)
        if self._form.channels > 1:
            recorded = mixed_down(recorded)
        if self._resampler is not None:
            recorded = self._resampler.feed(recorded)
        return recorded.tobytes()


class CardMicrophone:
    """A `hardware.microphone.Microphone` on a sound card.

    `open` and `close` return at once: the card's thread opens the stream some milliseconds later,
    and closes it as soon after `close`; no frame comes after that, whatever the thread does. If the
    loop hangs, PortAudio's thread closes it within `LEASE_MS`; it opens again when the loop is back
    and still wants it.

    One that fails, or is not there, is tried again until it works.

    Args:
        card: The sound card.
        clock: Whose time.
        name: (A part of) the device's name; ``default`` for the system's choice.
        on_frame: Gets every frame, on the loop.
        on_failed: Told, on the loop, that it has stopped working.
        on_recovered: Told that it works again.
    """

    def __init__(  # noqa: PLR0913 - what it is, and who is told of it
        self,
        card: SoundCard,
        clock: Clock,
        name: str,
        on_frame: OnFrame,
        *,
        on_failed: Callable[[], None],
        on_recovered: Callable[[], None],
    ) -> None:
        self.counters = Counters()
        self._card = card
        self._clock = clock
        self._on_frame = on_frame
        self._line: Line[_Hearing] = Line(
            card,
            clock,
            "microphone",
            name,
            self._new_session,
            counters=self.counters,
            on_failed=on_failed,
            on_recovered=on_recovered,
        )
        card.add(self._line)

    @property
    def is_open(self) -> bool:
        """Whether sound is being taken in, or will be as soon as the card's thread gets to it."""
        return self._line.session is not None

    def open(self) -> None:
        """Begin; see `hardware.microphone.Microphone.open`."""
        self._line.open()

    def close(self) -> None:
        """End at once; see `hardware.microphone.Microphone.close`."""
        self._line.close()

    async def test(self) -> bool:
        """Return whether it could be opened; not a sample is taken in for that."""
        return await self._line.test()

    def _new_session(self, on_begun: Callable[[Session], None]) -> _Hearing:
        return _Hearing(
            self._clock, self.counters, on_begun, self._deliver, self._card.settle_from_thread
        )

    def _deliver(self, session: _Hearing) -> None:
        """Hand over what waits, and note that the loop is alive."""
        if not session.announced():
            return
        session.renew(self._clock.monotonic_ms())
        try:
            for _ in range(DELIVERED_FRAMES_MAX):
                if not (session.is_wanted and session.frames):
                    break
                self._on_frame(*session.frames.popleft())
        finally:  # whatever came of one frame, the others are heard
            if session.is_wanted and session.frames:
                session.announce()
