"""Tokens: a background matter in every state, whatever the toy is doing."""

from __future__ import annotations

import pytest

from tests.states.scenario import EVERYWHERE, LOCKED, SET_UP, Toy, at

OWNED = tuple(
    leaf
    for leaf in EVERYWHERE
    if leaf not in ("boot.dark", "boot.reading", "boot.unprovisioned", "boot.erasing")
)
NOBODYS = ("boot.dark", "boot.reading", "boot.unprovisioned", "boot.erasing")


def test_tokens_are_asked_for_when_they_are_due_in_every_state() -> None:
    """From then on authentication happens in the background in any state; tokens are renewed before
    they expire.
    """
    for leaf in OWNED:
        at(leaf).happens("auth_due").is_in(leaf).does("authenticate").goes_on()


def test_lost_tokens_are_asked_for_in_every_state() -> None:
    """Expired tokens are background matters, never a transition during a turn."""
    for leaf in OWNED:
        toy = at(leaf).happens("tokens_lost").is_in(leaf).does("authenticate").goes_on()
        assert not toy.context.tokens


def test_a_failed_authentication_is_tried_again_by_a_timer_alone() -> None:
    """A performer that fails is retried only from a timer; full-jitter backoff (1 s → 60 s)."""
    for leaf in OWNED:
        toy = at(leaf).happens("auth_failed", refused=False).is_in(leaf)
        toy.does("back_off", refused=False).goes_on()
        toy.does_not("authenticate", "report").happens("auth_due").does("authenticate")


def test_refused_credentials_are_reported_once() -> None:
    """Refused credentials 60 s → 1 h and **one** urgent report."""
    for leaf in [leaf for leaf in OWNED if leaf != "auth"]:
        toy = at(leaf).happens("auth_failed", refused=True).is_in(leaf)
        toy.does("back_off", refused=True).goes_on()
        toy.reports("credentials_refused", urgent=True)
        for _ in range(3):
            toy.happens("auth_due").does("authenticate")
            toy.happens("auth_failed", refused=True).does("back_off", refused=True)
            toy.does_not("report").is_in(leaf)


def test_a_refusal_after_tokens_were_granted_is_news() -> None:
    """One urgent report: for each time that the credentials stop working."""
    toy = Toy.ready().happens("tokens_lost").happens("auth_failed", refused=True)
    toy.does("report", urgent=True)
    toy.happens("tokens_granted").happens("tokens_lost").happens("auth_failed", refused=True)
    toy.reports("credentials_refused", urgent=True)


def test_a_refusal_at_the_start_is_reported_once() -> None:
    """``auth`` → on refusal → ``offline.ready``; one urgent report, also of one that came during
    the self-test.
    """
    toy = Toy.testing().happens("auth_failed", refused=True).does("report", urgent=True)
    toy.happens("parts_tested", failed="").is_in("auth").happens("auth_due").does("authenticate")
    toy.happens("auth_failed", refused=True).is_in("offline.ready").does("back_off", refused=True)
    toy.does_not("report")
    toy.happens("auth_due").happens("auth_failed", refused=True).does_not("report")


def test_after_a_refusal_a_mere_failure_is_no_refusal() -> None:
    """``auth`` → on refusal → ``offline.ready``: anything else is waited for."""
    toy = Toy.testing().happens("auth_failed", refused=True).happens("parts_tested", failed="")
    toy.is_in("auth").happens("auth_failed", refused=False).is_in("auth")


def test_a_refusal_that_ends_the_wait_is_the_one_that_is_reported() -> None:
    """``auth`` → on refusal → ``offline.ready``; **one** urgent report."""
    toy = Toy.authenticating().happens("auth_failed", refused=True).is_in("offline.ready")
    toy.does("report", urgent=True)
    toy.happens("auth_due").happens("auth_failed", refused=True).does("back_off", refused=True)
    toy.does_not("report")


def test_a_new_identity_is_refused_on_its_own_account() -> None:
    """One urgent report: a toy that becomes another has reported nothing yet."""
    for leaf in SET_UP:
        toy = at(leaf).happens("auth_failed", refused=True).happens("erased").records()
        toy.happens("auth_failed", refused=True).reports("credentials_refused", urgent=True)


def test_granted_tokens_are_held_in_every_state() -> None:
    """Whatever the state: authentication never depends on leaving it."""
    for leaf in [leaf for leaf in OWNED if leaf not in ("auth", "offline.ready")]:
        toy = at(leaf).happens("tokens_lost").happens("tokens_granted").is_in(leaf).goes_on()
        assert toy.context.tokens


@pytest.mark.parametrize("event", ["tokens_granted", "tokens_lost", "auth_due"])
def test_tokens_of_nobody_mean_nothing(event: str) -> None:
    """Without identity there is nothing to authenticate with."""
    for leaf in NOBODYS:
        at(leaf).happens(event).does_nothing()


def test_a_failure_of_nobody_is_not_tried_again() -> None:
    """Without identity there is nothing to authenticate with."""
    for leaf in NOBODYS:
        at(leaf).happens("auth_failed", refused=True).does_nothing()


@pytest.mark.parametrize("leaf", LOCKED)
def test_a_release_can_be_heard_in_every_lock(leaf: str) -> None:
    """Authentication in the background: a release can still be heard once the network is there."""
    toy = at(leaf).happens("tokens_lost").does("authenticate").happens("auth_failed", refused=False)
    toy.does("back_off")
    toy.happens("auth_due").does("authenticate").happens("tokens_granted").happens("link_up")
    toy.is_in(leaf)
    toy.happens("unlock", command="row", lock_id=toy.lock_id, via="subscription")
    toy.is_in("idle.awake")


def test_the_link_is_noted_in_every_state() -> None:
    """The gateway has been unreachable: believed wherever it is told."""
    for leaf in EVERYWHERE:
        assert not at(leaf).knowing(link=True).happens("link_down").context.link
        assert at(leaf).knowing(link=False).happens("link_up").context.link
