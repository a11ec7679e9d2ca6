"""Changes of memory that rows name: pure functions from context and event to the next context."""

from __future__ import annotations

from collections.abc import Callable

from states.context import PAUSE_MS, Context, Lock
from states.events import Event

Change = Callable[[Context, Event], Context]


def arm(c: Context, timer: str) -> Context:
    """Arm ``timer`` afresh: an earlier arming of it is void from now on."""
    arming = c.armings + 1
    others = [pair for pair in c.timers if pair[0] != timer]
    return c._replace(timers=tuple(sorted([*others, (timer, arming)])), armings=arming)


def disarm(c: Context, *timers: str) -> Context:
    """Disarm ``timers``; those that are not armed are left as they are."""
    left = tuple([pair for pair in c.timers if pair[0] not in timers])
    return c if len(left) == len(c.timers) else c._replace(timers=left)


# The button. A chain lasts while at most 500 ms lie between a release and the next press.
def press_begins_chain(c: Context, _: Event) -> Context:
    return arm(disarm(c._replace(presses=1, barred=False), "chain"), "hold")


def press_begins_barred_chain(c: Context, e: Event) -> Context:
    return press_begins_chain(c, e)._replace(barred=True)


def press_goes_on(c: Context, _: Event) -> Context:
    return arm(disarm(c._replace(presses=2), "chain"), "hold")


def released(c: Context, _: Event) -> Context:
    return arm(disarm(c, "hold"), "chain")


def chain_ends(c: Context, _: Event) -> Context:
    return disarm(c._replace(presses=0, barred=False), "hold", "chain")


def talks_while_held(c: Context, e: Event) -> Context:
    return chain_ends(c, e)._replace(push_to_talk=True, speech=True)


# The turn.
def turn_begins(c: Context, _: Event) -> Context:
    return disarm(
        c._replace(turn=c.turn + 1, connection=0, speech=False, push_to_talk=False), "dry"
    )


def speech_is_heard(c: Context, _: Event) -> Context:
    return c._replace(speech=True)


def stream_is_open(c: Context, e: Event) -> Context:
    return c._replace(connection=int(e.get("connection") or 0))


def stream_is_lost(c: Context, _: Event) -> Context:
    return c._replace(connection=0, link=False)


def stream_is_left(c: Context, _: Event) -> Context:
    return c._replace(connection=0)


def frames_await(c: Context, _: Event) -> Context:
    return arm(c, "dry")


def frames_come(c: Context, _: Event) -> Context:
    return disarm(c, "dry")


# Credentials, link, identity.
def tokens_held(c: Context, _: Event) -> Context:
    return c._replace(tokens=True, refused=False)


def credentials_refused(c: Context, _: Event) -> Context:
    return c._replace(refused=True)


def tokens_gone(c: Context, _: Event) -> Context:
    return c._replace(tokens=False)


def link_there(c: Context, _: Event) -> Context:
    return c._replace(link=True)


def link_gone(c: Context, _: Event) -> Context:
    return c._replace(link=False)


def startup_pressed(c: Context, _: Event) -> Context:
    return c._replace(startup_press=True)


def startup_released(c: Context, _: Event) -> Context:
    return c._replace(startup_press=False)


def identity_known(c: Context, e: Event) -> Context:
    return c._replace(identity=bool(e.get("identity")))


def identity_unknown(c: Context, _: Event) -> Context:
    """Who the toy is must be read again; tokens and consent belonged to who it was."""
    return c._replace(
        identity=None, tokens=False, refused=False, consent=False, version=0, deferred=False
    )


def something_waits(c: Context, _: Event) -> Context:
    return c._replace(deferred=True)


def configuration_unknown(c: Context, _: Event) -> Context:
    """Another toy's configuration is awaited: versions of this one mean nothing for it."""
    return c._replace(consent=False, version=0)


# Availability and configuration.
def bedtime_told(c: Context, e: Event) -> Context:
    return c._replace(bedtime=bool(e.get("asleep")))


def guardian_mutes(c: Context, _: Event) -> Context:
    return c._replace(muted=True)


def guardian_unmutes(c: Context, _: Event) -> Context:
    return c._replace(muted=False)


def switch_moved(c: Context, e: Event) -> Context:
    return c._replace(switched_off=bool(e.get("on")))


def microphone_fails(c: Context, e: Event) -> Context:
    failed = e.fields.get("part", e.fields.get("failed"))
    return c._replace(deaf=True) if "microphone" in str(failed).split() else c


def microphone_works(c: Context, e: Event) -> Context:
    return c._replace(deaf=False) if e.get("part") == "microphone" else c


def configuration_holds(c: Context, e: Event) -> Context:
    return c._replace(
        version=int(e.get("version") or 0),
        consent=bool(e.get("consent")),
        wake=bool(e.get("wake")),
        wake_barge=bool(e.get("wake_barge")),
        continued=bool(e.get("continued")),
    )


# Safety.
def paused(c: Context, e: Event) -> Context:
    """A new pause; a server may ask for more than the default, never for less."""
    asked = e.fields.get("pause_ms")
    return _locked(c, e, "pause", max(PAUSE_MS, int(asked or 0)))


def locked(c: Context, e: Event) -> Context:
    return _locked(c, e, "lock", 0)


def _locked(c: Context, e: Event, kind: str, pause_ms: int) -> Context:
    command = e.fields.get("command")
    lock = Lock(e.id, kind, pause_ms, e.name, None if command is None else str(command))
    return c._replace(lock=lock, alarm=False)


def stored_pause(c: Context, e: Event) -> Context:
    """Take up the pause that the record holds, from its beginning: a reboot never shortens it."""
    lock = Lock(
        str(e.get("lock_id")), "pause", max(PAUSE_MS, int(e.get("pause_ms") or 0)), "record", None
    )
    return c._replace(lock=lock, alarm=False)


def stored_lock(c: Context, e: Event) -> Context:
    """Take up the lock that the record holds, or a new one where the record cannot be believed."""
    believed = e.get("lock") == "lock"
    lock = Lock(str(e.get("lock_id")) if believed else e.id, "lock", 0, "record", None)
    return c._replace(lock=lock, alarm=False)


def pause_lengthened(c: Context, e: Event) -> Context:
    """Begin the pause anew with the longer time that is asked for; not durable until written."""
    lock = c.held
    command = e.fields.get("command") or lock.command
    longer = lock._replace(
        pause_ms=int(e.get("pause_ms") or 0), command=command and str(command), durable=False
    )
    return arm(c._replace(lock=longer), "pause")


def pause_at_least(c: Context, e: Event) -> Context:
    """A pause was on record already: the longer of the two holds."""
    return pause_lengthened(c, e) if int(e.get("pause_ms") or 0) > c.held.pause_ms else c


def asked_again(c: Context, e: Event) -> Context:
    """Another command asks for the lock in force: it is acknowledged when that is durable."""
    lock, command = c.held, e.fields.get("command")
    return (
        c
        if lock.command or command is None
        else c._replace(lock=lock._replace(command=str(command)))
    )


def lock_is_durable(c: Context, _: Event) -> Context:
    lock = c.held._replace(command=None, durable=True)
    return disarm(c._replace(alarm=False, lock=lock), "lock_retry")


def lock_is_not_durable(c: Context, _: Event) -> Context:
    return arm(c._replace(alarm=True), "lock_retry")


def queue_is_full(c: Context, _: Event) -> Context:
    return c._replace(flooded=True)


def queue_is_low(c: Context, _: Event) -> Context:
    return c._replace(flooded=False)


def violation_counted(c: Context, _: Event) -> Context:
    return arm(c, "violation_1" if c.armed("violation_1") is None else "violation_2")
