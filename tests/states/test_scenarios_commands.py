"""What a guardian asks for, what waits for the end of a turn, and the rest of the body."""

from __future__ import annotations

import pytest

from tests.states.scenario import EVERYWHERE, LOCKED, REST, STARTING, TURNS, Toy, at

IDLE = ("idle.awake", "idle.asleep", "idle.muted")
CAPTURING = ("listening.hearing", "streaming.sending", "offline.listening")
AFTER_THE_TURN = ("reboot", "update", "switch_toy", "erase")


# -- Stop.
@pytest.mark.parametrize("command", ["row", None])
def test_a_guardian_stops_a_turn(command: str | None) -> None:
    """``stop`` … may only tighten and acts at once, from the subscription or the stream."""
    for leaf in TURNS:
        toy = at(leaf).happens("stop", command=command).ends_turn("guardian stopped it")
        toy.has_microphone("closed")
        toy.is_in("offline.ready" if leaf.startswith("offline") else "idle.awake")
        toy.has_speaker("cues")
        if command:
            toy.acknowledges("done")
        else:
            toy.does_not("acknowledge")


def test_where_no_turn_is_there_is_nothing_to_stop() -> None:
    """Commands in order, once: each is told what became of it."""
    for leaf in [leaf for leaf in EVERYWHERE if leaf not in TURNS]:
        toy = at(leaf).commands("stop").is_in(leaf).acknowledges("already")
        toy.does_not("light", "microphone", "speaker")


# -- Say.
@pytest.mark.parametrize("leaf", IDLE)
def test_the_guardian_speaks_through_the_toy(leaf: str) -> None:
    """``say`` plays with an audible cue that a person speaks through the toy, and is reported."""
    toy = at(leaf).commands("say").is_in("speaking").does("say", turn=1, command="row")
    toy.has_speaker("reply")
    toy.has_microphone("closed").shows("green").awaits("state", 120_000)
    toy.does_not("report")  # nothing was heard yet
    toy.does_not("acknowledge")  # whoever speaks the words knows whether they were spoken
    toy.happens("words_began", command="row").is_in("speaking")
    toy.reports("said_by_guardian", urgent=False, detail="row")
    toy.happens("reply_played").is_in(leaf).ends_turn("answered")


def test_the_guardian_speaks_through_the_toy_without_link() -> None:
    """``say`` came over the subscription: it is the stream that is away."""
    toy = Toy.offline().commands("say").is_in("offline.answering")
    toy.does("say", turn=1, command="row")
    toy.has_speaker("answers").awaits("state", 60_000)
    toy.does_not("report").happens("words_began", command="row").is_in("offline.answering")
    toy.reports("said_by_guardian", urgent=False, detail="row")
    toy.does_not("acknowledge").happens("answer_played").is_in("offline.ready")
    toy.ends_turn("answered")


@pytest.mark.parametrize(
    ("event", "outcome"), [("answer_failed", "no answer"), ("answer_played", "answered")]
)
def test_the_guardians_words_end_like_any_reply(event: str, outcome: str) -> None:
    """End of a turn: ``speaking`` → home; an apology where nothing could be played."""
    toy = Toy.ready().commands("say").happens(event).is_in("idle.awake").ends_turn(outcome)
    toy.does_not("report")
    if event == "answer_failed":
        toy.hears_cue("apology")
    else:
        toy.hears_no_cue()


def test_the_guardians_words_wait_for_the_end_of_a_turn() -> None:
    """At most one turn."""
    for leaf in [*TURNS, *STARTING]:
        at(leaf).commands("say").is_in(leaf).does("defer").goes_on().does_not("say", "acknowledge")


def test_what_waited_is_said_at_the_next_idle_moment() -> None:
    """Commands … in order, once."""
    toy = Toy.speaking().commands("say", "first").commands("reboot", "second")
    toy.happens("reply_played").recalls()
    toy.is_in("speaking").does("defer").happens("reply_played").recalls()
    toy.does("reboot", command="second")
    assert not toy.deferred


# -- What waits for the end of the turn.
def test_what_waits_comes_back_at_rest_and_only_if_something_waits() -> None:
    """The next idle moment: wherever the turn, the start or a lock between them ends."""
    Toy.speaking().happens("reply_played").is_in("idle.awake").does_not("recall")
    Toy.authenticating().happens("tokens_granted").does_not("recall")
    for leaf in [*TURNS, "boot.testing", "auth"]:
        toy = at(leaf).commands("reboot").happens("pause", command=None, pause_ms=300_000)
        toy.does_not("recall").fires("pause").recalls().does("reboot", command="row")
        toy.happens("bedtime", asleep=False).does_not("recall")


def test_continued_conversation_keeps_nobody_waiting() -> None:
    """Wait for the end of **the turn**; a configuration takes effect at the next idle moment."""
    toy = Toy.speaking(continued=True).commands("reboot").happens("reply_played")
    toy.is_in("idle.awake").recalls().does("reboot", command="row")
    toy = Toy.speaking(continued=True).configured(2).happens("reply_played").is_in("idle.awake")
    toy.recalls().does("apply_configuration", version=2)


def test_what_waits_for_a_former_owner_is_forgotten() -> None:
    """Erase: what was asked of the toy that it was is not done by the one that it becomes."""
    at("boot.confirm_erase").commands("reboot").press().is_in("boot.erasing").does("forget")
    at("boot.setup").commands("reboot").happens("provisioned").does("forget")
    Toy.unprovisioned().happens("provisioned").does("forget")
    Toy.ready().commands("erase").does("forget")
    for leaf in ("boot.erasing", "idle.awake", "safety_lockout.pause", "safety_lockout.lock"):
        at(leaf).happens("erased").does("forget")
    toy = at("boot.erasing").commands("reboot").happens("safety_override", pause_ms=300_000)
    toy.happens("erased").fires("pause").records().happens("tokens_granted")
    toy.happens("parts_tested", failed="").is_in("idle.muted").does_not("recall")
    assert not toy.deferred


@pytest.mark.parametrize("kind", ["reboot", "update"])
def test_what_may_be_done_at_rest_is_done_at_once(kind: str) -> None:
    """``update``, ``reboot``, ``switchToy`` … none of them touches a lock."""
    for leaf in [*REST, *LOCKED]:
        toy = at(leaf)
        lock = toy.context.lock
        toy.commands(kind).is_in(leaf).does(kind, command="row")
        toy.does_not("clear_lock", "write_lock")
        assert toy.context.lock == lock


@pytest.mark.parametrize("kind", AFTER_THE_TURN)
def test_what_must_wait_for_the_end_of_a_turn_waits(kind: str) -> None:
    """``update``, ``reboot``, ``switchToy``, ``erase`` wait for the end of the turn."""
    for leaf in [*TURNS, *STARTING]:
        at(leaf).commands(kind).is_in(leaf).does("defer").does_not(kind, "acknowledge").goes_on()


def test_another_toy_begins_muted_until_its_own_configuration_comes() -> None:
    """``switchToy``: consent was given for the toy that it was; before any configuration
    it is no.
    """
    for leaf in REST:
        toy = at(leaf).configured(57, wake=True).commands("switch_toy")
        toy.does("purge_speech").does("switch_toy", command="row")
        toy.is_in("offline.ready" if leaf == "offline.ready" else "idle.muted")
        toy.has_microphone("closed")
        toy.press().hears_cue("denied").release().fires("chain")
    toy = Toy.ready().configured(57).commands("switch_toy").configured(1, wake=True)
    toy.is_in("idle.awake").has_microphone("sampling")


def test_another_toy_is_as_locked_as_the_one_that_it_was() -> None:
    """``switchToy`` … none of them touches a lock."""
    for leaf in LOCKED:
        toy = at(leaf).configured(57)
        lock = toy.context.lock
        toy.commands("switch_toy").is_in(leaf).does("switch_toy", command="row")
        toy.does("purge_speech")
        toy.does_not("clear_lock", "write_lock")
        assert toy.context.lock == lock
        toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription")
        toy.is_in("idle.muted")
        toy.configured(1).is_in("idle.awake")


@pytest.mark.parametrize("kind", AFTER_THE_TURN)
def test_what_waited_is_done_after_the_turn(kind: str) -> None:
    """Wait for the end of the turn."""
    Toy.speaking().commands(kind).happens("reply_played").recalls().does(kind, command="row")


@pytest.mark.parametrize("leaf", REST)
def test_a_guardian_erases_the_toy(leaf: str) -> None:
    """``erase``: all personal data; the microphone is closed and the light says so."""
    toy = at(leaf).commands("erase").is_in("boot.erasing").does("erase", command="row")
    toy.does("purge_speech")
    toy.shows("offer-erase")
    toy.has_microphone("closed").awaits("state", 60_000).happens("erased").is_in("boot.reading")


def test_a_toy_that_its_guardian_erases_is_nobodys() -> None:
    """Erase: a toy stopped while erasing reads who it is before anything else."""
    toy = Toy.ready().commands("erase").happens("safety_override", pause_ms=300_000).fires("pause")
    toy.is_in("boot.reading")
    toy.records().happens("parts_tested", failed="").is_in("auth")


@pytest.mark.parametrize("leaf", LOCKED)
def test_a_locked_toy_is_not_erased(leaf: str) -> None:
    """None of them touches a lock; neither is offered while locked."""
    at(leaf).commands("erase").is_in(leaf).acknowledges("refused").does_not("erase")


# -- What can be done anywhere.
def test_volume_play_time_and_export_wait_for_nothing() -> None:
    """Lower volume ceiling acts at once; the guardian can extend; export."""
    for leaf in EVERYWHERE:
        toy = at(leaf).commands("volume").is_in(leaf).does("set_volume", command="row")
        toy.acknowledges("done").goes_on()
        toy = at(leaf).commands("extend").is_in(leaf).does("extend", command="row")
        toy.does_not("acknowledge").goes_on()  # whoever adds the time knows whether it was added
        at(leaf).commands("export").is_in(leaf).does("export", command="row").goes_on()


def test_more_play_time_wakes_the_toy() -> None:
    """The guardian can extend: the schedule says so, and the toy is awake."""
    toy = Toy.asleep().commands("extend").is_in("idle.asleep").happens("bedtime", asleep=False)
    toy.is_in("idle.awake")


# -- Updates.
def test_an_update_that_waits_is_installed_while_asleep() -> None:
    """An update never starts during a turn."""
    Toy.asleep().happens("update_ready").is_in("idle.asleep").does("update", command=None)


def test_an_update_that_waits_disturbs_nobody() -> None:
    """An update never starts during a turn and never unlocks anything."""
    for leaf in [leaf for leaf in EVERYWHERE if leaf != "idle.asleep"]:
        at(leaf).happens("update_ready").does_nothing()


# -- The body.
@pytest.mark.parametrize("leaf", CAPTURING)
def test_a_microphone_that_fails_ends_the_utterance(leaf: str) -> None:
    """A failed part leads to a named degraded mode, and a report; hardware faults are events like
    any other.
    """
    toy = at(leaf).happens("part_failed", part="microphone").ends_turn("microphone failed")
    toy.hears_cue("fault")
    toy.has_microphone("closed").reports("part_failed", urgent=False, detail="microphone")
    toy.is_in("offline.ready" if leaf.startswith("offline") else "idle.awake")


@pytest.mark.parametrize("leaf", CAPTURING)
def test_a_microphone_that_fails_a_late_self_test_ends_the_utterance(leaf: str) -> None:
    """A failed part leads to a named degraded mode, and a report, whoever found it."""
    toy = at(leaf).happens("parts_tested", failed="microphone").ends_turn("microphone failed")
    toy.hears_cue("fault").has_microphone("closed")
    toy.reports("part_failed", urgent=False, detail="microphone")
    at(leaf).happens("parts_tested", failed="").is_in(leaf).goes_on().does_not("report")


def test_a_microphone_that_failed_in_an_utterance_begins_no_other() -> None:
    """A failed part leads to a **named degraded mode**."""
    toy = Toy.sending(wake=True).happens("part_failed", part="microphone").is_in("idle.awake")
    toy.has_microphone("closed").press().is_in("idle.awake").hears_cue("fault")


def test_a_microphone_that_fails_elsewhere_ends_nothing() -> None:
    """A failed part leads to a degraded mode wherever the toy can still be useful or safe, and a
    report.
    """
    for leaf in [leaf for leaf in EVERYWHERE if leaf not in CAPTURING]:
        toy = at(leaf).happens("part_failed", part="microphone").is_in(leaf).goes_on()
        toy.hears_no_cue()
        toy.reports("part_failed", urgent=False, detail="microphone").has_microphone("closed")


def test_a_speaker_that_fails_is_reported() -> None:
    """A failed part leads to … a report."""
    for leaf in EVERYWHERE:
        toy = at(leaf).happens("part_failed", part="speaker").is_in(leaf).goes_on()
        toy.reports("part_failed", urgent=False, detail="speaker")


@pytest.mark.parametrize("how", ["part_failed", "parts_tested"])
@pytest.mark.parametrize("leaf", ["idle.awake", "offline.ready"])
def test_a_deaf_toy_begins_no_turn_and_says_so(leaf: str, how: str) -> None:
    """A failed part leads to a **named degraded mode** wherever the toy can still be useful or
    safe.
    """
    toy = Toy.ready(wake=True) if leaf == "idle.awake" else Toy.offline(wake=True)
    toy = (
        toy.happens(how, part="microphone")
        if how == "part_failed"
        else toy.happens(how, failed="microphone")
    )
    toy.is_in(leaf).has_microphone("closed").wake().does_nothing()
    toy.press().is_in(leaf).hears_cue("fault").has_microphone("closed").has_armed("hold", 400)
    toy.release().press().does("replay")


def test_a_deaf_toy_can_still_be_stopped() -> None:
    """Triple press, the same in every state."""
    toy = Toy.ready().happens("part_failed", part="microphone").tap().tap().press()
    toy.is_in("safety_lockout.pause")


@pytest.mark.parametrize("found", ["boot.testing", "boot.testing with tokens"])
def test_a_microphone_that_failed_the_self_test_leaves_the_toy_deaf(found: str) -> None:
    """A failed part leads to a **named degraded mode**."""
    toy = Toy.testing()
    if found == "boot.testing with tokens":
        toy.happens("tokens_granted").happens("parts_tested", failed="microphone")
    else:
        toy.happens("parts_tested", failed="microphone").happens("tokens_granted")
    toy.configured(wake=True).is_in("idle.awake").has_microphone("closed").press()
    toy.hears_cue("fault").is_in("idle.awake")


def test_a_part_that_works_again_is_reported() -> None:
    """Hardware faults are events like any other, and so is their end."""
    for leaf in EVERYWHERE:
        toy = at(leaf).happens("part_recovered", part="microphone").is_in(leaf).goes_on()
        toy.reports("part_recovered", urgent=False, detail="microphone")


def test_a_microphone_that_works_again_hears_again() -> None:
    """The degraded mode ends with the fault."""
    toy = Toy.ready(wake=True).happens("part_failed", part="microphone").has_microphone("closed")
    toy.happens("part_recovered", part="microphone").has_microphone("sampling").press()
    toy.is_in("listening.hearing")


def test_a_deaf_toy_does_not_listen_after_its_reply() -> None:
    """With continued conversation enabled: → ``listening``; but not with a microphone that does not
    work.
    """
    toy = Toy.speaking(continued=True, wake_barge=True).happens("part_failed", part="microphone")
    toy.has_microphone("closed")
    toy.happens("reply_played").is_in("idle.awake").has_microphone("closed")


def test_the_service_can_be_stopped_in_every_state() -> None:
    """Every (state, event) is defined: save, close everything, end."""
    for leaf in EVERYWHERE:
        at(leaf).happens("shutdown").is_in(leaf).does("shut_down").does_not("clear_lock")
