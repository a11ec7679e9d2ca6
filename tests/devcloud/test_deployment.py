from __future__ import annotations

import pytest

from devcloud.deployment import Deployment, seeded
from devcloud.errors import SettingsError


def test_timestamps_rise_though_the_clock_is_set_back() -> None:
    times = iter([1000, 900, 2000])
    deployment = Deployment(lambda: next(times))
    assert [deployment.timestamp, deployment.commit(), deployment.commit()] == [1000, 1001, 2000]


def test_watchers_are_called_after_a_change_while_they_watch() -> None:
    deployment = seeded("device", "secret", "toy")
    seen: list[object] = []
    with deployment.watching(lambda: seen.append(deployment.configuration()["volumeLimit"])):
        deployment.configure({"volumeLimit": 10.0})
    deployment.configure({"volumeLimit": 20.0})
    assert seen == [10.0]


def test_a_change_that_cannot_be_changes_nothing_and_calls_nobody() -> None:
    deployment = seeded("device", "secret", "toy")
    before = deployment.configuration(), deployment.timestamp
    with (
        deployment.watching(lambda: pytest.fail("nothing was committed")),
        pytest.raises(SettingsError),
    ):
        deployment.configure({"volumeLimit": 10.0, "nonsense": True})
    assert (deployment.configuration(), deployment.timestamp) == before


def test_a_toy_is_found_only_by_the_device_that_carries_it() -> None:
    deployment = seeded("device", "secret", "toy")
    assert deployment.toy("toy", "device")
    assert deployment.toy("toy", "another") is None
    assert deployment.toy("another", "device") is None


def test_an_unknown_toy_cannot_be_configured() -> None:
    with pytest.raises(SettingsError, match="did you mean 'toy'"):
        seeded("device", "secret", "toy").configure({}, "toyy")


def test_a_device_knows_its_own_secret_only() -> None:
    device = seeded("device", "secret", "toy").device("device")
    assert device
    assert device.knows("secret")
    assert not device.knows("Secret")
    assert not device.knows("geheimnis ä")
