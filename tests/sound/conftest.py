"""One household for all these tests: each of its processes takes a second to get ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.sound.household import Household

COMPLAINTS: Final = ("ERROR", "CRITICAL", "Traceback", "Expression")
"""The last is PortAudio's, of each attempt with a device that is not there."""


@pytest.fixture(scope="session")
def running_household(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    """A toy that can be spoken to."""
    with Household(tmp_path_factory.mktemp("household")) as household:
        yield household


@pytest.fixture
def household(running_household: Household) -> Iterator[Household]:
    """The same, as if nothing had happened yet."""
    running_household.run(running_household.settle())
    before = running_household.toy.said
    yield running_household
    said = running_household.toy.said.removeprefix(before)
    assert not any(word in said for word in COMPLAINTS), said
