"""Without a gateway: answers from the device, and the way there and back."""

from __future__ import annotations

import pytest

from tests.states.scenario import EVERYWHERE, LOCKED, SET_UP, Toy, at

IDLE = ("idle.awake", "idle.asleep", "idle.muted")


# -- The way there and back.
@pytest.mark.parametrize("leaf", IDLE)
@pytest.mark.parametrize("lost", ["link_down", "tokens_lost"])
def test_idle_is_offline_after_ten_seconds(leaf: str, lost: str) -> None:
    """Gateway lost in ``idle`` after 10 s → ``offline.ready``; likewise when no valid token is
    held.
    """
    toy = at(leaf).happens(lost).is_in(leaf).has_armed("grace", 10_000).fires("grace")
    toy.is_in("offline.ready")
    toy.shows("amber-pulse").has_speaker("cues").awaits_no("grace")


def test_a_sleeping_child_does_not_hear_that_the_toy_is_offline() -> None:
    """Quiet hours: nothing asks for a sound at night when a router restarts."""
    Toy.asleep().happens("link_down").fires("grace").is_in("offline.ready").hears_no_cue()


@pytest.mark.parametrize(
    ("lost", "back"), [("link_down", "link_up"), ("tokens_lost", "tokens_granted")]
)
@pytest.mark.parametrize("leaf", IDLE)
def test_what_is_back_within_ten_seconds_was_never_gone(leaf: str, lost: str, back: str) -> None:
    """``offline``: the gateway has been unreachable, or no valid token held, **for 10 s**."""
    at(leaf).happens(lost).happens(back).is_in(leaf).awaits_no("grace")


def test_the_ten_seconds_are_counted_once() -> None:
    """For 10 s: what happens meanwhile does not begin the time anew."""
    toy = Toy.ready().happens("link_down")
    arming = toy.timers["grace"].arming
    toy.happens("link_down").happens("tokens_lost").commands("mute").happens("link_up")
    toy.is_in("idle.muted")
    assert toy.timers["grace"].arming == arming
    toy.fires("grace").is_in("offline.ready")


@pytest.mark.parametrize(
    ("lost", "back"), [("link_down", "link_up"), ("tokens_lost", "tokens_granted")]
)
def test_the_toy_is_idle_again_when_both_are_back(lost: str, back: str) -> None:
    """Back, with valid tokens: ``offline.ready`` → ``idle``."""
    toy = Toy.ready().happens(lost).fires("grace").happens(back).is_in("idle.awake")
    toy.shows("blue-breathing")
    toy.has_speaker("cues").awaits_no("grace").does_not("recall")


@pytest.mark.parametrize("half", ["link_up", "tokens_granted"])
def test_half_of_it_is_not_enough(half: str) -> None:
    """Back, **with valid tokens**."""
    toy = Toy.ready().happens("link_down").happens("tokens_lost").fires("grace").happens(half)
    toy.is_in("offline.ready")
    toy.happens("tokens_granted" if half == "link_up" else "link_up").is_in("idle.awake")


@pytest.mark.parametrize("leaf", ["offline.listening", "offline.answering"])
@pytest.mark.parametrize("back", ["link_up", "tokens_granted"])
def test_an_answer_is_never_left_in_its_middle(leaf: str, back: str) -> None:
    """Never in the middle of an answer: what is back is noted."""
    toy = Toy.offline() if back == "link_up" else Toy.ready().happens("tokens_lost").fires("grace")
    toy.tap().fires("chain").voice()
    if leaf == "offline.answering":
        toy.silence()
    toy.is_in(leaf).happens(back).is_in(leaf).goes_on()
    if leaf == "offline.listening":
        toy.silence()
    toy.happens("answer_played").is_in("idle.awake").ends_turn("answered")


@pytest.mark.parametrize("leaf", ["speaking", "streaming.sending", "streaming.waiting"])
def test_lost_tokens_move_no_turn(leaf: str) -> None:
    """Expired tokens are background matters, never a transition during a turn."""
    at(leaf).happens("tokens_lost").is_in(leaf).goes_on().does("authenticate")


@pytest.mark.parametrize("lost", ["link_down", "tokens_lost"])
def test_a_turn_that_ends_without_link_or_tokens_ends_offline(lost: str) -> None:
    """Home: ``offline.ready`` without tokens or link."""
    Toy.speaking().happens(lost).happens("reply_played").is_in("offline.ready")


def test_a_link_that_came_back_during_the_reply_was_never_gone() -> None:
    """Home is asked where the turn ends, not where it was lost."""
    toy = Toy.speaking().happens("link_down").happens("link_up").happens("reply_played")
    toy.is_in("idle.awake")


@pytest.mark.parametrize("leaf", LOCKED)
@pytest.mark.parametrize(
    ("lost", "back"), [("link_down", "link_up"), ("tokens_lost", "tokens_granted")]
)
def test_link_and_tokens_are_noted_while_locked(leaf: str, lost: str, back: str) -> None:
    """``safety_lockout`` goes home: where that is depends on link and tokens."""
    toy = at(leaf).happens(lost).is_in(leaf)
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription")
    toy.is_in("offline.ready")
    toy = at(leaf).happens(lost).happens(back).is_in(leaf)
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription").is_in("idle.awake")


# -- What it is to be offline.
def test_the_offline_toy_shows_it() -> None:
    """``offline.ready``: slow amber pulse, microphone as ``idle``."""
    Toy.offline().shows("amber-pulse").has_microphone("closed").awaits_no("state")
    Toy.offline(wake=True).has_microphone("sampling")


@pytest.mark.parametrize("leaf", ["idle.asleep", "idle.muted"])
def test_losing_the_network_never_forgets_availability(leaf: str) -> None:
    """Losing the network never forgets availability; it is held in every state."""
    toy = Toy.ready(wake=True)
    toy = toy.happens("bedtime", asleep=True) if leaf == "idle.asleep" else toy.commands("mute")
    toy.happens("link_down").fires("grace").is_in("offline.ready").has_microphone("closed")
    toy.happens("link_up").is_in(leaf).has_microphone("closed")


def test_offline_listening_captures_for_the_device_alone() -> None:
    """``offline.listening``: capture; amber double pulse; only ``sending`` sends."""
    toy = Toy.listening_offline().shows("amber-double-pulse").has_microphone("capture").voice()
    toy.has_armed("state", 30_000).goes_on().does_not("start_uplink").silence()
    toy.does_not("finish_uplink").has_microphone("closed").is_in("offline.answering")


def test_speech_that_does_not_end_is_answered_after_thirty_seconds() -> None:
    """Timeouts: ``offline.listening`` with speech 30 s."""
    toy = Toy.listening_offline().voice().fires("state").is_in("offline.answering").hears_cue("end")
    toy.goes_on()
    toy.does("answer_offline", turn=1).has_microphone("closed")


def test_silence_ends_what_is_said_offline() -> None:
    """``offline.listening``: 700 ms of silence end an utterance; approved answers from the
    device.
    """
    toy = Toy.listening_offline().voice().silence().is_in("offline.answering").hears_cue("end")
    toy.goes_on()
    toy.does("answer_offline", turn=1).shows("amber-green").has_speaker("answers")
    toy.awaits("state", 60_000)


def test_an_answer_that_was_played_out_ends_the_turn() -> None:
    """End of a turn: ``answering`` → home."""
    toy = Toy.answering().happens("answer_played").is_in("offline.ready").ends_turn("answered")
    toy.hears_no_cue()
    toy.has_speaker("cues").awaits_no("state")


def test_an_answer_that_fails_ends_with_an_apology() -> None:
    """Apologies are the device's own sounds; ``answering`` → home."""
    toy = Toy.answering().happens("answer_failed").is_in("offline.ready").hears_cue("apology")
    toy.ends_turn("no answer")


def test_an_answer_lasts_a_minute_at_most() -> None:
    """``answering`` 60 s."""
    toy = Toy.answering().fires("state").is_in("offline.ready").hears_cue("end")
    toy.ends_turn("answer too long")
    toy.has_speaker("cues")


def test_the_microphone_is_closed_while_answering() -> None:
    """``answering``: closed, whatever is enabled."""
    toy = Toy.offline(wake=True, wake_barge=True).wake().voice().silence()
    toy.is_in("offline.answering")
    toy.has_microphone("closed").happens("answer_played").has_microphone("sampling")


@pytest.mark.parametrize("event", ["link_up", "tokens_granted"])
def test_good_news_ends_nothing(event: str) -> None:
    """From then on authentication happens in the background in any state."""
    for leaf in [leaf for leaf in EVERYWHERE if leaf not in (*IDLE, "offline.ready")]:
        toy = at(leaf)
        if leaf != "auth" or event != "tokens_granted":
            toy.happens(event).is_in(leaf).goes_on()


def test_a_grace_period_belongs_to_idle() -> None:
    """In ``idle`` after 10 s → ``offline.ready``: no other state waits that way."""
    for leaf in SET_UP:
        toy = at(leaf).happens("tokens_lost")
        assert ("grace" in toy.timers) is (leaf in IDLE)


def test_a_turn_begun_within_the_grace_period_forgets_it() -> None:
    """Every timer event carries the id of its arming; any other is dropped."""
    toy = Toy.ready().happens("tokens_lost")
    arming = toy.timers["grace"].arming
    toy.press().is_in("listening.hearing").awaits_no("grace")
    toy.happens("grace_elapsed", timer="grace", arming=arming).does_nothing()
    toy.is_in("listening.hearing")
