from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.devcloud.running import RunningCloud

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running_cloud() -> Iterator[RunningCloud]:
    """One cloud for all tests: its recogniser takes a second to get ready."""
    with RunningCloud() as running:
        running.run(running.cloud.recogniser.ready())
        yield running


@pytest.fixture
def cloud(running_cloud: RunningCloud) -> Iterator[RunningCloud]:
    """The cloud, without a fault of an earlier test."""
    yield running_cloud
    running_cloud.reset()
