"""Where speech begins and ends."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    from firmware.voice.activity import VoiceActivity
    from firmware.voice.settings import VoiceSettings

Boundary = Literal["started", "ended"]


class Endpointing:
    """Finds the beginning and the end of the speech in one utterance; make a new one for the next.

    Speech has started once `speech_start_ms` of the last `speech_start_window_ms` were voice: a
    cough is too short, and a stop consonant within a word does no harm. It has ended after
    `speech_end_silence_ms` without a single frame of voice.

    Args:
        activity: Judges the frames; belongs to this utterance alone.
        settings: The three lengths.
    """

    def __init__(self, activity: VoiceActivity, settings: VoiceSettings) -> None:
        self._activity = activity
        self._start_frames = _frames(settings.speech_start_ms)
        self._end_frames = _frames(settings.speech_end_silence_ms)
        self._window: deque[bool] = deque(maxlen=_frames(settings.speech_start_window_ms))
        self._unvoiced_frames = 0
        self._last: Boundary | None = None

    def take(self, frame: bytes) -> Boundary | None:
        """Judge the next frame, and return what begins or ends with it.

        Over all frames that is `started` once at most, and then `ended` once at most.
        """
        if self._last == "ended":
            return None
        is_voice = self._activity.is_voice(frame)
        if self._last is None:
            self._window.append(is_voice)
            return self._note("started") if sum(self._window) >= self._start_frames else None
        self._unvoiced_frames = 0 if is_voice else self._unvoiced_frames + 1
        return self._note("ended") if self._unvoiced_frames >= self._end_frames else None

    def _note(self, boundary: Boundary) -> Boundary:
        self._last = boundary
        return boundary


def _frames(duration_ms: int) -> int:
    """Return how many frames it takes to last at least so long."""
    return -(-duration_ms // FRAME_MS)
