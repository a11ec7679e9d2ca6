"""What is said in one turn, kept in memory until it is sent, answered or forgotten."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple

from hardware.pcm import BYTES_PER_MS, FRAME_BYTES

if TYPE_CHECKING:
    from firmware.ports import SpeechFormat
    from firmware.voice.endpointing import Boundary, Endpointing


Fate = Literal["undecided", "sending", "finishing", "abandoned"]
"""What is to become of an utterance: sent as it comes, sent to its end, or never sent."""


class CapturedFrame(NamedTuple):
    """One frame of PCM, and the monotonic milliseconds at which its first sample was captured."""

    pcm: bytes
    captured_ms: int


class Utterance:
    """The frames of one turn, oldest first.

    Args:
        turn: The turn that it belongs to.
        began_ms: Monotonic milliseconds of the press or the wake word: nothing from before is kept.
        endpointing: A new one.
        frames_max: How many frames are kept at most; beyond that the oldest is dropped.
    """

    def __init__(self, turn: int, began_ms: int, endpointing: Endpointing, frames_max: int) -> None:
        self.turn = turn
        self.fate: Fate = "undecided"
        self.format: SpeechFormat = "opus"
        """In which it is sent; settled when that begins."""
        self.frames_dropped = 0
        """Frames that were too many, since it began."""
        self._began_ms = began_ms
        self._endpointing = endpointing
        self._frames_max = frames_max
        self._frames: deque[CapturedFrame] = deque()

    def __len__(self) -> int:
        """Return how many frames are kept."""
        return len(self._frames)

    def take(self, frame: bytes, captured_ms: int) -> Boundary | None:
        """Keep the next frame, and return what of speech begins or ends with it.

        A microphone that was open before the turn is in the middle of a frame when it begins: of
        that frame, what was captured too early is silenced.
        """
        early_bytes = (self._began_ms - captured_ms) * BYTES_PER_MS
        if early_bytes >= FRAME_BYTES:
            return None
        if early_bytes > 0:
            frame = bytes(early_bytes) + frame[early_bytes:]
        self._frames.append(CapturedFrame(frame, captured_ms))
        self._drop_what_is_too_much()
        return self._endpointing.take(frame)

    def pop(self) -> CapturedFrame:
        """Remove and return the oldest frame; there must be one."""
        return self._frames.popleft()

    def limit(self, frames_max: int) -> None:
        """Keep this many frames at most from now on."""
        self._frames_max = frames_max
        self._drop_what_is_too_much()

    def _drop_what_is_too_much(self) -> None:
        while len(self._frames) > self._frames_max:
            self._frames.popleft()
            self.frames_dropped += 1
