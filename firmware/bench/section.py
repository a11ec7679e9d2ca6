"""What a section of the bench is: a module that says what it measures, and measures it.

It is named in the entry points, group `GROUP`, so that what is not installed is not offered: a
device has no `voice`. The module has

- ``TAKES_S``: about how long it takes; above `QUICK_S_MAX`, it is measured only where it is named,
- ``measure(tell) -> list[Figure]``: which may take its time, and says by `Tell` where it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Final, Literal, Protocol

GROUP: Final = "pommai.bench"
QUICK_S_MAX: Final = 60

Tell = Callable[[str], None]
"""Told, in a few words, what is being measured now."""

Judged = Literal["median", "p95", "p99"]


@dataclass(frozen=True)
class Figure:
    """One measured figure and its budget, if it has one.

    Attributes:
        section: Which section measured it.
        what: In a few words.
        unit: Of all the numbers.
        median: Of the measurements; the figure itself where there was one.
        p99: Exceeded by one measurement in a hundred; None where that means nothing.
        budget: What is allowed, and ``least`` where more is better.
        p95: Exceeded by one in twenty, likewise.
        judged: Which of them the budget is for.
    """

    section: str
    what: str
    unit: str
    median: float
    p99: float | None
    budget: float | None
    least: bool = False
    p95: float | None = None
    judged: Judged = "median"

    @property
    def met(self) -> bool:
        """Whether it is within its budget. What was not measured is not."""
        if self.budget is None:
            return True
        value = getattr(self, self.judged)
        if value is None or math.isnan(value):
            return False
        return bool(value >= self.budget if self.least else value <= self.budget)


class Section(Protocol):
    """A module that measures something."""

    TAKES_S: int

    def measure(self, tell: Tell) -> list[Figure]:
        """Measure. Raises SectionError when that is impossible here; the message says why."""


def names() -> list[str]:
    """Return the sections that are installed, in alphabetical order."""
    return sorted(
        point.name
        for point in entry_points(group=GROUP)
        if find_spec(point.module.split(".", maxsplit=1)[0]) is not None
    )


def load(name: str) -> Section:
    """Return one of them."""
    (point,) = entry_points(group=GROUP, name=name)
    section: Section = point.load()
    return section


def spread(  # noqa: PLR0913 - a figure has as many parts
    section: str,
    what: str,
    unit: str,
    measured: Sequence[float],
    *,
    budget: float | None = None,
    judged: Judged = "p99",
) -> Figure:
    """Return the figure of many measurements, each as good as the next."""
    p50, p95, p99 = (percentile(measured, share) for share in (50, 95, 99))
    return Figure(section, what, unit, p50, p99, budget, p95=p95, judged=judged)


def percentile(measured: Sequence[float], percent: int) -> float:
    """Return the least measurement that so many percent do not exceed; not a number for none."""
    if not measured:
        return math.nan
    return sorted(measured)[max(0, math.ceil(len(measured) * percent / 100) - 1)]
