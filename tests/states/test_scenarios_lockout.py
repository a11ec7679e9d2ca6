"""The safety stop: into it from everywhere in one step, out of it by two doors only."""

from __future__ import annotations

import pytest

from tests.states.scenario import EVERYWHERE, FREE, LOCKED, SET_UP, TURNS, Toy, at

PAUSE, LOCK = "safety_lockout.pause", "safety_lockout.lock"
OWNED = tuple(
    leaf
    for leaf in FREE
    if leaf not in ("boot.dark", "boot.reading", "boot.unprovisioned", "boot.erasing")
)
"""Where the toy knows that it has an identity."""
HELD_CAUSES = ("lock", "emergency_stop", "lock_unreadable", "urgent_full")


def causes(toy: Toy, name: str) -> Toy:
    """Let one of the causes of a lock happen."""
    match name:
        case "lock" | "emergency_stop":
            return toy.happens(name, command="row")
        case "pause":
            return toy.happens(name, command="row", pause_ms=300_000)
        case "safety_override":
            return toy.happens(name, pause_ms=300_000)
        case "violation":
            return toy.happens(name).happens(name).happens(name)
        case _:
            return toy.happens(name)


def shows_a_lock(toy: Toy) -> Toy:
    """Assert what everybody notices of a toy that was just locked."""
    toy.shows("red-amber").has_microphone("closed").has_speaker("fixed").hears_cue("locked")
    toy.awaits_no("state", "hold", "chain", "dry", "grace", "violation_1", "violation_2")
    return toy


# -- Into it.
@pytest.mark.parametrize("cause", ["pause", "safety_override", "violation"])
def test_every_state_can_be_paused_in_one_step(cause: str) -> None:
    """From **every** state, in **one** transition, → ``safety_lockout``: three violations,
    ``safety_override`` → ``pause`` (300 s).
    """
    for leaf in FREE:
        toy = causes(at(leaf), cause).is_in(PAUSE).awaits("pause", 300_000)
        shows_a_lock(toy).does("report", urgent=True, detail=toy.lock_id)
        assert toy.last.source == leaf
        if leaf not in ("boot.dark", "boot.reading"):
            toy.does("write_lock", lock_id=toy.lock_id, kind="pause", pause_ms=300_000)


@pytest.mark.parametrize("cause", HELD_CAUSES)
def test_every_state_can_be_locked_in_one_step(cause: str) -> None:
    """Guardian lock, ``emergency_stop``, full urgent queue, unreadable or missing lock record →
    ``lock``.
    """
    for leaf in OWNED:
        toy = causes(at(leaf), cause).is_in(LOCK).awaits_no("pause")
        shows_a_lock(toy).does("write_lock", lock_id=toy.lock_id, kind="lock")
        toy.reports("emergency_stop", urgent=True, detail=toy.lock_id)
        assert toy.last.source == leaf


@pytest.mark.parametrize("cause", HELD_CAUSES)
def test_without_identity_only_a_pause_is_possible(cause: str) -> None:
    """``boot.unprovisioned``, where only a ``pause`` is possible, returning there."""
    toy = causes(Toy.unprovisioned(), cause).is_in(PAUSE).awaits("pause", 300_000)
    toy.does("stop_setup")
    toy = shows_a_lock(toy).does("write_lock", kind="pause", lock_id=toy.lock_id)
    toy.does("report", urgent=True)
    toy.fires("pause").is_in("boot.unprovisioned").does("start_setup")


@pytest.mark.parametrize("cause", HELD_CAUSES)
@pytest.mark.parametrize("leaf", ["boot.dark", "boot.reading", "boot.erasing"])
def test_every_other_state_is_locked_one_way_or_the_other(leaf: str, cause: str) -> None:
    """From **every** state, in **one** transition, → ``safety_lockout``."""
    toy = causes(at(leaf), cause)
    assert toy.leaf in LOCKED
    shows_a_lock(toy).does("report", urgent=True, detail=toy.lock_id)


@pytest.mark.parametrize("cause", ["pause", "safety_override", "violation", *HELD_CAUSES])
@pytest.mark.parametrize("leaf", ["boot.dark", "boot.reading", "boot.erasing"])
def test_a_toy_that_is_locked_before_it_knows_who_it_is_still_learns_it(
    leaf: str, cause: str
) -> None:
    """Whatever the state, a release can still be heard once the network is there."""
    toy = causes(at(leaf), cause).does("read_records").records("free")
    assert toy.leaf in LOCKED
    toy.does("authenticate").happens("tokens_granted")
    toy.happens("unlock", command="row", lock_id=toy.lock_id, via="subscription")
    toy.acknowledges("done")


@pytest.mark.parametrize("cause", ["pause", "lock", "press"])
def test_a_lock_ends_the_turn(cause: str) -> None:
    """Entry stops playback, closes the microphone, ends the turn."""
    for leaf in TURNS:
        toy = at(leaf)
        if cause == "press":
            toy.tap().tap()
        turn = toy.context.turn
        toy = toy.press() if cause == "press" else causes(toy, cause)
        toy.does("end_turn", turn=turn, outcome="stopped")
        toy.does_in_order("speaker", "end_turn", "light", "cue", "write_lock", "report")
        toy.does_not("recall")


def test_entry_silences_first() -> None:
    """Entry stops playback, closes the microphone, ends the turn, then says one approved
    sentence.
    """
    toy = causes(Toy.sending(), "lock").does_in_order(
        "speaker", "microphone", "end_turn", "light", "cue", "write_lock", "report"
    )
    assert [effect.name for effect in toy.last.effects].count("cue") == 1


@pytest.mark.parametrize("cause", ["safety_override", "pause"])
def test_a_server_may_only_lengthen_the_default(cause: str) -> None:
    """``pause`` (300 s by default; a server may only lengthen)."""
    for asked, given in ((1_000, 300_000), (300_000, 300_000), (600_000, 600_000)):
        toy = Toy.ready()
        fields = {"command": "row"} if cause == "pause" else {}
        toy.happens(cause, pause_ms=asked, **fields).awaits("pause", given)
        toy.does("write_lock", pause_ms=given)


# -- Violations.
def test_two_violations_are_only_counted() -> None:
    """**Three** violations within 5 minutes."""
    for leaf in FREE:
        toy = at(leaf).happens("violation").is_in(leaf).has_armed("violation_1", 300_000).goes_on()
        toy.happens("violation").is_in(leaf)


def test_violations_are_counted_over_five_minutes_wherever_the_toy_goes() -> None:
    """Three violations within 5 minutes; the count is held in every state."""
    toy = Toy.speaking().happens("violation").happens("reply_played").is_in("idle.awake")
    toy.happens("violation")
    toy.press().is_in("listening.hearing").happens("violation").is_in(PAUSE)
    toy.reports("safety_violation", urgent=True, detail=toy.lock_id)


@pytest.mark.parametrize("forgotten", ["violation_1", "violation_2"])
def test_a_violation_is_forgotten_after_five_minutes(forgotten: str) -> None:
    """Three violations **within 5 minutes**: older ones do not count."""
    toy = Toy.ready().happens("violation").happens("violation").awaits("violation_2", 300_000)
    toy.fires(forgotten)
    toy.is_in("idle.awake").goes_on().happens("violation").is_in("idle.awake")
    toy.has_armed(forgotten, 300_000)
    toy.happens("violation").is_in(PAUSE)


def test_a_violation_is_forgotten_in_every_state() -> None:
    """Three violations **within 5 minutes**, in any state."""
    for leaf in FREE:
        toy = at(leaf).happens("violation").fires("violation_1").is_in(leaf).goes_on()
        toy.happens("violation").happens("violation").is_in(leaf)


@pytest.mark.parametrize("leaf", LOCKED)
def test_violations_do_not_touch_a_lock(leaf: str) -> None:
    """A lock is never restarted or shortened."""
    toy = at(leaf)
    for _ in range(3):
        toy.happens("violation").does_nothing()


def test_violations_before_a_lock_do_not_count_after_it() -> None:
    """Three violations lock once."""
    toy = causes(Toy.ready(), "violation").fires("pause").happens("violation").is_in("idle.awake")
    toy.happens("violation").is_in("idle.awake").happens("violation").is_in(PAUSE)


# -- The full queue.
def test_a_full_queue_locks_once_until_it_was_below_half() -> None:
    """The full-queue cause is edge-triggered and re-arms below half."""
    toy = Toy.ready().happens("urgent_full").is_in(LOCK)
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription").is_in("idle.awake")
    toy.happens("urgent_full").does_nothing().is_in("idle.awake")
    toy.happens("urgent_low").is_in("idle.awake").happens("urgent_full").is_in(LOCK)


def test_a_full_queue_pauses_a_toy_without_identity_once() -> None:
    """The full-queue cause is edge-triggered; without identity only a ``pause`` is possible."""
    toy = Toy.unprovisioned().happens("urgent_full").is_in(PAUSE).fires("pause")
    toy.is_in("boot.unprovisioned")
    toy.happens("urgent_full").does_nothing().happens("urgent_low").happens("urgent_full")
    toy.is_in(PAUSE)


def test_a_queue_that_fills_up_while_nobodys_toy_is_paused_does_not_pause_it_again() -> None:
    """The full-queue cause is edge-triggered, also while a pause runs."""
    toy = Toy.unprovisioned().happens("safety_override", pause_ms=300_000).happens("urgent_full")
    toy.is_in(PAUSE).does_not("write_lock", "report", "arm").fires("pause").happens("urgent_full")
    toy.does_nothing().is_in("boot.unprovisioned")


def test_a_queue_below_half_is_noted_in_every_state() -> None:
    """Re-arms below half."""
    for leaf in EVERYWHERE:
        toy = at(leaf).knowing(flooded=True).happens("urgent_low").is_in(leaf).goes_on()
        assert not toy.context.flooded


def test_a_queue_that_fills_up_while_locked_does_not_lock_again_after_it() -> None:
    """The full-queue cause is edge-triggered, also while a lock is held."""
    toy = Toy.locked().happens("urgent_full").is_in(LOCK).does_not("write_lock", "report", "cue")
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription").is_in("idle.awake")
    toy.happens("urgent_full").does_nothing()


def test_a_queue_below_half_while_locked_may_lock_again() -> None:
    """Re-arms below half, in any state."""
    toy = Toy.ready().happens("urgent_full").happens("urgent_low").is_in(LOCK)
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription")
    toy.happens("urgent_full").is_in(LOCK)


def test_a_full_queue_turns_a_pause_into_a_lock_once() -> None:
    """``pause`` → ``lock`` is allowed; edge-triggered."""
    toy = Toy.paused()
    pause = toy.lock_id
    toy.happens("urgent_full").is_in(LOCK).awaits_no("pause")
    toy.does("write_lock", kind="lock", lock_id=toy.lock_id)
    assert toy.lock_id != pause
    toy = Toy.ready().happens("urgent_full")
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription")
    toy.happens("safety_override", pause_ms=300_000)
    toy.is_in(PAUSE).happens("urgent_full").is_in(PAUSE)


# -- Out of it.
@pytest.mark.parametrize("leaf", LOCKED)
def test_the_guardian_releases_the_lock_that_is_named(leaf: str) -> None:
    """Left by a guardian release that names this lock's ``lockId`` and came over the authenticated
    subscription. It goes home.
    """
    toy = at(leaf)
    lock = toy.lock_id
    toy.happens("unlock", command="row", lock_id=lock, via="subscription").is_in("idle.awake")
    toy.acknowledges("done")
    toy.does("clear_lock", lock_id=lock).reports("unlocked", urgent=True, detail=lock)
    toy.has_speaker("cues").shows("blue-breathing").awaits_no("pause", "lock_retry")


@pytest.mark.parametrize("leaf", LOCKED)
def test_a_release_of_another_lock_releases_nothing(leaf: str) -> None:
    """Names **this** lock's ``lockId``."""
    toy = at(leaf).happens("unlock", command="row", lock_id="another", via="subscription")
    toy.is_in(leaf)
    toy.acknowledges("refused").does_not("clear_lock")


@pytest.mark.parametrize("leaf", LOCKED)
def test_the_stream_releases_nothing(leaf: str) -> None:
    """Over the authenticated subscription, never the stream."""
    toy = at(leaf)
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="stream").is_in(leaf)
    toy.does_not("clear_lock", "acknowledge")


@pytest.mark.parametrize("leaf", LOCKED)
def test_a_release_without_the_guardians_signature_releases_nothing(leaf: str) -> None:
    """Signed with the guardian's key where one was enrolled."""
    toy = at(leaf)
    toy.happens("unlock", command="row", lock_id=toy.lock_id, via="unverified").is_in(leaf)
    toy.acknowledges("refused").does_not("clear_lock")


def test_a_release_of_no_lock_is_refused() -> None:
    """Commands in order, once: a release that comes too late is told so, and ends nothing."""
    for leaf in FREE:
        toy = at(leaf).happens("unlock", command="row", lock_id="old", via="subscription")
        toy.is_in(leaf)
        toy.acknowledges("refused").goes_on().does_not("clear_lock")


def test_a_pause_runs_out() -> None:
    """Left, for ``pause``, by its time running out (monotonic). It goes home."""
    toy = Toy.paused()
    lock = toy.lock_id
    toy.fires("pause").is_in("idle.awake").does("clear_lock", lock_id=lock)
    toy.reports("unlocked", urgent=True, detail=lock)


def test_a_lock_does_not_run_out() -> None:
    """``lock`` (held)."""
    toy = Toy.paused()
    arming = toy.timers["pause"].arming
    toy.happens("lock", command="row").is_in(LOCK).awaits_no("pause", "state")
    toy.happens("pause_elapsed", timer="pause", arming=arming).does_nothing().is_in(LOCK)


def test_the_end_of_another_pause_releases_nothing() -> None:
    """Every timer event carries the id of its arming; any other is dropped."""
    toy = Toy.paused()
    old = toy.timers["pause"].arming
    toy.fires("pause").happens("safety_override", pause_ms=300_000).is_in(PAUSE)
    toy.happens("pause_elapsed", timer="pause", arming=old).does_nothing().is_in(PAUSE)


def test_only_the_pause_timer_ends_a_pause() -> None:
    """Only an elapsed pause leaves ``safety_lockout``: another timer's arming is not the
    pause's.
    """
    toy = Toy.paused().happens("lock_write_failed")
    toy.happens("pause_elapsed", timer="lock_retry", arming=toy.timers["lock_retry"].arming)
    toy.does_nothing().is_in(PAUSE)


def test_a_release_goes_home_wherever_that_is() -> None:
    """It goes home: ``offline.ready`` without tokens or link, else ``idle`` with its
    availability.
    """
    for events, home in (
        ((), "idle.awake"),
        (("link_down",), "offline.ready"),
        (("mute",), "idle.muted"),
    ):
        toy = Toy.locked()
        for event in events:
            toy = toy.commands(event) if event == "mute" else toy.happens(event)
        toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription").is_in(home)


# -- While it holds.
@pytest.mark.parametrize("cause", HELD_CAUSES)
def test_a_pause_can_become_a_lock(cause: str) -> None:
    """``pause`` → ``lock`` is allowed (with a new ``lockId``, the old one void)."""
    toy = Toy.paused()
    pause = toy.lock_id
    toy = causes(toy, cause).is_in(LOCK).awaits_no("pause")
    toy.does("write_lock", lock_id=toy.lock_id, kind="lock")
    toy.does("report", urgent=True, detail=toy.lock_id)
    assert toy.lock_id != pause
    toy.happens("unlock", command="row", lock_id=pause, via="subscription").is_in(LOCK)
    toy.acknowledges("refused")


@pytest.mark.parametrize("cause", ["pause", "safety_override", "lock", "emergency_stop"])
def test_a_lock_never_becomes_a_pause(cause: str) -> None:
    """Never the reverse; a lock never becomes weaker or shorter."""
    toy = Toy.locked()
    lock = toy.context.lock
    causes(toy, cause).is_in(LOCK).does_not("write_lock", "arm", "cue", "report")
    assert toy.context.lock == lock
    if cause != "safety_override":
        toy.acknowledges("already")


@pytest.mark.parametrize("cause", ["pause", "safety_override"])
def test_a_longer_pause_lengthens(cause: str) -> None:
    """A server may only lengthen; the lock is the same, so its id stays."""
    toy = Toy.paused()
    lock = toy.lock_id
    fields = {"command": "row"} if cause == "pause" else {}
    toy.happens(cause, pause_ms=600_000, **fields).is_in(PAUSE).has_armed("pause", 600_000)
    toy.does("write_lock", lock_id=lock, kind="pause", pause_ms=600_000).fires("pause")
    toy.is_in("idle.awake")


@pytest.mark.parametrize("asked_ms", [1_000, 300_000])
def test_a_pause_that_is_no_longer_changes_nothing(asked_ms: int) -> None:
    """A lock is never restarted or shortened."""
    toy = Toy.paused().happens("pause", command="row", pause_ms=asked_ms).is_in(PAUSE)
    toy.acknowledges("already")
    toy.does_not("arm", "write_lock").awaits("pause", 300_000)


def test_the_void_timer_of_a_lengthened_pause_is_dropped() -> None:
    """Every timer event carries the id of its arming; any other is dropped."""
    toy = Toy.paused()
    arming = toy.timers["pause"].arming
    toy.happens("safety_override", pause_ms=600_000)
    toy.happens("pause_elapsed", timer="pause", arming=arming).does_nothing().is_in(PAUSE)


@pytest.mark.parametrize("leaf", LOCKED)
def test_no_server_speech_while_locked(leaf: str) -> None:
    """In ``safety_lockout`` server audio or server text is never played."""
    toy = at(leaf).commands("say").is_in(leaf).acknowledges("refused").does_not("say", "cue")
    toy.has_speaker("fixed")
    toy.happens("reply_began").does_nothing()


# -- Durable before acknowledged.
@pytest.mark.parametrize("cause", ["pause", "lock", "emergency_stop"])
def test_a_lock_is_acknowledged_once_it_is_durable(cause: str) -> None:
    """A lock is durable before it is acknowledged."""
    toy = causes(Toy.ready(), cause).does("write_lock").does_not("acknowledge")
    toy.happens("lock_written").acknowledges("done")
    toy.happens("lock_written").does_not("acknowledge")


def test_a_lock_that_nobody_commanded_is_acknowledged_to_nobody() -> None:
    """Acknowledged with ``devices:ackCommand``: only a command has a row."""
    causes(Toy.ready(), "safety_override").happens("lock_written").does_not("acknowledge")


@pytest.mark.parametrize("cause", ["pause", "lock"])
def test_a_lock_that_cannot_be_written_alarms_and_is_tried_again(cause: str) -> None:
    """If the lock cannot be written: locked in RAM, alarm light, retried by timer, not
    acknowledged.
    """
    toy = causes(Toy.ready(), cause)
    leaf, lock = toy.leaf, toy.lock_id
    toy.happens("lock_write_failed").is_in(leaf).shows("red-amber-alarm")
    toy.does_not("acknowledge", "write_lock")
    toy.awaits("lock_retry", 5_000).fires("lock_retry").is_in(leaf).does("write_lock", lock_id=lock)
    toy.shows("red-amber-alarm")
    toy.happens("lock_write_failed").awaits("lock_retry", 5_000).fires("lock_retry")
    toy.happens("lock_written").is_in(leaf).shows("red-amber").acknowledges("done")
    toy.awaits_no("lock_retry")


def test_an_alarm_ends_with_its_lock() -> None:
    """Locked in RAM: a release ends it all the same."""
    toy = causes(Toy.ready(), "lock").happens("lock_write_failed")
    toy.happens("unlock", command="row", lock_id=toy.lock_id, via="subscription")
    toy.is_in("idle.awake")
    toy.shows("blue-breathing").awaits_no("lock_retry")


def test_a_longer_pause_is_acknowledged_once_it_is_durable() -> None:
    """A lock is durable before it is acknowledged: the longer one too."""
    toy = Toy.paused().happens("pause", command="longer", pause_ms=600_000).does("write_lock")
    toy.does_not("acknowledge")
    toy.happens("lock_written").acknowledges("done", "longer")


def test_a_lock_that_is_not_durable_yet_is_not_acknowledged_as_held_already() -> None:
    """Not acknowledged while it cannot be written, whoever asks."""
    toy = causes(Toy.ready(), "lock").happens("lock_write_failed").happens("lock", command="again")
    toy.does_not("acknowledge")


def test_a_server_that_insists_before_the_lock_is_durable_changes_nothing() -> None:
    """A lock is never restarted or shortened, durable or not."""
    for cause in ("safety_override", "urgent_full"):
        toy = causes(Toy.ready(), cause)
        leaf = toy.happens("lock_write_failed").leaf
        toy.happens("safety_override", pause_ms=300_000).is_in(leaf).by("lock.")
        toy.does_not("write_lock", "arm", "report", "cue", "acknowledge")


def test_a_lock_that_is_asked_for_again_is_acknowledged_to_whoever_asked() -> None:
    """Not acknowledged until it is written; commands are told what became of them."""
    for again in ("lock", "emergency_stop", "pause"):
        toy = causes(Toy.ready(), "urgent_full").happens("lock_write_failed")
        causes(toy, again).is_in(LOCK).does_not("acknowledge", "write_lock", "report", "cue")
        toy.fires("lock_retry").happens("lock_written").acknowledges("done")
    toy = causes(Toy.ready(), "safety_override").happens("lock_write_failed")
    toy.happens("pause", command="row", pause_ms=300_000).is_in(PAUSE)
    toy.does_not("acknowledge", "write_lock", "arm")
    toy.shows("red-amber-alarm").fires("lock_retry").happens("lock_written").acknowledges("done")


@pytest.mark.parametrize("second", ["lock", "emergency_stop", "longer pause"])
def test_a_command_whose_lock_is_replaced_is_told_so(second: str) -> None:
    """Commands in order, once: ``pause`` → ``lock`` voids the old one, and its command is no longer
    open.
    """
    toy = Toy.ready().happens("pause", command="first", pause_ms=300_000)
    if second == "longer pause":
        toy.happens("pause", command="second", pause_ms=600_000)
    else:
        toy.happens(second, command="second")
    toy.acknowledges("replaced", "first").happens("lock_written").acknowledges("done", "second")


def test_a_full_queue_replaces_a_pause_and_says_so() -> None:
    """``pause`` → ``lock`` voids the old one, and its command is no longer open."""
    toy = Toy.ready().happens("pause", command="first", pause_ms=300_000).happens("urgent_full")
    toy.acknowledges("replaced", "first")


def test_a_lock_on_record_replaces_a_pause_and_says_so() -> None:
    """Commands are told what became of them, whatever replaced their lock."""
    toy = Toy.reading().happens("pause", command="first", pause_ms=300_000).records("lock")
    toy.is_in(LOCK)
    toy.acknowledges("replaced", "first")
    toy = Toy.reading().happens("lock", command="first").records("free", identity=False)
    toy.is_in(PAUSE)
    toy.acknowledges("replaced", "first")
    toy = at("boot.erasing").happens("lock", command="first").happens("erased").is_in(PAUSE)
    toy.acknowledges("replaced", "first")


def test_a_pause_lengthened_by_nobody_still_answers_the_guardian() -> None:
    """A command is acknowledged once its lock is durable, whoever lengthened it meanwhile."""
    toy = Toy.ready().happens("pause", command="row", pause_ms=300_000)
    toy.happens("safety_override", pause_ms=600_000)
    toy.does_not("acknowledge").happens("lock_written").acknowledges("done")


@pytest.mark.parametrize("event", ["lock_written", "lock_write_failed"])
def test_what_became_of_an_older_lock_is_dropped(event: str) -> None:
    """``pause`` → ``lock`` with a new ``lockId``, the old one void."""
    toy = causes(Toy.ready(), "pause")
    old = toy.lock_id
    causes(toy, "lock").happens(event, lock_id=old).does_nothing()
    toy.happens("lock_written").acknowledges("done")


def test_a_damaged_record_is_written_again() -> None:
    """It survives power loss: the record of a lock that holds is made whole."""
    toy = Toy.locked().happens("lock_unreadable").is_in(LOCK).does_not("cue", "report")
    toy.does("write_lock", lock_id=toy.lock_id, kind="lock")


def test_a_damaged_record_without_identity_is_written_again() -> None:
    """Where only a ``pause`` is possible, its record is made whole."""
    toy = Toy.unprovisioned().happens("safety_override", pause_ms=300_000)
    toy.happens("lock_unreadable").is_in(PAUSE)
    toy.does("write_lock", lock_id=toy.lock_id, kind="pause").awaits("pause", 300_000)


def test_results_of_no_lock_are_refused() -> None:
    """Whatever belongs to an older lock is dropped."""
    for leaf in SET_UP:
        at(leaf).happens("lock_written").does_nothing().happens("lock_write_failed").does_nothing()
