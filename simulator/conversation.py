"""A conversation with a toy: who begins each turn and how, what is said, what comes of it.

The first turn begins with a press, the second interrupts the reply to the first with another press
(barge-in), the third begins with the wake word; then it goes round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final, Literal

from firmware.app import Toy
from hardware.pcm import BYTES_PER_MS, read_wav
from simulator.errors import TurnError
from simulator.watch import Watch, arrives_at
from states.machine import Step

READY_TIMEOUT_S: Final = 20.0
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
    """What became of one turn. Times in milliseconds, None where it never came to it."""

    begun_by: Beginning
    clip: str
    number: int = 0
    outcome: str = ""
    answered: bool = False
    interrupted: bool = False
    light_ms: int | None = None
    first_sound_ms: int | None = None
    states: list[str] = field(default_factory=list)


class Conversation:
    """Speaks ``clips`` to ``toy`` in turn. ``tell`` is told what a person would see and hear."""

    def __init__(self, toy: Toy, clips: Sequence[Path], tell: Callable[[str], None]) -> None:
        self.turns: list[Turn] = []
        self._toy = toy
        self._speech = [(path, read_wav(path)) for path in clips]
        self._tell = tell
        self._watch = Watch()
        toy.loop.observers.append(self._watch)

    @property
    def steps(self) -> list[Step]:
        """Every step so far."""
        return self._watch.steps

    async def get_ready(self) -> None:
        """Wait until the toy is ready to be spoken to. Raises TurnError when it does not get there."""
        try:
            if self._toy.loop.core.situation.leaf != "idle.awake":
                await self._watch.next(arrives_at("idle.awake"), READY_TIMEOUT_S)
        except TimeoutError:
            leaf = self._toy.loop.core.situation.leaf
            raise TurnError(f"the toy was not ready after {READY_TIMEOUT_S:.0f} s: it is in {leaf}") from None

    async def hold(self) -> None:
        """Have all the turns. Raises TurnError at the first that is not answered, saying why."""
        beginnings = self._beginnings()
        for place, ((path, pcm), beginning) in enumerate(zip(self._speech, beginnings, strict=False)):
            turn = Turn(beginning, path.name)
            self.turns.append(turn)
            interrupted = place + 1 < len(self._speech) and BEGINNINGS[(place + 1) % 3] == "barge-in"
            await self._have(turn, pcm, then_interrupted=interrupted)

    def _beginnings(self) -> Iterator[Beginning]:
        return cycle(BEGINNINGS)

    async def _have(self, turn: Turn, pcm: bytes, *, then_interrupted: bool) -> None:
        begun = await self._begin(turn)
        first = len(self._watch.steps) - 1
        turn.number = self._toy.loop.core.situation.context.turn
        turn.states.append(begun.to)
        await asyncio.sleep(BREATH_S)
        self._tell(f'the child says "{turn.clip}" ({len(pcm) / BYTES_PER_MS / 1000:.1f} s)')
        spoken_until_ms = self._spoken(pcm)
        try:
            await self._heard_out(turn, then_interrupted=then_interrupted)
        except TimeoutError:
            turn.outcome = f"still in {self._toy.loop.core.situation.leaf} after {TURN_TIMEOUT_S:.0f} s"
        self._measure(turn, first, spoken_until_ms)
        if not turn.answered:
            why = WHY.get(turn.outcome, turn.outcome)
            raise TurnError(f"turn {len(self.turns)} ({turn.clip}) was not answered: {why}")

    async def _begin(self, turn: Turn) -> Step:
        listening = asyncio.ensure_future(
            self._watch.next(arrives_at("listening.hearing", "offline.listening"), READY_TIMEOUT_S)
        )
        await asyncio.sleep(0)
        if turn.begun_by == "wake word":
            self._tell("the child says the toy's name (as an event: wake words come with the voice)")
            self._toy.loop.post("wake_heard")
        else:
            self._tell("the child presses the button" + (", interrupting" if turn.begun_by == "barge-in" else ""))
            self._toy.board.tap(TAP_MS)
        try:
            return await listening
        except TimeoutError:
            leaf = self._toy.loop.core.situation.leaf
            raise TurnError(f"turn {len(self.turns)} ({turn.clip}) did not begin: the toy is in {leaf}") from None

    def _spoken(self, pcm: bytes) -> int:
        self._toy.microphone.speak(pcm)
        return self._toy.microphone.speaking_until_ms

    async def _heard_out(self, turn: Turn, *, then_interrupted: bool) -> None:
        def over(step: Step) -> bool:
            return step.to == "speaking" or _ends(step, turn.number) is not None

        step = await self._watch.next(over, TURN_TIMEOUT_S)
        if step.to != "speaking":
            turn.outcome = _ends(step, turn.number) or ""
            return
        if then_interrupted:
            await self._interruptible(turn)
            return
        step = await self._watch.next(lambda s: _ends(s, turn.number) is not None, TURN_TIMEOUT_S)
        turn.outcome = _ends(step, turn.number) or ""
        turn.answered = turn.outcome == "answered"

    async def _interruptible(self, turn: Turn) -> None:
        """Listen for a while; the next turn's press is what ends this one."""
        try:
            step = await self._watch.next(lambda s: _ends(s, turn.number) is not None, INTERRUPT_AFTER_S)
        except TimeoutError:
            turn.outcome, turn.answered, turn.interrupted = "interrupted", True, True
            return
        turn.outcome = _ends(step, turn.number) or ""
        turn.answered = turn.outcome == "answered"

    def _measure(self, turn: Turn, first: int, spoken_until_ms: int) -> None:
        steps = self._watch.steps[first:]
        turn.states += [step.to for step in steps[1:] if step.to != step.source]
        began = steps[0].event.at_ms
        lights = [shown.monotonic_ms for shown in self._toy.board.light_history if shown.monotonic_ms >= began]
        turn.light_ms = lights[0] - began if lights else None
        replies = [step.event.at_ms for step in steps if step.event.name == "reply_began"]
        turn.first_sound_ms = replies[0] - spoken_until_ms if replies else None


def _ends(step: Step, turn: int) -> str | None:
    """Return how ``step`` ends ``turn``, or None where it does not."""
    for effect in step.effects:
        if effect.name == "end_turn" and effect.fields["turn"] == turn:
            return str(effect.fields["outcome"])
    return None
