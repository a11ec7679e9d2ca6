"""How turns are added up."""

from __future__ import annotations

import pytest

from firmware.turn_times import FAILED_OUTCOMES, TurnTimes
from states.effects import Effect
from states.events import Event
from states.machine import Step
from states.table import ROWS


def step(at_ms: int, source: str, to: str, outcome: str = "") -> Step:
    """Return a step that leads from one state to another, and ends a turn if it has an outcome."""
    effects = (Effect("end_turn", {"turn": 1, "outcome": outcome}),) if outcome else ()
    return Step(Event("any", {}, "e1", at_ms), source, "row", to, effects)


ANSWERED = (
    step(1_000, "streaming.sending", "streaming.flushing"),
    step(1_200, "streaming.flushing", "streaming.waiting"),
    step(1_900, "streaming.waiting", "speaking"),
    step(4_000, "speaking", "idle.awake", "answered"),
)


def told(*steps: Step) -> dict[str, float]:
    """Return what the steps add up to."""
    times = TurnTimes()
    for one in steps:
        times(one)
    return dict(times.take())


def test_the_wait_for_the_reply_is_measured() -> None:
    """From the utterance's end to the reply's first frame: what a child waits."""
    assert told(*ANSWERED) == {
        "turns": 1,
        "turnsAnswered": 1,
        "turnsFailed": 0,
        "replyMsMean": 900,
        "replyMsMax": 900,
    }


def test_several_turns_are_added_up() -> None:
    """Mean and longest."""
    later = [one._replace(event=one.event._replace(at_ms=one.event.at_ms * 2)) for one in ANSWERED]
    figures = told(*ANSWERED, *later)
    assert (figures["turns"], figures["replyMsMean"], figures["replyMsMax"]) == (2, 1_350, 1_800)


def test_what_was_told_is_not_told_again() -> None:
    """Each sample has its own turns."""
    times = TurnTimes()
    for one in ANSWERED:
        times(one)
    times.take()
    assert times.take() == {"turns": 0, "turnsAnswered": 0, "turnsFailed": 0}


def test_a_speech_that_was_held_back_waits_from_its_end_too() -> None:
    """Said whole before the stream opened: the wait began all the same."""
    figures = told(
        step(1_000, "listening.hearing", "listening.connecting"),
        step(3_000, "listening.connecting", "streaming.flushing"),
        step(3_500, "streaming.flushing", "streaming.waiting"),
        step(4_000, "streaming.waiting", "speaking"),
    )
    assert figures["replyMsMax"] == 3_000


@pytest.mark.parametrize("outcome", sorted(FAILED_OUTCOMES))
def test_a_turn_that_nobody_ended_so_has_failed(outcome: str) -> None:
    """And its wait is not carried into the next turn."""
    figures = told(
        step(1_000, "streaming.sending", "streaming.flushing"),
        step(9_000, "streaming.flushing", "idle.awake", outcome),
        step(9_500, "streaming.waiting", "speaking"),
    )
    assert (figures["turns"], figures["turnsFailed"]) == (1, 1)
    assert "replyMsMax" not in figures


def test_the_outcomes_are_those_of_the_table() -> None:
    """Every one is known to it, and those it has are failures or are meant."""
    outcomes = {row.ends for row in ROWS if row.ends}
    meant = {
        *("answered", "nothing said", "interrupted", "muted", "consent withdrawn"),
        *("guardian stopped it", "stopped", "nothing kept"),
    }
    assert outcomes - meant == FAILED_OUTCOMES


def test_nobody_interrupts_with_a_failure() -> None:
    """A press during the reply is no failure."""
    assert told(step(1, "speaking", "listening.hearing", "interrupted"))["turnsFailed"] == 0
