"""A turn from its beginning to its end, with a stream: hearing, sending, waiting, speaking."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.states.scenario import FREE, TURNS, Toy, at

STREAMED = ("streaming.sending", "streaming.flushing", "streaming.waiting", "speaking")


# -- Listening: nothing leaves until there is speech and an open stream.
def test_listening_keeps_everything_on_the_device() -> None:
    """``listening``: capture fills the pre-roll; nothing has left the device; the stream is
    opening.
    """
    toy = Toy.listening().has_microphone("capture").shows("blue-double-pulse").voice()
    toy.does_not("start_uplink")
    toy.is_in("listening.hearing").goes_on().has_microphone("capture")


def test_an_open_stream_alone_sends_nothing() -> None:
    """``listening`` → ``sending`` when speech begins **and** the stream is open."""
    Toy.listening().stream_opens().is_in("listening.hearing").does_not("start_uplink").goes_on()


@pytest.mark.parametrize("first", ["voice", "stream"])
def test_speech_and_an_open_stream_begin_to_send(first: str) -> None:
    """``listening`` → ``sending`` when speech begins and the stream is open; the pre-roll goes
    first.
    """
    toy = Toy.listening()
    toy = toy.voice().stream_opens() if first == "voice" else toy.stream_opens().voice()
    toy.is_in("streaming.sending").does("start_uplink", turn=1).shows("blue-solid")
    toy.has_microphone("capture")
    toy.has_speaker("closed").awaits("state", 30_000).goes_on()


@pytest.mark.parametrize("leaf", ["listening.hearing", "offline.listening"])
def test_listening_without_speech_ends_by_itself(leaf: str) -> None:
    """Timeouts: ``listening`` and ``offline.listening`` without speech 5 s."""
    toy = at(leaf).awaits("state", 5_000).fires("state").ends_turn("nothing said").hears_cue("end")
    toy.is_in("idle.awake" if leaf == "listening.hearing" else "offline.ready")
    toy.has_microphone("closed")
    toy.awaits_no("state")


@pytest.mark.parametrize("leaf", ["listening.hearing", "offline.listening"])
def test_silence_before_any_speech_ends_nothing(leaf: str) -> None:
    """An utterance ends after 700 ms of silence after a voice; without one there is no
    utterance.
    """
    at(leaf).silence().does_nothing().is_in(leaf)


def test_five_seconds_of_speech_are_kept_while_the_stream_opens() -> None:
    """Not open yet: stay in ``listening`` (5 s of speech at most in RAM); more →
    ``offline.listening``, never sent.
    """
    toy = Toy.listening().voice().has_armed("state", 5_000).fires("state")
    toy.is_in("offline.listening")
    toy.does("abandon_stream", turn=1).has_microphone("capture").goes_on().awaits("state", 30_000)
    toy.shows("amber-double-pulse").silence().is_in("offline.answering")
    toy.does("answer_offline", turn=1)
    toy.happens("answer_played").ends_turn("answered").is_in("offline.ready")


@pytest.mark.parametrize("spoken", [False, True])
def test_a_stream_that_does_not_open_is_answered_on_the_device(spoken: bool) -> None:  # noqa: FBT001 - parametrised
    """Opening fails → ``offline.listening`` with what was captured, which is answered on the device
    and never sent.
    """
    toy = Toy.listening()
    if spoken:
        toy.voice()
    toy.happens("stream_failed").is_in("offline.listening").does("abandon_stream", turn=1).goes_on()
    toy.has_microphone("capture").awaits("state", 30_000 if spoken else 5_000)
    toy.does_not("start_uplink")
    toy.stream_opens().does_nothing()


def test_a_stream_cut_while_listening_is_answered_on_the_device() -> None:
    """Gateway lost in ``listening`` → ``offline.listening``."""
    toy = Toy.listening().stream_opens().happens("stream_lost").is_in("offline.listening")
    toy.does("abandon_stream", turn=1).has_microphone("capture").goes_on().voice()
    toy.is_in("offline.listening")
    toy.silence().is_in("offline.answering").happens("answer_played").is_in("offline.ready")


def test_a_link_lost_while_listening_is_answered_on_the_device() -> None:
    """Gateway lost in ``listening`` → ``offline.listening``."""
    toy = Toy.listening().happens("link_down").is_in("offline.listening").has_microphone("capture")
    toy.does("abandon_stream", turn=1)


def test_a_gateway_that_refuses_is_answered_on_the_device() -> None:
    """Opening fails → ``offline.listening``; the gateway itself can still be reached."""
    toy = Toy.listening().stream_opens().happens("turn_failed", code="AUDIO_ERROR")
    toy.is_in("offline.listening")
    toy.does("abandon_stream", turn=1).has_microphone("capture").goes_on()
    toy.happens("stream_lost", connection=toy.last.event.fields["connection"]).by("ignored:stale")
    toy.does_nothing()
    toy.voice().silence().is_in("offline.answering").happens("answer_played").is_in("idle.awake")


# -- The utterance ends before the stream opens.
def test_an_utterance_that_ends_early_waits_for_the_stream() -> None:
    """If the utterance ends before the stream opens: on opening → flush."""
    toy = Toy.listening().voice().silence().is_in("listening.connecting").hears_cue("end")
    toy.has_microphone("closed")
    toy.awaits("state", 5_000).goes_on().does_not("finish_uplink", "start_uplink")
    toy.stream_opens().does("finish_uplink", turn=1).has_microphone("closed").goes_on()
    toy.awaits("state", 10_000)
    assert toy.leaf.startswith("streaming")
    assert toy.leaf != "streaming.waiting"


def test_only_the_flushed_uplink_waits() -> None:
    """On opening → flush, and only the flushed uplink → ``waiting``."""
    toy = Toy.connecting().stream_opens().happens("uplink_flushed").is_in("streaming.waiting")
    toy.awaits("state", 10_000)
    toy.shows("rainbow-swirl").has_microphone("closed").goes_on()


def test_an_early_utterance_whose_stream_fails_is_answered_on_the_device() -> None:
    """Opening fails: answered on the device and never sent."""
    toy = Toy.connecting().happens("stream_failed").is_in("offline.answering").goes_on()
    toy.does("abandon_stream", turn=1).does("answer_offline", turn=1).has_speaker("answers")
    toy.happens("answer_played").is_in("offline.ready").ends_turn("answered")


def test_an_early_utterance_does_not_wait_for_ever() -> None:
    """Every state but the resting ones has a timeout; opening fails: answered on the device."""
    toy = Toy.connecting().fires("state").is_in("offline.answering").goes_on()
    toy.does("abandon_stream", turn=1).does("answer_offline", turn=1).happens("answer_played")
    toy.is_in("offline.ready")


def test_an_early_utterance_whose_link_is_lost_is_answered_on_the_device() -> None:
    """Gateway lost in ``listening`` → answered on the device."""
    Toy.connecting().happens("link_down").is_in("offline.answering").does("answer_offline", turn=1)


# -- Sending.
def test_silence_ends_what_is_sent_hands_free() -> None:
    """``sending`` ends after 700 ms of silence (hands-free)."""
    toy = Toy.sending().silence().hears_cue("end").has_microphone("closed")
    toy.does("finish_uplink", turn=1).goes_on()
    toy.is_in("streaming.flushing").shows("rainbow-swirl").awaits("state", 10_000)
    toy.happens("uplink_flushed").is_in("streaming.waiting")


def test_sending_ends_after_thirty_seconds() -> None:
    """``sending`` ends … at 30 s → ``waiting``."""
    toy = Toy.sending().awaits("state", 30_000).fires("state").hears_cue("end")
    toy.has_microphone("closed")
    toy.does("finish_uplink", turn=1).is_in("streaming.flushing").happens("uplink_flushed")
    toy.is_in("streaming.waiting")


def test_more_speech_does_not_prolong_sending() -> None:
    """``sending`` ends at 30 s whatever is said."""
    Toy.sending().voice().does_nothing().awaits("state", 30_000)


def test_speech_that_is_never_flushed_ends_with_an_apology() -> None:
    """Every state but the resting ones has a timeout; no answer → apology → home."""
    toy = Toy.flushing().awaits("state", 10_000).fires("state").is_in("idle.awake")
    toy.hears_cue("apology")
    toy.ends_turn("no answer")


# -- Waiting.
def test_waiting_is_silent_and_deaf() -> None:
    """``waiting``: the reply is awaited; rainbow swirl, microphone closed."""
    toy = Toy.waiting(wake=True, wake_barge=True).shows("rainbow-swirl").has_microphone("closed")
    assert toy.speaker in ("closed", "cues")


def test_a_reply_that_does_not_come_ends_with_an_apology() -> None:
    """``waiting`` without a reply 10 s → apology → home."""
    toy = Toy.waiting().awaits("state", 10_000).fires("state").is_in("idle.awake")
    toy.hears_cue("apology")
    toy.ends_turn("no answer").has_speaker("cues")


@pytest.mark.parametrize("leaf", ["streaming.sending", "streaming.flushing", "streaming.waiting"])
def test_a_stream_cut_before_the_reply_ends_the_turn(leaf: str) -> None:
    """Gateway lost in ``sending``/``waiting`` → cue → ``offline.ready``."""
    toy = at(leaf).happens("stream_lost").is_in("offline.ready").hears_cue("offline")
    toy.ends_turn("stream cut")
    toy.has_microphone("closed").shows("amber-pulse").happens("link_up").is_in("idle.awake")


@pytest.mark.parametrize("leaf", ["streaming.sending", "streaming.flushing", "streaming.waiting"])
def test_a_link_lost_before_the_reply_ends_the_turn(leaf: str) -> None:
    """Gateway lost in ``sending``/``waiting`` → cue → ``offline.ready``."""
    toy = at(leaf).happens("link_down").is_in("offline.ready").hears_cue("offline")
    toy.has_microphone("closed")


@pytest.mark.parametrize("leaf", STREAMED)
def test_a_gateway_that_cannot_answer_ends_the_turn_with_an_apology(leaf: str) -> None:
    """The gateway's ``error``: apology → home; the link is there, so home is ``idle``."""
    toy = at(leaf).happens("turn_failed", code="AUDIO_ERROR").is_in("idle.awake")
    toy.hears_cue("apology")
    toy.ends_turn("gateway failed").has_microphone("closed").has_speaker("cues")


# -- Speaking.
def test_the_first_frame_makes_the_toy_speak() -> None:
    """Of a reply the first frame is an event: ``speaking``: the reply plays; green;
    speaker open.
    """
    toy = Toy.waiting().happens("reply_began").is_in("speaking").shows("green").has_speaker("reply")
    toy.does("speaker", mode="reply", turn=1).has_microphone("closed").awaits("state", 120_000)
    toy.goes_on().hears_no_cue()


def test_a_reply_cannot_begin_before_the_utterance_has_left() -> None:
    """The stream hands on no reply before the final marker is out; else nothing would move."""
    toy = Toy.flushing().happens("reply_began").is_in("streaming.flushing").has_speaker("cues")
    toy.happens("uplink_flushed").is_in("streaming.waiting")
    toy.happens("reply_began").is_in("speaking").has_speaker("reply")


def test_wake_word_barge_in_keeps_the_microphone_sampling() -> None:
    """``speaking``: sampling if wake-word barge-in is enabled, else closed."""
    Toy.speaking(wake_barge=True).has_microphone("sampling").shows("green")
    Toy.speaking(wake=True).has_microphone("closed")


def test_a_reply_that_was_played_out_ends_the_turn() -> None:
    """End of a turn: ``speaking`` → home when the reply has been played out."""
    toy = Toy.speaking().happens("reply_played").is_in("idle.awake").ends_turn("answered")
    toy.hears_no_cue()
    toy.has_speaker("cues").shows("blue-breathing").awaits_no("state", "dry")


def test_a_reply_that_stays_dry_ends_the_turn() -> None:
    """``speaking`` without frames 3 s."""
    toy = Toy.speaking().happens("reply_dry").is_in("speaking").has_armed("dry", 3_000).goes_on()
    toy.fires("dry").is_in("idle.awake").hears_cue("apology").ends_turn("reply ran dry")


def test_a_reply_that_goes_on_is_waited_for_no_longer() -> None:
    """Of a reply only the first frame, running dry, and the end are events."""
    toy = Toy.speaking().happens("reply_dry").happens("reply_began").is_in("speaking")
    toy.awaits_no("dry").goes_on()
    toy.awaits("state", 120_000).happens("reply_played").ends_turn("answered")


def test_each_dry_spell_is_measured_anew() -> None:
    """``speaking`` without frames 3 s: every timer event carries the id of its arming."""
    toy = Toy.speaking().happens("reply_dry")
    first = toy.timers["dry"].arming
    toy.happens("reply_began").happens("reply_dry")
    toy.happens("dry_elapsed", timer="dry", arming=first).does_nothing()
    toy.fires("dry").ends_turn("reply ran dry")


def test_a_reply_lasts_two_minutes_at_most() -> None:
    """``speaking`` … in all 120 s."""
    toy = Toy.speaking().awaits("state", 120_000).fires("state").is_in("idle.awake")
    toy.ends_turn("reply too long")
    toy.hears_cue("end").has_speaker("cues")


def test_a_stream_cut_in_a_reply_lets_the_rest_play_out() -> None:
    """Gateway lost in ``speaking``: what is buffered plays out, then ``offline.ready``."""
    toy = Toy.speaking(continued=True).happens("stream_lost").is_in("speaking")
    toy.does("end_reply", turn=1).goes_on()
    toy.has_speaker("reply").happens("reply_played").is_in("offline.ready").ends_turn("answered")


def test_a_link_lost_in_a_reply_lets_it_play_out() -> None:
    """Gateway lost in ``speaking``: what is buffered plays out, then ``offline.ready``."""
    toy = Toy.speaking(continued=True).happens("link_down").is_in("speaking").goes_on()
    toy.has_speaker("reply").does("end_reply", turn=1)
    toy.happens("reply_played").is_in("offline.ready")


def test_a_link_lost_while_the_last_reply_is_repeated_is_only_noted() -> None:
    """The last reply is on the device: nothing of it is still to come."""
    toy = Toy.ready().tap().press().happens("link_down").is_in("speaking").does_not("end_reply")
    toy.goes_on().happens("reply_played").is_in("offline.ready")


def test_continued_conversation_listens_again() -> None:
    """End of a turn: with continued conversation enabled: → ``listening``."""
    toy = Toy.speaking(continued=True).happens("reply_played").is_in("listening.hearing")
    toy.hears_cue("listening")
    toy.ends_turn("answered").does("end_turn", turn=1).does("open_stream", turn=2)
    toy.has_microphone("capture")
    toy.awaits("state", 5_000).does_in_order("end_turn", "light", "cue", "microphone")
    toy.fires("state").is_in("idle.awake").ends_turn("nothing said")


@pytest.mark.parametrize("why", ["bedtime", "mute", "tokens_lost"])
def test_continued_conversation_ends_where_no_turn_may_begin(why: str) -> None:
    """A sentence being spoken finishes, a new turn does not begin."""
    toy = Toy.speaking(continued=True)
    if why == "bedtime":
        toy.happens("bedtime", asleep=True)
    elif why == "mute":
        toy.commands("mute")
    else:
        toy.happens("tokens_lost")
    toy.is_in("speaking").happens("reply_played").ends_turn("answered").has_microphone("closed")
    toy.is_in({"bedtime": "idle.asleep", "mute": "idle.muted", "tokens_lost": "offline.ready"}[why])


@pytest.mark.parametrize("kind", ["say", "replay"])
def test_continued_conversation_follows_only_a_conversation(kind: str) -> None:
    """With continued conversation enabled: a guardian's words and a repeated reply ask for no
    answer.
    """
    toy = Toy.ready(continued=True)
    toy = toy.commands("say") if kind == "say" else toy.tap().press()
    toy.is_in("speaking").happens("reply_played").is_in("idle.awake").ends_turn("answered")


# -- Where a turn ends.
def endings() -> Mapping[str, Callable[[], tuple[Toy, Callable[[], Toy]]]]:
    """Return the ways in which a turn with a stream ends by itself: a toy, and what ends
    its turn.
    """

    def ending(toy: Toy, end: Callable[[Toy], Toy]) -> tuple[Toy, Callable[[], Toy]]:
        return toy, lambda: end(toy)

    return {
        "no speech": lambda: ending(Toy.listening(), lambda toy: toy.fires("state")),
        "pressed in silence": lambda: ending(Toy.listening(), lambda toy: toy.press()),
        "never flushed": lambda: ending(Toy.flushing(), lambda toy: toy.fires("state")),
        "no reply": lambda: ending(Toy.waiting(), lambda toy: toy.fires("state")),
        "gateway failed": lambda: ending(
            Toy.waiting(), lambda toy: toy.happens("turn_failed", code="AUDIO_ERROR")
        ),
        "played out": lambda: ending(Toy.speaking(), lambda toy: toy.happens("reply_played")),
        "stayed dry": lambda: ending(
            Toy.speaking().happens("reply_dry"), lambda toy: toy.fires("dry")
        ),
        "too long": lambda: ending(Toy.speaking(), lambda toy: toy.fires("state")),
        "nothing kept": lambda: ending(
            Toy.ready().tap().press(), lambda toy: toy.happens("nothing_kept")
        ),
        "answer failed": lambda: ending(
            Toy.ready().commands("say"), lambda toy: toy.happens("answer_failed")
        ),
        "answer played": lambda: ending(
            Toy.ready().commands("say"), lambda toy: toy.happens("answer_played")
        ),
        "stopped": lambda: ending(Toy.sending(), lambda toy: toy.commands("stop")),
        "microphone failed": lambda: ending(
            Toy.sending(), lambda toy: toy.happens("part_failed", part="microphone")
        ),
    }


@pytest.mark.parametrize("how", endings())
def test_a_turn_ends_at_home(how: str) -> None:
    """Home: where a turn ends: ``offline.ready`` without tokens or link, else ``idle`` with its
    availability.
    """
    for meanwhile, home in (
        ("", "idle.awake"),
        ("bedtime", "idle.asleep"),
        ("tokens_lost", "offline.ready"),
    ):
        toy, end = endings()[how]()
        if meanwhile == "bedtime":
            toy.happens("bedtime", asleep=True)
        elif meanwhile:
            toy.happens(meanwhile)
        end().is_in(home).does("end_turn").has_microphone("closed").awaits_no("state", "dry")


@pytest.mark.parametrize("leaf", ["offline.listening", "offline.answering"])
def test_a_turn_without_link_ends_where_the_link_is_back(leaf: str) -> None:
    """Home: else ``idle``; back with valid tokens, but never in the middle of an answer."""
    at(leaf).happens("link_up").fires("state").is_in("idle.awake").does("end_turn")
    at(leaf).happens("link_up").happens("bedtime", asleep=True).fires("state").is_in("idle.asleep")


# -- One turn at a time.
@pytest.mark.parametrize(
    "event", ["stream_opened", "stream_failed", "speech_started", "reply_dry", "reply_played"]
)
def test_what_belongs_to_an_older_turn_is_dropped(event: str) -> None:
    """Whatever belongs to an older turn is dropped."""
    toy = Toy.speaking().press().is_in("listening.hearing")
    fields = {"connection": 77} if event == "stream_opened" else {}
    toy.happens(event, turn=1, **fields).does_nothing().is_in("listening.hearing")


@pytest.mark.parametrize("event", ["stream_lost", "reply_began", "turn_failed", "uplink_flushed"])
def test_what_belongs_to_an_older_connection_is_dropped(event: str) -> None:
    """Where a dialect has no turn field the connection's generation is the fence."""
    toy = Toy.waiting()
    old = toy.context.connection
    toy.press().voice().stream_opens().silence()
    fields = {"code": "AUDIO_ERROR"} if event == "turn_failed" else {}
    toy.is_in("streaming.flushing").happens(event, connection=old, **fields).does_nothing()
    toy.is_in("streaming.flushing")


def test_a_turn_without_a_connection_hears_none() -> None:
    """Whatever belongs to an older stream connection is dropped."""
    Toy.listening().happens("stream_lost", connection=0).does_nothing()


def test_the_old_reply_is_silenced_before_anything_else() -> None:
    """After a cancel or barge-in not one sample of the old reply starts."""
    toy = Toy.speaking().press()
    assert toy.last.effects[0].name == "speaker"
    assert toy.last.effects[0].fields == {"mode": "cues", "turn": 2}
    toy.happens("reply_began", turn=1, connection=1).does_nothing().has_speaker("cues")


@pytest.mark.parametrize(
    "event", ["stream_opened", "uplink_flushed", "reply_began", "reply_played", "nothing_kept"]
)
@pytest.mark.parametrize(
    "leaf", ["idle.awake", "offline.ready", "safety_lockout.lock", "boot.testing"]
)
def test_nothing_of_a_turn_is_heard_outside_one(leaf: str, event: str) -> None:
    """Whatever belongs to an older turn or an older stream connection is dropped."""
    at(leaf).happens(event).does_nothing()


def test_a_second_result_of_the_same_kind_changes_nothing() -> None:
    """The turn has moved on: what comes late within it is ignored."""
    for leaf in TURNS:
        toy = at(leaf)
        late = "uplink_flushed" if leaf != "streaming.flushing" else "nothing_kept"
        toy.happens(late).does_nothing().is_in(leaf)


def test_no_turn_no_answer() -> None:
    """At most one turn: results of none are refused, and counted."""
    for leaf in [leaf for leaf in FREE if leaf not in TURNS]:
        at(leaf).happens("answer_played").does_nothing().happens("speech_started").does_nothing()


def test_an_answer_that_nobody_asked_for_changes_nothing() -> None:
    """The turn has moved on: what comes late within it is ignored."""
    toy = Toy.waiting().happens("answer_played").does_nothing().happens("answer_failed")
    toy.does_nothing().is_in("streaming.waiting")


def test_a_dry_reply_of_an_older_turn_does_not_end_the_new_one() -> None:
    """Whatever belongs to an older turn is dropped."""
    toy = Toy.muted().tap().commands("say").happens("reply_dry").press().is_in("speaking")
    toy.does("replay", turn=2)
    toy.awaits_no("dry")
