"""A speaker that remembers what it played."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hardware.errors import MisuseError
from hardware.pcm import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, FRAME_SAMPLES, rms, write_wav
from hardware.ticker import Ticker

if TYPE_CHECKING:
    from pathlib import Path

    from hardware.clock import Clock
    from hardware.speaker import Source

AUDIBLE_RMS = 100.0
"""Loudness, of 32,768, from which on a person in the room would hear it: about -50 dBFS."""

RECORDING_MS_MAX = 600_000
"""How much is recorded unless told otherwise: 10 minutes, 19 MB."""

SPEAKER_BACKLOG_FRAMES_MAX = 50
"""Frames that a busy loop may owe; older ones are left out, as a sound card would leave a gap."""

SPEAKER_CHANGES_MAX = 10_000
"""Openings and closings remembered, the newest."""


class VirtualSpeaker:
    """A `hardware.speaker.Speaker` whose sound goes onto a recording, true to time.

    Like PortAudio it ends the stream when its source raises or gives the wrong amount; the error
    then reaches the loop's exception handler.

    Args:
        clock: Paces the pulling, without drift.
        source: Asked for every frame at the moment at which it begins to sound.
        recording_ms_max: Length at which the recording stops growing.
    """

    def __init__(
        self, clock: Clock, source: Source, *, recording_ms_max: int = RECORDING_MS_MAX
    ) -> None:
        self._clock = clock
        self._source = source
        self._ticker = Ticker(clock, FRAME_MS, self._pull, backlog_max=SPEAKER_BACKLOG_FRAMES_MAX)
        self._tape = bytearray()
        self._tape_bytes_max = recording_ms_max * BYTES_PER_MS
        self._tape_begins_ms: int | None = None
        self._closed_ms = 0
        self._last_frame = b""
        self._changes: deque[tuple[int, str]] = deque(maxlen=SPEAKER_CHANGES_MAX)

    @property
    def is_open(self) -> bool:
        """Whether frames are being pulled."""
        return self._ticker.is_running

    @property
    def latency_ms(self) -> int:
        """None: a frame begins to sound at the moment at which it is pulled."""
        return 0

    @property
    def is_audible(self) -> bool:
        """Whether what sounds at this moment can be heard."""
        return self.is_open and rms(self._last_frame) >= AUDIBLE_RMS

    @property
    def is_recording_full(self) -> bool:
        """Whether the recording has stopped growing."""
        return len(self._tape) >= self._tape_bytes_max

    @property
    def history(self) -> list[tuple[int, str]]:
        """Each (monotonic_ms, "open" or "closed"); `SPEAKER_CHANGES_MAX` at most."""
        return list(self._changes)

    def open(self) -> None:
        """Begin to pull, in the loop's next turn; see `hardware.speaker.Speaker.open`."""
        if not self.is_open:
            now_ms = self._clock.monotonic_ms()
            if self._tape_begins_ms is None:
                self._tape_begins_ms = now_ms
            self._last_frame = b""
            self._ticker.start(now_ms)
            self._changes.append((now_ms, "open"))

    def close(self) -> None:
        """Fall silent at once, in the middle of a frame if need be."""
        if self.is_open:
            self._ticker.stop()
            self._closed_ms = self._clock.monotonic_ms()
            del self._tape[self._tape_offset(self._closed_ms) :]
            self._changes.append((self._closed_ms, "closed"))

    def recording(self) -> bytes:
        """Return all that sounded, from the first opening to the last closing or until now.

        While it was closed there is silence. It ends early once `is_recording_full`.
        """
        end_ms = self._clock.monotonic_ms() if self.is_open else self._closed_ms
        end = min(self._tape_offset(end_ms), self._tape_bytes_max)
        return bytes(self._tape[:end]).ljust(end, b"\0")

    def write_wav(self, path: str | Path) -> None:
        """Write the recording to a WAV file.

        Raises:
            ClipUnwritableError: The file cannot be written.
        """
        write_wav(path, self.recording())

    def _pull(self, due_ms: int) -> None:
        try:
            frame = self._source(FRAME_SAMPLES)
        except Exception:
            self.close()
            raise
        if len(frame) != FRAME_BYTES:
            self.close()
            raise MisuseError(
                f"the speaker's source gave {len(frame)} bytes for {FRAME_SAMPLES} samples, "
                f"not {FRAME_BYTES}: it must pad with silence"
            )
        # A source may close its speaker: then nothing of this frame sounds.
        if self.is_open:
            self._last_frame = frame
            self._record(frame, self._tape_offset(due_ms))

    def _record(self, frame: bytes, offset: int) -> None:
        gap = min(offset, self._tape_bytes_max) - len(self._tape)
        self._tape += bytes(max(0, gap))
        self._tape += frame[: self._tape_bytes_max - len(self._tape)]

    def _tape_offset(self, at_ms: int) -> int:
        begins_ms = at_ms if self._tape_begins_ms is None else self._tape_begins_ms
        return (at_ms - begins_ms) * BYTES_PER_MS
