"""How quickly a journal is read, verified and replayed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Final

from firmware.bench import walk
from firmware.bench.section import Figure, Tell
from states.journal import read
from states.replay import replay

TAKES_S: Final = 10
STEPS_PER_S_MIN: Final = 20_000


def measure(tell: Tell) -> list[Figure]:
    """Replay the journal of a walk a few times."""
    tell("a journal, replayed")
    lines = walk.recorded(walk.walk(walk.STEPS))
    replays, reads = [], []
    for _ in range(walk.ROUNDS):
        began = time.process_time()
        journal = read(lines)
        halfway = time.process_time()
        result = replay(journal)
        ended = time.process_time()
        if result.difference is not None:
            raise AssertionError(f"the walk does not replay: {result.difference}")
        reads.append(len(lines) / (halfway - began))
        replays.append(result.total / (ended - halfway))
    return [
        _rate("replayed", "steps/s", replays),
        _rate("read and verified", "lines/s", reads),
    ]


def _rate(what: str, unit: str, rounds: Sequence[float]) -> Figure:
    median = statistics.median(rounds)
    return Figure("replay", what, unit, median, None, STEPS_PER_S_MIN, least=True)
