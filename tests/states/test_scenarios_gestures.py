"""The button and the wake word: what each gesture does, by the state at the chain's first press."""

from __future__ import annotations

import pytest

from tests.states.scenario import FREE, LOCKED, REST, TURNS, Toy, at

UNSENT = ("listening.connecting", "streaming.flushing")
REPLYING = ("listening.connecting", "streaming.flushing", "streaming.waiting", "speaking")
BUTTON_IS_UP = tuple(
    leaf for leaf in FREE if leaf not in ("boot.held", "boot.offer_setup", "boot.offer_erase")
)


# -- The first press at rest.
def test_a_press_begins_a_turn_at_once() -> None:
    """First press in ``idle``, awake: a turn begins at once: light, earcon, capture."""
    toy = Toy.ready().press().is_in("listening.hearing")
    toy.does_in_order("light", "cue", "microphone", "open_stream")
    toy.hears_cue("listening").shows("blue-double-pulse").has_microphone("capture")
    toy.does("open_stream", turn=1).does("microphone", turn=1).awaits("state", 5_000)
    toy.awaits("hold", 400)


def test_a_press_begins_a_turn_without_link_too() -> None:
    """First press in ``offline.ready``, awake: a turn begins at once: light, earcon, capture;
    nothing is sent.
    """
    toy = Toy.offline().press().is_in("offline.listening")
    toy.does_in_order("light", "cue", "microphone")
    toy.hears_cue("listening").shows("amber-double-pulse").has_microphone("capture")
    toy.does_not("open_stream")
    toy.does("microphone", turn=1).awaits("state", 5_000).awaits("hold", 400)


def test_every_turn_has_its_own_number() -> None:
    """Turn: one exchange, numbered."""
    toy = Toy.ready().press().does("open_stream", turn=1).release().fires("chain").fires("state")
    toy.is_in("idle.awake")
    toy.press().does("open_stream", turn=2)


@pytest.mark.parametrize("leaf", ["idle.asleep", "idle.muted"])
def test_a_press_is_denied_while_asleep_or_muted(leaf: str) -> None:
    """First press, asleep or muted: denied cue, no microphone."""
    toy = at(leaf).press().is_in(leaf).hears_cue("denied").has_microphone("closed")
    toy.does_not("light", "open_stream")


@pytest.mark.parametrize("why", ["bedtime", "mute", "privacy_switch", "consent"])
def test_a_press_is_denied_offline_as_well(why: str) -> None:
    """Losing the network never forgets availability."""
    toy = Toy.offline()
    if why == "bedtime":
        toy.happens("bedtime", asleep=True)
    elif why == "mute":
        toy.commands("mute")
    elif why == "privacy_switch":
        toy.happens("privacy_switch", on=True)
    else:
        toy.configured(consent=False)
    toy.is_in("offline.ready").press().is_in("offline.ready").hears_cue("denied")
    toy.has_microphone("closed")


def test_a_held_button_is_denied_while_asleep_or_muted() -> None:
    """Held ≥ 400 ms, asleep or muted: denied."""
    for toy in (Toy.asleep(), Toy.muted()):
        leaf = toy.leaf
        toy.press().fires("hold").is_in(leaf).has_microphone("closed").release().is_in(leaf)


# -- The first press in a turn.
@pytest.mark.parametrize("leaf", ["listening.hearing", "offline.listening"])
def test_a_press_ends_listening_when_nothing_was_said(leaf: str) -> None:
    """First press in ``listening``: ends the utterance, at once; without speech there is nothing to
    answer.
    """
    toy = at(leaf).press().ends_turn("nothing said").hears_cue("end").has_microphone("closed")
    toy.is_in("idle.awake" if leaf == "listening.hearing" else "offline.ready")
    toy.has_armed("hold", 400)


def test_a_press_ends_the_utterance_before_the_stream_is_open() -> None:
    """First press in ``listening``: ends the utterance; nothing has left the device yet."""
    toy = Toy.listening().voice().press().is_in("listening.connecting").hears_cue("end").goes_on()
    toy.has_microphone("closed").awaits("state", 5_000).has_armed("hold", 400)


def test_a_press_ends_the_utterance_that_is_being_sent() -> None:
    """First press in ``sending``: ends the utterance, at once."""
    toy = Toy.sending().press().hears_cue("end").has_microphone("closed")
    toy.does("finish_uplink", turn=1).goes_on()
    toy.is_in("streaming.flushing").has_armed("hold", 400).happens("uplink_flushed")
    toy.is_in("streaming.waiting")


def test_a_press_ends_the_utterance_without_link() -> None:
    """First press in ``offline.listening``: ends the utterance, at once; it is answered on the
    device.
    """
    toy = Toy.listening_offline().voice().press().is_in("offline.answering").hears_cue("end")
    toy.goes_on()
    toy.has_microphone("closed").does("answer_offline", turn=1).shows("amber-green")
    toy.has_speaker("answers")
    toy.has_armed("hold", 400).awaits("state", 60_000)


@pytest.mark.parametrize("leaf", REPLYING)
def test_a_press_cancels_and_begins_anew(leaf: str) -> None:
    """First press in ``waiting``: cancels, new turn; in ``speaking``: stops the reply, new turn
    (barge-in).
    """
    toy = at(leaf).press().is_in("listening.hearing").ends_turn("interrupted")
    toy.does("end_turn", turn=1)
    toy.hears_cue("listening").has_microphone("capture").does("open_stream", turn=2)
    toy.awaits("state", 5_000)
    toy.has_armed("hold", 400).does_in_order("speaker", "end_turn", "light", "cue", "microphone")
    toy.does("speaker", mode="cues", turn=2)


def test_a_press_stops_an_answer_and_begins_anew() -> None:
    """First press in ``answering``: stops the reply, new turn (barge-in)."""
    toy = Toy.answering().press().is_in("offline.listening").ends_turn("interrupted")
    toy.does("end_turn", turn=1)
    toy.hears_cue("listening").has_microphone("capture").does("speaker", turn=2)
    toy.awaits("state", 5_000)
    toy.has_armed("hold", 400).does_in_order("speaker", "end_turn", "light", "cue", "microphone")
    toy.does_not("open_stream")


@pytest.mark.parametrize("leaf", [*REPLYING, "offline.answering"])
def test_a_press_in_quiet_hours_stops_the_turn_and_begins_none(leaf: str) -> None:
    """A new turn does not begin in quiet hours; what plays can still be stopped."""
    toy = at(leaf).happens("bedtime", asleep=True).is_in(leaf).press().ends_turn("interrupted")
    toy.is_in("offline.ready" if leaf == "offline.answering" else "idle.asleep")
    toy.hears_cue("denied").has_microphone("closed").has_armed("hold", 400)


@pytest.mark.parametrize("leaf", ["streaming.waiting", "speaking", "offline.answering"])
def test_a_press_while_muted_stops_the_reply_and_begins_no_turn(leaf: str) -> None:
    """Muted: denied cue, no microphone; what plays can still be stopped."""
    toy = at(leaf).commands("mute").is_in(leaf).press().ends_turn("interrupted")
    toy.is_in("offline.ready" if leaf == "offline.answering" else "idle.muted")
    toy.hears_cue("denied").has_microphone("closed").has_armed("hold", 400)


# -- The hold.
def test_a_hold_talks_as_soon_as_the_stream_is_open() -> None:
    """Held ≥ 400 ms: push-to-talk: sending begins."""
    toy = Toy.ready().press().stream_opens().is_in("listening.hearing").fires("hold")
    toy.is_in("streaming.sending")
    toy.does("start_uplink", turn=1).shows("blue-solid").has_microphone("capture")
    toy.awaits("state", 30_000)


def test_a_hold_counts_as_speech_until_the_stream_is_open() -> None:
    """``listening`` → ``sending`` when the button has been held 400 ms **and** the stream
    is open.
    """
    toy = Toy.ready().press().fires("hold").is_in("listening.hearing").has_armed("state", 5_000)
    toy.stream_opens().is_in("streaming.sending").does("start_uplink", turn=1)


@pytest.mark.parametrize("leaf", ["listening.hearing", "streaming.sending", "offline.listening"])
def test_silence_does_not_end_push_to_talk(leaf: str) -> None:
    """700 ms of silence end an utterance only hands-free."""
    toy = Toy.offline() if leaf == "offline.listening" else Toy.ready()
    toy.press().fires("hold")
    if leaf == "streaming.sending":
        toy.stream_opens()
    toy.is_in(leaf).voice().silence().does_nothing().is_in(leaf).has_microphone("capture")


def test_speech_before_the_hold_is_push_to_talk_all_the_same() -> None:
    """Held ≥ 400 ms: push-to-talk, release ends the utterance, also where a voice was
    heard first.
    """
    toy = Toy.ready().press().stream_opens().voice().is_in("streaming.sending").fires("hold")
    toy.is_in("streaming.sending").does_not("arm").awaits("state", 30_000)
    toy.silence().does_nothing().release().is_in("streaming.flushing").has_microphone("closed")


def test_a_release_ends_push_to_talk() -> None:
    """Push-to-talk: release ends the utterance."""
    toy = Toy.ready().press().stream_opens().fires("hold").release().is_in("streaming.flushing")
    toy.hears_cue("end").has_microphone("closed").does("finish_uplink", turn=1).goes_on()


def test_a_release_ends_push_to_talk_before_the_stream_is_open() -> None:
    """If the utterance ends before the stream opens: it waits for the opening."""
    toy = Toy.ready().press().fires("hold").release().is_in("listening.connecting").hears_cue("end")
    toy.has_microphone("closed").goes_on()


def test_a_release_ends_push_to_talk_without_link() -> None:
    """Push-to-talk in ``offline.listening``: release ends the utterance, which the device
    answers.
    """
    toy = Toy.offline().press().fires("hold").is_in("offline.listening").has_armed("state", 30_000)
    toy.release().is_in("offline.answering").hears_cue("end").does("answer_offline", turn=1)
    toy.goes_on()


def test_a_short_press_is_hands_free() -> None:
    """``sending`` ends after 700 ms of silence (hands-free); a release within 400 ms ends
    nothing.
    """
    toy = Toy.ready().press().voice().stream_opens().release().is_in("streaming.sending")
    toy.awaits("chain", 500)
    toy.fires("chain").silence().is_in("streaming.flushing")


def test_a_hold_closes_its_chain() -> None:
    """A hold of 400 ms closes its chain: the press after it is a first one."""
    toy = Toy.ready().press().fires("hold").release().is_in("listening.connecting")
    toy.awaits_no("chain")
    toy.press().is_in("listening.hearing").ends_turn("interrupted").does_not("replay")


@pytest.mark.parametrize(
    "leaf", ["streaming.sending", "listening.hearing", "offline.listening", "idle.asleep"]
)
def test_a_hold_that_ended_an_utterance_talks_no_more(leaf: str) -> None:
    """Held ≥ 400 ms, where the first press ended the utterance or was denied: nothing."""
    toy = at(leaf).press()
    where = toy.leaf
    toy.fires("hold").is_in(where).has_microphone("closed").release().is_in(where).press()
    toy.does_not("replay")


def test_a_new_turn_forgets_that_the_button_was_held() -> None:
    """Push-to-talk belongs to its turn: the next one is hands-free until held."""
    toy = Toy.ready().press().stream_opens().fires("hold").press().is_in("streaming.flushing")
    toy.release().fires("chain").press().release().is_in("listening.hearing").fires("chain").voice()
    toy.silence()
    toy.is_in("listening.connecting")


# -- The second press.
@pytest.mark.parametrize(
    "leaf", ["idle.awake", "idle.muted", "listening.hearing", "streaming.sending", *REPLYING]
)
def test_a_double_press_plays_the_last_reply_again(leaf: str) -> None:
    """Second press in the window: cancels the turn that the first press began and plays the last
    reply again.
    """
    toy = at(leaf).tap().awaits("chain", 500).press().is_in("speaking").shows("green")
    toy.has_speaker("reply")
    toy.does("replay", turn=toy.context.turn).has_microphone("closed").hears_no_cue()
    toy.awaits("state", 120_000)
    toy.awaits_no("chain").awaits("hold", 400)
    toy.happens("reply_played").is_in("idle.muted" if leaf == "idle.muted" else "idle.awake")
    toy.ends_turn("answered")


@pytest.mark.parametrize("leaf", ["offline.ready", "offline.listening", "offline.answering"])
def test_a_double_press_plays_the_last_reply_again_without_link(leaf: str) -> None:
    """Second press in the window: plays the last reply again; ``offline``: answers."""
    toy = at(leaf).tap().press().is_in("offline.answering").has_speaker("answers")
    toy.has_microphone("closed")
    toy.does("replay", turn=2 if leaf == "offline.listening" else toy.context.turn)
    toy.awaits("state", 60_000).hears_no_cue()
    toy.happens("reply_played").is_in("offline.ready").ends_turn("answered")


def test_a_double_press_is_one_whatever_the_toy_did_between_its_presses() -> None:
    """The columns name the state at the chain's **first** press; the second plays the reply."""
    for toy in (
        Toy.ready().tap().stream_opens().voice().is_in("streaming.sending"),
        Toy.listening().voice().tap().is_in("listening.connecting"),
        Toy.sending().tap().happens("uplink_flushed").is_in("streaming.waiting"),
        Toy.listening().voice().tap().happens("stream_failed").is_in("offline.answering"),
        Toy.listening_offline().voice().tap().is_in("offline.answering"),
    ):
        offline, turn = toy.leaf == "offline.answering", toy.context.turn
        toy.press().is_in("offline.answering" if offline else "speaking").ends_turn("interrupted")
        toy.does("replay", turn=turn + 1)


def test_a_double_press_that_may_not_replay_ends_what_it_finds() -> None:
    """Second press: cancels the turn that it finds; played is nothing that may not be."""
    for leaf in [*TURNS, *REST]:
        toy = at(leaf).knowing(presses=1, barred=True).press().hears_cue("denied")
        toy.does_not("replay").has_microphone("closed")
        assert toy.leaf in REST
        if leaf in TURNS:
            toy.ends_turn("interrupted")


def test_a_double_press_asleep_and_muted_plays_nothing() -> None:
    """The last reply is not played while asleep, also where the red dot shows that it is muted."""
    toy = Toy.asleep().commands("mute").is_in("idle.muted").tap().happens("bedtime", asleep=False)
    toy.press().is_in("idle.muted").hears_cue("denied").does_not("replay")


def test_a_double_press_cancels_the_turn_of_the_first() -> None:
    """Second press: cancels the turn that the first press began; at most one turn."""
    toy = Toy.ready().press().does("open_stream", turn=1).release().press().ends_turn("interrupted")
    toy.does("end_turn", turn=1).does("replay", turn=2)
    toy = Toy.offline().press().release().press().ends_turn("interrupted").does("end_turn", turn=1)
    toy.does("replay", turn=2)


@pytest.mark.parametrize("offline", [False, True])
def test_a_double_press_with_nothing_kept_is_denied(offline: bool) -> None:  # noqa: FBT001 - parametrised
    """Second press: nothing kept: denied cue."""
    toy = (Toy.offline() if offline else Toy.ready()).tap().press().happens("nothing_kept")
    toy.is_in("offline.ready" if offline else "idle.awake").hears_cue("denied")
    toy.ends_turn("nothing kept")


@pytest.mark.parametrize("offline", [False, True])
def test_the_last_reply_is_not_played_while_asleep(offline: bool) -> None:  # noqa: FBT001 - parametrised
    """Second press, asleep: the last reply is not played while asleep."""
    toy = (Toy.offline() if offline else Toy.ready()).happens("bedtime", asleep=True)
    where = toy.leaf
    toy.tap().press().is_in(where).hears_cue("denied").does_not("replay", "speaker")


def test_a_chain_that_began_asleep_plays_nothing() -> None:
    """The columns name the state at the chain's first press."""
    toy = Toy.asleep().tap().happens("bedtime", asleep=False).is_in("idle.awake").press()
    toy.is_in("idle.awake").hears_cue("denied").does_not("replay").has_microphone("closed")


def test_a_chain_that_began_denied_in_the_boot_column_is_forgotten_with_it() -> None:
    """The columns name the state at the chain's first press: a new chain has a column of
    its own.
    """
    toy = Toy.asleep().tap().happens("bedtime", asleep=False).fires("chain").tap().press()
    toy.is_in("speaking")


@pytest.mark.parametrize("leaf", ["streaming.sending", "speaking", "offline.answering"])
def test_a_double_press_in_quiet_hours_that_began_in_the_turn_plays_nothing(leaf: str) -> None:
    """The last reply is not played while asleep; the turn of the first press ends."""
    toy = at(leaf).happens("bedtime", asleep=True).tap().press().hears_cue("denied")
    toy.does_not("replay")
    if leaf == "streaming.sending":
        toy.ends_turn("interrupted")
    toy.is_in("offline.ready" if leaf.startswith("offline") else "idle.asleep")
    toy.has_microphone("closed")


# -- The window.
@pytest.mark.parametrize(
    "leaf", ["idle.awake", "offline.ready", "idle.muted", "streaming.sending", "speaking", "auth"]
)
def test_presses_further_apart_are_no_chain(leaf: str) -> None:
    """Presses form a chain while ≤ 500 ms lie between a release and the next press."""
    toy = at(leaf).tap().awaits("chain", 500).awaits_no("hold").fires("chain").awaits_no("chain")
    for _ in range(3):
        toy.tap().does_not("replay").fires("chain")
    assert not toy.leaf.startswith("safety_lockout")


def test_the_window_runs_and_ends_in_every_state() -> None:
    """≤ 500 ms between a release and the next press, whatever the toy does meanwhile."""
    for leaf in [leaf for leaf in BUTTON_IS_UP if leaf != "boot.reading"]:
        toy = at(leaf).knowing(presses=1).release().is_in(leaf).has_armed("chain", 500).goes_on()
        toy.fires("chain").is_in(leaf).goes_on().hears_no_cue()
        assert toy.context.presses == 0


def test_a_hold_ends_in_every_state_that_a_press_leads_to() -> None:
    """A hold of 400 ms closes its chain: where it talks to nobody it does no more than that."""
    for toy in (
        Toy.unprovisioned().press(),
        Toy.testing().press(),
        Toy.reading().press(),
        at("boot.confirm_setup").press(),
        at("boot.confirm_erase").press(),
        Toy.listening().press(),
        Toy.listening().voice().press(),
        Toy.sending().press(),
        Toy.sending().press().happens("uplink_flushed"),
        Toy.ready().tap().press(),
        Toy.offline().tap().press(),
        Toy.listening_offline().voice().press(),
    ):
        leaf = toy.leaf
        toy.fires("hold").is_in(leaf).goes_on().hears_no_cue().has_microphone("closed")
        assert toy.context.presses == 0


def test_the_window_is_measured_from_the_release() -> None:
    """≤ 500 ms lie between a **release** and the next press: while the button is down no window
    runs.
    """
    toy = Toy.muted().press().awaits("hold", 400).awaits_no("chain").release().awaits("chain", 500)
    toy.awaits_no("hold").press().awaits_no("chain").awaits("hold", 400).release()
    toy.awaits("chain", 500).awaits_no("hold")


def test_a_release_of_no_chain_changes_nothing() -> None:
    """Every (state, event) pair is a row or is listed as ignored or refused."""
    for leaf in FREE:
        if leaf not in ("boot.held", "boot.offer_setup", "boot.offer_erase"):
            at(leaf).release().does_nothing()


# -- The third press.
def test_a_triple_press_stops_the_toy_from_everywhere() -> None:
    """Third press edge in the window (triple): emergency stop → ``safety_lockout`` (``pause``), the
    same in every state.
    """
    for leaf in BUTTON_IS_UP:
        toy = at(leaf)
        toy.tap().tap().press().is_in("safety_lockout.pause").awaits("pause", 300_000)
        toy.shows("red-amber").hears_cue("locked")
        toy.does("write_lock", lock_id=toy.lock_id, kind="pause", pause_ms=300_000)
        toy.reports("emergency_stop", urgent=True, detail=toy.lock_id)
        toy.awaits_no("hold", "chain", "state")


@pytest.mark.parametrize("leaf", ["boot.reading", "boot.dark"])
def test_a_stop_before_the_record_was_read_still_reads_it(leaf: str) -> None:
    """A lock never becomes weaker: the record may hold a guardian's lock."""
    toy = at(leaf).tap().tap().press().is_in("safety_lockout.pause").does("read_records")
    toy.records("lock", lock_id="monday").is_in("safety_lockout.lock")
    assert toy.lock_id == "monday"


def test_the_third_edge_stops_wherever_the_first_two_led() -> None:
    """From **every** state, in **one** transition, → ``safety_lockout``: triple press."""
    for leaf in FREE:
        at(leaf).knowing(presses=2).press().is_in("safety_lockout.pause").hears_cue("locked")


def test_a_triple_press_stops_by_its_third_edge_even_with_a_hold_in_progress() -> None:
    """The third press **edge** stops, before anything is released."""
    toy = Toy.ready().tap().tap().press().is_in("safety_lockout.pause").release()
    toy.is_in("safety_lockout.pause")


@pytest.mark.parametrize("leaf", LOCKED)
def test_presses_are_denied_while_locked(leaf: str) -> None:
    """``safety_lockout``: first press: denied cue; held: denied; third: no change (never restarted
    or shortened).
    """
    toy = at(leaf)
    lock = toy.context.lock
    for _ in range(4):
        toy.press().is_in(leaf).hears_cue("denied").does_not("arm", "write_lock", "report")
        toy.release().does_nothing()
    assert toy.context.lock == lock


def test_presses_while_locked_are_no_part_of_a_chain_after_it() -> None:
    """The columns name the state at the chain's first press."""
    toy = Toy.paused().tap().tap().fires("pause").is_in("idle.awake").press()
    toy.is_in("listening.hearing")


# -- The wake word.
def test_the_wake_word_begins_a_turn() -> None:
    """Wake word in ``idle``, awake: as a short press (hands-free)."""
    toy = Toy.ready(wake=True).has_microphone("sampling").wake().is_in("listening.hearing")
    toy.hears_cue("listening").has_microphone("capture").does("open_stream", turn=1)
    toy.awaits("state", 5_000)
    toy.awaits_no("hold", "chain").does_in_order("light", "cue", "microphone")
    toy.voice().silence().is_in("listening.connecting")


def test_the_wake_word_begins_a_turn_without_link() -> None:
    """Wake word in ``offline.ready``, awake: as a short press (hands-free)."""
    toy = Toy.offline(wake=True).has_microphone("sampling").wake().is_in("offline.listening")
    toy.hears_cue("listening").has_microphone("capture").does("microphone", turn=1)
    toy.does_not("open_stream")
    toy.awaits_no("hold", "chain").does_in_order("light", "cue", "microphone").voice().silence()
    toy.is_in("offline.answering")


def test_the_wake_word_barges_in() -> None:
    """Wake word in ``speaking``: barge-in."""
    toy = Toy.speaking(wake_barge=True).has_microphone("sampling").wake().is_in("listening.hearing")
    toy.ends_turn("interrupted").does("end_turn", turn=1).does("open_stream", turn=2)
    toy.hears_cue("listening")
    toy.has_microphone("capture").does_in_order("speaker", "end_turn", "light", "cue", "microphone")


@pytest.mark.parametrize("why", ["not enabled", "bedtime", "mute", "consent"])
def test_the_wake_word_does_not_barge_in_where_it_may_not(why: str) -> None:
    """Sampling if wake-word barge-in is enabled, else closed; a new turn does not begin in quiet
    hours or muted.
    """
    toy = Toy.speaking(wake=True, wake_barge=why != "not enabled")
    if why == "bedtime":
        toy.happens("bedtime", asleep=True)
    elif why == "mute":
        toy.commands("mute").has_microphone("closed")
    elif why == "consent":
        toy.configured(consent=False).has_microphone("closed")
    toy.wake().does_nothing()


@pytest.mark.parametrize(
    "leaf", [*(leaf for leaf in TURNS if leaf != "speaking"), "speaking", *LOCKED]
)
def test_the_wake_word_is_ignored_elsewhere(leaf: str) -> None:
    """Wake word in ``listening``/``sending``: ignored; in ``waiting``, ``boot``, locked: not
    sampled.
    """
    at(leaf).wake().does_nothing().is_in(leaf)


@pytest.mark.parametrize("leaf", REST)
def test_the_wake_word_wakes_nobody_unless_enabled(leaf: str) -> None:
    """Sampling in ``awake`` if a wake word is enabled, else closed; asleep or muted: not
    sampled.
    """
    at(leaf).has_microphone("closed").wake().does_nothing().is_in(leaf)


@pytest.mark.parametrize("leaf", ["idle.asleep", "idle.muted"])
def test_the_wake_word_wakes_nobody_asleep_or_muted(leaf: str) -> None:
    """Wake word, asleep or muted: not sampled, even where it is enabled."""
    for toy in (Toy.ready(wake=True), Toy.offline(wake=True)):
        toy = toy.happens("bedtime", asleep=True) if leaf == "idle.asleep" else toy.commands("mute")  # noqa: PLW2901 - the toy goes on
        toy.has_microphone("closed").wake().does_nothing()
