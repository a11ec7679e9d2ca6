"""The device's metrics: what computer, queues, turns, calls and stream tell, as records.

A sample is one record; the delivery joins those that wait into batches.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from firmware.cloud.errors import BacklogError
from firmware.cloud.workers import Workers
from firmware.errors import SettingsError
from firmware.setting import setting
from firmware.store.record import METRICS_FUNCTION

if TYPE_CHECKING:
    from firmware.ports import Outlet
    from firmware.schedule import Schedule
    from hardware.sensors import Reading, Sensors

METRICS_MAX: Final = 200
"""Figures in one record."""

_log = logging.getLogger(__name__)

Gauge = Callable[[], float | None]
"""Tells one figure at once, on the loop; None where it cannot be told."""

Take = Callable[[], Mapping[str, float]]
"""Tells what was added up since the sample before, by the names at the cloud; likewise."""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """How often the device tells how it does.

    Raises:
        SettingsError: An interval is not above 0.
    """

    sample_interval_ms: int = setting(60_000, "time between two samples of the metrics", unit="ms")
    log_interval_ms: int = setting(
        300_000, "time after which the repeats of an error are told", unit="ms"
    )

    def __post_init__(self) -> None:
        for key in fields(self):
            value = getattr(self, key.name)
            if value <= 0:
                raise SettingsError(f"{key.name}: {value} {key.metadata['unit']}: must be above 0")


class Metrics:
    """Takes samples: gauges and sums on the loop, sensors on a thread of its own.

    A sample that is due while the one before is still being read is left out and counted.

    Args:
        outlet: Where records go.
        sensors: The computer.
        sums: What is added up between two samples: turns, latencies.
        gauges: Queue depths and other figures, by the name they have at the cloud.
        counters: Gives a dataclass of totals, or None; each becomes ``stream`` and its name.
    """

    def __init__(
        self,
        outlet: Outlet,
        sensors: Sensors,
        sums: Sequence[Take],
        gauges: Mapping[str, Gauge],
        counters: Callable[[], Any | None] = lambda: None,
    ) -> None:
        self.skipped = 0
        """Samples that were left out."""
        self._outlet = outlet
        self._sensors = sensors
        self._sums = tuple(sums)
        self._gauges = dict(gauges)
        self._counters = counters
        self._workers = Workers("the sensors", threads_max=1, waiting_max=0)
        self._sampling: asyncio.Task[None] | None = None
        self._is_closed = False

    def schedule(self, schedule: Schedule, settings: MetricsSettings) -> None:
        """Take a sample at each interval from the schedule's start."""
        schedule.every(settings.sample_interval_ms, self.sample, "metrics")

    def watch(self, gauges: Mapping[str, Gauge]) -> None:
        """Tell these figures too, from the next sample on."""
        self._gauges |= gauges

    def sample(self) -> None:
        """Begin a sample; it is put into the outbox as soon as it was taken."""
        if self._is_closed:
            return
        if self._sampling is not None:
            self.skipped += 1
            return
        self._sampling = asyncio.create_task(self._sample(), name="metrics")

    def close(self) -> None:
        """Take no more samples; what is under way is not put."""
        self._is_closed = True
        self._workers.shutdown(wait=False, cancel_futures=True)
        if self._sampling is not None:
            self._sampling.cancel()

    async def _sample(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            reading = await loop.run_in_executor(self._workers, self._sensors.read)
            self._outlet.put(METRICS_FUNCTION, {"metrics": self._figures(reading)}, urgent=False)
        except BacklogError:  # the thread hangs in a file
            self.skipped += 1
        except Exception:  # noqa: BLE001 - whatever it is: the next sample may work
            _log.exception("a sample of the metrics failed")
        finally:
            self._sampling = None

    def _figures(self, reading: Reading) -> dict[str, float]:
        counters = self._counters()
        told: dict[str, float | None] = {
            **{_camel(name): value for name, value in asdict(reading).items()},
            **{name: gauge() for name, gauge in self._gauges.items()},
            "samplesSkipped": self.skipped,
        }
        for take in self._sums:
            told |= take()
        if counters is not None:
            told |= {_camel(f"stream_{name}"): value for name, value in asdict(counters).items()}
        known = ((name, value) for name, value in told.items() if _is_number(value))
        return {name: float(value) for name, value in list(known)[:METRICS_MAX]}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _camel(name: str) -> str:
    """Return a name as the cloud writes names: ``rss_bytes`` is ``rssBytes``."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
