"""How late a reply's packets come."""

from __future__ import annotations

import random

import pytest

from firmware.voice.arrivals import DRY_MS, PACKETS_MAX, Arrivals


def arrivals() -> Arrivals:
    """Return one that has measured nothing yet, within a reply."""
    measured = Arrivals(start_ms=60, ms_max=400)
    measured.begin()
    return measured


def let_come(measured: Arrivals, late_ms: list[float]) -> float:
    """Let a packet every 20 ms come so late; return what is held back then."""
    for number, late in enumerate(late_ms):
        measured.note(round(1_000 + 20 * number + late), 20 * number)
    return measured.target_ms


def test_before_anything_was_measured_it_is_as_the_settings_say() -> None:
    """And so it is where everything comes in time."""
    assert arrivals().target_ms == 60
    assert let_come(arrivals(), [0.0] * 100) == 60


def test_nineteen_in_twenty_come_in_time() -> None:
    """Jitter of 100 ms is met by little more than that."""
    chance = random.Random(1)  # noqa: S311 - the same jitter every time
    measured = arrivals()
    target_ms = let_come(measured, [chance.uniform(0, 100) for _ in range(500)])
    assert 100 <= target_ms <= 125


def test_one_late_packet_in_a_hundred_changes_nothing() -> None:
    """It is filled in as a lost one is."""
    late_ms = [0.0] * 100
    late_ms[50] = 350
    assert let_come(arrivals(), late_ms) == 60


def test_it_never_holds_back_more_than_the_most() -> None:
    """However bad the network is: a late answer is one that nobody waits for."""
    late_ms: list[float] = [0, 3_000]
    assert let_come(arrivals(), late_ms * 100) == 400


def test_what_is_long_past_is_forgotten() -> None:
    """After five seconds in time it is as in the beginning."""
    measured = arrivals()
    let_come(measured, [0.0, 200.0] * 100)
    measured.begin()
    assert let_come(measured, [0.0] * PACKETS_MAX) == 60


def test_the_next_reply_has_a_time_of_its_own() -> None:
    """What was measured holds, the moment at which the last one began does not."""
    measured = arrivals()
    let_come(measured, [0.0, 100.0] * 100)
    held_back_ms = measured.target_ms
    measured.begin()
    measured.note(1_000_000, 0)
    assert measured.target_ms == held_back_ms


def test_who_sends_faster_than_is_spoken_is_not_late_when_he_rests() -> None:
    """A sentence at once, and a second later the next: no packet came too late to be heard."""
    measured = arrivals()
    for number in range(100):
        measured.note(1_000 + number, 20 * number)
    measured.note(2_000, 2_000)
    assert measured.target_ms == 60


def test_of_what_comes_at_once_the_first_tells() -> None:
    """Half a second in one message is late by nothing."""
    measured = arrivals()
    for message in range(10):
        for piece in range(25):
            measured.note(1_000 + 500 * message, 500 * message + 20 * piece)
    assert measured.target_ms == 60


@pytest.mark.parametrize("times", [1, 3])
def test_every_gap_that_was_heard_makes_it_more_careful(times: int) -> None:
    """At once, though nothing else tells so."""
    measured = arrivals()
    let_come(measured, [0.0] * PACKETS_MAX)
    for _ in range(times):
        measured.run_dry()
    assert measured.target_ms == 60 + times * DRY_MS
