"""How turns went and how long they took, added up from the machine's steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firmware.durations import Durations
from states.table import CAPTURING, SPEAKING, UNSENT, WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from states.events import FieldValue
    from states.machine import Step

FAILED_OUTCOMES: Final = frozenset(
    {
        *("no answer", "stream cut", "gateway failed", "reply ran dry", "reply too long"),
        *("answer too long", "microphone failed"),
    }
)
"""How a turn ends that nobody meant to end so; the outcomes of ``end_turn``."""
ANSWERED: Final = "answered"


class TurnTimes:
    """Adds up turns, and the times from the end of the utterance to the reply's first frame.

    An observer of the loop. Times are those of the events, so they hold on any clock.
    """

    def __init__(self) -> None:
        self._uttered_ms: int | None = None
        self._turns = self._answered = self._failed = 0
        self._replies = Durations("reply")

    def __call__(self, step: Step) -> None:
        """Take a step."""
        for effect in step.effects:
            if effect.name == "end_turn":
                self._end(effect.fields["outcome"])
        at_ms = step.event.at_ms
        if step.source in CAPTURING and step.to in UNSENT:
            self._uttered_ms = at_ms
        elif step.source in WAITING and step.to in SPEAKING and self._uttered_ms is not None:
            self._replies.add(at_ms - self._uttered_ms)
            self._uttered_ms = None

    def take(self) -> Mapping[str, float]:
        """Return what was added up since the last call, and begin anew."""
        told: dict[str, float] = {
            "turns": self._turns,
            "turnsAnswered": self._answered,
            "turnsFailed": self._failed,
        }
        self._turns = self._answered = self._failed = 0
        return {**told, **self._replies.take()}

    def _end(self, outcome: FieldValue) -> None:
        self._uttered_ms = None
        self._turns += 1
        self._answered += outcome == ANSWERED
        self._failed += outcome in FAILED_OUTCOMES
