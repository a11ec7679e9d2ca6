"""What was said in the last replies, for whoever compares it with what came out of the toy."""

from __future__ import annotations

import base64
import sys
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from devcloud.audio import SAMPLE_RATE_HZ, AudioFormat
from devcloud.opus import Decoder

if TYPE_CHECKING:
    from devcloud.dialects.messages import Piece
    from devcloud.speech import Speech
    from devcloud.turns import Turn

SPOKEN_MAX: Final = 2
"""Each takes a second or so to write: its speech is resampled once more."""


@dataclass(slots=True)
class Spoken:
    """One reply's speech, and the packets that were made of it, those that got lost too."""

    turn: Turn
    speech: Speech
    format: AudioFormat
    packets: list[bytes] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """Note a piece that was made."""
        self.format = piece.format
        if piece.format is AudioFormat.OPUS:
            self.packets.append(piece.data)

    def to_json(self) -> dict[str, object]:
        """Write it as the control API shows it. Takes about 1 ms for 20 ms of speech."""
        pcm = array("h", self.speech.at(SAMPLE_RATE_HZ))
        if sys.byteorder == "big":
            pcm.byteswap()
        return {
            "connection": self.turn.connection,
            "turn": self.turn.turn,
            "text": self.turn.reply,
            "format": self.format.value,
            "pcm": base64.b64encode(pcm.tobytes()).decode("ascii"),
            "decoded": self._decoded(),
        }

    def _decoded(self) -> str | None:
        if self.format is not AudioFormat.OPUS:
            return None
        with Decoder() as decoder:
            decoded = b"".join(map(decoder.decode, self.packets))
        return base64.b64encode(decoded).decode("ascii")


class SpokenLog:
    """The last ``SPOKEN_MAX`` replies, oldest first."""

    def __init__(self) -> None:
        self._spoken: deque[Spoken] = deque(maxlen=SPOKEN_MAX)

    def begin(self, turn: Turn, speech: Speech, format_: AudioFormat) -> Spoken:
        """Note that a reply begins to be said; the oldest one makes room."""
        spoken = Spoken(turn, speech, format_)
        self._spoken.append(spoken)
        return spoken

    def all(self) -> tuple[Spoken, ...]:
        """Give them, to be written elsewhere than on the event loop."""
        return tuple(self._spoken)
