"""What holds for every test."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import hypothesis
import pytest

TESTS: Final = Path(__file__).parent

REAL_TIME: Final = ("faults", "simulator", "sound")
"""Folders whose tests watch whole toys for real seconds. One after the other, or they would keep
each other waiting; beside them runs what only computes."""

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
    """Say what may run beside what, where several workers share the tests (pytest-xdist).

    A file's tests stay together, since they share what is dear to make. What takes real time begins
    first, because it cannot be hurried.
    """
    items.sort(key=lambda item: not _takes_real_time(item))
    for item in items:
        group = "real time" if _takes_real_time(item) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def _takes_real_time(item: pytest.Item) -> bool:
    return item.path.relative_to(TESTS).parts[0] in REAL_TIME
