"""How long a step of the machine takes, with its line in the journal."""

from __future__ import annotations

import time
from typing import Final

from firmware.bench import walk
from firmware.bench.section import Figure, Tell, spread
from states.journal import Recorder
from states.machine import Core

TAKES_S: Final = 10
STEP_US_MAX: Final = 50


def measure(tell: Tell) -> list[Figure]:
    """Walk a few times."""
    tell("steps of the machine")
    events = walk.walk(walk.STEPS)
    spent: list[float] = []
    for _ in range(walk.ROUNDS):
        core, recorder = Core(), Recorder()
        recorder.header(walk.header())
        for event in events:
            began = time.perf_counter_ns()
            recorder.line(core.step(event))
            spent.append((time.perf_counter_ns() - began) / 1_000)
    return [
        spread(
            "core", "step and its journal line", "µs", spent, budget=STEP_US_MAX, judged="median"
        )
    ]
