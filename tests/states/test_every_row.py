"""No rule without a story: every row of the table fires in some scenario.

The scenarios are played here once more, so that the claim depends neither on the order of the tests
nor on which of them were chosen. A scenario that fails still tells which rows it fired.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from states import lookup as lookup_module
from tests.states.scenario import FIRED

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_scenarios_*.py"))


def scenarios() -> Iterator[Callable[[], None]]:
    """Yield every scenario, once for each set of its parameters."""
    for name in MODULES:
        module = importlib.import_module(f"tests.states.{name}")
        for scenario in [told for key, told in vars(module).items() if key.startswith("test_")]:
            for case in cases(scenario):
                yield partial(scenario, **case)


def cases(scenario: Callable[..., None]) -> Iterator[dict[str, object]]:
    """Yield the sets of parameters that ``pytest.mark.parametrize`` gives a scenario."""
    marks = [mark for mark in getattr(scenario, "pytestmark", ()) if mark.name == "parametrize"]
    for chosen in itertools.product(*(mark.args[1] for mark in marks)):
        case: dict[str, object] = {}
        for mark, values in zip(marks, chosen, strict=True):
            one = isinstance(mark.args[0], str)
            case.update({mark.args[0]: values} if one else zip(mark.args[0], values, strict=True))
        yield case


@pytest.fixture(scope="module")
def fired() -> set[str]:
    """Return the ids of all rows and entries that the scenarios met."""
    FIRED.clear()
    for scenario in scenarios():
        with suppress(AssertionError):
            scenario()
    return set(FIRED)


def test_every_row_fires_in_some_scenario(fired: set[str]) -> None:
    """Rows have stable ids; each stands for a sentence of MACHINE.md that a scenario tells."""
    assert not [row.id for row in lookup_module.OURS.rows if row.id not in fired]


def test_every_reason_to_do_nothing_is_met_in_some_scenario(fired: set[str]) -> None:
    """Every pair is a row or is listed as ignored or refused; the fences hold their own
    list back.
    """
    entries = [one for one in lookup_module.OURS.unacted if not one.id.startswith("fence.")]
    assert not [one.id for one in entries if f"{one.verdict}:{one.id}" not in fired]
