"""Whether somebody talks while the toy plays."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from hardware.pcm import SAMPLE_MAX, rms

ECHO_BEFORE_MS: Final = 300
"""How long after it was heard a frame may still sound in the room: reverberation, and whatever the
speaker's latency is more than it says."""

ECHO_AFTER_MS: Final = 60
"""How much sooner than said it may be heard."""

LEARNING_DB_MIN: Final = -40.0
"""Quieter playback says nothing of the way from the speaker to the microphone: what is heard then
is the room. In dB of full scale."""

VOICE_DB_MIN: Final = -50.0
"""Quieter than this nobody is heard, in dB of full scale."""

ROOM_RISE_DB: Final = 0.1
"""How fast the room is believed to get louder, in dB a frame: 5 dB a second."""

MARGIN_DB: Final = 6.0
"""How much louder than any echo must be what is no echo. Tried in rooms of 0.25 and 0.5 s, with
echoes of -50 to -14 dB of full scale: with 4 dB the toy took its own voice for another's in one
frame of 7,000, with 6 in none of 28,000; a voice 12 dB above the echo was noticed 8 times of 10."""

LEARNING_DB: Final = 1.0
"""How fast the way is learned at first, in dB a frame: from that of a microphone at the speaker."""

FALL_DB: Final = 0.02
"""How fast it is believed to get longer, in dB a frame: 1 dB a second."""

RISE_DB: Final = 0.3
"""How fast it is believed to get shorter, in dB a frame: as fast as a voice that sets in does not
matter."""

TALKING_RISE_DB: Final = 0.04
"""The same where somebody seems to be talking, or the speaker was turned round: 2 dB a second."""

WAY_DB_MAX: Final = 20.0
WAY_DB_MIN: Final = -60.0

LEARNED_FRAMES_MIN: Final = 100
"""Frames of playback after which the way is known: 2 s of sound."""

TALKING_FRAMES: Final = 3
TALKING_WINDOW_FRAMES: Final = 6
"""So many of so many frames must be too loud for an echo."""

_FRAMES_KEPT: Final = 100
_SILENT_DB: Final = -96.0


class TalkOver:
    """Compares what the microphone hears with what the echo of the playback can explain.

    The way from the speaker to the microphone is a number of dB. It is learned from the loudest
    echoes, and kept from reply to reply.
    """

    def __init__(self) -> None:
        self._way_db = WAY_DB_MAX
        self._learned_frames = 0
        self._room_db = VOICE_DB_MIN
        self._played: deque[tuple[int, float]] = deque(maxlen=_FRAMES_KEPT)
        self._loud: deque[bool] = deque(maxlen=TALKING_WINDOW_FRAMES)

    def take_played(self, frame: bytes, heard_ms: int) -> None:
        """Take a frame of the playback, which begins to be heard at that time."""
        self._played.append((heard_ms, level_db(frame)))

    def hear(self, frame: bytes, captured_ms: int) -> bool:
        """Take the next frame of the microphone while something plays; whether somebody talks."""
        played_db = self._played_db(captured_ms)
        heard_db = level_db(frame)
        explained_db = max(played_db + self._way_db, self._room_db, VOICE_DB_MIN)
        is_known = self._learned_frames >= LEARNED_FRAMES_MIN
        self._loud.append(is_known and heard_db > explained_db + MARGIN_DB)
        self._room_db = min(self._room_db + ROOM_RISE_DB, heard_db)
        if played_db > LEARNING_DB_MIN:
            self._learn(heard_db - played_db - self._way_db)
        return sum(self._loud) >= TALKING_FRAMES

    def reset(self) -> None:
        """Forget what was heard and played, but not what was learned."""
        self._played.clear()
        self._loud.clear()

    def _learn(self, excess_db: float) -> None:
        if self._learned_frames < LEARNED_FRAMES_MIN:
            self._learned_frames += 1
            change_db = max(excess_db, -LEARNING_DB)
        elif excess_db > MARGIN_DB:
            change_db = TALKING_RISE_DB
        else:
            change_db = min(max(excess_db, -FALL_DB), RISE_DB)
        self._way_db = min(max(self._way_db + change_db, WAY_DB_MIN), WAY_DB_MAX)

    def _played_db(self, captured_ms: int) -> float:
        """Return the loudest of what may sound in the room while a frame is captured."""
        first_ms, last_ms = captured_ms - ECHO_BEFORE_MS, captured_ms + ECHO_AFTER_MS
        while self._played and self._played[0][0] < first_ms:
            self._played.popleft()
        return max((db for heard_ms, db in self._played if heard_ms <= last_ms), default=_SILENT_DB)


def level_db(frame: bytes) -> float:
    """Return how loud a frame is, in dB of full scale."""
    return max(_SILENT_DB, 20 * math.log10(max(rms(frame), 1e-9) / SAMPLE_MAX))
