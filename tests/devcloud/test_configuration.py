from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.configuration import initial_configuration, merge
from devcloud.errors import SettingsError

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


def test_a_new_toy_may_listen_and_stores_nothing() -> None:
    configuration = initial_configuration()
    assert configuration["consent"] == {
        "listen": True,
        "storeAudio": False,
        "storeTranscripts": False,
    }
    assert configuration["wakeWord"] == "alexa"
    assert configuration["wakeWordEnabled"] is True


def test_every_change_is_a_new_version() -> None:
    first = initial_configuration()
    second = merge(first, {"volumeLimit": 10.0})
    assert (first["version"], second["version"]) == (1.0, 2.0)
    assert (first["volumeLimit"], second["volumeLimit"]) == (80.0, 10.0)


def test_one_consent_can_be_withdrawn_and_the_others_stay() -> None:
    changed = merge(initial_configuration(), {"consent": {"listen": False}})
    assert changed["consent"] == {"listen": False, "storeAudio": False, "storeTranscripts": False}


def test_an_unknown_field_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(SettingsError, match="did you mean 'volumeLimit'"):
        merge(initial_configuration(), {"volumelimit": 10.0})
    with pytest.raises(SettingsError, match="there are name, wakeWord"):
        merge(initial_configuration(), {"???": 10.0})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quietHours", {"start": "20:00", "end": "07:30"}),
        ("quietHours", None),
        ("dailyPlayMinutes", 60.0),
        ("dailyPlayMinutes", None),
        ("safetyLevel", "relaxed"),
        ("blockedTopics", ["ghosts", "war"]),
    ],
)
def test_what_can_be_is_taken(name: str, value: Json) -> None:
    assert merge(initial_configuration(), {name: value})[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", 1.0),
        ("wakeWordEnabled", "yes"),
        ("volumeLimit", 101.0),
        ("volumeLimit", True),
        ("quietHours", {"start": "20:00"}),
        ("quietHours", {"start": "24:00", "end": "07:00"}),
        ("quietHours", "20:00"),
        ("dailyPlayMinutes", -1.0),
        ("safetyLevel", "none"),
        ("blockedTopics", "ghosts"),
        ("blockedTopics", [1.0]),
        ("consent", {"listen": "yes"}),
        ("consent", {"hear": True}),
        ("consent", None),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, value: Json) -> None:
    with pytest.raises(SettingsError, match=name):
        merge(initial_configuration(), {name: value})
