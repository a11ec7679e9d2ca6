"""What must hold whatever happens: the invariants of MACHINE.md marked M, each by name.

They are written from the specification, not from the table: the sets below are spelt out again on
purpose, so that a row sent astray meets somebody who does not believe it. Each is shown an
``Edge``, one step of the exploration, and returns what is wrong with it, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from states.context import Context
from states.derive import Outputs, Situation
from states.effects import Effect
from states.events import EVENTS, Event
from states.rows import Row, Unacted

TURN: Final = frozenset(
    [
        "listening.hearing",
        "listening.connecting",
        "streaming.sending",
        "streaming.flushing",
        "streaming.waiting",
        "speaking",
        "offline.listening",
        "offline.answering",
    ]
)
REST: Final = frozenset(("idle.awake", "idle.asleep", "idle.muted", "offline.ready"))
PAUSE, LOCK = "safety_lockout.pause", "safety_lockout.lock"
LOCKED: Final = frozenset((PAUSE, LOCK))
MAY_CAPTURE: Final = frozenset(("listening.hearing", "streaming.sending", "offline.listening"))
MAY_SAMPLE: Final = frozenset(("idle.awake", "offline.ready", "speaking"))
MAY_STAY: Final = REST | {"boot.unprovisioned", LOCK, "boot.dark"}
"""Where no timeout is needed; ``boot.dark`` is left by the loop's own first event."""
STOPS: Final = frozenset(["safety_override", "pause", "lock", "emergency_stop", "lock_unreadable"])
SERVER_SOUND: Final = frozenset(("replay", "say", "answer_offline", "end_reply"))
NEVER_IN_A_TURN: Final = frozenset(("update", "reboot", "erase", "switch_toy"))
OPENNESS: Final = {"closed": 0, "sampling": 1, "capture": 2}
THIRD: Final = 2
OLDER: Final = -1


class Edge(NamedTuple):
    """One step of the exploration, with all that can be said of it."""

    before: Situation
    event: Event
    by: Row | Unacted
    after: Situation
    effects: tuple[Effect, ...]
    was: Outputs
    now: Outputs

    def does(self, name: str) -> bool:
        """Tell whether the step asks for the effect ``name``."""
        for effect in self.effects:  # noqa: SIM110 - asked millions of times, and any() is slower
            if effect.name == name:
                return True
        return False


Check = Callable[[Edge], str | None]


class Invariant(NamedTuple):
    """A named claim, its number in MACHINE.md (0 for a rule of movement) and its check.

    ``at`` names the events that it is about; empty for a claim about every step that changes
    something.
    """

    number: int
    name: str
    says: str
    check: Check
    at: frozenset[str] = frozenset()


def _silent_when_locked(edge: Edge) -> str | None:
    if edge.after.leaf not in LOCKED:
        return None
    if edge.now.microphone != "closed":
        return f"the microphone is {edge.now.microphone}"
    if edge.now.speaker != "fixed":
        return f"the speaker is open for {edge.now.speaker}"
    played = [effect.name for effect in edge.effects if effect.name in SERVER_SOUND]
    return f"{played[0]} is asked for" if played else None


def _stops_in_one_step(edge: Edge) -> str | None:
    if not _is_stop(edge.before.context, edge.event) or edge.after.leaf in LOCKED:
        return None
    return f"{edge.event.name} leads to {edge.after.leaf}"


def _is_stop(context: Context, event: Event) -> bool:
    if event.name == "press":
        return context.presses == THIRD
    if event.name == "violation":
        return {"violation_1", "violation_2"} <= {name for name, _ in context.timers}
    if event.name == "urgent_full":
        return not context.flooded
    return event.name in STOPS


def _third_press_is_reached(edge: Edge) -> str | None:
    """The counting itself: a press within the window counts, wherever presses count at all."""
    before, after = edge.before.context, edge.after.context
    if edge.after.leaf in LOCKED or edge.before.leaf in LOCKED:
        return None
    if edge.event.name == "press":
        setting_up = edge.before.leaf.startswith(
            ("boot.held", "boot.offer", "boot.confirm", "boot.dark")
        )
        if not setting_up and before.presses < THIRD and after.presses != before.presses + 1:
            return f"press number {before.presses + 1} of its chain was not counted"
    elif after.presses not in (before.presses, 0):
        return f"{edge.event.name} counts as a press"
    elif after.presses < before.presses and edge.event.name not in (
        "hold_elapsed",
        "chain_elapsed",
    ):
        return f"{edge.event.name} ends the chain of presses"
    return None


def _locked_until_released(edge: Edge) -> str | None:
    if edge.before.leaf not in LOCKED:
        return None
    lock, event = edge.before.context.lock, edge.event
    if lock is None:
        return "locked without a lock"
    if edge.after.leaf not in LOCKED:
        released = (
            event.name == "unlock"
            and event.get("via") == "subscription"
            and event.get("lock_id") == lock.id
        )
        elapsed = (
            event.name == "pause_elapsed" and lock.kind == "pause" and event.get("arming") != OLDER
        )
        return None if released or elapsed else f"{event.name} unlocks"
    return None


def _release_unlocks(edge: Edge) -> str | None:
    """The contrary of the above: what must unlock does, and clears the record of this very lock."""
    lock, event = edge.before.context.lock, edge.event
    if edge.before.leaf not in LOCKED or lock is None:
        return None
    released = (
        event.name == "unlock"
        and event.get("via") == "subscription"
        and event.get("lock_id") == lock.id
    )
    elapsed = event.name == "pause_elapsed" and event.get("arming") != OLDER
    if not (released or elapsed):
        return None
    if edge.after.leaf in LOCKED:
        return f"{event.name} does not unlock"
    return None if edge.does("clear_lock") else "the record is not cleared"


def _release_can_be_heard(edge: Edge) -> str | None:
    """Authentication never depends on the state: what asks for tokens asks in each of them."""
    known = edge.before.context.identity is True
    if edge.after.leaf == LOCK and edge.after.context.identity is False:
        return "a held lock without an identity can never be released"
    unread = edge.after.leaf == LOCK and edge.after.context.identity is None
    if unread and edge.before.leaf != LOCK and not edge.does("read_records"):
        return "a held lock, and nobody asks who could release it"
    if known and edge.event.name in ("auth_due", "tokens_lost") and not edge.does("authenticate"):
        return f"{edge.event.name} does not lead to authentication"
    if known and edge.event.name == "auth_failed" and not edge.does("back_off"):
        return "a failed authentication is not tried again"
    if known and edge.event.name == "tokens_granted" and not edge.after.context.tokens:
        return "granted tokens are not held"
    if (
        edge.before.context.identity is None
        and edge.after.context.identity
        and not edge.does("authenticate")
    ):
        return "an identity was read and no tokens are asked for"
    return None


def _microphone_only_where_allowed(edge: Edge) -> str | None:
    mode, leaf = edge.now.microphone, edge.after.leaf
    if mode == "capture" and leaf not in MAY_CAPTURE:
        return f"capture in {leaf}"
    if mode == "sampling" and leaf not in MAY_SAMPLE:
        return f"sampling in {leaf}"
    if leaf in MAY_CAPTURE and mode != "capture":
        return f"no capture in {leaf}"
    if edge.does("start_uplink") and leaf != "streaming.sending":
        return f"speech is sent in {leaf}"
    if edge.does("finish_uplink") and leaf != "streaming.flushing":
        return f"the rest of the speech is sent in {leaf}"
    return None


def _microphone_only_with_leave(edge: Edge) -> str | None:
    c = edge.after.context
    if edge.now.microphone != "closed" and (
        not c.consent or c.muted or c.switched_off or c.asleep or c.deaf
    ):
        return f"{edge.now.microphone} while asleep, muted, deaf or without consent"
    withdrawn = edge.event.name == "configured" and not edge.event.get("consent")
    if withdrawn and int(edge.event.get("version") or 0) >= edge.before.context.version:
        if c.consent and edge.before.context.consent:
            return "the withdrawn consent is still believed"
        if edge.before.context.consent and (
            edge.after.leaf in TURN or not edge.does("purge_speech")
        ):
            return "withdrawing consent ends no turn, or purges no speech"
    hushed = edge.event.name == "mute" or (
        edge.event.name == "privacy_switch" and edge.event.get("on")
    )
    if hushed and edge.after.leaf in MAY_CAPTURE | {"listening.connecting", "streaming.flushing"}:
        return f"{edge.event.name} leaves the utterance under way"
    return None


def _one_turn(edge: Edge) -> str | None:
    before, after = edge.before.context.turn, edge.after.context.turn
    ended = edge.before.leaf in TURN and (after != before or edge.after.leaf not in TURN)
    if after not in (before, before + 1):
        return "the turn number jumps"
    if edge.before.leaf not in TURN and edge.after.leaf in TURN and after == before:
        return "a turn begins without a number of its own"
    if ended is not edge.does("end_turn"):
        return "a turn ends unfenced" if ended else "a turn is fenced and goes on"
    old = OLDER in (
        edge.event.fields.get("turn"),
        edge.event.fields.get("connection"),
        edge.event.fields.get("arming"),
    )
    old = old or (EVENTS[edge.event.name].fence == "lock" and edge.event.get("lock_id") == "other")
    if old and (edge.after != edge.before or edge.effects):
        return "something of an older turn, connection, arming or lock is heard"
    return None


def _deferred_comes_back(edge: Edge) -> str | None:
    """What waits for an idle moment comes back at the first one, and no turn goes on before it."""
    waiting = edge.before.context.deferred or edge.does("defer")
    if edge.does("defer") and not edge.after.context.deferred:
        return "what is deferred is not remembered"
    dropped = edge.before.context.deferred and not edge.after.context.deferred
    if dropped and edge.after.leaf not in REST and not edge.does("forget"):
        return "what was deferred is neither kept nor forgotten"
    if not waiting:
        return "nothing was deferred and it comes back" if edge.does("recall") else None
    if edge.after.leaf in REST and not edge.does("recall"):
        return "what was deferred does not come back"
    goes_on = edge.event.name == "reply_played" and edge.after.leaf in TURN
    return "a conversation goes on although something waits" if goes_on else None


def _bounded(edge: Edge) -> str | None:
    timers = {name for name, _ in edge.after.context.timers}
    if edge.after.leaf in MAY_STAY or timers & {"state", "pause"}:
        return None
    return f"{edge.after.leaf} has no timeout"


def _never_weaker(edge: Edge) -> str | None:
    if edge.before.leaf in TURN and edge.after.leaf in TURN:
        early = [effect.name for effect in edge.effects if effect.name in NEVER_IN_A_TURN]
        if early:
            return f"{early[0]} starts during a turn"
    if edge.before.leaf in LOCKED and edge.after.leaf in LOCKED:
        was, now = edge.before.context.lock, edge.after.context.lock
        if was is None or now is None:
            return "locked without a lock"
        nobodys = edge.after.context.identity is not True and edge.event.name in (
            "records_read",
            "erased",
        )
        if was.kind == "lock" and now.id != was.id and not nobodys:
            return "a held lock is replaced"
        if was.kind == now.kind == "pause" and now.pause_ms < was.pause_ms:
            return "a pause is shortened"
        restarted = edge.before.context.armed("pause") != edge.after.context.armed("pause")
        if now.kind == was.kind == "pause" and restarted and now.pause_ms <= was.pause_ms:
            return "a pause is restarted"
        if edge.does("clear_lock"):
            return "the record of a lock in force is cleared"
    return None


def _records_decide(edge: Edge) -> str | None:
    asked_anew = edge.before.leaf in ("boot.dark", "boot.erasing")
    if edge.event.name != "records_read" or edge.before.context.identity is not None or asked_anew:
        return None
    record, owned = edge.event.get("lock"), edge.event.get("identity")
    if owned and record in ("lock", "unreadable", "missing") and edge.after.leaf != LOCK:
        return f"a record {record} leads to {edge.after.leaf}"
    if record == "pause" and edge.after.leaf not in LOCKED:
        return f"a record pause leads to {edge.after.leaf}"
    return None


def _lock_is_durable_and_told(edge: Edge) -> str | None:
    if edge.after.leaf not in LOCKED:
        return None
    was, now = edge.before.context.lock, edge.after.context.lock
    if now is None or (was is not None and was.id == now.id):
        return None
    unread = edge.event.name in ("state_elapsed", "records_read")
    if not edge.does("write_lock") and not unread:
        return "a new lock is not written"
    if now.durable:
        return "a new lock is called durable"
    told = any(effect.name == "report" and effect.fields["urgent"] for effect in edge.effects)
    return None if told or was is not None else "a new lock is not reported as urgent"


def _acknowledged_when_durable(edge: Edge) -> str | None:
    """A command that locks is acknowledged by ``lock_written`` and by nothing before it."""
    asked = edge.event.fields.get("command")
    outcomes = [
        f.fields["outcome"]
        for f in edge.effects
        if f.name == "acknowledge" and f.fields["command"] == asked
    ]
    durable = edge.before.context.lock is not None and edge.before.context.lock.durable
    if (
        asked
        and edge.event.name in ("pause", "lock", "emergency_stop")
        and outcomes
        and not durable
    ):
        return "acknowledged before the lock is durable"
    lock = edge.before.context.lock
    if edge.event.name == "lock_written" and isinstance(edge.by, Row) and lock is not None:
        if (lock.command is not None) is not edge.does("acknowledge"):
            return "a durable lock is not acknowledged"
        return "the alarm goes on" if edge.after.context.alarm else None
    if edge.event.name == "lock_write_failed" and isinstance(edge.by, Row):
        retried = edge.after.context.alarm and edge.after.context.armed("lock_retry") is not None
        return None if retried else "a lock that was not written is not tried again"
    if (
        edge.event.name == "lock_retry_elapsed"
        and isinstance(edge.by, Row)
        and not edge.does("write_lock")
    ):
        return "the lock is not written again"
    return None


def _light_before_microphone(edge: Edge) -> str | None:
    opened = lit = cued = None
    for place, effect in enumerate(edge.effects):
        if effect.name == "microphone" and effect.fields["mode"] != "closed":
            opened = place
        elif effect.name == "light":
            lit = place
        elif effect.name == "cue":
            cued = place
    if (edge.was.pattern, edge.was.microphone) != (
        edge.now.pattern,
        edge.now.microphone,
    ) and lit is None:
        return "the light does not follow"
    if edge.was.microphone != edge.now.microphone and not edge.does("microphone"):
        return "the microphone does not follow"
    if edge.was.speaker != edge.now.speaker and not edge.does("speaker"):
        return "the speaker does not follow"
    if opened is None or OPENNESS[edge.now.microphone] <= OPENNESS[edge.was.microphone]:
        return None
    if lit is None or lit > opened:
        return "the microphone opens before its light"
    return "the microphone opens before its earcon" if cued is not None and cued > opened else None


def _ends_at_home(edge: Edge) -> str | None:
    """Where a turn or a lock ends; the grace of 10 s is the only time that idle is not online."""
    leaf, c = edge.after.leaf, edge.after.context
    if edge.before.leaf in LOCKED | TURN and leaf in REST | {"boot.unprovisioned", "boot.reading"}:
        if c.identity is not True:
            return None if not leaf.startswith(("idle", "offline")) else f"{leaf} without identity"
        if not (c.link and c.tokens) and leaf != "offline.ready":
            return f"{leaf} without link or tokens"
        if c.link and c.tokens and not leaf.startswith("idle"):
            return f"{leaf} although online"
    if leaf.startswith("idle"):
        if leaf != f"idle.{_availability(c)}":
            return f"{leaf} is not its availability"
        waiting = c.armed("grace") is not None
        if (c.link and c.tokens) is waiting:
            return "the grace timer runs while online" if waiting else "offline and no grace timer"
    if edge.before.leaf == "offline.ready" == leaf and edge.event.name in (
        "link_up",
        "tokens_granted",
    ):
        return "back online and still offline" if c.link and c.tokens else None
    return None


def _availability(c: Context) -> str:
    if c.muted or c.switched_off or not c.consent:
        return "muted"
    return "asleep" if c.asleep else "awake"


OWN_EVENTS: Final = {
    "tokens": "tokens_granted tokens_lost",
    "link": "link_up link_down stream_lost stream_failed state_elapsed",
    "refused": "auth_failed tokens_granted",
    "deaf": "part_failed part_recovered parts_tested",
    "version": "configured switch_toy",
    "consent": "configured switch_toy",
    "muted": "mute unmute",
    "switched_off": "privacy_switch",
    "bedtime": "bedtime",
    "wake": "configured",
    "wake_barge": "configured",
    "continued": "configured",
    "flooded": "urgent_full urgent_low",
}
_OWN_EVENTS: Final = [
    (Context._fields.index(fact), own.split()) for fact, own in OWN_EVENTS.items()
]
FORGETS_IDENTITY: Final = frozenset(("press", "erase", "erased", "provisioned"))


def _facts_have_own_events(edge: Edge) -> str | None:
    """A fact about the world changes by the events that tell it, in every state, and by no other."""
    before, after, event = edge.before.context, edge.after.context, edge.event
    if after.identity is None and event.name in FORGETS_IDENTITY:
        return None
    for place, own in _OWN_EVENTS:
        if before[place] != after[place] and event.name not in own:
            return f"{event.name} changes {Context._fields[place]}"
    return None


def _facts_are_believed(edge: Edge) -> str | None:
    """What is told is remembered in every state: losing the network never forgets availability."""
    c, event = edge.after.context, edge.event
    if event.name == "bedtime":
        believed = c.bedtime == event.get("asleep") and (
            edge.after.leaf in TURN or c.asleep == c.bedtime
        )
    elif event.name == "privacy_switch":
        believed = c.switched_off == event.get("on")
    elif event.name == "configured":
        older = int(event.get("version") or 0) < edge.before.context.version
        believed = older or edge.after.leaf in TURN or _in_force(c, event)
    else:
        believed = _as_told(c).get(event.name, True)
    return None if believed else f"{event.name} is forgotten"


def _as_told(c: Context) -> dict[str, bool]:
    return {
        "link_up": c.link,
        "link_down": not c.link,
        "mute": c.muted,
        "unmute": not c.muted,
        "urgent_full": c.flooded,
        "urgent_low": not c.flooded,
        "tokens_lost": not c.tokens,
    }


def _in_force(c: Context, event: Event) -> bool:
    return all(
        getattr(c, name) == event.get(name)
        for name in ("consent", "wake", "wake_barge", "continued")
    )


def _about(*events: str) -> frozenset[str]:
    return frozenset(events)


_STOPPING: Final = STOPS | {"press", "violation", "urgent_full"}
_CREDENTIALS: Final = ("auth_due", "tokens_lost", "auth_failed", "tokens_granted", "records_read")
_FACTS: Final = [
    "link_up",
    "link_down",
    "mute",
    "unmute",
    "urgent_full",
    "urgent_low",
    "tokens_lost",
    "bedtime",
    "privacy_switch",
    "configured",
]

# fmt: off
INVARIANTS: Final = (
    Invariant(1, "locked-is-silent", "locked: microphone closed, never server sound", _silent_when_locked),
    Invariant(2, "stop-in-one-step", "an emergency stop locks from every state in one step", _stops_in_one_step, _STOPPING),
    Invariant(2, "presses-count", "a chain counts every press and ends by time alone", _third_press_is_reached),
    Invariant(3, "locked-until-released", "only its own release or an elapsed pause unlocks", _locked_until_released),
    Invariant(3, "release-unlocks", "a lock's release unlocks and clears its record", _release_unlocks, _about("unlock", "pause_elapsed")),
    Invariant(3, "release-can-be-heard", "authentication goes on in every state", _release_can_be_heard),
    Invariant(3, "credentials-anywhere", "what is told of tokens is acted on in every state", _release_can_be_heard, _about(*_CREDENTIALS)),
    Invariant(6, "microphone-where-allowed", "capture and sampling only in their states", _microphone_only_where_allowed),
    Invariant(7, "microphone-with-leave", "none while asleep, muted or without consent", _microphone_only_with_leave),
    Invariant(7, "hushing-acts-at-once", "mute, switch and withdrawn consent act at once", _microphone_only_with_leave, _about("mute", "privacy_switch", "configured")),
    Invariant(8, "one-turn", "one turn at a time, its end fenced, older ones unheard", _one_turn),
    Invariant(0, "deferred-comes-back", "what waits comes back at the first idle moment", _deferred_comes_back),
    Invariant(9, "everything-ends", "every state that is no rest has a timeout", _bounded),
    Invariant(11, "never-weaker", "no update in a turn; a lock never weaker or shorter", _never_weaker),
    Invariant(0, "records-decide", "a locked, damaged or missing record starts locked", _records_decide, _about("records_read")),
    Invariant(0, "lock-durable-and-told", "a new lock is written and reported", _lock_is_durable_and_told),
    Invariant(0, "acknowledged-when-durable", "a lock is acknowledged once it is durable", _acknowledged_when_durable),
    Invariant(0, "light-before-microphone", "light, earcon, microphone: in this order", _light_before_microphone),
    Invariant(0, "ends-at-home", "turns and locks end at home", _ends_at_home),
    Invariant(0, "facts-have-own-events", "a fact changes by its own events alone", _facts_have_own_events),
    Invariant(0, "facts-are-believed", "what is told is remembered in every state", _facts_are_believed, _about(*_FACTS)),
)
"""Those of the whole graph are in ``states.explore``: 4 (all pairs), 5, the rest of 9, and 10."""
# fmt: on


def checks_at(event: str, *, acted: bool) -> tuple[Invariant, ...]:
    """Return the invariants to be asked of a step at ``event``, acted on or not."""
    return tuple(one for one in INVARIANTS if event in one.at or (acted and not one.at))
