"""The invariants: honest steps satisfy each, and each is seen to fail at a step that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from states import lookup as lookup_module
from states.changes import arm, disarm
from states.context import Context, Lock
from states.derive import Outputs, Situation, apply, effects, outputs
from states.effects import Effect
from states.events import EVENTS, Event, FieldValue
from states.explore import OLDER, canonical, variants
from states.invariants import INVARIANTS, Edge, checks_at
from states.lookup import Lookup
from states.rows import Row, Unacted
from states.table import ANY
from tests.states.scenario import EVERYWHERE, Toy

NAMED: Final = {one.name: one for one in INVARIANTS}
PAUSE, LOCK = "safety_lockout.pause", "safety_lockout.lock"

Story = Callable[[], Edge]


def step_of(toy: Toy, name: str, /, **fields: FieldValue) -> Edge:
    """Return the step that ``name`` makes of the toy as it is, by our table."""
    before = toy.situation
    toy.happens(name, **fields)
    return walked(before, toy.last.event)


def walked(situation: Situation, event: Event, lookup: Lookup | None = None) -> Edge:
    """Return the step that ``event`` makes in ``situation``, as the exploration sees it."""
    by = (lookup or Lookup(lookup_module.OURS)).choose(situation, event)
    was = outputs(*situation)
    if isinstance(by, Unacted):
        return Edge(situation, event, by, situation, (), was, was)
    after = apply(situation, by, event)
    did = effects(situation, by, event, after)
    return Edge(situation, event, by, after, did, was, outputs(*after))


def fired(toy: Toy, timer: str) -> Edge:
    """Return the step that an armed timer makes by firing."""
    armed = toy.timers.pop(timer)
    return step_of(toy, armed.event, timer=timer, arming=armed.arming)


def but(  # noqa: PLR0913 - one argument for each thing that can be otherwise
    edge: Edge,
    leaf: str | None = None,
    *,
    change: Callable[[Context], Context] = lambda c: c,
    without: str = "",
    plus: tuple[Effect, ...] = (),
    now: Outputs | None = None,
) -> Edge:
    """Return ``edge`` leading elsewhere, or leaving or doing something else."""
    after = Situation(leaf or edge.after.leaf, change(edge.after.context))
    did = tuple(one for one in edge.effects if one.name not in without.split()) + plus
    return edge._replace(after=after, effects=did, now=now or outputs(*after))


def from_where(edge: Edge, change: Callable[[Context], Context], leaf: str | None = None) -> Edge:
    """Return ``edge`` beginning with something else."""
    before = Situation(leaf or edge.before.leaf, change(edge.before.context))
    return edge._replace(before=before, was=outputs(*before))


def remembers(**changes: object) -> Callable[[Context], Context]:
    """Return a change of these variables of the memory."""
    return lambda c: Context(**(c._asdict() | changes))


def lock_of(**changes: object) -> Callable[[Context], Context]:
    """Return a change of the lock in force."""

    def change(c: Context) -> Context:
        assert c.lock is not None
        return c._replace(lock=Lock(**(c.lock._asdict() | changes)))

    return change


def unlocked(edge: Edge) -> Edge:
    """Return ``edge`` leading to ``idle.awake`` as if the lock had ended."""
    return but(edge, "idle.awake", change=remembers(lock=None))


def reordered(edge: Edge, *names: str) -> Edge:
    """Return ``edge`` with the effects of these names last, in this order."""
    last = [one for name in names for one in edge.effects if one.name == name]
    return edge._replace(effects=(*(one for one in edge.effects if one.name not in names), *last))


def read(lock: str, *, identity: bool = True) -> Edge:
    """Return the step of a toy that reads its records."""
    return step_of(
        Toy.reading(),
        "records_read",
        identity=identity,
        lock=lock,
        lock_id="stored",
        pause_ms=300_000,
    )


def withdrawing(toy: Toy, version: int = 5) -> Edge:
    """Return the step of a configuration without consent."""
    flags = {"wake": False, "wake_barge": False, "continued": False}
    return step_of(toy, "configured", version=version, consent=False, **flags)


def commanded(toy: Toy) -> Edge:
    """Return the step of a guardian who locks with a command."""
    return step_of(toy, "lock", command="row")


def asked_for_a_lock() -> Toy:
    """Return a toy that a guardian locked a moment ago."""
    return Toy.ready().commands("lock")


DONE: Final = Effect("acknowledge", {"command": "row", "outcome": "done"})

BROKEN: Final[dict[str, tuple[str, str, Story]]] = {
    # -- 1
    "a microphone in a lock": (
        "locked-is-silent",
        "the microphone is sampling",
        lambda: but(step_of(Toy.paused(), "press"), now=Outputs("red-amber", "sampling", "fixed")),
    ),
    "a speaker in a lock": (
        "locked-is-silent",
        "the speaker is open for reply",
        lambda: but(step_of(Toy.paused(), "press"), now=Outputs("red-amber", "closed", "reply")),
    ),
    "a reply in a lock": (
        "locked-is-silent",
        "replay is asked for",
        lambda: but(step_of(Toy.paused(), "press"), plus=(Effect("replay", {"turn": 1}),)),
    ),
    # -- 2
    "a server's stop overheard": (
        "stop-in-one-step",
        "emergency_stop leads to idle.awake",
        lambda: but(step_of(Toy.ready(), "emergency_stop", command=None), "idle.awake"),
    ),
    "a third press overheard": (
        "stop-in-one-step",
        "press leads to speaking",
        lambda: but(step_of(Toy.ready().tap().tap(), "press"), "speaking"),
    ),
    "a third violation overheard": (
        "stop-in-one-step",
        "violation leads to idle.awake",
        lambda: but(
            step_of(Toy.ready().happens("violation").happens("violation"), "violation"),
            "idle.awake",
        ),
    ),
    "a full queue overheard": (
        "stop-in-one-step",
        "urgent_full leads to idle.awake",
        lambda: but(step_of(Toy.ready(), "urgent_full"), "idle.awake"),
    ),
    "a press that is not counted": (
        "presses-count",
        "press number 1 of its chain was not counted",
        lambda: but(step_of(Toy.ready(), "press"), change=remembers(presses=0)),
    ),
    "a release that counts": (
        "presses-count",
        "release counts as a press",
        lambda: but(step_of(Toy.ready().press(), "release"), change=remembers(presses=2)),
    ),
    "a release that ends the chain": (
        "presses-count",
        "release ends the chain of presses",
        lambda: but(step_of(Toy.ready().press(), "release"), change=remembers(presses=0)),
    ),
    # -- 3
    "a state of a lock without a lock": (
        "locked-until-released",
        "locked without a lock",
        lambda: from_where(step_of(Toy.locked(), "press"), remembers(lock=None)),
    ),
    "a press that unlocks": (
        "locked-until-released",
        "press unlocks",
        lambda: unlocked(step_of(Toy.locked(), "press")),
    ),
    "a release over the stream": (
        "locked-until-released",
        "unlock unlocks",
        lambda: unlocked(step_of(Toy.locked(), "unlock", command=None, via="stream")),
    ),
    "a release without the guardian's signature": (
        "locked-until-released",
        "unlock unlocks",
        lambda: unlocked(step_of(Toy.locked(), "unlock", command=None, via="unverified")),
    ),
    "a release of another lock": (
        "locked-until-released",
        "unlock unlocks",
        lambda: unlocked(
            step_of(Toy.locked(), "unlock", command="row", via="subscription", lock_id="other")
        ),
    ),
    "a lock that ends by time": (
        "locked-until-released",
        "pause_elapsed unlocks",
        lambda: from_where(fired(Toy.paused(), "pause"), lock_of(kind="lock")),
    ),
    "a release that does nothing": (
        "release-unlocks",
        "unlock does not unlock",
        lambda: but(step_of(Toy.locked(), "unlock", command="row", via="subscription"), LOCK),
    ),
    "a pause that does not end": (
        "release-unlocks",
        "pause_elapsed does not unlock",
        lambda: but(fired(Toy.paused(), "pause"), PAUSE),
    ),
    "a record that stays": (
        "release-unlocks",
        "the record is not cleared",
        lambda: but(fired(Toy.paused(), "pause"), without="clear_lock"),
    ),
    "a lock of nobody": (
        "release-can-be-heard",
        "without an identity can never be released",
        lambda: but(step_of(Toy.locked(), "press"), change=remembers(identity=False)),
    ),
    "a lock of nobody knows whom": (
        "release-can-be-heard",
        "nobody asks who could release it",
        lambda: but(step_of(Toy.ready(), "lock", command=None), change=remembers(identity=None)),
    ),
    "no tokens asked for when they are due": (
        "credentials-anywhere",
        "auth_due does not lead to authentication",
        lambda: but(step_of(Toy.locked(), "auth_due"), without="authenticate"),
    ),
    "no tokens asked for when they are lost": (
        "credentials-anywhere",
        "tokens_lost does not lead to authentication",
        lambda: but(step_of(Toy.locked(), "tokens_lost"), without="authenticate"),
    ),
    "no second attempt": (
        "credentials-anywhere",
        "not tried again",
        lambda: but(step_of(Toy.locked(), "auth_failed", refused=False), without="back_off"),
    ),
    "tokens dropped": (
        "credentials-anywhere",
        "granted tokens are not held",
        lambda: but(step_of(Toy.locked(), "tokens_granted"), change=remembers(tokens=False)),
    ),
    "an identity and no tokens": (
        "credentials-anywhere",
        "no tokens are asked for",
        lambda: but(read("free"), without="authenticate"),
    ),
    # -- 6
    "capture while waiting": (
        "microphone-where-allowed",
        "capture in streaming.waiting",
        lambda: but(step_of(Toy.flushing(), "uplink_flushed"), now=Outputs("x", "capture", "cues")),
    ),
    "sampling while waiting": (
        "microphone-where-allowed",
        "sampling in streaming.waiting",
        lambda: but(
            step_of(Toy.flushing(), "uplink_flushed"), now=Outputs("x", "sampling", "cues")
        ),
    ),
    "no capture while listening": (
        "microphone-where-allowed",
        "no capture in listening.hearing",
        lambda: but(step_of(Toy.ready(), "press"), now=Outputs("x", "closed", "cues")),
    ),
    "speech sent while listening": (
        "microphone-where-allowed",
        "speech is sent in listening.hearing",
        lambda: but(step_of(Toy.ready(), "press"), plus=(Effect("start_uplink", {"turn": 1}),)),
    ),
    "the rest sent while waiting": (
        "microphone-where-allowed",
        "the rest of the speech is sent in streaming.waiting",
        lambda: but(
            step_of(Toy.flushing(), "uplink_flushed"),
            plus=(Effect("finish_uplink", {"turn": 1}),),
        ),
    ),
    # -- 7
    "sampling while muted": (
        "microphone-with-leave",
        "sampling while asleep, muted, deaf or without consent",
        lambda: but(
            step_of(Toy.ready(wake=True), "mute", command="row"),
            now=Outputs("red-dot", "sampling", "cues"),
        ),
    ),
    "a withdrawn consent that is still believed": (
        "hushing-acts-at-once",
        "still believed",
        lambda: but(withdrawing(Toy.ready()), change=remembers(consent=True)),
    ),
    "a withdrawn consent and a turn that goes on": (
        "hushing-acts-at-once",
        "ends no turn",
        lambda: but(withdrawing(Toy.speaking()), "speaking"),
    ),
    "a withdrawn consent and speech that is kept": (
        "hushing-acts-at-once",
        "purges no speech",
        lambda: but(withdrawing(Toy.speaking()), without="purge_speech"),
    ),
    "a mute that waits": (
        "hushing-acts-at-once",
        "mute leaves the utterance under way",
        lambda: but(step_of(Toy.flushing(), "mute", command="row"), "streaming.flushing"),
    ),
    "a switch that waits": (
        "hushing-acts-at-once",
        "privacy_switch leaves the utterance under way",
        lambda: but(step_of(Toy.flushing(), "privacy_switch", on=True), "streaming.flushing"),
    ),
    # -- 8
    "a turn number that jumps": (
        "one-turn",
        "the turn number jumps",
        lambda: but(step_of(Toy.ready(), "press"), change=remembers(turn=7)),
    ),
    "a turn without a number": (
        "one-turn",
        "begins without a number",
        lambda: but(step_of(Toy.ready(), "press"), change=remembers(turn=0)),
    ),
    "a turn that ends unfenced": (
        "one-turn",
        "a turn ends unfenced",
        lambda: but(step_of(Toy.speaking(), "reply_played"), without="end_turn"),
    ),
    "a turn that is fenced and goes on": (
        "one-turn",
        "fenced and goes on",
        lambda: but(step_of(Toy.speaking(), "reply_dry"), plus=(Effect("end_turn", {"turn": 1}),)),
    ),
    "an older turn that is heard": (
        "one-turn",
        "of an older turn, connection, arming or lock is heard",
        lambda: but(
            step_of(Toy.speaking(), "reply_dry", turn=OLDER), change=remembers(speech=False)
        ),
    ),
    "an older lock that is heard": (
        "one-turn",
        "of an older turn, connection, arming or lock is heard",
        lambda: but(step_of(Toy.paused(), "lock_written", lock_id="other"), plus=(DONE,)),
    ),
    # -- deferred
    "a deferred command that is not remembered": (
        "deferred-comes-back",
        "what is deferred is not remembered",
        lambda: but(
            step_of(Toy.speaking(), "reboot", command="row"), change=remembers(deferred=False)
        ),
    ),
    "a deferred command that is lost": (
        "deferred-comes-back",
        "neither kept nor forgotten",
        lambda: but(
            step_of(Toy.waiting().commands("reboot"), "reply_began"),
            change=remembers(deferred=False),
        ),
    ),
    "a deferred command that never was": (
        "deferred-comes-back",
        "nothing was deferred and it comes back",
        lambda: but(step_of(Toy.speaking(), "reply_played"), plus=(Effect("recall"),)),
    ),
    "a deferred command that does not come back": (
        "deferred-comes-back",
        "what was deferred does not come back",
        lambda: but(step_of(Toy.speaking().commands("reboot"), "reply_played"), without="recall"),
    ),
    "a conversation that goes on for ever": (
        "deferred-comes-back",
        "a conversation goes on although something waits",
        lambda: but(
            step_of(Toy.speaking().commands("reboot"), "reply_played"),
            "listening.hearing",
            change=remembers(deferred=True),
        ),
    ),
    # -- 9
    "a state without a timeout": (
        "everything-ends",
        "listening.hearing has no timeout",
        lambda: but(step_of(Toy.ready(), "press"), change=lambda c: disarm(c, "state")),
    ),
    # -- 11
    "an update in a turn": (
        "never-weaker",
        "update starts during a turn",
        lambda: but(
            step_of(Toy.speaking(), "reply_dry"), plus=(Effect("update", {"command": "row"}),)
        ),
    ),
    "no lock in a lock": (
        "never-weaker",
        "locked without a lock",
        lambda: but(step_of(Toy.locked(), "press"), change=remembers(lock=None)),
    ),
    "a lock replaced": (
        "never-weaker",
        "a held lock is replaced",
        lambda: but(step_of(Toy.locked(), "press"), change=lock_of(id="other")),
    ),
    "a pause shortened": (
        "never-weaker",
        "a pause is shortened",
        lambda: but(step_of(Toy.paused(), "press"), change=lock_of(pause_ms=1)),
    ),
    "a pause restarted": (
        "never-weaker",
        "a pause is restarted",
        lambda: but(step_of(Toy.paused(), "press"), change=lambda c: arm(c, "pause")),
    ),
    "a record cleared": (
        "never-weaker",
        "the record of a lock in force is cleared",
        lambda: but(
            step_of(Toy.paused(), "press"), plus=(Effect("clear_lock", {"lock_id": "this"}),)
        ),
    ),
    # -- Rules of movement
    "a damaged record believed": (
        "records-decide",
        "a record unreadable leads to boot.testing",
        lambda: but(read("unreadable"), "boot.testing"),
    ),
    "a pause on record overlooked": (
        "records-decide",
        "a record pause leads to boot.testing",
        lambda: but(read("pause"), "boot.testing"),
    ),
    "a lock in memory alone": (
        "lock-durable-and-told",
        "a new lock is not written",
        lambda: but(commanded(Toy.ready()), without="write_lock"),
    ),
    "a lock that is durable too early": (
        "lock-durable-and-told",
        "a new lock is called durable",
        lambda: but(commanded(Toy.ready()), change=lock_of(durable=True)),
    ),
    "a lock that nobody hears of": (
        "lock-durable-and-told",
        "not reported as urgent",
        lambda: but(commanded(Toy.ready()), without="report"),
    ),
    "a lock reported in bulk": (
        "lock-durable-and-told",
        "not reported as urgent",
        lambda: but(
            commanded(Toy.ready()),
            without="report",
            plus=(Effect("report", {"kind": "x", "urgent": False, "detail": None}),),
        ),
    ),
    "a lock acknowledged at once": (
        "acknowledged-when-durable",
        "acknowledged before the lock is durable",
        lambda: but(commanded(Toy.ready()), plus=(DONE,)),
    ),
    "a lock never acknowledged": (
        "acknowledged-when-durable",
        "a durable lock is not acknowledged",
        lambda: but(step_of(asked_for_a_lock(), "lock_written"), without="acknowledge"),
    ),
    "an alarm for nothing": (
        "acknowledged-when-durable",
        "the alarm goes on",
        lambda: but(step_of(asked_for_a_lock(), "lock_written"), change=remembers(alarm=True)),
    ),
    "no alarm": (
        "acknowledged-when-durable",
        "not tried again",
        lambda: but(
            step_of(asked_for_a_lock(), "lock_write_failed"), change=remembers(alarm=False)
        ),
    ),
    "no second write": (
        "acknowledged-when-durable",
        "not tried again",
        lambda: but(
            step_of(asked_for_a_lock(), "lock_write_failed"),
            change=lambda c: disarm(c, "lock_retry"),
        ),
    ),
    "a retry that writes nothing": (
        "acknowledged-when-durable",
        "the lock is not written again",
        lambda: but(
            fired(asked_for_a_lock().happens("lock_write_failed"), "lock_retry"),
            without="write_lock",
        ),
    ),
    "no light": (
        "light-before-microphone",
        "the light does not follow",
        lambda: but(step_of(Toy.ready(), "press"), without="light"),
    ),
    "no microphone": (
        "light-before-microphone",
        "the microphone does not follow",
        lambda: but(step_of(Toy.ready(), "press"), without="microphone"),
    ),
    "no speaker": (
        "light-before-microphone",
        "the speaker does not follow",
        lambda: but(step_of(Toy.waiting(), "reply_began"), without="speaker"),
    ),
    "the light too late": (
        "light-before-microphone",
        "the microphone opens before its light",
        lambda: reordered(step_of(Toy.ready(), "press"), "microphone", "light"),
    ),
    "the earcon too late": (
        "light-before-microphone",
        "the microphone opens before its earcon",
        lambda: reordered(step_of(Toy.ready(), "press"), "microphone", "cue"),
    ),
    "idle without identity": (
        "ends-at-home",
        "idle.awake without identity",
        lambda: but(step_of(Toy.speaking(), "reply_played"), change=remembers(identity=False)),
    ),
    "idle without link": (
        "ends-at-home",
        "idle.awake without link or tokens",
        lambda: but(step_of(Toy.speaking(), "reply_played"), change=remembers(link=False)),
    ),
    "offline although online": (
        "ends-at-home",
        "offline.ready although online",
        lambda: but(step_of(Toy.speaking(), "reply_played"), "offline.ready"),
    ),
    "awake although asleep": (
        "ends-at-home",
        "idle.awake is not its availability",
        lambda: but(step_of(Toy.ready(), "link_up"), change=remembers(asleep=True)),
    ),
    "grace for nothing": (
        "ends-at-home",
        "the grace timer runs while online",
        lambda: but(step_of(Toy.ready(), "link_up"), change=lambda c: arm(c, "grace")),
    ),
    "idle for ever": (
        "ends-at-home",
        "offline and no grace timer",
        lambda: but(step_of(Toy.ready(), "link_down"), change=lambda c: disarm(c, "grace")),
    ),
    "offline for ever": (
        "ends-at-home",
        "back online and still offline",
        lambda: but(step_of(Toy.offline(), "link_up"), "offline.ready"),
    ),
    "a fact that changes by itself": (
        "facts-have-own-events",
        "press changes muted",
        lambda: but(step_of(Toy.ready(), "press"), change=remembers(muted=True)),
    ),
    "a mute forgotten": (
        "facts-are-believed",
        "mute is forgotten",
        lambda: but(step_of(Toy.ready(), "mute", command="row"), change=remembers(muted=False)),
    ),
    "bedtime forgotten": (
        "facts-are-believed",
        "bedtime is forgotten",
        lambda: but(step_of(Toy.ready(), "bedtime", asleep=True), change=remembers(bedtime=False)),
    ),
    "bedtime told and not heeded": (
        "facts-are-believed",
        "bedtime is forgotten",
        lambda: but(step_of(Toy.ready(), "bedtime", asleep=True), change=remembers(asleep=False)),
    ),
    "a switch forgotten": (
        "facts-are-believed",
        "privacy_switch is forgotten",
        lambda: but(
            step_of(Toy.ready(), "privacy_switch", on=True), change=remembers(switched_off=False)
        ),
    ),
    "a configuration forgotten": (
        "facts-are-believed",
        "configured is forgotten",
        lambda: but(withdrawing(Toy.ready()), change=remembers(wake=True)),
    ),
}


@pytest.mark.parametrize(("name", "says", "story"), BROKEN.values(), ids=BROKEN)
def test_an_invariant_fails_at_a_step_that_breaks_it(name: str, says: str, story: Story) -> None:
    """Each way to break each of them is found, and told in words."""
    found = NAMED[name].check(story())
    assert found is not None
    assert says in found


def test_every_invariant_is_seen_to_fail() -> None:
    """A check that cannot fail shows nothing."""
    assert {name for name, _, _ in BROKEN.values()} == set(NAMED)


@pytest.mark.parametrize("leaf", ANY)
def test_honest_steps_satisfy_every_invariant(leaf: str) -> None:
    """Whatever happens anywhere, by our table."""
    situation = canonical(EVERYWHERE[leaf]().situation)
    lookup = Lookup(lookup_module.OURS)
    for event in variants(situation.context, [name for name in EVENTS if lookup.rows(leaf, name)]):
        edge = walked(situation, event, lookup)
        for invariant in checks_at(event.name, acted=isinstance(edge.by, Row)):
            assert invariant.check(edge) is None, (invariant.name, edge)


PASSED: Final[dict[str, tuple[str, Story]]] = {
    "a second press stops nothing": (
        "stop-in-one-step",
        lambda: step_of(Toy.ready().tap(), "press"),
    ),
    "a second violation stops nothing": (
        "stop-in-one-step",
        lambda: step_of(Toy.ready().happens("violation"), "violation"),
    ),
    "a queue that is still full stops nothing": (
        "stop-in-one-step",
        lambda: step_of(Toy.ready(), "urgent_full")._replace(
            before=Situation("idle.awake", Context(flooded=True)),
            after=Situation("idle.awake", Context(flooded=True)),
        ),
    ),
    "a button that is down since the start counts no press": (
        "presses-count",
        lambda: step_of(Toy.held(), "press"),
    ),
    "time ends a chain": ("presses-count", lambda: fired(Toy.ready().tap(), "chain")),
    "an elapsed pause unlocks": ("release-unlocks", lambda: fired(Toy.paused(), "pause")),
    "an older arming does not": (
        "release-unlocks",
        lambda: step_of(Toy.paused(), "pause_elapsed", timer="pause", arming=OLDER),
    ),
    "a release where nothing is locked releases nothing": (
        "release-unlocks",
        lambda: step_of(Toy.ready(), "unlock", command="row", via="subscription"),
    ),
    "a lock that is read on the way may have no identity yet": (
        "release-can-be-heard",
        lambda: step_of(Toy.reading(), "lock", command=None),
    ),
    "an older configuration withdraws nothing": (
        "hushing-acts-at-once",
        lambda: withdrawing(Toy.ready().configured(9), version=3),
    ),
    "a turn may end in a state that reads anew": (
        "ends-at-home",
        lambda: but(
            step_of(Toy.speaking(), "reply_played"),
            "boot.unprovisioned",
            change=remembers(identity=False),
        ),
    ),
    "back online is no longer offline": (
        "ends-at-home",
        lambda: step_of(Toy.offline().happens("tokens_lost"), "link_up"),
    ),
    "whoever forgets the identity forgets its facts": (
        "facts-have-own-events",
        lambda: step_of(Toy.ready(), "erase", command="row"),
    ),
    "a configuration in a turn may wait": (
        "facts-are-believed",
        lambda: step_of(
            Toy.speaking(),
            "configured",
            version=5,
            consent=True,
            wake=True,
            wake_barge=False,
            continued=False,
        ),
    ),
    "a record is read twice": (
        "records-decide",
        lambda: but(
            step_of(
                Toy.ready(),
                "records_read",
                identity=True,
                lock="lock",
                lock_id="stored",
                pause_ms=300_000,
            )
        ),
    ),
}


@pytest.mark.parametrize(("name", "story"), PASSED.values(), ids=PASSED)
def test_an_invariant_holds_where_it_only_seems_broken(name: str, story: Story) -> None:
    """What is right is not cried out against."""
    assert NAMED[name].check(story()) is None


def test_invariants_are_named_once_and_say_what_they_claim() -> None:
    """Reports name them; MACHINE.md numbers those it lists."""
    assert len(NAMED) == len(INVARIANTS)
    assert all(one.says and 0 <= one.number <= 11 for one in INVARIANTS)
    assert all(one.at <= set(EVENTS) for one in INVARIANTS)


def test_an_invariant_about_some_events_is_asked_though_nothing_acts_on_them() -> None:
    """A stop that is ignored would otherwise go unseen."""
    asked = {one.name for one in checks_at("emergency_stop", acted=False)}
    assert "stop-in-one-step" in asked
    assert not any(one.at for one in checks_at("volume", acted=True))
    assert checks_at("volume", acted=False) == ()
