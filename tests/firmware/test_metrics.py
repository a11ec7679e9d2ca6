"""Samples of the device's metrics."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import asdict

import pytest

from firmware.errors import SettingsError
from firmware.metrics import Metrics, MetricsSettings
from firmware.schedule import Schedule
from firmware.stream.counters import Counters
from firmware.turn_times import TurnTimes
from hardware.clock import Clock
from hardware.sensors import Reading, Sensors
from hardware.sim.clock import run_virtual
from hardware.sim.sensors import VirtualSensors
from tests.firmware.outlets import KeptOutlet, Put
from tests.firmware.test_turn_times import ANSWERED

READING = Reading(cpu_percent=12.5, rss_bytes=50_000_000, link_up=True, throttled=0x50005)


async def after(clock: Clock, ms: int) -> None:
    """Wait on the clock."""
    over = asyncio.Event()
    clock.call_later(ms, over.set)
    await over.wait()


def sampled(sensors: Sensors, *, minutes: int = 1, **gauges: float | None) -> list[Put]:
    """Return what is put while these minutes pass."""

    async def main() -> list[Put]:
        clock, outbox = Clock(), KeptOutlet()
        schedule = Schedule(clock)
        turns = TurnTimes()
        for step in ANSWERED:
            turns(step)
        metrics = Metrics(
            outbox,
            sensors,
            [turns.take],
            {name: lambda value=value: value for name, value in gauges.items()},  # type: ignore[misc]
            lambda: Counters(connections=3),
        )
        metrics.schedule(schedule, MetricsSettings())
        schedule.start()
        await after(clock, minutes * 60_000 + 1_000)
        schedule.close()
        metrics.close()
        return outbox.puts

    return run_virtual(main())


def test_a_sample_is_taken_each_minute() -> None:
    """A bulk record each, which the delivery joins."""
    sensors = VirtualSensors(READING)
    puts = sampled(sensors, minutes=5)
    assert sensors.reads == len(puts) == 5
    assert {(put.function, put.urgent) for put in puts} == {("metrics:record", False)}


def test_a_sample_holds_what_is_known() -> None:
    """Computer, queues, turns, stream; what is unknown is left out, and all of it is numbers."""
    (put,) = sampled(VirtualSensors(READING), urgentQueue=2, bulkQueue=None, odd=float("nan"))
    metrics = put.arguments["metrics"]
    assert isinstance(metrics, dict)
    assert {name: metrics.get(name) for name in ("cpuPercent", "rssBytes", "linkUp")} == {
        "cpuPercent": 12.5,
        "rssBytes": 50_000_000,
        "linkUp": 1,
    }
    assert (metrics["throttled"], metrics["urgentQueue"]) == (0x50005, 2)
    assert not {"temperatureC", "bulkQueue", "odd"} & metrics.keys()
    assert (metrics["turns"], metrics["replyMsMax"]) == (1, 900)
    assert metrics["streamConnections"] == 3
    assert len([name for name in metrics if name.startswith("stream")]) == len(asdict(Counters()))
    json.dumps(put.arguments, allow_nan=False)


def test_figures_of_parts_that_come_later_are_told_too() -> None:
    """Beside those that were known from the beginning."""

    async def main() -> list[Put]:
        clock, outbox = Clock(), KeptOutlet()
        schedule = Schedule(clock)
        metrics = Metrics(outbox, VirtualSensors(READING), [], {"early": lambda: 1})
        metrics.watch({"late": lambda: 2, "unknown": lambda: None})
        metrics.schedule(schedule, MetricsSettings())
        schedule.start()
        await after(clock, 61_000)
        schedule.close()
        metrics.close()
        return outbox.puts

    (put,) = run_virtual(main())
    metrics = put.arguments["metrics"]
    assert isinstance(metrics, dict)
    assert (metrics["early"], metrics["late"], "unknown" in metrics) == (1, 2, False)


class Stuck:
    """Sensors whose file never answers."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def read(self) -> Reading:
        """Hang."""
        self.release.wait(10)
        return Reading()


def test_a_sensor_that_hangs_holds_up_nothing() -> None:
    """Further samples are left out and counted; the loop goes on."""

    async def main() -> tuple[int, list[Put]]:
        outbox, stuck = KeptOutlet(), Stuck()
        metrics = Metrics(outbox, stuck, [], {})
        for _ in range(3):
            metrics.sample()
        skipped = metrics.skipped
        metrics.close()
        stuck.release.set()
        return skipped, outbox.puts

    assert asyncio.run(main()) == (2, [])


def test_a_gauge_that_fails_costs_one_sample(caplog: pytest.LogCaptureFixture) -> None:
    """And is logged."""

    async def main() -> list[Put]:
        outbox = KeptOutlet()
        wrong = [True]

        def gauge() -> float:
            if wrong:
                wrong.clear()
                raise RuntimeError("no")
            return 1

        metrics = Metrics(outbox, VirtualSensors(), [], {"gauge": gauge})
        for _ in range(2):
            metrics.sample()
            while metrics._sampling is not None:
                await asyncio.wait([metrics._sampling])
        metrics.close()
        metrics.sample()
        return outbox.puts

    assert len(run_virtual(main())) == 1
    assert [record.msg for record in caplog.records] == ["a sample of the metrics failed"]


@pytest.mark.parametrize("key", ["sample_interval_ms", "log_interval_ms"])
def test_an_interval_must_be_above_zero(key: str) -> None:
    """A mistake in the file names its key."""
    with pytest.raises(SettingsError, match=f"{key}: 0 ms: must be above 0"):
        MetricsSettings(**{key: 0})
