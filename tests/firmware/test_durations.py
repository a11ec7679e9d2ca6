"""Durations between two samples."""

from __future__ import annotations

from firmware.durations import Durations


def test_the_mean_and_the_longest_are_told_once() -> None:
    """Each sample has its own; where there was nothing, nothing is told."""
    calls = Durations("call")
    assert calls.take() == {}
    for duration_ms in (10, 20, 60):
        calls.add(duration_ms)
    assert calls.take() == {"callMsMean": 30, "callMsMax": 60}
    assert calls.take() == {}
    calls.add(0)
    assert calls.take() == {"callMsMean": 0, "callMsMax": 0}
