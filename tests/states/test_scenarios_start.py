"""From power-on to idle: self-test, records, set-up and erase by hand, first authentication."""

from __future__ import annotations

import pytest

from tests.states.scenario import EVERYWHERE, FREE, STARTING, Toy, at

GESTURES = (
    "boot.held",
    "boot.offer_setup",
    "boot.offer_erase",
    "boot.confirm_setup",
    "boot.confirm_erase",
)
UNBELIEVABLE = ("lock", "unreadable", "missing")


# -- The records decide before anything else may.
def test_the_start_shows_the_white_sweep_and_reads_the_records() -> None:
    """Boot: white sweep; identity, lock record and configuration are read (30 s at most)."""
    toy = Toy.reading()
    toy.does("read_records").awaits("state", 30_000)
    toy.shows("white-sweep").has_microphone("closed").has_speaker("cues")


def test_only_the_first_start_counts() -> None:
    """Every (state, event) pair is a row or is listed as ignored or refused."""
    Toy.reading().happens("started").by("refused:").does_nothing()


def test_an_owned_and_free_toy_tests_its_parts_and_authenticates() -> None:
    """Boot: else → auth; from then on authentication happens in the background in any state."""
    toy = Toy.reading().records("free").is_in("boot.testing")
    toy.does("test_parts").does("authenticate").awaits("state", 30_000).shows("white-sweep")


@pytest.mark.parametrize("record", UNBELIEVABLE)
def test_a_locked_damaged_or_missing_record_starts_locked(record: str) -> None:
    """Boot → safety_lockout when the lock record says so, is unreadable, or is missing although an
    identity exists.
    """
    toy = Toy.reading().records(record).is_in("safety_lockout.lock")
    toy.shows("red-amber").hears_cue("locked").awaits_no("pause", "state")
    toy.does("write_lock", lock_id=toy.lock_id, kind="lock")
    toy.reports("locked_at_start", urgent=True, detail=toy.lock_id)


def test_a_lock_keeps_its_id_over_power_loss() -> None:
    """It survives power loss; a release names this lock's ``lockId``."""
    toy = Toy.reading().records("lock", lock_id="monday").is_in("safety_lockout.lock")
    toy.happens("unlock", command=None, lock_id="monday", via="subscription").is_in("offline.ready")


@pytest.mark.parametrize("record", ["unreadable", "missing"])
def test_a_record_that_cannot_be_believed_gets_a_new_id(record: str) -> None:
    """An unreadable or missing lock record → ``lock``, with a random ``lockId``."""
    toy = Toy.reading().records(record, lock_id="stored")
    assert toy.lock_id == toy.last.event.id


@pytest.mark.parametrize("record", ["lock", "unreadable", "missing", "pause"])
def test_a_toy_that_starts_locked_can_hear_its_release(record: str) -> None:
    """Whatever the state, a release can still be heard once the network is there."""
    toy = Toy.reading().records(record).does("authenticate")
    toy.happens("tokens_granted")
    toy.happens("unlock", command="row", lock_id=toy.lock_id, via="subscription")
    toy.is_in("idle.muted").acknowledges("done")


@pytest.mark.parametrize("identity", [True, False])
def test_a_pause_starts_anew_after_a_power_loss(identity: bool) -> None:  # noqa: FBT001 - parametrised
    """A ``pause``'s time is monotonic; a reboot starts it anew, never shortens it."""
    toy = Toy.reading().records("pause", identity=identity, lock_id="monday")
    toy.is_in("safety_lockout.pause").awaits("pause", 300_000).hears_cue("locked")
    toy.does("write_lock", lock_id="monday", kind="pause", pause_ms=300_000)
    toy.reports("locked_at_start", urgent=True, detail="monday")
    toy.fires("pause").is_in("offline.ready" if identity else "boot.unprovisioned")
    toy.does("clear_lock", lock_id="monday")


@pytest.mark.parametrize("record", ["lock", "unreadable"])
def test_a_locked_record_without_identity_is_only_a_pause(record: str) -> None:
    """Boot → boot.unprovisioned without identity, where only a ``pause`` is possible, returning
    there.
    """
    toy = Toy.reading().records(record, identity=False).is_in("safety_lockout.pause")
    toy.awaits("pause", 300_000).hears_cue("locked").does_not("authenticate")
    toy.reports(
        "locked_at_start" if toy.last.row == "boot.locked" else "emergency_stop",
        urgent=True,
        detail=toy.lock_id,
    )
    toy.fires("pause").is_in("boot.unprovisioned")


@pytest.mark.parametrize("record", ["free", "missing"])
def test_a_toy_without_identity_waits_to_be_set_up(record: str) -> None:
    """Child ``unprovisioned``: no identity yet, waits to be set up; network: set-up service only in
    set-up mode.
    """
    toy = Toy.reading().records(record, identity=False).is_in("boot.unprovisioned")
    toy.shows("yellow-blink").has_microphone("closed").does("start_setup").does_not("authenticate")
    toy.awaits_no("state")


def test_records_that_are_not_read_in_time_lock_the_toy() -> None:
    """Boot → safety_lockout when the lock record was not read within 30 s."""
    toy = Toy.reading().fires("state").is_in("safety_lockout.pause").hears_cue("locked")
    toy.shows("red-amber")
    toy.does("report", urgent=True, detail=toy.lock_id).awaits("pause", 300_000)


def test_records_that_are_not_read_in_time_are_asked_for_again() -> None:
    """A performer that fails is retried only from a timer; a release can still be heard."""
    Toy.reading().fires("state").does("read_records").records("free").does("authenticate")


def test_unread_records_are_not_written_over() -> None:
    """A lock never becomes weaker: what the record holds is not known yet."""
    Toy.reading().fires("state").does_not("write_lock")


def test_unread_records_are_read_again_after_the_pause() -> None:
    """``home``: who the toy is must be known before it can be anywhere."""
    toy = Toy.reading().fires("state").fires("pause").is_in("boot.reading")
    toy.does("read_records").awaits("state", 30_000)


@pytest.mark.parametrize("record", UNBELIEVABLE)
def test_a_lock_that_is_read_late_holds(record: str) -> None:
    """``pause`` → ``lock`` is allowed (with a new ``lockId``), never the reverse."""
    toy = Toy.reading().fires("state").records(record).is_in("safety_lockout.lock")
    toy.awaits_no("pause").does("authenticate").hears_cue("locked")
    toy.does("write_lock", kind="lock", lock_id=toy.lock_id)
    toy.reports("locked_at_start", urgent=True, detail=toy.lock_id)
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription")
    toy.is_in("offline.ready")


def test_a_pause_that_is_read_late_lasts_at_least_as_long_as_it_says() -> None:
    """A reboot starts a pause anew, never shortens it; the present one began after the start."""
    toy = Toy.reading().fires("state").records("pause", pause_ms=600_000)
    toy.is_in("safety_lockout.pause")
    toy.has_armed("pause", 600_000).does("authenticate")
    toy.does("write_lock", lock_id=toy.lock_id, pause_ms=600_000)
    lock = toy.lock_id
    toy.fires("pause").is_in("offline.ready").does("clear_lock", lock_id=lock)


def test_a_pause_that_is_read_late_never_shortens_the_present_one() -> None:
    """A lock never becomes weaker or shorter."""
    toy = Toy.reading().happens("safety_override", pause_ms=600_000).records("pause")
    toy.is_in("safety_lockout.pause")
    toy.awaits("pause", 600_000)


def test_a_free_record_that_is_read_late_lets_the_pause_run() -> None:
    """``safety_lockout`` is left by a release or by its time running out."""
    toy = Toy.reading().fires("state").records("free").is_in("safety_lockout.pause")
    toy.does("authenticate")
    toy.awaits("pause", 300_000).fires("pause").is_in("offline.ready")


def test_a_lock_set_before_the_records_were_read_holds_for_an_owned_toy() -> None:
    """Guardian lock, full urgent queue, damaged record → ``lock``, from every state; a release can
    still be heard.
    """
    toy = Toy.reading().happens("urgent_full").is_in("safety_lockout.lock").does("read_records")
    toy.records("free").is_in("safety_lockout.lock").does("authenticate")
    toy.does_not("cue", "clear_lock")
    toy.happens("unlock", command=None, lock_id=toy.lock_id, via="subscription")
    toy.is_in("offline.ready")


def test_a_lock_set_before_the_records_were_read_is_a_pause_for_nobody() -> None:
    """Without identity only a ``pause`` is possible, returning to ``boot.unprovisioned``."""
    toy = Toy.reading().happens("urgent_full").records("missing", identity=False)
    toy.is_in("safety_lockout.pause")
    toy.awaits("pause", 300_000).does("report", urgent=True, detail=toy.lock_id)
    toy.does_not("authenticate")
    toy.does("write_lock", lock_id=toy.lock_id, kind="pause").hears_cue("locked")
    toy.fires("pause").is_in("boot.unprovisioned")


def test_a_late_record_without_identity_leads_to_set_up_after_the_pause() -> None:
    """Home: ``boot.unprovisioned`` without identity."""
    toy = Toy.reading().fires("state").records("free", identity=False).is_in("safety_lockout.pause")
    toy.does_not("authenticate").fires("pause").is_in("boot.unprovisioned").does("start_setup")


def test_a_late_lock_without_identity_is_only_a_pause() -> None:
    """``boot.unprovisioned`` without identity, where only a ``pause`` is possible."""
    toy = Toy.reading().fires("state").records("lock", identity=False)
    toy.is_in("safety_lockout.pause").fires("pause").is_in("boot.unprovisioned")


@pytest.mark.parametrize(
    "leaf",
    ["boot.testing", "idle.awake", "speaking", "safety_lockout.lock", "safety_lockout.pause"],
)
def test_records_are_believed_once(leaf: str) -> None:
    """There is no other way to move: a second reading changes nothing."""
    for record in ("free", "lock", "pause"):
        at(leaf).records(record).does_nothing()


# -- The self-test and the first tokens.
def test_a_tested_toy_waits_for_its_tokens() -> None:
    """Boot: else → auth: yellow pulse, microphone closed, 20 s."""
    toy = Toy.testing().happens("parts_tested", failed="").is_in("auth")
    toy.shows("yellow-pulse").has_microphone("closed").has_speaker("cues").awaits("state", 20_000)
    toy.does_not("report")


def test_a_tested_toy_that_holds_tokens_already_goes_home() -> None:
    """``auth`` is the start-up form of authentication: with tokens there is nothing to wait for."""
    toy = Toy.testing().happens("tokens_granted").is_in("boot.testing")
    toy.happens("parts_tested", failed="").is_in("idle.muted")


@pytest.mark.parametrize("tokens", [False, True])
def test_a_part_that_failed_the_self_test_is_reported(tokens: bool) -> None:  # noqa: FBT001 - parametrised
    """A failed part leads to a degraded mode wherever the toy can still be useful or safe, and a
    report.
    """
    toy = Toy.testing()
    if tokens:
        toy.happens("tokens_granted")
    toy.happens("parts_tested", failed="microphone").is_in("idle.muted" if tokens else "auth")
    toy.reports("part_failed", urgent=False, detail="microphone")


def test_a_self_test_that_never_ends_is_reported_and_passed_over() -> None:
    """Boot lasts 30 s at most; a failed part leads to a degraded mode and a report."""
    toy = Toy.testing().fires("state").is_in("auth").reports("self_test_late", urgent=False)
    toy.awaits("state", 20_000)


def test_a_self_test_that_never_ends_does_not_forget_the_tokens() -> None:
    """``auth`` → ``idle``: a toy that holds tokens and link is not offline."""
    toy = Toy.testing().happens("tokens_granted").fires("state").is_in("idle.muted")
    toy.reports("self_test_late", urgent=False)


@pytest.mark.parametrize("leaf", ["auth", "idle.awake", "speaking", "safety_lockout.pause"])
def test_a_self_test_that_ends_late_is_still_reported(leaf: str) -> None:
    """A failed part leads to a report; hardware faults are events like any other."""
    toy = at(leaf).happens("parts_tested", failed="microphone").is_in(leaf)
    toy.reports("part_failed", urgent=False, detail="microphone")


def test_granted_tokens_make_the_toy_ready() -> None:
    """``auth`` → ``idle`` with its availability: no consent before any configuration, so muted."""
    toy = Toy.authenticating().happens("tokens_granted").is_in("idle.muted").shows("red-dot")
    toy.has_microphone("closed").awaits_no("state", "grace")


def test_granted_tokens_without_link_make_it_ready_offline() -> None:
    """Home: ``offline.ready`` without tokens or link."""
    Toy.authenticating().happens("link_down").happens("tokens_granted").is_in("offline.ready")


def test_the_start_does_not_wait_for_tokens_longer_than_20_s() -> None:
    """``auth`` → after 20 s → ``offline.ready``."""
    toy = Toy.authenticating().fires("state").is_in("offline.ready").shows("amber-pulse")
    toy.happens("tokens_granted").is_in("idle.muted")


def test_refused_credentials_end_the_wait() -> None:
    """``auth`` → on refusal → ``offline.ready``; refused credentials: backoff and one urgent
    report.
    """
    toy = Toy.authenticating().happens("auth_failed", refused=True).is_in("offline.ready")
    toy.does("back_off", refused=True).reports("credentials_refused", urgent=True)


def test_tokens_that_are_merely_late_are_asked_for_again() -> None:
    """Authentication with full-jitter backoff: a failure that is no refusal is no end."""
    toy = Toy.authenticating().happens("auth_failed", refused=False).is_in("auth")
    toy.does("back_off", refused=False)
    toy.does_not("report").happens("auth_due").does("authenticate").happens("tokens_granted")
    toy.is_in("idle.muted")


# -- The button while it starts.
@pytest.mark.parametrize(
    "leaf", ["boot.reading", "boot.testing", "boot.erasing", "boot.setup", "auth"]
)
def test_a_press_while_starting_gets_a_cue_and_no_microphone(leaf: str) -> None:
    """``boot``, ``auth``, first press of a chain: "not yet" cue."""
    toy = at(leaf).press().is_in(leaf).hears_cue("not_yet").has_microphone("closed")
    toy.has_armed("hold", 400)


def test_a_press_without_identity_says_so_and_opens_the_set_up_service_again() -> None:
    """``boot.unprovisioned`` waits to be set up."""
    toy = Toy.unprovisioned().press().is_in("boot.unprovisioned").hears_cue("set_me_up")
    toy.does("start_setup")
    toy.release().press().is_in("boot.unprovisioned").hears_no_cue().does_not("start_setup")


@pytest.mark.parametrize("leaf", ["boot.reading", "boot.testing", "auth", "boot.unprovisioned"])
def test_a_double_press_while_starting_means_nothing(leaf: str) -> None:
    """``boot``, ``auth``, second press in the window: nothing."""
    at(leaf).tap().press().is_in(leaf).hears_no_cue().does_not("replay", "speaker", "light")


@pytest.mark.parametrize("end", ["hold", "chain"])
def test_a_chain_ends_while_starting_as_anywhere(end: str) -> None:
    """A chain lasts while ≤ 500 ms lie between a release and the next press; a hold of 400 ms
    closes it.
    """
    toy = Toy.authenticating().press()
    if end == "chain":
        toy.release().awaits("chain", 500)
    toy.fires(end).hears_no_cue().press().hears_cue("not_yet")


def test_a_chain_that_began_while_starting_plays_nothing() -> None:
    """The columns name the state at the chain's first press: a second in ``auth`` is nothing."""
    toy = Toy.authenticating().tap().happens("tokens_granted").configured().is_in("idle.awake")
    toy.press().is_in("idle.awake").does_not("replay").hears_cue("denied").has_microphone("closed")


def test_a_chain_that_began_without_identity_plays_nothing() -> None:
    """The columns name the state at the chain's first press: a second in ``boot`` is nothing."""
    toy = Toy.unprovisioned().tap().happens("provisioned").records().happens("tokens_granted")
    toy.happens("parts_tested", failed="").configured().is_in("idle.awake")
    toy.press().is_in("idle.awake").does_not("replay")


# -- Set-up and erase by hand.
def test_a_button_down_since_the_start_is_watched_once_the_records_are_read() -> None:
    """Set-up gestures count only after the lock was read; while one is pending, ``boot`` waits."""
    toy = Toy.reading().happens("down_at_start").is_in("boot.reading").does_not("arm")
    toy.records("free")
    toy.is_in("boot.held").awaits("state", 5_000).does_not("test_parts").does("authenticate")


def test_a_button_let_go_before_the_records_are_read_means_nothing() -> None:
    """Set-up gestures count only after the lock was read."""
    toy = Toy.reading().happens("down_at_start").release().is_in("boot.reading").records()
    toy.is_in("boot.testing")


@pytest.mark.parametrize("record", ["lock", "pause", "unreadable", "missing"])
def test_nothing_is_offered_while_locked(record: str) -> None:
    """Neither set-up mode nor erase is offered while locked."""
    toy = Toy.reading().happens("down_at_start").records(record)
    assert toy.leaf.startswith("safety_lockout")
    toy.does_not("start_setup", "erase").release().awaits_no("state")


def test_only_a_start_asks_whether_the_button_is_down() -> None:
    """Down **at service start**."""
    for leaf in [leaf for leaf in EVERYWHERE if leaf != "boot.reading"]:
        at(leaf).happens("down_at_start").does_nothing()


def test_five_seconds_offer_set_up_mode() -> None:
    """Down at service start for 5 s: set-up mode; light and voice say which."""
    toy = Toy.held().fires("state").is_in("boot.offer_setup").shows("offer-setup")
    toy.hears_cue("offer_setup")
    toy.awaits("state", 10_000).does_not("start_setup")


def test_fifteen_seconds_offer_erase() -> None:
    """Down at service start for 15 s: erase; light and voice say which."""
    toy = Toy.offering_setup().fires("state").is_in("boot.offer_erase").shows("offer-erase")
    toy.hears_cue("offer_erase")
    toy.awaits("state", 15_000).does_not("erase")


def test_thirty_seconds_mean_that_the_button_is_stuck() -> None:
    """Down for 30 s means stuck: reported and ignored."""
    toy = Toy.offering_erase().fires("state").is_in("boot.testing")
    toy.reports("button_stuck", urgent=False)
    toy.does("test_parts").shows("white-sweep")


@pytest.mark.parametrize("leaf", ["boot.held", "boot.offer_setup", "boot.offer_erase"])
def test_a_press_of_a_button_that_is_down_changes_nothing(leaf: str) -> None:
    """Debounce rejects bounce: the button has been down since the start."""
    at(leaf).press().does_nothing()


def test_a_short_press_at_the_start_is_no_gesture() -> None:
    """Down at service start, for 5 s / 15 s: less is nothing."""
    Toy.held().release().is_in("boot.testing").does("test_parts").does_not("start_setup", "erase")


def test_set_up_mode_waits_for_a_confirming_press() -> None:
    """It takes effect only after release and one confirming press within 10 s."""
    toy = Toy.offering_setup().release().is_in("boot.confirm_setup").awaits("state", 10_000)
    toy.shows("offer-setup")
    toy.does_not("start_setup").press().is_in("boot.setup").does("start_setup")
    toy.shows("yellow-blink")
    toy.has_microphone("closed")


def test_erase_waits_for_a_confirming_press() -> None:
    """It takes effect only after release and one confirming press within 10 s; light and voice say
    which.
    """
    toy = Toy.offering_erase().release().is_in("boot.confirm_erase").awaits("state", 10_000)
    toy.shows("offer-erase")
    toy.does_not("erase").press().is_in("boot.erasing").does("erase", command=None)
    toy.awaits("state", 60_000)


@pytest.mark.parametrize("leaf", ["boot.confirm_setup", "boot.confirm_erase"])
def test_an_unconfirmed_gesture_is_forgotten(leaf: str) -> None:
    """One confirming press within 10 s, or nothing."""
    toy = at(leaf).fires("state").is_in("boot.testing").does("test_parts")
    toy.does_not("erase", "start_setup")


@pytest.mark.parametrize("leaf", GESTURES)
def test_a_pending_gesture_holds_the_start_up(leaf: str) -> None:
    """While a start-up press or its confirmation is pending, ``boot`` waits; authentication does
    not.
    """
    toy = at(leaf).happens("tokens_granted").is_in(leaf).commands("reboot").is_in(leaf)
    toy.does("defer")
    assert toy.context.tokens


def test_set_up_mode_with_an_identity_ends_after_ten_minutes() -> None:
    """Set-up mode with an identity ends after 10 min → ``auth``."""
    toy = at("boot.setup").awaits("state", 600_000).fires("state").does("stop_setup")
    toy.happens("parts_tested", failed="").is_in("auth")


def test_what_set_up_brought_is_read_anew() -> None:
    """``boot``: identity, lock record and configuration are read."""
    toy = at("boot.setup").happens("tokens_granted").happens("provisioned").is_in("boot.reading")
    toy.does("stop_setup").does("read_records").awaits("state", 30_000).shows("white-sweep")
    toy.records().does("authenticate").happens("parts_tested", failed="").is_in("auth")


def test_a_toy_without_identity_starts_once_it_has_one() -> None:
    """Child ``unprovisioned``: no identity yet, waits to be set up."""
    toy = Toy.unprovisioned().happens("provisioned").is_in("boot.reading").does("stop_setup")
    toy.does("read_records")
    toy.records().is_in("boot.testing").does("authenticate")


@pytest.mark.parametrize(
    "leaf", ["boot.testing", "auth", "idle.awake", "speaking", "safety_lockout.lock"]
)
def test_nothing_is_set_up_outside_set_up_mode(leaf: str) -> None:
    """Network: set-up service only in set-up mode."""
    at(leaf).happens("provisioned").by("refused:").does_nothing()


def test_an_erased_toy_reads_who_it_is() -> None:
    """Erase keeps the lock record: what is left is read anew."""
    toy = at("boot.erasing").happens("erased").is_in("boot.reading").does("read_records")
    toy.shows("white-sweep")
    toy.records("missing", identity=False).is_in("boot.unprovisioned")


def test_a_toy_that_is_erased_late_still_becomes_nobody() -> None:
    """Erase: tokens and consent belonged to who it was."""
    toy = at("boot.erasing").fires("state").records().happens("parts_tested", failed="")
    toy.happens("tokens_granted")
    toy.configured().is_in("idle.awake").happens("erased").is_in("boot.reading")
    toy.does("read_records")
    toy.records().happens("parts_tested", failed="").is_in("auth").happens("tokens_granted")
    toy.is_in("idle.muted")


def test_an_erase_is_reported() -> None:
    """By hand there is no command whose answer would tell the guardian: deletion is urgent."""
    for leaf in (*FREE, "safety_lockout.pause", "safety_lockout.lock"):
        at(leaf).happens("erased").does("report", kind="erased", urgent=True, detail=None)


def test_an_erase_that_ends_late_is_believed_wherever_the_toy_is() -> None:
    """Erase: whoever it was, the toy is nobody now and reads what is left."""
    for leaf in FREE:
        toy = at(leaf).happens("erased").is_in("boot.reading").has_microphone("closed")
        toy.records("missing", identity=False).is_in("boot.unprovisioned")


def test_erased_in_the_middle_of_a_turn_ends_it() -> None:
    """``home`` and its reasons: nobody's speech is captured once the toy is nobody's."""
    toy = at("boot.erasing").fires("state").records().happens("parts_tested", failed="")
    toy.happens("tokens_granted")
    toy.configured().press().happens("erased").is_in("boot.reading").has_microphone("closed")
    toy.ends_turn("stopped")


def test_a_confirmed_erase_makes_the_toy_forget_who_it_was() -> None:
    """Erase: a toy stopped while erasing reads who it is before anything else."""
    toy = at("boot.confirm_erase").press().is_in("boot.erasing")
    toy.happens("safety_override", pause_ms=300_000)
    toy.fires("pause").is_in("boot.reading")


def test_a_toy_erased_while_paused_stays_paused() -> None:
    """Erase … none of them touches a lock."""
    toy = at("boot.erasing").happens("safety_override", pause_ms=300_000).records(lock="free")
    toy.happens("erased").is_in("safety_lockout.pause").awaits("pause", 300_000)
    toy.fires("pause").is_in("boot.reading").does("read_records")


def test_a_toy_erased_while_locked_is_only_paused() -> None:
    """``boot.unprovisioned`` without identity, where only a ``pause`` is possible: nobody is left
    who could release.
    """
    toy = at("boot.erasing").happens("emergency_stop", command=None).is_in("safety_lockout.lock")
    lock = toy.lock_id
    toy.happens("erased").is_in("safety_lockout.pause").awaits("pause", 300_000)
    toy.does("read_records")
    toy.does("report", urgent=True, detail=toy.lock_id).hears_cue("locked")
    toy.does("write_lock", lock_id=toy.lock_id, kind="pause")
    assert toy.lock_id != lock
    toy.records(identity=False).is_in("safety_lockout.pause").fires("pause")
    toy.is_in("boot.unprovisioned")


def test_a_toy_erased_late_while_locked_is_nobodys() -> None:
    """Erase: who the toy was is gone, also where a lock came first; it reads who it is."""
    toy = at("boot.erasing").fires("state").records().happens("tokens_granted")
    toy.happens("emergency_stop", command=None)
    toy.is_in("safety_lockout.lock").happens("erased").is_in("safety_lockout.pause")
    toy.does("read_records")
    toy.fires("pause").is_in("boot.reading").records().happens("parts_tested", failed="")
    toy.is_in("auth")


@pytest.mark.parametrize("how", ["erase_failed", "state"])
def test_an_erase_that_fails_is_reported_urgently(how: str) -> None:
    """Urgent: lock, safety reports, consent, deletion."""
    toy = at("boot.erasing")
    toy = toy.fires("state") if how == "state" else toy.happens(how)
    toy.is_in("boot.reading").reports("erase_failed", urgent=True).does("read_records")


def test_an_erase_that_fails_late_is_still_reported() -> None:
    """Deletion is urgent: its failure is never lost."""
    for leaf in [leaf for leaf in EVERYWHERE if leaf != "boot.erasing"]:
        toy = at(leaf).happens("erase_failed").is_in(leaf).goes_on()
        toy.reports("erase_failed", urgent=True)


def test_the_microphone_is_closed_while_starting() -> None:
    """``boot`` and ``auth``: microphone closed, whatever the configuration allows."""
    for leaf in STARTING:
        toy = at(leaf).configured(wake=True, wake_barge=True).has_microphone("closed").wake()
        toy.does_nothing()
