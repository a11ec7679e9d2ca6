"""The machine's timers on the clock."""

from __future__ import annotations

import asyncio

from firmware.timers import Timers
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from states.derive import Situation
from tests.firmware.stage import READY, Stage
from tests.firmware.voice.rig import Posted


def test_a_timer_fires_once_at_its_time_with_its_arming() -> None:
    """The firing is an event that names the timer and the arming it belongs to."""

    async def main() -> None:
        posted, timers = timed()
        timers.effects["arm"](timer="hold", arming=7, ms=400, event="hold_elapsed")
        await asyncio.sleep(0.399)
        assert posted == []
        await asyncio.sleep(60)
        assert posted == [("hold_elapsed", {"timer": "hold", "arming": 7})]

    run_virtual(main())


def test_arming_anew_voids_the_arming_before() -> None:
    """Only the newest arming of a timer fires."""

    async def main() -> None:
        posted, timers = timed()
        timers.effects["arm"](timer="state", arming=1, ms=400, event="state_elapsed")
        timers.effects["arm"](timer="state", arming=2, ms=900, event="state_elapsed")
        await asyncio.sleep(60)
        assert posted == [("state_elapsed", {"timer": "state", "arming": 2})]

    run_virtual(main())


def test_a_disarmed_timer_does_not_fire_and_can_be_armed_again() -> None:
    """Disarming what is not armed is harmless."""

    async def main() -> None:
        posted, timers = timed()
        timers.effects["disarm"](timer="chain")
        timers.effects["arm"](timer="chain", arming=1, ms=500, event="chain_elapsed")
        timers.effects["disarm"](timer="chain")
        await asyncio.sleep(60)
        assert posted == []
        timers.effects["arm"](timer="chain", arming=2, ms=500, event="chain_elapsed")
        await asyncio.sleep(60)
        assert [fields["arming"] for _, fields in posted] == [2]

    run_virtual(main())


def test_timers_of_different_names_do_not_disturb_each_other() -> None:
    """Two violations are forgotten each in its time."""

    async def main() -> None:
        posted, timers = timed()
        for number, ms in ((1, 300_000), (2, 200_000)):
            name = f"violation_{number}"
            timers.effects["arm"](timer=name, arming=number, ms=ms, event="violation_elapsed")
        timers.effects["disarm"](timer="hold")
        await asyncio.sleep(400)
        assert [fields["timer"] for _, fields in posted] == ["violation_2", "violation_1"]

    run_virtual(main())


def test_a_firing_that_was_under_way_when_its_timer_was_armed_anew_is_fenced() -> None:
    """The late firing names the older arming, so the machine does not take it for the new one."""

    async def main() -> None:
        stage = Stage(Situation("idle.awake", READY))
        stage.loop.post("press")
        await asyncio.sleep(0.1)
        context = stage.loop.core.situation.context
        assert stage.leaf == "listening.hearing"
        stale = context.armed("state")
        assert stale is not None
        stage.loop.post("speech_started", turn=context.turn)  # arms the state's timer anew
        stage.loop.post("state_elapsed", timer="state", arming=stale)
        await asyncio.sleep(0.1)
        assert [step.event.name for step in stage.steps[-2:]] == ["speech_started", "state_elapsed"]
        assert stage.steps[-1].row.partition(":")[0] in {"ignored", "refused"}
        assert stage.leaf == "listening.hearing"

    run_virtual(main())


def test_the_machine_is_moved_by_its_timers_alone() -> None:
    """Nobody speaks: after five seconds the turn is over, by the clock of the loop."""

    async def main() -> None:
        stage = Stage(Situation("idle.awake", READY))
        stage.loop.post("press")
        stage.loop.post("release")
        await asyncio.sleep(5.1)
        last = stage.steps[-1]
        assert (last.event.name, last.row, last.to) == (
            "state_elapsed",
            "hearing.nothing",
            "idle.awake",
        )
        assert last.event.at_ms == 5_000

    run_virtual(main())


def timed() -> tuple[Posted, Timers]:
    """Return timers on the running loop's clock, and what they post."""
    posted = Posted()
    return posted, Timers(Clock(), posted)
