"""The vocabulary of effects: everything the machine can ask of the rest of the firmware.

An effect is a name and its fields. A row's ``do`` lists effects in order; those that follow from
being in a state (light, microphone, speaker, timers, what entering it starts) are derived in
``states.derive`` and stand in no row. ``results`` names the events that performing it may bring
about: the exploration follows them to show that no effect can feed itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from states.context import Context
from states.events import Event, FieldValue


class Effect(NamedTuple):
    """One thing to do."""

    name: str
    fields: Mapping[str, FieldValue] = {}


class EffectKind(NamedTuple):
    """What the vocabulary says of an effect: its fields and the events that come of it."""

    fields: tuple[str, ...]
    results: tuple[str, ...]
    says: str


def _kind(fields: str, says: str, results: str = "") -> EffectKind:
    return EffectKind(tuple(fields.split()), tuple(results.split()), says)


EFFECTS: Final[Mapping[str, EffectKind]] = {
    # Derived from where the machine is.
    "light": _kind("pattern microphone", "show the pattern and the sign of an open microphone"),
    "microphone": _kind("mode turn", "closed, sampling or capture"),
    "speaker": _kind(
        "mode turn",
        "closed, cues, reply, answers or fixed; what played in another mode is discarded",
    ),
    "arm": _kind("timer arming ms event", "start a timer"),
    "disarm": _kind("timer", "stop a timer"),
    "end_turn": _kind("turn outcome", "the turn is over: fence it everywhere"),
    "recall": _kind("", "an idle moment: bring back what was deferred"),
    "forget": _kind("", "forget what was deferred: it was meant for who the toy no longer is"),
    "defer": _kind("", "keep this event until the next idle moment"),
    # What a person hears.
    "cue": _kind("name", "play a short sound of the device's own"),
    "replay": _kind("turn", "play the last reply again", "reply_played nothing_kept"),
    "say": _kind(
        "turn command",
        "speak the guardian's words, after their own cue",
        "words_began reply_played answer_played answer_failed",
    ),
    "answer_offline": _kind("turn", "answer from the device", "answer_played answer_failed"),
    # The stream.
    "open_stream": _kind("turn", "open the stream for this turn", "stream_opened stream_failed"),
    "abandon_stream": _kind("turn", "this utterance is answered on the device and never sent"),
    "start_uplink": _kind("turn", "send the pre-roll, then live frames"),
    "finish_uplink": _kind("turn", "send what is left, then the final marker", "uplink_flushed"),
    "end_reply": _kind("turn", "no more frames will come: play out what is there", "reply_played"),
    "purge_speech": _kind("", "forget captured speech and the last reply"),
    # Start, identity, credentials.
    "read_records": _kind("", "read identity and lock record", "records_read"),
    "test_parts": _kind("", "test button, light, microphone, speaker", "parts_tested"),
    "start_setup": _kind("", "open the set-up service for a time"),
    "stop_setup": _kind("", "close the set-up service"),
    "authenticate": _kind("", "obtain tokens", "tokens_granted auth_failed"),
    "back_off": _kind("refused", "authenticate again after a while (full jitter)"),
    # Safety.
    "write_lock": _kind(
        "lock_id kind pause_ms cause",
        "make the lock durable; never in place of a held lock if this is a pause",
        "lock_written lock_write_failed",
    ),
    "clear_lock": _kind("lock_id", "remove the lock of this id from the record"),
    "report": _kind("kind urgent detail", "tell the guardian"),
    # Guardian commands and configuration.
    "acknowledge": _kind("command outcome", "tell the cloud what became of the command"),
    "apply_configuration": _kind("version", "put the configuration into force"),
    "tighten": _kind("version", "put into force what the configuration makes stricter"),
    "set_volume": _kind("command", "as the command says"),
    "extend": _kind("command", "add play time, then tell what the schedule says"),
    "export": _kind("command", "send what the toy holds"),
    "erase": _kind(
        "command", "erase all personal data, keep the lock record", "erased erase_failed"
    ),
    "switch_toy": _kind("command", "take up the other toy's configuration"),
    "reboot": _kind("command", "restart the toy"),
    "update": _kind("command", "install the update"),
    "shut_down": _kind("", "save, close everything, end"),
}

Do = Callable[[Context, Context, Event], Effect | None]
"""From the context before and after and the event to the effect, or None for nothing to do."""


def plain(name: str) -> Do:
    """Return an effect without fields."""
    effect = Effect(name)

    def do(_b: Context, _a: Context, _e: Event) -> Effect:
        return effect

    return _named(do, name)


def of_turn(name: str) -> Do:
    """Return an effect that carries the turn after the step."""

    def do(_b: Context, a: Context, _e: Event) -> Effect:
        return Effect(name, {"turn": a.turn})

    return _named(do, f"{name} of turn")


def of_command(name: str) -> Do:
    """Return an effect that carries the command that asked for it (None where a person asked)."""

    def do(_b: Context, _a: Context, e: Event) -> Effect:
        return Effect(name, {"command": e.fields.get("command")})

    return _named(do, f"{name} of command")


def of_configuration(name: str) -> Do:
    """Return an effect that carries the configuration's version."""

    def do(_b: Context, _a: Context, e: Event) -> Effect:
        return Effect(name, {"version": e.get("version")})

    return _named(do, f"{name} of version")


def cue(sound: str) -> Do:
    """Return the playing of a sound of the device's own."""
    effect = Effect("cue", {"name": sound})

    def do(_b: Context, _a: Context, _e: Event) -> Effect:
        return effect

    return _named(do, f"cue:{sound}")


def acknowledge(outcome: str) -> Do:
    """Return the acknowledgement of the event's command; nothing where the event is no command."""

    def do(_b: Context, _a: Context, e: Event) -> Effect | None:
        command = e.fields.get("command")
        return (
            None
            if command is None
            else Effect("acknowledge", {"command": command, "outcome": outcome})
        )

    return _named(do, f"acknowledge:{outcome}")


def report(kind: str, detail_field: str = "", *, urgent: bool = False) -> Do:
    """Return a report to the guardian, with one field of the event as its detail."""

    def do(_b: Context, _a: Context, e: Event) -> Effect:
        detail = e.fields.get(detail_field) if detail_field else None
        return Effect("report", {"kind": kind, "urgent": urgent, "detail": detail})

    return _named(do, f"report:{kind}:{detail_field}:{'urgent' if urgent else 'bulk'}")


def say(_b: Context, a: Context, e: Event) -> Effect:
    """Speak the words that the guardian's command holds."""
    return Effect("say", {"turn": a.turn, "command": e.get("command")})


def authenticate(_b: Context, a: Context, _e: Event) -> Effect | None:
    """Obtain tokens; without an identity there is nothing to ask with."""
    return Effect("authenticate") if a.identity else None


def report_parts(_b: Context, _a: Context, e: Event) -> Effect | None:
    """Report the parts that failed, if any."""
    failed = e.fields.get("part", e.fields.get("failed"))
    return (
        Effect("report", {"kind": "part_failed", "urgent": False, "detail": failed})
        if failed
        else None
    )


def report_lock(b: Context, a: Context, _: Event) -> Effect:
    """Report the lock as urgent, with the id that a release must name."""
    lock = a.lock or b.held
    kind = {"violation": "safety_violation", "record": "locked_at_start"}.get(
        lock.cause, "emergency_stop"
    )
    return Effect("report", {"kind": kind, "urgent": True, "detail": lock.id})


def report_unlock(b: Context, _a: Context, _e: Event) -> Effect:
    """Report that the lock ended."""
    return Effect("report", {"kind": "unlocked", "urgent": True, "detail": b.held.id})


def write_lock(_b: Context, a: Context, _e: Event) -> Effect:
    """Make the present lock durable."""
    lock = a.held
    return Effect(
        "write_lock",
        {"lock_id": lock.id, "kind": lock.kind, "pause_ms": lock.pause_ms, "cause": lock.cause},
    )


def clear_lock(b: Context, _a: Context, _e: Event) -> Effect:
    """Remove the lock that just ended from the record; another one stays."""
    return Effect("clear_lock", {"lock_id": b.held.id})


def read_unread(_b: Context, a: Context, _e: Event) -> Effect | None:
    """Read the records where nobody knows yet who the toy is: locked, it must still learn it."""
    return Effect("read_records") if a.identity is None else None


def acknowledge_replaced(b: Context, a: Context, _e: Event) -> Effect | None:
    """Tell the command whose lock another one replaces before it was durable."""
    if b.lock is None or b.lock.command is None or (a.lock and a.lock.command == b.lock.command):
        return None
    return Effect("acknowledge", {"command": b.lock.command, "outcome": "replaced"})


def acknowledge_lock(b: Context, _a: Context, _e: Event) -> Effect | None:
    """Acknowledge the command that locked, now that its lock is durable."""
    if b.lock is None or b.lock.command is None:
        return None
    return Effect("acknowledge", {"command": b.lock.command, "outcome": "done"})


def back_off(_b: Context, _a: Context, e: Event) -> Effect:
    """Try to authenticate again later; later still where the credentials were refused."""
    return Effect("back_off", {"refused": e.get("refused")})


def _named(do: Do, name: str) -> Do:
    """Give a made function a name that holds all it was made with: fingerprints are made of it."""
    do.__name__ = do.__qualname__ = name
    return do
