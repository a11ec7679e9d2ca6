"""What holds for every test."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import hypothesis
import pytest

TESTS: Final = Path(__file__).parent

REAL_TIME: Final = ("faults", "simulator", "sound")
"""Folders whose tests watch whole toys for real seconds: nothing else may run beside them."""

# The machines that run this share their cores, so no example is judged by how long it took, nor its
# making; and the examples are the same everywhere, so that whoever sees a failure sees it again.
hypothesis.settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes real time: `make test` runs that alone, after all that only computes."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in REAL_TIME:
            item.add_marker("real_time")
