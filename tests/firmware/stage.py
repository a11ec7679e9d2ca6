"""A loop around the real machine, with hands that write down what they are asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from firmware.loop import Loop
from firmware.ports import PerformEffect
from hardware.clock import Clock
from states.context import Context
from states.derive import Situation
from states.events import FieldValue
from states.machine import START, Core, Step

READY = Context(identity=True, tokens=True, consent=True, version=1)
"""The memory of a toy that is ready for everything."""
SPEAKING = Situation("speaking", READY._replace(turn=1, connection=1))
IDLE = Situation("idle.awake", READY)


class Hands:
    """Performs some effects by writing them into a diary."""

    def __init__(self, diary: list[str], effects: Sequence[str], name: str = "") -> None:
        self._diary = diary
        self._effects = effects
        self._name = name

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {effect: partial(self._note, effect) for effect in self._effects}

    def _note(self, effect: str, /, **_: FieldValue) -> None:
        self._diary.append(f"{self._name}{effect}")


class Deed:
    """Performs one effect by calling a function."""

    def __init__(self, effect: str, perform: PerformEffect) -> None:
        self._effect = effect
        self._perform = perform

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {self._effect: self._perform}


class Diarist:
    """A `firmware.loop.Recording` that keeps the steps and notes them in the diary."""

    def __init__(self, diary: list[str]) -> None:
        self.steps: list[Step] = []
        self._diary = diary

    def record(self, step: Step) -> None:
        """Keep a step."""
        self.steps.append(step)
        self._diary.append(f"record {step.event.name}")


class Stage:
    """A loop, a diary of what was recorded and performed in which order, and the steps.

    Make it inside a running loop.
    """

    def __init__(self, situation: Situation = START) -> None:
        self.diary: list[str] = []
        self.recorded = Diarist(self.diary)
        self.clock = Clock()
        self.loop = Loop(Core(situation), self.recorded, self.clock, "boot")

    @property
    def steps(self) -> list[Step]:
        """Every step that was recorded."""
        return self.recorded.steps

    @property
    def events(self) -> list[str]:
        """The names of the events that were stepped."""
        return [step.event.name for step in self.steps]

    @property
    def leaf(self) -> str:
        """Where the machine is."""
        return self.loop.core.situation.leaf
