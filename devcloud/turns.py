"""The list of turns that came over the stream, for inspection."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Final

TURNS_MAX: Final = 1000


@dataclass(slots=True)
class Turn:
    """One utterance and what came of it; filled in as it happens.

    ``turn`` is its number in a dialect that has one. ``missing_chunks`` were left out by the
    device. ``first_packet_ms`` is the time from the utterance's end to the reply's first packet,
    which left at ``first_packet_at_ms``, by ``time.monotonic``.
    ``reply_packets`` were made, and ``reply_packets_sent`` of them were not lost on command.
    ``completed`` says that the reply was sent to its end, ``cancelled`` that the device wanted no
    more of it, and ``error`` which error it was answered with.
    """

    connection: int
    dialect: str
    turn: int | None
    transcript: str | None = None
    reply: str | None = None
    chunks: int = 0
    missing_chunks: int = 0
    utterance_ms: int = 0
    first_packet_ms: float | None = None
    first_packet_at_ms: float | None = None
    reply_packets: int = 0
    reply_packets_sent: int = 0
    completed: bool = False
    cancelled: bool = False
    error: str | None = None


class TurnLog:
    """The last ``TURNS_MAX`` turns, oldest first."""

    def __init__(self) -> None:
        self._turns: deque[Turn] = deque(maxlen=TURNS_MAX)

    def begin(self, connection: int, dialect: str, number: int | None) -> Turn:
        """Note that an utterance has begun; the oldest turn makes room."""
        turn = Turn(connection, dialect, number)
        self._turns.append(turn)
        return turn

    def to_json(self) -> list[dict[str, object]]:
        """Write them as the control API shows them."""
        return [asdict(turn) for turn in self._turns]
