"""Where two rows could fire at the same event, their order decides: stories that depend on it."""

from __future__ import annotations

import pytest

from tests.states.scenario import Toy


def test_a_toy_of_nobody_offers_nothing_to_who_holds_its_button() -> None:
    """``boot`` → ``boot.unprovisioned`` without identity: set-up is open there anyway."""
    toy = Toy.reading().happens("down_at_start").records("missing", identity=False)
    toy.by("boot.unowned").is_in("boot.unprovisioned")


def test_a_button_that_came_up_before_the_records_were_read_offers_nothing() -> None:
    """Set-up gestures count only after the lock was read; here nobody holds the button any more."""
    toy = Toy.reading().happens("down_at_start").press().release().by("boot.up")
    toy.records().by("boot.read").is_in("boot.testing")


@pytest.mark.parametrize(
    ("offers", "leaf"),
    [(0, "boot.testing"), (1, "boot.confirm_setup"), (2, "boot.confirm_erase")],
)
def test_letting_go_answers_the_offer_even_while_presses_are_counted(
    offers: int, leaf: str
) -> None:
    """What is offered takes effect only after release: a bounced press does not swallow it."""
    toy = Toy.reading().happens("down_at_start").press().records().is_in("boot.held")
    for _ in range(offers):
        toy.fires("state")
    toy.release().by("setup.").is_in(leaf)


def test_a_record_without_a_lock_that_is_read_late_is_not_written_over() -> None:
    """Paused because nothing was read in time; what is read then needs no other record."""
    toy = Toy.reading().fires("state").is_in("safety_lockout.pause")
    toy.records("free").is_in("safety_lockout.pause").does("authenticate").does_not("write_lock")


def test_asleep_is_told_before_a_fault() -> None:
    """A child who presses at night hears what it hears every night."""
    toy = Toy.asleep().happens("part_failed", part="microphone").press()
    toy.by("denied.asleep").hears_cue("denied").is_in("idle.asleep")
