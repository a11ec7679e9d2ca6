"""A microphone before which a person speaks by calling `speak`."""

from __future__ import annotations

from collections import deque
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from hardware.errors import MisuseError
from hardware.pcm import (
    BYTES_PER_MS,
    FRAME_BYTES,
    FRAME_MS,
    mix,
    read_wav,
    require_whole_samples,
)
from hardware.ticker import Ticker

if TYPE_CHECKING:
    from pathlib import Path

    from hardware.clock import Clock
    from hardware.microphone import OnFrame

MICROPHONE_BACKLOG_FRAMES_MAX = 50
"""Frames that a busy loop may find waiting; older ones are lost, as in a sound card."""

MICROPHONE_CHANGES_MAX = 10_000
"""Openings and closings remembered, the newest."""

VOICES_MAX = 8
"""Pieces of speech that may sound at once."""

_SILENCE = bytes(FRAME_BYTES)


class _Voice(NamedTuple):
    begins_ms: int
    pcm: bytes

    @property
    def ends_ms(self) -> int:
        return self.begins_ms - (-len(self.pcm) // BYTES_PER_MS)

    def frame_at(self, start_ms: int) -> bytes:
        """Return what is said within the frame that begins at `start_ms`, silence around it."""
        offset = (start_ms - self.begins_ms) * BYTES_PER_MS
        lead = bytes(min(FRAME_BYTES, max(0, -offset)))
        heard = self.pcm[max(0, offset) : max(0, offset + FRAME_BYTES)]
        return (lead + heard).ljust(FRAME_BYTES, b"\0")


class VirtualMicrophone:
    """A `hardware.microphone.Microphone` in a silent room where somebody may speak.

    Speech lies on a time line of its own: a person speaks whether or not anybody listens, and what
    is said while the microphone is closed is not heard.

    Args:
        clock: Paces the frames, without drift.
        on_frame: Gets every frame as it fills; silence is digital silence.
    """

    def __init__(self, clock: Clock, on_frame: OnFrame) -> None:
        self._clock = clock
        self._on_frame = on_frame
        self._ticker = Ticker(
            clock, FRAME_MS, self._emit, backlog_max=MICROPHONE_BACKLOG_FRAMES_MAX
        )
        self._voices: list[_Voice] = []
        self._changes: deque[tuple[int, str]] = deque(maxlen=MICROPHONE_CHANGES_MAX)
        self._speaking_until_ms = clock.monotonic_ms()

    @property
    def is_open(self) -> bool:
        """Whether frames are coming."""
        return self._ticker.is_running

    @property
    def speaking_until_ms(self) -> int:
        """When the last of what was laid on the time line ends; in the past if all is said."""
        return self._speaking_until_ms

    @property
    def frames_lost(self) -> int:
        """Frames lost because the loop was busy for longer than the backlog holds."""
        return self._ticker.dropped

    @property
    def history(self) -> list[tuple[int, str]]:
        """Each (monotonic_ms, "open" or "closed"); `MICROPHONE_CHANGES_MAX` at most."""
        return list(self._changes)

    def open(self) -> None:
        """Begin a frame now; see `hardware.microphone.Microphone.open`."""
        if not self.is_open:
            now_ms = self._clock.monotonic_ms()
            self._ticker.start(now_ms + FRAME_MS)
            self._changes.append((now_ms, "open"))

    def close(self) -> None:
        """Throw away the frame that was begun; not one more comes."""
        if self.is_open:
            self._ticker.stop()
            self._changes.append((self._clock.monotonic_ms(), "closed"))

    def speak(self, pcm: bytes) -> None:
        """Say 16 kHz mono s16le `pcm`, from now on, over whatever is being said already.

        Raises:
            MisuseError: `pcm` is not whole samples, or `VOICES_MAX` are speaking already.
        """
        require_whole_samples(pcm)
        now_ms = self._clock.monotonic_ms()
        # The frame under way began at most one frame ago and still needs what was said in it.
        self._forget_before(now_ms - FRAME_MS)
        if len(self._voices) >= VOICES_MAX:
            raise MisuseError(f"{VOICES_MAX} voices speak already: wait for speaking_until_ms")
        voice = _Voice(now_ms, pcm)
        self._voices.append(voice)
        self._speaking_until_ms = max(self._speaking_until_ms, voice.ends_ms)

    def speak_clip(self, path: str | Path) -> None:
        """Say a sound file, from now on.

        Raises:
            ClipError: It cannot be used; see `hardware.pcm.read_wav`.
            MisuseError: `VOICES_MAX` are speaking already.
        """
        self.speak(read_wav(path))

    def _emit(self, full_ms: int) -> None:
        captured_ms = full_ms - FRAME_MS
        self._forget_before(captured_ms)
        said = [voice.frame_at(captured_ms) for voice in self._voices]
        self._on_frame(reduce(mix, said) if said else _SILENCE, captured_ms)

    def _forget_before(self, start_ms: int) -> None:
        if self._voices:
            self._voices = [voice for voice in self._voices if voice.ends_ms > start_ms]
