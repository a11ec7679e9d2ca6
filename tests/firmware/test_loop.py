"""The loop: decide, record, act; bounded; never stuck."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest

from firmware.loop import BURST_MAX, DEFERRED_MAX, EVENTS_MAX, NEVER_DROPPED
from hardware.sim.clock import run_virtual
from states.effects import EFFECTS
from states.events import EVENTS, FieldValue
from states.machine import Step
from states.table import ROWS
from tests.firmware.stage import IDLE, SPEAKING, Deed, Hands, Stage

CONFIGURED: dict[str, FieldValue] = {
    "consent": True,
    "wake": False,
    "wake_barge": False,
    "continued": False,
}


def some_fields(name: str) -> dict[str, FieldValue]:
    """Return fields that an event of this name may have."""
    made: dict[str, FieldValue] = {"timer": "chain", "lock": "x", "turn": 1, "version": 1}
    return {
        field: domain[-1] if isinstance(domain, tuple) else made.get(domain, 1)
        for field, domain in EVENTS[name].fields.items()
    }


async def settle() -> None:
    """Let everything happen that is ready to."""
    for _ in range(200):
        await asyncio.sleep(0)


def test_a_step_is_recorded_before_any_effect_of_it_is_performed() -> None:
    """Decide, record, act: the journal knows of whatever was begun."""

    async def main() -> None:
        stage = Stage()
        stage.loop.add(Hands(stage.diary, list(EFFECTS)))
        stage.loop.post("started")
        await settle()
        step = stage.steps[0]
        assert len(step.effects) > 2
        asked = [effect.name for effect in step.effects]
        assert stage.diary[: 1 + len(asked)] == ["record started", *asked]

    run_virtual(main())


def test_effects_are_performed_in_the_order_of_the_step() -> None:
    """A light, an earcon, then the microphone: the order is the machine's."""

    async def main() -> None:
        stage = Stage(IDLE)
        stage.loop.add(Hands(stage.diary, ["microphone", "cue", "light", "open_stream"]))
        stage.loop.post("press")
        await settle()
        assert stage.diary == ["record press", "light", "cue", "microphone", "open_stream"]

    run_virtual(main())


def test_performers_of_one_effect_take_turns_in_the_order_they_were_added() -> None:
    """Whoever was added first performs first."""

    async def main() -> None:
        stage = Stage(IDLE)
        for name in ("second ", "first ", "third "):
            stage.loop.add(Hands(stage.diary, ["light"], name))
        stage.loop.post("press")
        await settle()
        assert stage.diary[1:] == ["second light", "first light", "third light"]

    run_virtual(main())


def test_what_comes_of_an_effect_is_stepped_after_all_effects_of_its_step() -> None:
    """A performer that posts at once does not overtake the performers after it."""

    async def main() -> None:
        stage = Stage(IDLE)
        stage.loop.add(Deed("light", lambda **_: stage.loop.post("link_up")))
        stage.loop.add(Hands(stage.diary, ["cue", "microphone"]))
        stage.loop.post("press")
        stage.loop.post("bedtime", asleep=True)
        await settle()
        assert stage.diary[:5] == [
            "record press",
            "cue",
            "microphone",
            "record bedtime",
            "record link_up",
        ]

    run_virtual(main())


def test_no_step_begins_while_another_is_performed() -> None:
    """However much performers and observers post, the machine is entered once at a time."""

    async def main() -> None:
        stage = Stage(IDLE)
        depth, deepest = 0, 0

        def perform(**_fields: FieldValue) -> None:
            nonlocal depth, deepest
            depth += 1
            deepest = max(deepest, depth)
            for _ in range(3):
                stage.loop.post("link_up")
            depth -= 1

        def observe(step: Step) -> None:
            if step.event.name == "press":
                stage.loop.post("urgent_low")

        stage.loop.observers.append(observe)
        stage.loop.add(Deed("light", perform))
        stage.loop.post("press")
        await settle()
        assert deepest == 1
        assert stage.events == ["press", *["link_up"] * 3, "urgent_low"]

    run_virtual(main())


def test_observers_are_told_after_the_effects() -> None:
    """What a test or the desk sees has been done."""

    async def main() -> None:
        stage = Stage(IDLE)
        stage.loop.add(Hands(stage.diary, ["light"]))
        stage.loop.observers.append(lambda step: stage.diary.append(f"told {step.event.name}"))
        stage.loop.post("press")
        await settle()
        assert stage.diary == ["record press", "light", "told press"]

    run_virtual(main())


def test_a_full_queue_drops_and_counts_what_does_not_concern_safety() -> None:
    """The queue has a named limit, and what it refused is known by name."""

    async def main() -> None:
        stage = Stage(IDLE)
        for _ in range(EVENTS_MAX + 7):
            stage.loop.post("link_up")
        stage.loop.post("bedtime", asleep=True)
        await settle()
        assert len(stage.steps) == EVENTS_MAX
        assert stage.loop.dropped == {"link_up": 7, "bedtime": 1}

    run_virtual(main())


def test_a_full_queue_still_takes_what_concerns_safety() -> None:
    """A stop, a lock or a timer waits behind nothing that could be left out."""

    async def main() -> None:
        stage = Stage(IDLE)
        for _ in range(EVENTS_MAX):
            stage.loop.post("link_up")
        for name in NEVER_DROPPED:
            stage.loop.post(name, **some_fields(name))
        await settle()
        assert stage.events[EVENTS_MAX:] == list(NEVER_DROPPED)
        assert not stage.loop.dropped

    run_virtual(main())


def test_whatever_locks_the_toy_or_ends_in_time_is_never_dropped() -> None:
    """The list holds every cause of a lock in the table, and every timer."""
    causes = {event for row in ROWS if row.id.startswith("stop.") for event in row.events}
    timers = {name for name, kind in EVENTS.items() if kind.origin == "timer"}
    assert causes | timers <= NEVER_DROPPED <= EVENTS.keys()


def test_what_ends_a_full_queue_is_never_dropped_where_what_tells_it_is_not() -> None:
    """Else the toy could not lock a second time."""
    assert {"urgent_full", "urgent_low"} <= NEVER_DROPPED


def test_the_longest_wait_of_an_event_is_told_once() -> None:
    """Something held up the loop: that is a figure, and the next sample has its own."""

    async def main() -> None:
        stage = Stage(IDLE)
        stage.loop.post("link_up")
        await settle()
        assert stage.loop.take_delay_ms_max() == 0
        now_ms = stage.clock.monotonic_ms()
        stage.loop.post("link_up")
        stage.clock.monotonic_ms = lambda: now_ms + 70  # type: ignore[method-assign]
        await settle()
        assert stage.loop.take_delay_ms_max() == 70
        assert stage.loop.take_delay_ms_max() == 0

    run_virtual(main())


def test_others_have_their_turn_between_bursts() -> None:
    """A flood of events does not keep a microphone frame waiting."""

    async def main() -> None:
        stage = Stage(IDLE)
        seen: list[int] = []
        for _ in range(5 * BURST_MAX):
            stage.loop.post("link_up")
        await asyncio.sleep(0)
        while len(stage.steps) < 5 * BURST_MAX:
            seen.append(len(stage.steps))
            await asyncio.sleep(0)
        assert all(later - earlier <= BURST_MAX for earlier, later in itertools.pairwise(seen))
        assert len(seen) >= 4

    run_virtual(main())


def test_what_is_deferred_comes_back_in_order_and_before_anything_else() -> None:
    """At the idle moment the guardian's commands come first, as they were given."""

    async def main() -> None:
        stage = Stage(SPEAKING)
        stage.loop.post("update", command="g1")
        stage.loop.post("reboot", command="g2")
        await settle()
        assert [step.row for step in stage.steps] == ["command.later"] * 2
        stage.loop.post("stop", command="g3")
        stage.loop.post("link_up")
        await settle()
        again = [(step.event.name, step.event.fields.get("command")) for step in stage.steps[2:]]
        assert again == [("stop", "g3"), ("update", "g1"), ("reboot", "g2"), ("link_up", None)]
        assert [step.row for step in stage.steps[3:5]] == ["command.update", "command.reboot"]

    run_virtual(main())


def test_a_newer_configuration_takes_the_place_of_a_deferred_one() -> None:
    """Only the newest is applied, once, where it arrived."""

    async def main() -> None:
        stage = Stage(SPEAKING)
        stage.loop.post("configured", version=2, **CONFIGURED)
        stage.loop.post("reboot", command="g1")
        stage.loop.post("configured", version=3, **CONFIGURED)
        await settle()
        stage.loop.post("stop", command=None)
        await settle()
        again = [(step.event.name, step.event.fields.get("version")) for step in stage.steps[4:]]
        assert again == [("reboot", None), ("configured", 3)]

    run_virtual(main())


def test_what_was_recalled_does_not_come_back_again() -> None:
    """A command is acted on once, at the first idle moment."""

    async def main() -> None:
        stage = Stage(SPEAKING)
        stage.loop.post("reboot", command="g1")
        stage.loop.post("stop", command=None)
        await settle()
        stage.loop.post("press")
        stage.loop.post("stop", command=None)
        await settle()
        assert stage.events.count("reboot") == 2

    run_virtual(main())


def test_what_is_deferred_is_bounded_and_the_newest_configuration_is_always_kept() -> None:
    """A guardian who taps one button for ever fills no memory, and changes are not lost for it."""

    async def main() -> None:
        stage = Stage(SPEAKING)
        for number in range(DEFERRED_MAX + 5):
            stage.loop.post("reboot", command=f"g{number}")
        stage.loop.post("configured", version=2, **CONFIGURED)
        await settle()
        assert stage.loop.dropped == {"reboot": 5}
        deferred = len(stage.steps)
        stage.loop.post("stop", command=None)
        await settle()
        again = stage.steps[deferred + 1 :]
        assert [step.event.fields.get("command") for step in again[:-1]] == [
            f"g{number}" for number in range(DEFERRED_MAX)
        ]
        assert again[-1].row == "configured.rest"

    run_virtual(main())


def test_what_was_deferred_for_a_former_owner_is_forgotten() -> None:
    """An erase takes with it what the old owner's guardian still wanted."""

    async def main() -> None:
        stage = Stage(SPEAKING)
        stage.loop.post("reboot", command="g1")
        stage.loop.post("erased")
        await settle()
        assert stage.leaf == "boot.reading"
        stage.loop.post("records_read", identity=True, lock="free", lock_id="", pause_ms=0)
        stage.loop.post("tokens_granted")
        stage.loop.post("parts_tested", failed="")
        await settle()
        assert stage.leaf.startswith("idle")
        for name, fields in (
            ("configured", {"version": 1, **CONFIGURED}),
            ("press", {}),
            ("update", {"command": "g2"}),
            ("stop", {"command": None}),
        ):
            stage.loop.post(name, **fields)
        await settle()
        assert stage.events.count("update") == 2
        assert stage.events.count("reboot") == 1

    run_virtual(main())


def test_a_performer_that_raises_does_not_keep_the_rest_from_being_performed() -> None:
    """The microphone closes even if the light fails; the defect is counted and logged."""

    async def main() -> None:
        stage = Stage(IDLE)

        def fail(**_: FieldValue) -> None:
            raise RuntimeError("the light is broken")

        stage.loop.add(Deed("light", fail))
        stage.loop.add(Hands(stage.diary, ["light", "cue", "microphone"]))
        stage.loop.post("press")
        stage.loop.post("link_up")
        await settle()
        assert stage.diary == ["record press", "light", "cue", "microphone", "record link_up"]
        assert stage.loop.failures == {"light": 1}

    run_virtual(main())


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("press", {"force": 3}),
        ("pause", {"command": None}),
        ("pause", {"command": None, "pause_ms": "soon"}),
        ("mute", {"command": 7}),
    ],
)
def test_an_event_of_the_wrong_form_is_dropped_and_counted(
    name: str, fields: dict[str, FieldValue], caplog: pytest.LogCaptureFixture
) -> None:
    """It is not recorded, moves nothing, and the next event is taken as usual."""

    async def main() -> None:
        stage = Stage(IDLE)
        stage.loop.post(name, **fields)
        stage.loop.post("link_up")
        await settle()
        assert stage.events == ["link_up"]
        assert stage.loop.dropped == {name: 1}
        assert stage.leaf == "idle.awake"

    run_virtual(main())
    assert f"the event {name} was dropped" in caplog.text


def test_an_unknown_event_is_refused_and_recorded() -> None:
    """It changes nothing, and the journal says that it was there."""

    async def main() -> None:
        stage = Stage(IDLE)
        stage.loop.post("hiccup")
        await settle()
        assert stage.steps[0].row.startswith("refused:")
        assert stage.leaf == "idle.awake"

    run_virtual(main())


def test_an_observer_that_raises_stops_neither_the_toy_nor_the_other_observers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The loop says so, counts it, and takes the next event."""
    told: list[str] = []

    async def main() -> None:
        stage = Stage(IDLE)

        def fail(_: Step) -> None:
            raise RuntimeError("nobody listens")

        stage.loop.observers.append(fail)
        stage.loop.observers.append(lambda step: told.append(step.event.name))
        stage.loop.post("press")
        stage.loop.post("emergency_stop", command=None)
        await settle()
        assert stage.leaf == "safety_lockout.lock"
        assert stage.loop.failures == {"observer": 2}

    run_virtual(main())
    assert told == ["press", "emergency_stop"]
    assert caplog.messages == [f"an observer of the event {name} failed" for name in told]


def test_an_event_from_another_thread_is_taken() -> None:
    """Threads post and return."""

    async def main() -> None:
        stage = Stage(IDLE)
        thread = threading.Thread(target=lambda: stage.loop.post_from_thread("link_up"))
        thread.start()
        thread.join(timeout=5)
        await settle()
        assert stage.events == ["link_up"]

    run_virtual(main())


def test_events_bear_the_time_and_an_id_of_their_own() -> None:
    """Ids begin with what no other start of this toy has; times are those of posting."""

    async def main() -> None:
        stage = Stage(IDLE)
        stage.loop.post("link_up")
        await asyncio.sleep(1.5)
        stage.loop.post("link_up")
        await settle()
        assert [step.event.id for step in stage.steps] == ["boot1", "boot2"]
        assert [step.event.at_ms for step in stage.steps] == [0, 1500]

    run_virtual(main())


def test_a_closed_loop_takes_no_more_events() -> None:
    """Neither what waits nor what comes later; posting does no harm."""

    async def main() -> None:
        stage = Stage(IDLE)
        for _ in range(3 * BURST_MAX):
            stage.loop.post("link_up")
        await asyncio.sleep(0)
        taken = len(stage.steps)
        stage.loop.close()
        stage.loop.post("press")
        await settle()
        assert len(stage.steps) == taken == BURST_MAX
        assert not stage.loop.dropped

    run_virtual(main())


def test_a_performer_of_no_known_effect_is_refused() -> None:
    """A misspelt effect would otherwise never be performed."""

    async def main() -> None:
        stage = Stage()
        with pytest.raises(ValueError, match="Hands performs 'lihgt', which is no effect"):
            stage.loop.add(Hands([], ["lihgt"]))

    run_virtual(main())


def test_what_nobody_performs_is_told() -> None:
    """Alone, the loop performs timers and deferral; the rest it names."""

    async def main() -> None:
        stage = Stage()
        alone = {"arm", "disarm", "defer", "recall", "forget"}
        assert set(stage.loop.unperformed()) == EFFECTS.keys() - alone
        stage.loop.add(Hands([], list(EFFECTS)))
        assert stage.loop.unperformed() == ()

    run_virtual(main())


def test_an_effect_that_nobody_performs_hurts_nobody() -> None:
    """The loop goes on; composition is where it is noticed."""

    async def main() -> dict[str, Any]:
        stage = Stage(IDLE)
        stage.loop.post("press")
        await settle()
        assert stage.leaf == "listening.hearing"
        return dict(stage.loop.failures)

    assert run_virtual(main()) == {}
