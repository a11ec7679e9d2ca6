from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.deployment import Deployment, seeded
from devcloud.errors import SettingsError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path


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


def test_what_is_in_a_file_is_there_in_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "data"
    first = seeded("device", "secret", "toy", path)
    first.configure({"volumeLimit": 10.0})
    first.add_toy("bear", "device", {"name": "Bear"})
    first.close()
    second = seeded("device", "another secret", "toy", path)
    assert second.timestamp > first.timestamp
    assert second.configuration("toy") == first_version(volumeLimit=10.0, version=2.0)
    assert second.toys() == ["toy", "bear"]
    device = second.device("device")
    assert device
    assert device.knows("another secret")


def first_version(**changes: object) -> dict[str, object]:
    return {**seeded("device", "secret", "toy").configuration(), **changes}


def test_a_clock_that_was_set_back_between_two_runs_sets_no_timestamp_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "data"
    first = Deployment(lambda: 5000, path)
    first.close()
    assert Deployment(lambda: 10, path).timestamp == 5001


def test_every_version_of_a_configuration_is_kept() -> None:
    deployment = seeded("device", "secret", "toy")
    deployment.configure({"volumeLimit": 10.0})
    deployment.configure({"volumeLimit": 20.0})
    versions = deployment.configurations("toy")
    assert [version["version"] for version in versions] == [1.0, 2.0, 3.0]
    assert [version["volumeLimit"] for version in versions] == [80.0, 10.0, 20.0]


def test_a_device_carries_one_of_its_toys() -> None:
    deployment = seeded("device", "secret", "toy")
    added = deployment.add_toy("bear", "device", {"name": "Bear"})
    assert (added.configuration["name"], added.configuration["version"]) == ("Bear", 1.0)
    assert deployment.configuration()["name"] == "Pommai"
    with deployment.transaction():
        deployment.carry("device", "bear")
    assert deployment.configuration()["name"] == "Bear"
    assert [(toy["toyId"], toy["carried"]) for toy in deployment.toys_to_json()] == [
        ("toy", False),
        ("bear", True),
    ]


def test_a_toy_is_added_once_and_to_a_device_that_is_there() -> None:
    deployment = seeded("device", "secret", "toy")
    with pytest.raises(SettingsError, match="there is a toy 'toy' already"):
        deployment.add_toy("toy", "device", {})
    with pytest.raises(UnknownNameError, match="did you mean 'device'"):
        deployment.add_toy("bear", "devise", {})
    with pytest.raises(SettingsError, match="there is a toy 'toy' already"):
        deployment.add_device("other", "secret", "toy")
    assert deployment.device_ids() == ["device"]


def test_where_there_are_several_devices_the_toy_must_be_named() -> None:
    deployment = seeded("device", "secret", "toy")
    deployment.add_device("other", "secret", "bear")
    with pytest.raises(SettingsError, match="toyId must be one of toy, bear"):
        deployment.configuration()
    with pytest.raises(SettingsError, match="deviceId must be one of device, other"):
        deployment.one_device(None)
    assert deployment.one_device("other") == "other"


def test_a_device_that_is_registered_again_finds_its_toys() -> None:
    deployment = seeded("device", "secret", "toy")
    deployment.configure({"volumeLimit": 10.0})
    deployment.remove_device("device")
    assert deployment.device("device") is None
    deployment.add_device("device", "secret", "toy")
    assert deployment.configuration()["volumeLimit"] == 10.0


def test_a_commit_that_failed_is_none() -> None:
    deployment = seeded("device", "secret", "toy")
    before = deployment.timestamp

    def change_and_fail() -> None:
        with deployment.transaction():
            deployment.carry("device", "bear")
            raise KeyError

    with (
        deployment.watching(lambda: pytest.fail("nothing was committed")),
        pytest.raises(KeyError),
    ):
        change_and_fail()
    assert deployment.timestamp == before
    assert deployment.configuration()["name"] == "Pommai"
