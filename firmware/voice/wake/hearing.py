"""The wake word in what the microphone hears, told from what the toy itself plays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from firmware.voice.wake.played import Played
from firmware.voice.wake.talk_over import TalkOver
from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    from firmware.voice.wake.engine import Engine

ECHO_MS_MAX: Final = 300
"""A word at the microphone is an echo if the playback has one this close to it, before or after."""


class Engines(NamedTuple):
    """What hears one wake word: an engine for the microphone, and one for the playback.

    Without the second, what is played is not told from what is said: so it must be where the
    microphone samples while the toy speaks.
    """

    microphone: Engine
    playback: Engine | None

    def close(self) -> None:
        """Close both."""
        self.microphone.close()
        if self.playback is not None:
            self.playback.close()


class Finding(NamedTuple):
    """What is to be made of a frame.

    Attributes:
        word_ms: Monotonic time at which a wake word ended that counts, if one does.
        is_echo: Whether a word was found not to count, because the toy said it.
        is_over_playback: Whether somebody seems to talk while the toy plays: it should be quieter.
    """

    word_ms: int | None = None
    is_echo: bool = False
    is_over_playback: bool = False


_NOTHING: Final = Finding()


class Hearing:
    """Finds the wake word, a frame at a time. No thread and no clock is in it.

    While nothing plays, a word counts in the very frame in which the engine tells of it. While
    something plays it is held back until the playback is known for `ECHO_MS_MAX` after it, or that
    much time has passed; if the playback has the word as well, it never counts.

    Args:
        engines: What hears; belongs to this from now on.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._played = None if engines.playback is None else Played(engines.playback)
        self._talk_over = TalkOver()
        self._held_ms: int | None = None

    def take_played(self, frame: bytes, heard_ms: int) -> None:
        """Take a frame of the playback, which begins to be heard at that time."""
        if self._played is not None:
            self._played.take(frame, heard_ms)
            self._talk_over.take_played(frame, heard_ms)

    def hear(self, frame: bytes, captured_ms: int) -> Finding:
        """Take the next frame of the microphone, whose first sample was captured at that time."""
        now_ms = captured_ms + FRAME_MS
        is_word = self._engines.microphone.hear(frame)
        played = self._played
        if played is None:
            return Finding(now_ms) if is_word else _NOTHING
        played.pass_to(captured_ms)
        is_playing = played.until_ms is not None
        if is_word and self._held_ms is None:
            self._held_ms = now_ms
        talks = is_playing and self._talk_over.hear(frame, captured_ms)
        found = self._judged(now_ms, played)
        return found._replace(
            is_over_playback=is_playing and (talks or self._is_likely(now_ms, played))
        )

    def reset(self) -> None:
        """Forget what was heard: what comes next is another piece of sound."""
        self._engines.microphone.reset()
        self._held_ms = None
        if self._played is not None:
            self._played.reset()
            self._talk_over.reset()

    def close(self) -> None:
        """Close the engines."""
        self._engines.close()

    def _judged(self, now_ms: int, played: Played) -> Finding:
        """Return what has become by now of the word that is held back, if one is."""
        word_ms = self._held_ms
        if word_ms is None:
            return _NOTHING
        judged_ms = word_ms + ECHO_MS_MAX
        if now_ms >= judged_ms:
            played.pass_to(now_ms, is_over=True)
        is_echo = played.has_word_near(word_ms, ECHO_MS_MAX)
        is_known = played.until_ms is None or max(now_ms, played.until_ms) >= judged_ms
        if not (is_echo or is_known):
            return _NOTHING
        self._held_ms = None
        return Finding(is_echo=True) if is_echo else Finding(word_ms)

    def _is_likely(self, now_ms: int, played: Played) -> bool:
        """Return whether somebody else than the toy may be saying the word."""
        is_likely = self._held_ms is not None or self._engines.microphone.is_likely
        return is_likely and not played.was_likely_near(now_ms, ECHO_MS_MAX)
