"""Conditions that rows name: pure predicates of the context and the event, one line each.

What an event must name to be heard at all is not here but in its fence (``states.events``).
"""

from __future__ import annotations

from collections.abc import Callable

from states.context import Context
from states.events import Event

Guard = Callable[[Context, Event], bool]


def no(guard: Guard) -> Guard:
    """Return the contrary of ``guard``."""

    def contrary(c: Context, e: Event) -> bool:
        return not guard(c, e)

    contrary.__wrapped__ = guard  # type: ignore[attr-defined]  # for who asks what it negates
    contrary.__name__ = contrary.__qualname__ = f"no {guard.__name__}"
    return contrary


# The button.
def first_press(c: Context, _: Event) -> bool:
    return c.presses == 0


def third_press(c: Context, _: Event) -> bool:
    return c.presses == 2  # noqa: PLR2004 - the third press finds two before it


def may_replay(c: Context, _: Event) -> bool:
    return not c.barred and not c.asleep and not c.bedtime


def chained(c: Context, _: Event) -> bool:
    return c.presses > 0


def held(c: Context, _: Event) -> bool:
    return c.push_to_talk


def hands_free(c: Context, _: Event) -> bool:
    return not c.push_to_talk


def down_since_start(c: Context, _: Event) -> bool:
    return c.startup_press


# Availability.
def may_begin(c: Context, _: Event) -> bool:
    return c.may_hear and not c.bedtime


def may_wake(c: Context, _: Event) -> bool:
    return c.wake and c.may_hear


def may_barge_by_voice(c: Context, _: Event) -> bool:
    return c.wake_barge and c.may_hear and not c.bedtime


def deaf(c: Context, _: Event) -> bool:
    return c.deaf and not c.hushed


def drowsy(c: Context, _: Event) -> bool:
    return c.asleep or c.bedtime


def goes_on(c: Context, _: Event) -> bool:
    """Continued conversation: only after a reply over the stream, and only if a turn may begin."""
    over = c.bedtime or c.deferred
    return c.continued and c.connection > 0 and c.online and c.may_hear and not over


def withdraws_consent(c: Context, e: Event) -> bool:
    return c.consent and not e.get("consent")


def switched_on(_: Context, e: Event) -> bool:
    return bool(e.get("on"))


# The turn.
def has_speech(c: Context, _: Event) -> bool:
    return c.speech


def stream_open(c: Context, _: Event) -> bool:
    return c.connection > 0


# Credentials and identity.
def has_tokens(c: Context, _: Event) -> bool:
    return c.tokens


def has_identity(c: Context, _: Event) -> bool:
    return c.identity is True


def nobodys(c: Context, _: Event) -> bool:
    """Known to have no identity, so that nobody could release a lock."""
    return c.identity is False


def refused_before(c: Context, _: Event) -> bool:
    return c.refused


def refused(_: Context, e: Event) -> bool:
    return bool(e.get("refused"))


# What the records say.
def unread(c: Context, _: Event) -> bool:
    return c.identity is None


def owned(_: Context, e: Event) -> bool:
    return bool(e.get("identity"))


def record_free(_: Context, e: Event) -> bool:
    return e.get("lock") == "free"


def record_paused(_: Context, e: Event) -> bool:
    return e.get("lock") == "pause"


def record_harmless(_: Context, e: Event) -> bool:
    """Without identity a missing record is a new toy, not a damaged one."""
    return e.get("lock") in ("free", "missing")


# Safety.
def two_violations(c: Context, _: Event) -> bool:
    return c.armed("violation_1") is not None and c.armed("violation_2") is not None


def lock_durable(c: Context, _: Event) -> bool:
    return c.lock is not None and c.lock.durable


def not_flooded(c: Context, _: Event) -> bool:
    return not c.flooded


def releases(c: Context, e: Event) -> bool:
    return c.lock is not None and e.get("lock_id") == c.lock.id and e.get("via") == "subscription"


def lengthens(c: Context, e: Event) -> bool:
    return c.lock is not None and int(e.get("pause_ms") or 0) > c.lock.pause_ms


def microphone_failed(_: Context, e: Event) -> bool:
    return "microphone" in str(e.fields.get("part", e.fields.get("failed"))).split()
