"""Awake, asleep, muted, and the configuration: held in every state, at once where it tightens."""

from __future__ import annotations

import pytest

from tests.states.scenario import EVERYWHERE, LOCKED, REST, STARTING, TURNS, Toy, at

UTTERANCES = (
    "listening.hearing",
    "listening.connecting",
    "streaming.sending",
    "streaming.flushing",
    "offline.listening",
)
REPLIES = ("streaming.waiting", "speaking", "offline.answering")


def ended(toy: Toy) -> Toy:
    """Let the turn come to its proper end."""
    if toy.leaf == "streaming.waiting":
        toy.happens("reply_began")
    return toy.happens("reply_played" if toy.leaf == "speaking" else "answer_played")


# -- Quiet hours and budgets.
def test_bedtime_at_rest_acts_at_once() -> None:
    """Quiet hours and budgets change availability, shown as the children of ``idle``."""
    toy = Toy.ready(wake=True).has_microphone("sampling").happens("bedtime", asleep=True)
    toy.is_in("idle.asleep")
    toy.has_microphone("closed").shows("dim").happens("bedtime", asleep=False).is_in("idle.awake")
    toy.has_microphone("sampling").shows("blue-breathing")


def test_bedtime_without_link_closes_the_microphone() -> None:
    """The microphone is a function of state **and** availability; a change of availability alone
    re-derives it.
    """
    toy = Toy.offline(wake=True).happens("bedtime", asleep=True).is_in("offline.ready")
    toy.has_microphone("closed")
    toy.happens("bedtime", asleep=False).is_in("offline.ready").has_microphone("sampling")


def test_bedtime_waits_for_the_end_of_a_turn() -> None:
    """``asleep`` is latched until a turn ends; a sentence being spoken finishes."""
    for leaf in TURNS:
        toy = at(leaf)
        light, microphone = toy.light, toy.microphone
        toy.happens("bedtime", asleep=True).is_in(leaf).goes_on().has_microphone(microphone)
        toy.shows(light)
        toy.commands("stop")
        toy.is_in("offline.ready" if leaf.startswith("offline") else "idle.asleep")
        toy.press().hears_cue("denied").has_microphone("closed")


def test_a_bedtime_that_was_lifted_during_the_turn_leaves_no_trace() -> None:
    """``asleep`` is latched until a turn ends: what holds then counts. The guardian can extend."""
    toy = Toy.speaking().happens("bedtime", asleep=True).happens("bedtime", asleep=False)
    toy.happens("reply_played").is_in("idle.awake")


def test_a_turn_in_quiet_hours_ends_awake_if_they_are_over() -> None:
    """``asleep`` is latched until a turn ends."""
    toy = Toy.asleep(wake_barge=True).commands("say").is_in("speaking")
    toy.happens("bedtime", asleep=False).has_microphone("closed")
    toy.happens("reply_played").is_in("idle.awake")


def test_bedtime_is_noted_in_every_other_state() -> None:
    """It is context held in **every** state."""
    for leaf in [*STARTING, *LOCKED]:
        toy = at(leaf).happens("bedtime", asleep=True).is_in(leaf)
        assert toy.context.bedtime
        assert toy.context.asleep
        toy.happens("bedtime", asleep=False).is_in(leaf)
        assert not toy.context.asleep


@pytest.mark.parametrize("leaf", LOCKED)
def test_a_lock_ends_asleep_in_quiet_hours(leaf: str) -> None:
    """It goes home: ``idle`` with its availability."""
    toy = at(leaf).happens("bedtime", asleep=True)
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription")
    toy.is_in("idle.asleep").shows("dim")


# -- Muted by the guardian or the privacy switch.
def hush(toy: Toy, how: str) -> Toy:
    """Mute the toy by command or by switch."""
    return toy.commands("mute") if how == "mute" else toy.happens("privacy_switch", on=True)


def unhush(toy: Toy, how: str) -> Toy:
    """Lift the muting again."""
    return toy.commands("unmute") if how == "mute" else toy.happens("privacy_switch", on=False)


@pytest.mark.parametrize("how", ["mute", "switch"])
@pytest.mark.parametrize("leaf", UTTERANCES)
def test_muting_ends_an_utterance_at_once(leaf: str, how: str) -> None:
    """``muted`` acts at once; no capture or sampling while muted, in any state, online or
    offline.
    """
    toy = hush(at(leaf), how).has_microphone("closed").ends_turn("muted").does("purge_speech")
    toy.is_in("offline.ready" if leaf == "offline.listening" else "idle.muted")
    if how == "mute":
        toy.acknowledges("done")
    toy.press().hears_cue("denied").has_microphone("closed")


@pytest.mark.parametrize("how", ["mute", "switch"])
@pytest.mark.parametrize("leaf", REPLIES)
def test_muting_lets_a_reply_finish(leaf: str, how: str) -> None:
    """The microphone is a function of state and availability; a sentence being spoken finishes."""
    toy = hush(at(leaf), how).is_in(leaf).goes_on().has_microphone("closed")
    if how == "mute":
        toy.acknowledges("done")
    ended(toy).is_in("offline.ready" if leaf.startswith("offline") else "idle.muted")
    toy.press().hears_cue("denied")


@pytest.mark.parametrize("how", ["mute", "switch"])
def test_muting_closes_a_microphone_that_samples_for_barge_in(how: str) -> None:
    """``muted`` acts at once: a change of availability alone re-derives the microphone."""
    toy = hush(Toy.speaking(wake_barge=True).has_microphone("sampling"), how).is_in("speaking")
    toy.has_microphone("closed")
    unhush(toy, how).is_in("speaking").has_microphone("sampling")


@pytest.mark.parametrize("how", ["mute", "switch"])
@pytest.mark.parametrize("leaf", REST)
def test_muting_at_rest_acts_at_once(leaf: str, how: str) -> None:
    """``muted`` (privacy switch, guardian): one red dot, microphone closed."""
    toy = at(leaf).configured(wake=True)
    if leaf == "idle.muted":
        toy.commands("unmute")
    hush(toy, how).has_microphone("closed").does_not("purge_speech")
    if leaf == "offline.ready":
        toy.is_in("offline.ready")
    else:
        toy.is_in("idle.muted").shows("red-dot")
    if how == "mute":
        toy.acknowledges("done")
    unhush(toy, how).is_in("idle.awake" if leaf == "idle.muted" else leaf)
    toy.has_microphone("closed" if leaf == "idle.asleep" else "sampling")
    if how == "mute":
        toy.acknowledges("done")


@pytest.mark.parametrize("how", ["mute", "switch"])
def test_muting_is_noted_in_every_other_state(how: str) -> None:
    """Availability is context held in **every** state."""
    for leaf in [*STARTING, *LOCKED]:
        toy = hush(at(leaf), how).is_in(leaf)
        assert toy.context.muted or toy.context.switched_off
        if how == "mute":
            toy.acknowledges("done")
        unhush(toy, how).is_in(leaf)
        assert not toy.context.muted
        assert not toy.context.switched_off
        if how == "mute":
            toy.acknowledges("done")


def test_one_hand_does_not_lift_what_the_other_muted() -> None:
    """``muted``: privacy switch, guardian, **or** consent ``listen`` withdrawn: each holds by
    itself.
    """
    toy = Toy.muted().happens("privacy_switch", on=True).commands("unmute").is_in("idle.muted")
    toy.happens("privacy_switch", on=False).is_in("idle.awake")
    toy.happens("privacy_switch", on=True).commands("mute").happens("privacy_switch", on=False)
    toy.is_in("idle.muted")


def test_a_switch_moved_back_ends_nothing() -> None:
    """A change of availability alone re-derives the microphone, and no more."""
    for leaf in TURNS:
        toy = at(leaf).happens("privacy_switch", on=False).is_in(leaf).goes_on().commands("unmute")
        toy.is_in(leaf).goes_on()


def test_muted_is_stronger_than_asleep() -> None:
    """Availability: ``awake``, ``asleep`` or ``muted``; the red dot says that nothing is heard."""
    toy = Toy.asleep().commands("mute").is_in("idle.muted").commands("unmute").is_in("idle.asleep")
    toy.commands("mute").happens("bedtime", asleep=False).is_in("idle.muted")


# -- Configuration.
def test_a_configuration_at_rest_takes_effect_at_once() -> None:
    """Configuration arrives live; it takes effect at the next idle moment."""
    toy = Toy.ready().configured(7, wake=True).is_in("idle.awake")
    toy.does("apply_configuration", version=7)
    toy.has_microphone("sampling").configured(8, wake=False).has_microphone("closed")
    toy.does_not("defer")


def test_a_configuration_at_rest_without_link_takes_effect_at_once() -> None:
    """The cached last good configuration holds while offline, and so does one from the cache."""
    toy = Toy.offline().configured(7, wake=True).is_in("offline.ready").has_microphone("sampling")
    toy.does("apply_configuration", version=7)


def test_a_toy_without_any_configuration_hears_nobody() -> None:
    """Before any configuration was ever received consent is no; no capture or sampling without
    consent.
    """
    toy = Toy.authenticating().happens("tokens_granted").is_in("idle.muted").press()
    toy.hears_cue("denied")
    toy.has_microphone("closed").wake().does_nothing()
    toy.configured(consent=False, wake=True).is_in("idle.muted").has_microphone("closed")
    toy.configured(consent=True).is_in("idle.awake")


def test_a_configuration_waits_for_the_end_of_a_turn_but_for_what_tightens() -> None:
    """It takes effect at the next idle moment, except what tightens safety, which acts at once."""
    for leaf in TURNS:
        toy = at(leaf).configured(7, wake=True).is_in(leaf).does("tighten", version=7).does("defer")
        toy.goes_on()
        toy.does_not("apply_configuration")
        assert not toy.context.wake
        toy.commands("stop").recalls().does("apply_configuration", version=7)
        toy.has_microphone("sampling")


def test_a_configuration_takes_effect_at_once_where_no_turn_is() -> None:
    """Configuration arrives live."""
    for leaf in [*STARTING, *LOCKED]:
        toy = at(leaf).configured(7, wake=True, wake_barge=True, continued=True).is_in(leaf)
        toy.does("apply_configuration", version=7).does_not("defer", "tighten")
        context = toy.context
        assert (context.consent, context.wake, context.wake_barge, context.continued) == (
            True,
            True,
            True,
            True,
        )


def test_withdrawn_consent_acts_at_once() -> None:
    """Withdrawn ``listen`` closes the microphone, ends the turn and purges speech from any state in
    one transition.
    """
    for leaf in [*TURNS, *REST]:
        toy = at(leaf).configured(7, consent=False).has_microphone("closed").does("purge_speech")
        toy.does("apply_configuration", version=7).reports("consent_withdrawn", urgent=True)
        toy.does_not("defer")
        toy.is_in("offline.ready" if leaf.startswith("offline") else "idle.muted")
        if leaf in TURNS:
            toy.ends_turn("consent withdrawn")
        toy.press().hears_cue("denied").has_microphone("closed")


def test_withdrawn_consent_acts_at_once_where_no_turn_is() -> None:
    """Purges speech from **any** state in one transition."""
    for leaf in [*STARTING, *LOCKED]:
        toy = at(leaf).configured(6).configured(7, consent=False).is_in(leaf).does("purge_speech")
        toy.does("apply_configuration", version=7).reports("consent_withdrawn", urgent=True)
        assert not toy.context.consent


def test_consent_that_was_never_given_is_not_withdrawn() -> None:
    """Consent withdrawn is an event of its own: without any before there is nothing to report."""
    toy = Toy.authenticating().happens("tokens_granted").configured(consent=False)
    toy.is_in("idle.muted")
    toy.does_not("report", "purge_speech")


def test_an_older_configuration_does_not_undo_a_withdrawn_consent() -> None:
    """Withdrawn ``listen`` closes the microphone: what was deferred before it stays withdrawn."""
    toy = Toy.listening().configured(2, wake=True).does("defer")
    toy.configured(3, consent=False, wake=True).is_in("idle.muted")
    toy.recalls().is_in("idle.muted").has_microphone("closed").press().hears_cue("denied")


def test_a_configuration_of_a_former_owner_binds_nobody() -> None:
    """The versions of one identity's configurations say nothing of another's."""
    toy = Toy.ready().configured(57).commands("erase").happens("erased").records(identity=False)
    toy.happens("provisioned")
    toy.records().happens("parts_tested", failed="").happens("tokens_granted").is_in("idle.muted")
    toy.configured(1).is_in("idle.awake").does("apply_configuration", version=1)


def test_the_newest_of_two_deferred_configurations_holds() -> None:
    """Configuration is state, not events: it takes effect at the next idle moment."""
    toy = Toy.listening().configured(2, wake=True).configured(3, wake=False).commands("stop")
    toy.recalls()
    toy.is_in("idle.awake").has_microphone("closed")


def test_every_state_takes_every_word_about_availability() -> None:
    """Availability is context held in **every** state: no state is deaf to it."""
    for leaf in EVERYWHERE:
        toy = at(leaf).happens("bedtime", asleep=False).commands("unmute")
        toy.happens("privacy_switch", on=False).configured()
        assert not any(step.row.startswith(("ignored:", "refused:")) for step in toy.steps[-4:])
