"""A conversation with a toy: who begins each turn and how, what is said, what comes of it.

The first turn begins with a press, the second interrupts the reply to the first with another press
(barge-in), the third begins with the wake word, which is spoken into the microphone and which the
toy has to hear; then it goes round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from firmware.app import Toy
from hardware.pcm import BYTES_PER_MS, read_wav
from simulator.errors import TurnError
from simulator.watch import Watch, arrives_at
from states.machine import Step

READY_TIMEOUT_S: Final = 25.0
"""Longer than the toy itself tries before it is ready without a cloud."""
BEGIN_TIMEOUT_S: Final = 10.0
"""From a press, or the beginning of the wake word, to listening."""
TURN_TIMEOUT_S: Final = 60.0
TAP_MS: Final = 120
BREATH_S: Final = 0.4
"""Between pressing and speaking, as a person does: the earcon sounds first."""
INTERRUPT_AFTER_S: Final = 1.2
"""Of the reply is heard before it is interrupted."""

Beginning = Literal["press", "barge-in", "wake word"]
BEGINNINGS: Final[tuple[Beginning, ...]] = ("press", "barge-in", "wake word")

WHY: Final = {
    "nothing said": "nothing was heard within 5 s: the clip is silent, or too quiet to be speech",
    "no answer": "no answer came within 10 s",
    "stream cut": "the stream was cut in the middle of the turn",
    "gateway failed": "the gateway said that it could not answer",
    "reply ran dry": "the reply stopped coming before its end",
    "stopped": "the toy was stopped",
}
"""What an outcome means for a person who waits for an answer."""


@dataclass
class Turn:
    """What became of one turn. Times in milliseconds, None where it never came to it.

    ``woken_ms`` is from the end of the wake word to listening.
    """

    begun_by: Beginning
    clip: str
    number: int = 0
    outcome: str = ""
    answered: bool = False
    interrupted: bool = False
    woken_ms: int | None = None
    light_ms: int | None = None
    first_sound_ms: int | None = None
    states: list[str] = field(default_factory=list)


class Clip(NamedTuple):
    """Something to say: its name, and 16 kHz mono s16le sound."""

    name: str
    pcm: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a sound file. Raises ClipError; see ``hardware.pcm.read_wav``."""
        return cls(path.name, read_wav(path))


class Conversation:
    """Speaks ``clips`` to ``toy`` in turn.

    Args:
        toy: Its microphone is a virtual one.
        wake_word: The toy's wake word, spoken.
        clips: What is said, a turn each.
        tell: Is told what a person would see and hear.
    """

    def __init__(
        self, toy: Toy, wake_word: Clip, clips: Sequence[Clip], tell: Callable[[str], None]
    ) -> None:
        self.turns: list[Turn] = []
        self._toy = toy
        self._wake_word = wake_word
        self._clips = clips
        self._tell = tell
        self._watch = Watch()
        toy.loop.observers.append(self._watch)

    @property
    def steps(self) -> list[Step]:
        """Every step so far."""
        return self._watch.steps

    async def get_ready(self) -> None:
        """Wait until the toy can be spoken to. Raises TurnError when it does not get there."""
        try:
            await self._watch.first(arrives_at("idle.awake"), READY_TIMEOUT_S, since=0)
        except TimeoutError:
            leaf = self._toy.loop.core.situation.leaf
            raise TurnError(
                f"the toy was not ready after {READY_TIMEOUT_S:.0f} s: it is in {leaf}"
            ) from None

    async def hold(self) -> None:
        """Have all the turns. Raises TurnError at the first that is not answered, saying why."""
        beginnings = [BEGINNINGS[place % len(BEGINNINGS)] for place in range(len(self._clips))]
        for clip, begun_by, next_by in zip_longest(self._clips, beginnings, beginnings[1:]):
            turn = Turn(begun_by, clip.name)
            self.turns.append(turn)
            await self._have(turn, clip.pcm, then_interrupted=next_by == "barge-in")

    async def _have(self, turn: Turn, pcm: bytes, *, then_interrupted: bool) -> None:
        begun = await self._begin(turn)
        first = self._watch.steps.index(begun)
        turn.number = self._toy.loop.core.situation.context.turn
        await asyncio.sleep(BREATH_S)
        self._tell(f'the child says "{turn.clip}" ({len(pcm) / BYTES_PER_MS / 1000:.1f} s)')
        self._toy.microphone.speak(pcm)
        spoken_until_ms = self._toy.microphone.speaking_until_ms
        try:
            await self._heard_out(turn, first, then_interrupted=then_interrupted)
        except TimeoutError:
            leaf = self._toy.loop.core.situation.leaf
            turn.outcome = f"still in {leaf} after {TURN_TIMEOUT_S:.0f} s"
        self._measure(turn, first, spoken_until_ms)
        if not turn.answered:
            why = WHY.get(turn.outcome, turn.outcome)
            if "offline.answering" in turn.states:
                why = "the gateway could not be reached, and the toy has no answer of its own"
            raise TurnError(f"turn {len(self.turns)} ({turn.clip}) was not answered: {why}")

    async def _begin(self, turn: Turn) -> Step:
        before = len(self._watch.steps)
        self._beckon(turn.begun_by)
        called_until_ms = self._toy.microphone.speaking_until_ms
        begins = arrives_at("listening.hearing", "offline.listening")
        try:
            step = await self._watch.first(begins, BEGIN_TIMEOUT_S, since=before)
        except TimeoutError:
            leaf = self._toy.loop.core.situation.leaf
            raise TurnError(
                f"turn {len(self.turns)} ({turn.clip}), by {turn.begun_by}, did not begin: "
                f"the toy is in {leaf}"
            ) from None
        if turn.begun_by == "wake word":
            turn.woken_ms = step.event.at_ms - called_until_ms
        return step

    def _beckon(self, begun_by: Beginning) -> None:
        """Do that upon which the toy should listen."""
        if begun_by == "wake word":
            self._tell(f'the child says "{self._wake_word.name}", the wake word')
            self._toy.microphone.speak(self._wake_word.pcm)
        else:
            interrupting = ", interrupting" if begun_by == "barge-in" else ""
            self._tell(f"the child presses the button{interrupting}")
            self._toy.board.tap(TAP_MS)

    async def _heard_out(self, turn: Turn, first: int, *, then_interrupted: bool) -> None:
        """Wait for the turn's end; of a reply that will be interrupted, hear the beginning."""

        def over(step: Step) -> bool:
            return step.to == "speaking" or _ends(step, turn.number) is not None

        def ends(step: Step) -> bool:
            return _ends(step, turn.number) is not None

        step = await self._watch.first(over, TURN_TIMEOUT_S, since=first)
        is_interrupted = then_interrupted and step.to == "speaking"
        patience_s = INTERRUPT_AFTER_S if is_interrupted else TURN_TIMEOUT_S
        try:
            step = await self._watch.first(ends, patience_s, since=first)
        except TimeoutError:
            if not is_interrupted:
                raise
            turn.outcome, turn.answered, turn.interrupted = "interrupted", True, True
        else:
            turn.outcome = _ends(step, turn.number) or ""
            turn.answered = turn.outcome == "answered"

    def _measure(self, turn: Turn, first: int, spoken_until_ms: int) -> None:
        steps = self._watch.steps[first:]
        turn.states = [step.to for step in steps if step.to != step.source or step is steps[0]]
        began = steps[0].event.at_ms
        shown_at = (shown.monotonic_ms for shown in self._toy.board.light_history)
        lights = [ms for ms in shown_at if ms >= began]
        turn.light_ms = lights[0] - began if lights else None
        replies = [step.event.at_ms for step in steps if step.event.name == "reply_began"]
        turn.first_sound_ms = replies[0] - spoken_until_ms if replies else None


def _ends(step: Step, turn: int) -> str | None:
    """Return how ``step`` ends ``turn``, or None where it does not."""
    for effect in step.effects:
        if effect.name == "end_turn" and effect.fields["turn"] == turn:
            return str(effect.fields["outcome"])
    return None
