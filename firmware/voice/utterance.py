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
        began_ms: Monotonic milliseconds of the press or the wake word's end: nothing from before is
            kept.
        endpointing: A new one.
        frames_max: How many frames are kept at most; beyond that the oldest is dropped.
        judged_from_ms: Endpointing sees nothing of what was captured before.
    """

    def __init__(
        self,
        turn: int,
        began_ms: int,
        endpointing: Endpointing,
        frames_max: int,
        *,
        judged_from_ms: int,
    ) -> None:
        self.turn = turn
        self.fate: Fate = "undecided"
        self.format: SpeechFormat = "opus"
        """In which it is sent; settled when that begins."""
        self.frames_dropped = 0
        """Frames that were too many, since it began."""
        self._began_ms = began_ms
        self._endpointing = endpointing
        self._frames_max = frames_max
        self._judged_from_ms = judged_from_ms
        self._frames: deque[CapturedFrame] = deque()
        self._unjudged: deque[bytes] = deque()

    def __len__(self) -> int:
        """Return how many frames are kept."""
        return len(self._frames)

    @property
    def has_unjudged(self) -> bool:
        """Whether there are frames that endpointing has not seen yet."""
        return bool(self._unjudged)

    def keep(self, frame: bytes, captured_ms: int) -> None:
        """Keep the next frame, to be judged when there is time.

        A microphone that was open before the turn is in the middle of a frame when it begins: of
        that frame, what was captured too early is silenced.
        """
        early_bytes = (self._began_ms - captured_ms) * BYTES_PER_MS
        if early_bytes >= FRAME_BYTES:
            return
        if early_bytes > 0:
            frame = bytes(early_bytes) + frame[early_bytes:]
        self._frames.append(CapturedFrame(frame, captured_ms))
        if captured_ms >= self._judged_from_ms:
            self._unjudged.append(frame)
        self._drop_what_is_too_much()

    def judge(self, frames_max: int) -> Boundary | None:
        """Judge so many frames at most, up to one with which speech begins or ends."""
        for _ in range(min(frames_max, len(self._unjudged))):
            boundary = self._endpointing.take(self._unjudged.popleft())
            if boundary is not None:
                return boundary
        return None

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
