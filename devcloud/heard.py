"""What was heard of the last utterances, and when each of their chunks arrived.

For whoever compares it with what was said into the microphone.
"""

from __future__ import annotations

import base64
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from devcloud.audio import SAMPLE_BYTES

if TYPE_CHECKING:
    from devcloud.dialects.messages import AudioChunk
    from devcloud.turns import Turn

HEARD_MAX: Final = 4


@dataclass(slots=True)
class Heard:
    """One utterance as it was decoded, with what was made up where chunks were missing."""

    turn: Turn
    pcm: bytearray = field(default_factory=bytearray)
    chunks: list[tuple[int, float, int]] = field(default_factory=list)
    """Of each, its number, when it arrived (``time.monotonic``, in ms), and how many samples there
    were with it."""

    def add(self, chunk: AudioChunk, pcm: bytes) -> None:
        """Note a chunk that has just arrived, and its sound."""
        self.pcm += pcm
        arrived_ms = round(time.monotonic() * 1000, 3)
        self.chunks.append((chunk.sequence, arrived_ms, len(self.pcm) // SAMPLE_BYTES))

    def to_json(self) -> dict[str, object]:
        """Write it as the control API shows it."""
        return {
            "connection": self.turn.connection,
            "turn": self.turn.turn,
            "chunks": list(self.chunks),
            "pcm": base64.b64encode(self.pcm).decode("ascii"),
        }


class HeardLog:
    """The last ``HEARD_MAX`` utterances, oldest first; each is at most 35 s long."""

    def __init__(self) -> None:
        self._heard: deque[Heard] = deque(maxlen=HEARD_MAX)

    def begin(self, turn: Turn) -> Heard:
        """Note that an utterance has begun; the oldest one makes room."""
        heard = Heard(turn)
        self._heard.append(heard)
        return heard

    def to_json(self) -> list[dict[str, object]]:
        """Write them as the control API shows them."""
        return [heard.to_json() for heard in self._heard]
