"""The speaker of a sound card."""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Final

from hardware.errors import MisuseError
from hardware.pcm import (
    FRAME_BYTES,
    FRAME_MS,
    FRAME_SAMPLES,
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_MS,
    from_bytes,
)
from hardware.portaudio import CONTINUE, OURS
from hardware.resampler import FOR_LIVE, Resampler
from hardware.sound_line import Counters, Line, Session
from hardware.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hardware.clock import Clock
    from hardware.portaudio import Form
    from hardware.sound_card import SoundCard
    from hardware.speaker import Source

LATENCY_MS_MAX: Final = 2_000
"""A sound card that claims to hold more than that is not believed."""

VOID_BACKLOG_FRAMES_MAX: Final = 5
"""Frames that a busy loop still pulls late where nobody hears them."""


class _Playing(Session):
    """The speaker, from one opening to its closing.

    Args:
        clock: Whose time.
        counters: The line's.
        on_begun: Told of the first callback.
        source: Where the sound comes from.
    """

    def __init__(
        self,
        clock: Clock,
        counters: Counters,
        on_begun: Callable[[Session], None],
        source: Source,
    ) -> None:
        super().__init__(clock, counters, on_begun)
        self.latency_ms = 0
        """How long what is pulled now, or was pulled last, takes to be heard."""
        self._source = source
        self._form: Form = OURS
        self._resampler: Resampler | None = None
        self._pending = b""
        self._pulled = 0
        """Samples of ours that were pulled."""
        self._given = 0
        """Samples of each channel that the card was given."""

    def prepare(self, form: Form) -> None:
        """Get ready for what the device takes."""
        self._form = form
        self._pending = b""
        self._pulled = self._given = 0
        self._resampler = None
        if form.rate_hz != SAMPLE_RATE_HZ:
            self._resampler = Resampler(SAMPLE_RATE_HZ, form.rate_hz, FOR_LIVE)

    def callback(
        self,
        data: bytes | None,  # noqa: ARG002 - a speaker records nothing
        samples: int,
        times: Mapping[str, float],
        flags: int,
    ) -> tuple[bytes | None, int]:
        """Give what is to be played. An exception or a short answer would end the stream."""
        wanted_bytes = samples * self._form.channels * SAMPLE_BYTES
        try:
            sound = self._give(wanted_bytes, times, flags)
        except BaseException:  # noqa: BLE001 - as above
            self._counters.callbacks_failed += 1
            sound = b""
        return sound[:wanted_bytes].ljust(wanted_bytes, b"\0"), CONTINUE

    def _give(self, wanted_bytes: int, times: Mapping[str, float], flags: int) -> bytes:
        self._note(self._clock.monotonic_ms(), flags)
        if not self.is_live:
            return b""
        held_ms = round((times["output_buffer_dac_time"] - times["current_time"]) * 1000)
        held_ms = held_ms if 0 <= held_ms <= LATENCY_MS_MAX else 0
        sound = self._pending
        while len(sound) < wanted_bytes:
            # The card is given what is left of the last frame first, and the resampler lags.
            lag_ms = self._pulled / SAMPLES_PER_MS - self._given * 1000 / self._form.rate_hz
            self.latency_ms = held_ms + round(lag_ms)
            frame = self._source(FRAME_SAMPLES)
            if len(frame) != FRAME_BYTES:
                raise MisuseError(f"the speaker's source gave {len(frame)} bytes for a frame")
            self._pulled += FRAME_SAMPLES
            sound += self._converted(frame)
        self._pending = sound[wanted_bytes:]
        self._given += wanted_bytes // (self._form.channels * SAMPLE_BYTES)
        # It may have been closed meanwhile: then nothing of this is to be heard.
        return sound if self.is_live else b""

    def _converted(self, frame: bytes) -> bytes:
        if self._form.is_ours:
            return frame
        samples = from_bytes(frame)
        if self._resampler is not None:
            samples = self._resampler.feed(samples)
        if self._form.channels > 1:
            spread = array.array("h", bytes(len(samples) * self._form.channels * SAMPLE_BYTES))
            for channel in range(self._form.channels):
                spread[channel :: self._form.channels] = samples
            samples = spread
        return samples.tobytes()


class CardSpeaker:
    """A `hardware.speaker.Speaker` on a sound card.

    `open` and `close` return at once. From `close` on the callback gives nothing but silence, and
    the card's thread aborts the stream a millisecond later: measured at a sound server that is
    heard within 5 ms, while what the card still holds would go on for 60.

    While the speaker is not there, what it would have played is pulled all the same, at the pace
    at which it would have sounded: whoever waits for the end of a reply is not kept waiting.

    Args:
        card: The sound card.
        clock: Whose time.
        name: (A part of) the device's name; ``default`` for the system's choice.
        source: Where the sound comes from; asked in PortAudio's thread, or on the loop.
        on_failed: Told, on the loop, that it has stopped working.
        on_recovered: Told that it works again.
    """

    def __init__(  # noqa: PLR0913 - what it is, and who is told of it
        self,
        card: SoundCard,
        clock: Clock,
        name: str,
        source: Source,
        *,
        on_failed: Callable[[], None],
        on_recovered: Callable[[], None],
    ) -> None:
        self.counters = Counters()
        self._clock = clock
        self._source = source
        self._tell_failed = on_failed
        self._tell_recovered = on_recovered
        self._void = Ticker(
            clock, FRAME_MS, self._pull_in_vain, backlog_max=VOID_BACKLOG_FRAMES_MAX
        )
        self._line: Line[_Playing] = Line(
            card,
            clock,
            "speaker",
            name,
            self._new_session,
            counters=self.counters,
            on_failed=self._note_failed,
            on_recovered=self._note_recovered,
        )
        card.add(self._line)

    @property
    def is_open(self) -> bool:
        """Whether sound is being asked for, though perhaps in vain."""
        return self._line.is_wanted

    @property
    def latency_ms(self) -> int:
        """How long after it is pulled a sample is heard, as the card tells it; 0 while closed."""
        session = self._line.session
        return 0 if session is None else session.latency_ms

    def open(self) -> None:
        """Begin to ask; see `hardware.speaker.Speaker.open`."""
        self._line.open()
        if self._line.is_failed and not self._void.is_running:
            self._void.start(self._clock.monotonic_ms())

    def close(self) -> None:
        """Fall silent at once; see `hardware.speaker.Speaker.close`."""
        self._void.stop()
        self._line.close()

    async def test(self) -> bool:
        """Return whether it could be opened; nothing is heard of that."""
        return await self._line.test()

    def _new_session(self, on_begun: Callable[[Session], None]) -> _Playing:
        return _Playing(self._clock, self.counters, on_begun, self._source)

    def _note_failed(self) -> None:
        if self._line.is_wanted:
            self._void.start(self._clock.monotonic_ms())
        self._tell_failed()

    def _note_recovered(self) -> None:
        self._void.stop()
        self._tell_recovered()

    def _pull_in_vain(self, _due_ms: int) -> None:
        self._source(FRAME_SAMPLES)
