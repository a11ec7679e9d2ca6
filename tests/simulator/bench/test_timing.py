"""Timings become figures with the budgets of the design."""

from __future__ import annotations

from itertools import pairwise

from hardware.pcm import BYTES_PER_MS
from simulator.bench import tone
from simulator.bench.timing import BURST_GAPS_MS, LATE_MS, Timings, _bursts


def _missed(timings: Timings) -> list[str]:
    return [figure.what for figure in timings.figures() if not figure.met]


def _good() -> Timings:
    return Timings([20.0] * 99, [90.0] * 99, [9.0] * 99, [9.0] * 99, [9.0] * 99)


def test_what_is_in_time_is_within_the_budgets() -> None:
    assert _missed(_good()) == []
    assert [figure.p99 for figure in _good().figures()] == [20, 90, 9, 9, 9, None]


def test_what_is_late_once_in_a_hundred_matters_where_the_budget_says_so() -> None:
    timings = _good()
    for taken in (timings.to_wire, timings.to_speaker, timings.press_to_silence):
        taken.extend([LATE_MS] * 2)
    assert _missed(timings) == ["barge-in by button → silence"]


def test_what_never_came_is_not_in_time() -> None:
    timings = Timings(bursts_lost=1)
    assert len(_missed(timings)) == 6


def test_bursts_are_apart_and_no_two_gaps_are_alike() -> None:
    begins = tone.begins(_bursts())
    assert len(begins) == len(BURST_GAPS_MS)
    gaps = {later - earlier for earlier, later in pairwise(begins)}
    assert len(gaps) == len(begins) - 1
    assert len(_bursts()) > begins[-1] * 2 + 100 * BYTES_PER_MS
