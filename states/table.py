"""How the toy behaves: all of it, in two tables.

How to read them
    STATES says what being somewhere means: light, microphone, speaker, how long at most. ROWS says
    what moves the toy: *at* an event, *from* any of these states, *if* all of ``when`` hold, change
    the memory (``then``), go *to* a state, and ``do`` this. The first row that fits is the one that
    fires; so safety stands first. A row to STAY changes memory or does something where it is; a row
    to HOME goes where a turn or a lock ends (``boot.unprovisioned`` without identity,
    ``offline.ready`` without tokens or link, else ``idle`` with its availability).

What stands elsewhere, and why
    Fences (``states.events``): an event of an older turn, connection, lock or arming never gets here.
    What follows from a state (``states.derive``): lights, microphone, speaker, timers, the end of a
    turn. They are derived in one fixed order, so no row can forget one or get the order wrong.
    What is said of nothing in ROWS stands in UNACTED, by name: nothing is undefined.

Ids are for ever: journals and reports name them. Retire an id with its row; never reuse it.
"""

from __future__ import annotations

from typing import Final

from states import changes as c
from states import effects as x
from states import guards as g
from states.rows import HOME, STAY, ignore, refuse, row, state

READ, TEST, SETUP_ON, SETUP_OFF = (
    x.plain(n) for n in ("read_records", "test_parts", "start_setup", "stop_setup")
)
DEFER, FORGET, PURGE = (x.plain(n) for n in ("defer", "forget", "purge_speech"))
OPEN, ABANDON, UPLINK, FINISH = (
    x.of_turn(n) for n in ("open_stream", "abandon_stream", "start_uplink", "finish_uplink")
)
REPLAY, ANSWER, END_REPLY = (x.of_turn(n) for n in ("replay", "answer_offline", "end_reply"))
APPLY, TIGHTEN = x.of_configuration("apply_configuration"), x.of_configuration("tighten")
DONE, KEPT, DENIED = x.acknowledge("done"), x.acknowledge("already"), x.acknowledge("refused")
ERASED = x.report("erased", urgent=True)
LOCK_IT = (x.write_lock, x.cue("locked"), x.report_lock, x.read_unread, x.acknowledge_replaced)

# fmt: off
STATES: Final = (
    #      name                     light                 microphone  speaker    at most (ms; with speech)
    state("boot.dark",             "dark",               "closed",   "closed",     None),
    state("boot.reading",          "white-sweep",        "closed",   "cues",     30_000, enters=(READ,)),
    state("boot.held",             "white-sweep",        "closed",   "cues",      5_000),
    state("boot.offer_setup",      "offer-setup",        "closed",   "cues",     10_000, enters=(x.cue("offer_setup"),)),
    state("boot.offer_erase",      "offer-erase",        "closed",   "cues",     15_000, enters=(x.cue("offer_erase"),)),
    state("boot.confirm_setup",    "offer-setup",        "closed",   "cues",     10_000),
    state("boot.confirm_erase",    "offer-erase",        "closed",   "cues",     10_000),
    state("boot.erasing",          "offer-erase",        "closed",   "cues",     60_000, enters=(PURGE, x.of_command("erase"))),
    state("boot.testing",          "white-sweep",        "closed",   "cues",     30_000, enters=(TEST,)),
    state("boot.setup",            "yellow-blink",       "closed",   "cues",    600_000, enters=(SETUP_ON,), leaves=(SETUP_OFF,)),
    state("boot.unprovisioned",    "yellow-blink",       "closed",   "cues",       None, enters=(SETUP_ON,), leaves=(SETUP_OFF,)),
    state("auth",                  "yellow-pulse",       "closed",   "cues",     20_000),
    state("idle.awake",            "blue-breathing",     "sampling", "cues",       None),
    state("idle.asleep",           "dim",                "closed",   "cues",       None),
    state("idle.muted",            "red-dot",            "closed",   "cues",       None),
    state("listening.hearing",     "blue-double-pulse",  "capture",  "cues",      5_000, speech_ms=5_000, enters=(OPEN,)),
    state("listening.connecting",  "rainbow-swirl",      "closed",   "cues",      5_000),
    state("streaming.sending",     "blue-solid",         "capture",  "closed",   30_000, enters=(UPLINK,)),
    state("streaming.flushing",    "rainbow-swirl",      "closed",   "cues",     10_000, enters=(FINISH,)),
    state("streaming.waiting",     "rainbow-swirl",      "closed",   "cues",     10_000),
    state("speaking",              "green",              "barge-in", "reply",   120_000),
    state("offline.ready",         "amber-pulse",        "sampling", "cues",       None),
    state("offline.listening",     "amber-double-pulse", "capture",  "cues",      5_000, speech_ms=30_000),
    state("offline.answering",     "amber-green",        "closed",   "answers",  60_000),
    state("safety_lockout.pause",  "red-amber",          "closed",   "fixed",      None),
    state("safety_lockout.lock",   "red-amber",          "closed",   "fixed",      None),
)
# fmt: on

ANY: Final = tuple(s.name for s in STATES)


def _within(*parents: str) -> tuple[str, ...]:
    return tuple(name for name in ANY if name in parents or name.split(".")[0] in parents)


PAUSED, LOCKED_ONLY = ("safety_lockout.pause",), ("safety_lockout.lock",)
LOCKED = _within("safety_lockout")
FREE = tuple(name for name in ANY if name not in LOCKED)
LOCKABLE = FREE + PAUSED
IDLE, AWAKE, READY = _within("idle"), ("idle.awake",), ("offline.ready",)
REST = IDLE + READY
STARTING = _within("boot", "auth")
GESTURES = (
    "boot.held",
    "boot.offer_setup",
    "boot.offer_erase",
    "boot.confirm_setup",
    "boot.confirm_erase",
)
HEARING, SENDING, WAITING = ("listening.hearing",), ("streaming.sending",), ("streaming.waiting",)
UNSENT = ("listening.connecting", "streaming.flushing")
SPEAKING, ANSWERING, OFFLINE_HEARING = ("speaking",), ("offline.answering",), ("offline.listening",)
CAPTURING = HEARING + SENDING + OFFLINE_HEARING
UTTERANCE = CAPTURING + UNSENT
ONLINE_TURN = HEARING + SENDING + UNSENT + WAITING + SPEAKING
OFFLINE_TURN = OFFLINE_HEARING + ANSWERING
TURN: Final = ONLINE_TURN + OFFLINE_TURN
NOT_GESTURES = tuple(name for name in STARTING if name not in GESTURES)

PAUSE, LOCK = "safety_lockout.pause", "safety_lockout.lock"
LISTEN, LISTEN_OFFLINE = "listening.hearing", "offline.listening"
LOCK_CAUSES = "lock emergency_stop lock_unreadable"

# fmt: off
ROWS: Final = (
    # -- Safety: from everywhere, in one step. Where nobody could release, only a pause is possible.
    row("stop.press",            "press",               FREE,      PAUSE, when=g.third_press, then=c.paused, do=LOCK_IT),
    row("stop.pause",            "safety_override pause", FREE,    PAUSE, then=c.paused, do=LOCK_IT),
    row("stop.violations",       "violation",           FREE,      PAUSE, when=g.two_violations, then=c.paused, do=LOCK_IT),
    row("stop.lock",             LOCK_CAUSES,           LOCKABLE,  LOCK,  when=g.no(g.nobodys), then=c.locked, do=LOCK_IT),
    row("stop.lock_unowned",     LOCK_CAUSES,           FREE,      PAUSE, then=c.paused, do=LOCK_IT),
    row("stop.full",             "urgent_full",         LOCKABLE,  LOCK,  when=(g.not_flooded, g.no(g.nobodys)), then=(c.queue_is_full, c.locked), do=LOCK_IT),
    row("stop.full_unowned",     "urgent_full",         FREE,      PAUSE, when=g.not_flooded, then=(c.queue_is_full, c.paused), do=LOCK_IT),
    row("violation.counted",     "violation",           FREE,      STAY,  then=c.violation_counted),
    row("violation.forgotten",   "violation_elapsed",   FREE,      STAY),
    row("full.again_possible",   "urgent_low",          ANY,       STAY,  then=c.queue_is_low),
    row("full.noted",            "urgent_full",         LOCKED,    STAY,  then=c.queue_is_full),

    # -- Locked: left by the guardian's release of this very lock, or by the end of a pause.
    row("lock.released",         "unlock",              LOCKED,    HOME,  when=g.releases, do=(x.clear_lock, DONE, x.report_unlock)),
    row("lock.elapsed",          "pause_elapsed",       PAUSED,    HOME,  do=(x.clear_lock, x.report_unlock)),
    row("lock.lengthened",       "safety_override pause", PAUSED,  STAY,  when=g.lengthens, then=c.pause_lengthened, do=(x.write_lock, x.acknowledge_replaced)),
    row("lock.kept",             "safety_override pause lock emergency_stop", LOCKED, STAY, when=g.lock_durable, do=KEPT),
    row("lock.kept_unwritten",   "safety_override pause lock emergency_stop", LOCKED, STAY, then=c.asked_again),
    row("lock.written",          "lock_written",        LOCKED,    STAY,  then=c.lock_is_durable, do=x.acknowledge_lock),
    row("lock.unwritten",        "lock_write_failed",   LOCKED,    STAY,  then=c.lock_is_not_durable),
    row("lock.rewritten",        "lock_unreadable",     LOCKED,    STAY,  do=x.write_lock),
    row("lock.retried",          "lock_retry_elapsed",  LOCKED,    STAY,  do=x.write_lock),
    row("lock.press",            "press",               LOCKED,    STAY,  do=x.cue("denied")),
    row("lock.not_this",         "unlock",              ANY,       STAY,  do=DENIED),

    # -- Start: the records decide before anything else may.
    row("boot.starts",           "started",             ("boot.dark",), "boot.reading"),
    row("boot.locked",           "records_read",        ("boot.reading",), LOCK, when=(g.owned, g.no(g.record_free), g.no(g.record_paused)),
                                                                          then=(c.identity_known, c.stored_lock), do=(*LOCK_IT, x.authenticate)),
    row("boot.paused",           "records_read",        ("boot.reading",), PAUSE, when=g.record_paused,
                                                                          then=(c.identity_known, c.stored_pause), do=(*LOCK_IT, x.authenticate)),
    row("boot.locked_unowned",   "records_read",        ("boot.reading",), PAUSE, when=(g.no(g.owned), g.no(g.record_harmless)),
                                                                          then=(c.identity_known, c.paused), do=(x.cue("locked"), x.report_lock)),
    row("boot.unowned",          "records_read",        ("boot.reading",), "boot.unprovisioned", when=g.no(g.owned), then=c.identity_known),
    row("boot.held",             "records_read",        ("boot.reading",), "boot.held", when=g.down_since_start, then=c.identity_known, do=x.authenticate),
    row("boot.read",             "records_read",        ("boot.reading",), "boot.testing", then=c.identity_known, do=x.authenticate),
    row("boot.unread",           "state_elapsed",       ("boot.reading",), PAUSE, then=c.paused, do=(x.cue("locked"), x.report_lock, x.read_unread)),
    row("boot.down",             "down_at_start",       ("boot.reading",), STAY,  then=c.startup_pressed),
    row("boot.up",               "release",             ("boot.reading",), STAY,  when=g.down_since_start, then=c.startup_released),
    row("boot.read_late_locked", "records_read",        PAUSED,    LOCK,  when=(g.unread, g.owned, g.no(g.record_free), g.no(g.record_paused)),
                                                                          then=(c.identity_known, c.stored_lock), do=(*LOCK_IT, x.authenticate)),
    row("boot.read_late_paused", "records_read",        PAUSED,    STAY,  when=(g.unread, g.record_paused), then=(c.identity_known, c.pause_at_least), do=(x.write_lock, x.authenticate)),
    row("boot.read_late",        "records_read",        PAUSED,    STAY,  when=g.unread, then=c.identity_known, do=x.authenticate),
    row("boot.read_late_held",   "records_read",        LOCKED_ONLY, STAY, when=(g.unread, g.owned), then=c.identity_known, do=x.authenticate),
    row("boot.read_late_nobodys", "records_read",       LOCKED_ONLY, PAUSE, when=g.unread, then=(c.identity_known, c.paused), do=LOCK_IT),
    row("boot.tested",           "parts_tested",        ("boot.testing",), HOME,  when=g.has_tokens, then=c.microphone_fails, do=x.report_parts),
    row("boot.tested_first",     "parts_tested",        ("boot.testing",), "auth", then=c.microphone_fails, do=x.report_parts),
    row("boot.untested",         "state_elapsed",       ("boot.testing",), HOME,  when=g.has_tokens, do=x.report("self_test_late")),
    row("boot.untested_first",   "state_elapsed",       ("boot.testing",), "auth", do=x.report("self_test_late")),

    # -- Set-up and erase by hand: held since the start, let go, confirmed by one press.
    row("setup.offered",         "state_elapsed",       ("boot.held",), "boot.offer_setup"),
    row("setup.erase_offered",   "state_elapsed",       ("boot.offer_setup",), "boot.offer_erase"),
    row("setup.stuck",           "state_elapsed",       ("boot.offer_erase",), "boot.testing", do=x.report("button_stuck")),
    row("setup.not_meant",       "release",             ("boot.held",), "boot.testing"),
    row("setup.let_go",          "release",             ("boot.offer_setup",), "boot.confirm_setup"),
    row("setup.erase_let_go",    "release",             ("boot.offer_erase",), "boot.confirm_erase"),
    row("setup.confirmed",       "press",               ("boot.confirm_setup",), "boot.setup", then=c.press_begins_barred_chain),
    row("setup.erase_confirmed", "press",               ("boot.confirm_erase",), "boot.erasing", then=(c.press_begins_barred_chain, c.identity_unknown), do=FORGET),
    row("setup.unconfirmed",     "state_elapsed",       ("boot.confirm_setup", "boot.confirm_erase"), "boot.testing"),
    row("setup.over",            "state_elapsed",       ("boot.setup",), "boot.testing"),
    row("setup.provisioned",     "provisioned",         ("boot.setup", "boot.unprovisioned"), "boot.reading", then=c.identity_unknown, do=FORGET),
    row("setup.reopened",        "press",               ("boot.unprovisioned",), STAY, when=g.first_press, then=c.press_begins_barred_chain, do=(x.cue("set_me_up"), SETUP_ON)),
    row("erase.done",            "erased",              FREE,      "boot.reading", then=c.identity_unknown, do=(FORGET, ERASED)),
    row("erase.done_paused",     "erased",              PAUSED,    STAY,  then=c.identity_unknown, do=(FORGET, ERASED)),
    row("erase.done_locked",     "erased",              LOCKED_ONLY, PAUSE, then=(c.identity_unknown, c.paused), do=(FORGET, ERASED, *LOCK_IT)),
    row("erase.failed",          "erase_failed",        ("boot.erasing",), "boot.reading", do=x.report("erase_failed", urgent=True)),
    row("erase.late",            "state_elapsed",       ("boot.erasing",), "boot.reading", do=x.report("erase_failed", urgent=True)),
    row("erase.failed_late",     "erase_failed",        ANY,       STAY,  do=x.report("erase_failed", urgent=True)),

    # -- Credentials and link: background matters in every state; only rest and start move for them.
    row("auth.granted",          "tokens_granted",      ("auth",), HOME,  then=c.tokens_held),
    row("auth.refused_again",    "auth_failed",         ("auth",), "offline.ready", when=(g.refused, g.refused_before), do=x.back_off),
    row("auth.refused",          "auth_failed",         ("auth",), "offline.ready", when=g.refused, then=c.credentials_refused, do=(x.back_off, x.report("credentials_refused", urgent=True))),
    row("auth.late",             "state_elapsed",       ("auth",), "offline.ready"),
    row("tokens.granted_ready",  "tokens_granted",      READY,     HOME,  when=g.has_identity, then=c.tokens_held),
    row("tokens.granted",        "tokens_granted",      ANY,       STAY,  when=g.has_identity, then=c.tokens_held),
    row("tokens.refused",        "auth_failed",         ANY,       STAY,  when=(g.has_identity, g.refused, g.no(g.refused_before)), then=c.credentials_refused, do=(x.back_off, x.report("credentials_refused", urgent=True))),
    row("tokens.failed",         "auth_failed",         ANY,       STAY,  when=g.has_identity, do=x.back_off),
    row("tokens.lost",           "tokens_lost",         ANY,       STAY,  when=g.has_identity, then=c.tokens_gone, do=x.authenticate),
    row("tokens.due",            "auth_due",            ANY,       STAY,  when=g.has_identity, do=x.authenticate),
    row("link.up_ready",         "link_up",             READY,     HOME,  then=c.link_there),
    row("link.up",               "link_up",             ANY,       STAY,  then=c.link_there),
    row("link.grace_over",       "grace_elapsed",       IDLE,      "offline.ready"),

    # -- A turn begins: by the first press of a chain, or by the wake word.
    row("turn.press",            "press",               AWAKE,     LISTEN, when=(g.first_press, g.may_begin), then=(c.press_begins_chain, c.turn_begins), do=x.cue("listening")),
    row("turn.press_offline",    "press",               READY,     LISTEN_OFFLINE, when=(g.first_press, g.may_begin), then=(c.press_begins_chain, c.turn_begins), do=x.cue("listening")),
    row("turn.wake",             "wake_heard",          AWAKE,     LISTEN, when=g.may_wake, then=c.turn_begins, do=x.cue("listening")),
    row("turn.wake_offline",     "wake_heard",          READY,     LISTEN_OFFLINE, when=g.may_wake, then=c.turn_begins, do=x.cue("listening")),
    row("denied.asleep",         "press",               REST,      STAY,  when=(g.first_press, g.drowsy), then=c.press_begins_barred_chain, do=x.cue("denied")),
    row("denied.deaf",           "press",               REST,      STAY,  when=(g.first_press, g.deaf), then=c.press_begins_chain, do=x.cue("fault")),
    row("denied.muted",          "press",               REST,      STAY,  when=g.first_press, then=c.press_begins_chain, do=x.cue("denied")),
    row("denied.starting",       "press",               NOT_GESTURES, STAY, when=g.first_press, then=c.press_begins_barred_chain, do=x.cue("not_yet")),
    row("denied.starting_twice", "press",               NOT_GESTURES, STAY, then=c.press_goes_on),

    # -- The first press within a turn: ends the utterance, or stops the reply and begins anew.
    row("press.nothing_said",    "press",               HEARING + OFFLINE_HEARING, HOME, when=(g.first_press, g.no(g.has_speech)), then=c.press_begins_chain, do=x.cue("end"), ends="nothing said"),
    row("press.ends_hearing",    "press",               HEARING,   "listening.connecting", when=g.first_press, then=c.press_begins_chain, do=x.cue("end")),
    row("press.ends_sending",    "press",               SENDING,   "streaming.flushing", when=g.first_press, then=c.press_begins_chain, do=x.cue("end")),
    row("press.ends_offline",    "press",               OFFLINE_HEARING, "offline.answering", when=g.first_press, then=c.press_begins_chain, do=(x.cue("end"), ANSWER)),
    row("press.barges_in",       "press",               UNSENT + WAITING + SPEAKING, LISTEN, when=(g.first_press, g.may_begin), then=(c.press_begins_chain, c.turn_begins), do=x.cue("listening"), ends="interrupted"),
    row("press.barges_in_offline", "press",             ANSWERING, LISTEN_OFFLINE, when=(g.first_press, g.may_begin), then=(c.press_begins_chain, c.turn_begins), do=x.cue("listening"), ends="interrupted"),
    row("press.stops",           "press",               UNSENT + WAITING + SPEAKING + ANSWERING, HOME, when=g.first_press, then=c.press_begins_chain, do=x.cue("denied"), ends="interrupted"),
    row("wake.barges_in",        "wake_heard",          SPEAKING,  LISTEN, when=g.may_barge_by_voice, then=c.turn_begins, do=x.cue("listening"), ends="interrupted"),

    # -- The second press: the last reply again. The third stands under safety.
    row("again.plays",           "press",               IDLE + ONLINE_TURN, "speaking", when=g.may_replay, then=(c.press_goes_on, c.turn_begins), do=REPLAY, ends="interrupted"),
    row("again.plays_offline",   "press",               READY + OFFLINE_TURN, "offline.answering", when=g.may_replay, then=(c.press_goes_on, c.turn_begins), do=REPLAY, ends="interrupted"),
    row("again.denied",          "press",               REST + TURN, HOME, then=c.press_goes_on, do=x.cue("denied"), ends="interrupted"),
    row("again.nothing",         "nothing_kept",        SPEAKING + ANSWERING, HOME, do=x.cue("denied"), ends="nothing kept"),

    # -- The hold and the end of a chain.
    row("hold.sends",            "hold_elapsed",        HEARING,   "streaming.sending", when=g.stream_open, then=c.talks_while_held),
    row("hold.talks",            "hold_elapsed",        CAPTURING, STAY,  then=c.talks_while_held),
    row("hold.over",             "hold_elapsed",        ANY,       STAY,  then=c.chain_ends),
    row("chain.over",            "chain_elapsed",       ANY,       STAY,  then=c.chain_ends),
    row("release.ends_hearing",  "release",             HEARING,   "listening.connecting", when=g.held, do=x.cue("end")),
    row("release.ends_sending",  "release",             SENDING,   "streaming.flushing", when=g.held, do=x.cue("end")),
    row("release.ends_offline",  "release",             OFFLINE_HEARING, "offline.answering", when=g.held, do=(x.cue("end"), ANSWER)),
    row("release.counts",        "release",             ANY,       STAY,  when=g.chained, then=c.released),

    # -- Hearing: speech and an open stream make it sending; without a stream the toy answers itself.
    row("speech.sends",          "speech_started",      HEARING,   "streaming.sending", when=g.stream_open, then=c.speech_is_heard),
    row("speech.heard",          "speech_started",      HEARING + OFFLINE_HEARING, STAY, then=c.speech_is_heard),
    row("speech.over",           "speech_ended",        HEARING,   "listening.connecting", when=(g.has_speech, g.hands_free), do=x.cue("end")),
    row("speech.over_sending",   "speech_ended",        SENDING,   "streaming.flushing", when=g.hands_free, do=x.cue("end")),
    row("speech.over_offline",   "speech_ended",        OFFLINE_HEARING, "offline.answering", when=(g.has_speech, g.hands_free), do=(x.cue("end"), ANSWER)),
    row("stream.sends",          "stream_opened",       HEARING,   "streaming.sending", when=g.has_speech, then=c.stream_is_open),
    row("stream.ready",          "stream_opened",       HEARING,   STAY,  then=c.stream_is_open),
    row("stream.flushes",        "stream_opened",       ("listening.connecting",), "streaming.flushing", then=c.stream_is_open),
    row("stream.fails",          "stream_failed stream_lost link_down", HEARING, LISTEN_OFFLINE, then=c.stream_is_lost, do=ABANDON),
    row("stream.refuses",        "turn_failed",         HEARING,   LISTEN_OFFLINE, then=c.stream_is_left, do=ABANDON),
    row("stream.fails_after",    "stream_failed link_down", ("listening.connecting",), "offline.answering", then=c.stream_is_lost, do=(ABANDON, ANSWER)),
    row("hearing.too_long",      "state_elapsed",       HEARING,   LISTEN_OFFLINE, when=g.has_speech, then=c.stream_is_lost, do=ABANDON),
    row("offline.too_long",      "state_elapsed",       OFFLINE_HEARING, "offline.answering", when=g.has_speech, do=(x.cue("end"), ANSWER)),
    row("hearing.nothing",       "state_elapsed",       HEARING + OFFLINE_HEARING, HOME, do=x.cue("end"), ends="nothing said"),
    row("connecting.too_long",   "state_elapsed",       ("listening.connecting",), "offline.answering", then=c.stream_is_lost, do=(ABANDON, ANSWER)),

    # -- Sending and waiting.
    row("sending.too_long",      "state_elapsed",       SENDING,   "streaming.flushing", do=x.cue("end")),
    row("flushing.done",         "uplink_flushed",      ("streaming.flushing",), "streaming.waiting"),
    row("flushing.too_long",     "state_elapsed",       ("streaming.flushing",), HOME, do=x.cue("apology"), ends="no answer"),
    row("waiting.too_long",      "state_elapsed",       WAITING,   HOME,  do=x.cue("apology"), ends="no answer"),
    row("waiting.cut",           "stream_lost link_down",       SENDING + ("streaming.flushing",) + WAITING, HOME, then=c.stream_is_lost, do=x.cue("offline"), ends="stream cut"),
    row("waiting.failed",        "turn_failed",         SENDING + ("streaming.flushing",) + WAITING + SPEAKING, HOME, do=x.cue("apology"), ends="gateway failed"),

    # -- The reply.
    row("reply.begins",          "reply_began",         WAITING,   "speaking"),
    row("reply.goes_on",         "reply_began",         SPEAKING,  STAY,  then=c.frames_come),
    row("reply.runs_dry",        "reply_dry",           SPEAKING,  STAY,  then=c.frames_await),
    row("reply.stays_dry",       "dry_elapsed",         SPEAKING,  HOME,  do=x.cue("apology"), ends="reply ran dry"),
    row("reply.cut",             "stream_lost link_down", SPEAKING, STAY, when=g.stream_open, then=c.stream_is_lost, do=END_REPLY),
    row("link.down",             "link_down",           ANY,       STAY,  then=c.link_gone),
    row("reply.goes_round",      "reply_played",        SPEAKING,  LISTEN, when=g.goes_on, then=c.turn_begins, do=x.cue("listening"), ends="answered"),
    row("reply.ends",            "reply_played",        SPEAKING,  HOME,  ends="answered"),
    row("reply.too_long",        "state_elapsed",       SPEAKING,  HOME,  do=x.cue("end"), ends="reply too long"),

    # -- Answers from the device.
    row("answer.ends",           "answer_played reply_played", ANSWERING, HOME, ends="answered"),
    row("answer.fails",          "answer_failed",       SPEAKING + ANSWERING, HOME, do=x.cue("apology"), ends="no answer"),
    row("answer.spoken",         "answer_played",       SPEAKING,  HOME,  ends="answered"),
    row("answer.too_long",       "state_elapsed",       ANSWERING, HOME,  do=x.cue("end"), ends="answer too long"),

    # -- Availability: bedtime waits for the end of a turn; what hushes acts at once.
    row("bedtime.rest",          "bedtime",             REST,      HOME,  then=c.bedtime_told),
    row("bedtime.noted",         "bedtime",             ANY,       STAY,  then=c.bedtime_told),
    row("mute.ends_utterance",   "mute",                UTTERANCE, HOME,  then=c.guardian_mutes, do=(PURGE, DONE), ends="muted"),
    row("mute.rest",             "mute",                REST,      HOME,  then=c.guardian_mutes, do=DONE),
    row("mute.noted",            "mute",                ANY,       STAY,  then=c.guardian_mutes, do=DONE),
    row("unmute.rest",           "unmute",              REST,      HOME,  then=c.guardian_unmutes, do=DONE),
    row("unmute.noted",          "unmute",              ANY,       STAY,  then=c.guardian_unmutes, do=DONE),
    row("switch.ends_utterance", "privacy_switch",      UTTERANCE, HOME,  when=g.switched_on, then=c.switch_moved, do=PURGE, ends="muted"),
    row("switch.rest",           "privacy_switch",      REST,      HOME,  then=c.switch_moved),
    row("switch.noted",          "privacy_switch",      ANY,       STAY,  then=c.switch_moved),

    # -- Configuration: at an idle moment, except what tightens.
    row("consent.withdrawn",     "configured",          REST + TURN, HOME, when=g.withdraws_consent, then=c.configuration_holds,
                                                                           do=(PURGE, APPLY, x.report("consent_withdrawn", urgent=True)), ends="consent withdrawn"),
    row("consent.withdrawn_noted", "configured",        ANY,       STAY,  when=g.withdraws_consent, then=c.configuration_holds,
                                                                           do=(PURGE, APPLY, x.report("consent_withdrawn", urgent=True))),
    row("configured.rest",       "configured",          REST,      HOME,  then=c.configuration_holds, do=APPLY),
    row("configured.later",      "configured",          TURN,      STAY,  then=c.something_waits, do=(TIGHTEN, DEFER)),
    row("configured.at_once",    "configured",          ANY,       STAY,  then=c.configuration_holds, do=APPLY),

    # -- What a guardian asks for.
    row("command.stop",          "stop",                TURN,      HOME,  do=DONE, ends="guardian stopped it"),
    row("command.nothing_to_stop", "stop",              ANY,       STAY,  do=KEPT),
    row("command.say",           "say",                 IDLE,      "speaking", then=c.turn_begins, do=x.say),
    row("command.say_offline",   "say",                 READY,     "offline.answering", then=c.turn_begins, do=x.say),
    row("say.begins",            "words_began",         SPEAKING + ANSWERING, STAY, do=x.report("said_by_guardian", "command")),
    row("command.say_locked",    "say",                 LOCKED,    STAY,  do=DENIED),
    row("command.volume",        "volume",              ANY,       STAY,  do=(x.of_command("set_volume"), DONE)),
    row("command.extend",        "extend",              ANY,       STAY,  do=x.of_command("extend")),
    row("command.export",        "export",              ANY,       STAY,  do=x.of_command("export")),
    row("command.erase_locked",  "erase",               LOCKED,    STAY,  do=DENIED),
    row("command.erase",         "erase",               REST,      "boot.erasing", then=c.identity_unknown, do=FORGET),
    row("command.switch_toy",    "switch_toy",          REST,      HOME,  then=c.configuration_unknown, do=(PURGE, x.of_command("switch_toy"))),
    row("command.switch_toy_locked", "switch_toy",      LOCKED,    STAY,  then=c.configuration_unknown, do=(PURGE, x.of_command("switch_toy"))),
    row("command.reboot",        "reboot",              REST + LOCKED, STAY, do=x.of_command("reboot")),
    row("command.update",        "update",              REST + LOCKED, STAY, do=x.of_command("update")),
    row("command.later",         "say erase switch_toy reboot update", STARTING + TURN, STAY, then=c.something_waits, do=DEFER),
    row("update.while_asleep",   "update_ready",        ("idle.asleep",), STAY, do=x.of_command("update")),

    # -- The body.
    row("part.deaf",             "part_failed parts_tested", CAPTURING, HOME,  when=g.microphone_failed, then=c.microphone_fails, do=(x.cue("fault"), x.report_parts), ends="microphone failed"),
    row("part.tested_late",      "parts_tested",        ANY,       STAY,  then=c.microphone_fails, do=x.report_parts),
    row("part.failed",           "part_failed",         ANY,       STAY,  then=c.microphone_fails, do=x.report_parts),
    row("part.recovered",        "part_recovered",      ANY,       STAY,  then=c.microphone_works, do=x.report("part_recovered", "part")),
    row("stop.service",          "shutdown",            ANY,       STAY,  do=x.plain("shut_down")),
)
# fmt: on

_STREAM = "stream_opened stream_failed stream_lost uplink_flushed turn_failed reply_began reply_dry reply_played nothing_kept"
_ANSWER = "answer_played answer_failed words_began"
_TIMERS = "state_elapsed hold_elapsed chain_elapsed dry_elapsed grace_elapsed violation_elapsed pause_elapsed lock_retry_elapsed"

# fmt: off
UNACTED: Final = (
    #      id                       events                     states                     why nothing is done
    ignore("press.down_already",    "press",                   GESTURES,                  "the button is down since the start; its release was lost"),
    ignore("release.alone",         "release",                 ANY,                       "no chain of presses is open"),
    ignore("down.not_at_start",     "down_at_start",           ANY,                       "only the start asks for it"),
    ignore("wake.not_sampled",      "wake_heard",              ANY,                       "a detection from before the microphone closed"),
    ignore("speech.not_now",        "speech_started speech_ended", TURN,                  "the utterance is over, or the button ends it"),
    ignore("stream.not_now",        _STREAM,                   TURN,                      "the turn has moved on"),
    ignore("answer.not_now",        _ANSWER,                    TURN,                      "the turn has moved on"),
    ignore("tokens.of_nobody",      "tokens_granted auth_failed tokens_lost auth_due", ANY, "the identity they belong to is gone or not read yet"),
    ignore("records.read_already",  "records_read",            ANY,                       "the records were read since"),
    ignore("violation.locked",      "violation",               LOCKED,                    "the toy is locked already"),
    ignore("full.still",            "urgent_full",             FREE,                      "it locked the toy once; it may again after it was below half"),
    ignore("update.not_asleep",     "update_ready",            ANY,                       "updates are installed while asleep or on command"),
    refuse("provisioned.elsewhere", "provisioned",             ANY,                       "the set-up service is closed here"),
    refuse("started.twice",         "started",                 ANY,                       "the service starts once"),
    refuse("fence.speech",          "speech_started speech_ended", ANY,                   "no turn is under way: its fence holds it back"),
    refuse("fence.stream",          _STREAM,                   ANY,                       "no turn is under way: its fence holds it back"),
    refuse("fence.answer",          _ANSWER,                    ANY,                       "no turn is under way: its fence holds it back"),
    refuse("fence.lock",            "lock_written lock_write_failed", ANY,                "the toy is not locked: its fence holds it back"),
    refuse("fence.timer",           _TIMERS,                   ANY,                       "its timer is not armed here: its fence holds it back"),
)
# fmt: on
