"""The wake word in what the toy itself plays."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from hardware.pcm import FRAME_BYTES, FRAME_MS

if TYPE_CHECKING:
    from firmware.voice.wake.engine import Engine

GAP_MS_MIN: Final = 200
"""Shorter gaps between two frames are the speaker's hurry: it may pull several at once, or late. A
word with a hole torn into it would not be found."""

STARVED_MS_MIN: Final = 260
"""Time that must have passed without a frame before there was silence instead of one."""

TAIL_MS: Final = 600
"""Silence after the last sound: an engine tells of a word up to 300 ms after it, and what the
microphone hears is held against that for as long again."""

WORDS_MAX: Final = 8
"""Words remembered, the newest: more than fit into the time for which they matter."""

_SILENCE: Final = bytes(FRAME_BYTES)


class Played:
    """Hears what is played, and knows until when; it belongs to one thread.

    Its time is that of the room: a frame is heard some time after it was pulled. What is not
    played is silence, which is fed to the engine as well, in as much as it lies between two sounds
    or within `TAIL_MS` of the last.

    Args:
        engine: Hears the word; belongs to this alone.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._until_ms: int | None = None  # None: nothing is being played
        self._sounded_ms = 0
        self._words: deque[int] = deque(maxlen=WORDS_MAX)
        self._likely_ms: int | None = None

    @property
    def until_ms(self) -> int | None:
        """How far it is heard, in monotonic milliseconds; None while nothing is being played."""
        return self._until_ms

    def take(self, frame: bytes, heard_ms: int) -> None:
        """Take the next frame of the playback, which begins to be heard at that time."""
        if self._until_ms is not None and heard_ms - self._until_ms >= GAP_MS_MIN:
            self._be_silent(heard_ms)
        self._feed(frame, heard_ms + FRAME_MS)
        self._sounded_ms = heard_ms + FRAME_MS

    def pass_to(self, now_ms: int, *, is_over: bool = False) -> None:
        """Note that the room has come to this time: what was not played by now is silence.

        A frame may be late; it is not waited for where it `is_over`.
        """
        if self._until_ms is None:
            return
        is_silent = is_over or self._until_ms > self._sounded_ms
        if is_silent or now_ms - self._until_ms >= STARVED_MS_MIN:
            self._be_silent(now_ms)

    def has_word_near(self, at_ms: int, within_ms: int) -> bool:
        """Return whether the word was heard that close to a moment, before or after."""
        return any(abs(word_ms - at_ms) <= within_ms for word_ms in self._words)

    def was_likely_near(self, at_ms: int, within_ms: int) -> bool:
        """Return whether the word was likely since so long before a moment, or heard near it."""
        is_likely = self._likely_ms is not None and at_ms - self._likely_ms <= within_ms
        return is_likely or self.has_word_near(at_ms, within_ms)

    def reset(self) -> None:
        """Forget what was heard."""
        self._engine.reset()
        self._until_ms = self._likely_ms = None
        self._words.clear()

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def _be_silent(self, to_ms: int) -> None:
        """Hear silence up to a frame before that time, or the end of what is worth hearing."""
        while self._until_ms is not None and self._until_ms + FRAME_MS <= to_ms:
            if self._until_ms - self._sounded_ms >= TAIL_MS:
                self._engine.reset()
                self._until_ms = None
            else:
                self._feed(_SILENCE, self._until_ms + FRAME_MS)

    def _feed(self, frame: bytes, until_ms: int) -> None:
        self._until_ms = until_ms
        if self._engine.hear(frame):
            self._words.append(until_ms)
        if self._engine.is_likely:
            self._likely_ms = until_ms
