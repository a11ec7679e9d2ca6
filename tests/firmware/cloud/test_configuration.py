"""What the cloud says about a toy."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud.configuration import (
    TEXT_CHARS_MAX,
    TOPICS_MAX,
    VERSION_MAX,
    Consent,
    QuietHours,
    ToyConfiguration,
    WakeWordModel,
)
from firmware.cloud.errors import ConfigurationError
from tests.firmware.cloud.examples import CONFIGURATION, configuration

SHA256 = "0f" * 32
MODEL = {"url": "https://models.example/bruno.bin", "sha256": SHA256}
CONSENT = CONFIGURATION["consent"]


def parsed(**changes: Any) -> ToyConfiguration:  # noqa: ANN401 - any JSON
    """Parse the example, changed at its top."""
    return ToyConfiguration.parse(configuration(**changes))


def test_a_configuration_is_read_whole() -> None:
    """Every key, in the types that the firmware uses."""
    assert parsed() == ToyConfiguration(
        version=7,
        name="Bruno",
        wake_word="hey bruno",
        wake_word_enabled=True,
        wake_word_barge_in=False,
        continued_conversation=False,
        voice="en-us",
        volume_limit_percent=80,
        quiet_hours=QuietHours(time(19, 30), time(7, 0)),
        daily_play_minutes=45,
        safety_level="moderate",
        allowed_topics=("animals", "space"),
        blocked_topics=("war",),
        consent=Consent(listen=True, store_audio=False, store_transcripts=False),
        unknown_keys=0,
    )


def test_what_may_be_left_open_may_be_null() -> None:
    """No quiet hours, and no limit of a day's play."""
    toy = parsed(quietHours=None, dailyPlayMinutes=None)
    assert toy.quiet_hours is None
    assert toy.daily_play_minutes is None


def test_a_wake_word_may_be_a_model() -> None:
    """Given by its address and by what must arrive from there."""
    assert parsed(wakeWord=MODEL).wake_word == WakeWordModel(MODEL["url"], SHA256)


def test_keys_of_a_newer_cloud_are_counted_and_left_alone() -> None:
    """They make it no other configuration for this firmware."""
    toy = parsed(offlinePack={"a": 1}, timeZone="Europe/Berlin")
    assert toy.unknown_keys == 2
    assert toy == parsed()


def test_names_may_be_written_in_any_language() -> None:
    """And with pictures."""
    assert parsed(name="Бру́но 👨‍👩‍👧").name == "Бру́но 👨‍👩‍👧"


@pytest.mark.parametrize("key", CONFIGURATION)
def test_every_key_must_be_there(key: str) -> None:
    """Half a configuration might be the permissive half."""
    value = {name: value for name, value in CONFIGURATION.items() if name != key}
    with pytest.raises(ConfigurationError, match=f"configuration: {key} must be there") as raised:
        ToyConfiguration.parse(value)
    assert raised.value.key == key


TEXTS: list[object] = [
    None,
    7,
    "",
    "x" * (TEXT_CHARS_MAX + 1),
    "a\nb",
    "\x00",
    "\x9b1m",
    "\ud800",
    ["a"],
]
FLAGS: list[object] = [None, 0, 1.0, "true", []]


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        *[(key, value, key) for key in ("name", "voice", "wakeWord") for value in TEXTS],
        *[
            (key, value, key)
            for key in ("wakeWordEnabled", "wakeWordBargeIn", "continuedConversation")
            for value in FLAGS
        ],
        *[
            ("volumeLimit", value, "volumeLimit")
            for value in (None, True, "80", -0.1, 100.1, float("nan"), float("inf"))
        ],
        *[
            ("dailyPlayMinutes", value, "dailyPlayMinutes")
            for value in (True, "45", -1.0, 1440.5, float("nan"))
        ],
        *[
            ("version", value, "version")
            for value in (None, True, "7", -1, 7.5, 2 * VERSION_MAX, float("nan"), float("inf"))
        ],
        *[("safetyLevel", value, "safetyLevel") for value in (None, "", "Strict", "none", 1)],
        ("quietHours", "19:30", "quietHours"),
        ("quietHours", [], "quietHours"),
        ("quietHours", {"start": "19:30"}, "quietHours.end"),
        *[
            ("quietHours", {"start": value, "end": "07:00"}, "quietHours.start")
            for value in (None, 19, "24:00", "19:60", "7:00", "19:30:00", "19:30\n", "1\u0669:30")
        ],
        ("allowedTopics", None, "allowedTopics"),
        ("allowedTopics", "animals", "allowedTopics"),
        ("allowedTopics", ["a"] * (TOPICS_MAX + 1), "allowedTopics"),
        ("allowedTopics", ["a", 7], "allowedTopics[1]"),
        ("blockedTopics", [""], "blockedTopics[0]"),
        ("blockedTopics", ["x" * (TEXT_CHARS_MAX + 1)], "blockedTopics[0]"),
        ("consent", None, "consent"),
        ("consent", True, "consent"),
        ("consent", {**CONSENT, "listen": 1}, "consent.listen"),
        ("consent", {"listen": True, "storeAudio": False}, "consent.storeTranscripts"),
        ("wakeWord", {}, "wakeWord.url"),
        ("wakeWord", {**MODEL, "url": "http://models.example/m"}, "wakeWord.url"),
        ("wakeWord", {**MODEL, "url": "https://"}, "wakeWord.url"),
        ("wakeWord", {**MODEL, "url": "https://[::1"}, "wakeWord.url"),
        ("wakeWord", {**MODEL, "url": "https://m.example/\n"}, "wakeWord.url"),
        ("wakeWord", {**MODEL, "url": "https://m.example/" + "a" * 2048}, "wakeWord.url"),
        ("wakeWord", {**MODEL, "sha256": "0F" * 32}, "wakeWord.sha256"),
        ("wakeWord", {**MODEL, "sha256": SHA256 + "0"}, "wakeWord.sha256"),
    ],
)
def test_what_cannot_be_is_named(key: str, value: object, named: str) -> None:
    """The dotted key, and in words what should stand there."""
    with pytest.raises(ConfigurationError, match=r"^configuration: \S+ must be \S") as raised:
        parsed(**{key: value})
    assert raised.value.key == named


@pytest.mark.parametrize("value", [None, [], "x", 7, True])
def test_what_is_no_object_is_no_configuration(value: object) -> None:
    """Such as the null of a toy that was deleted."""
    with pytest.raises(ConfigurationError, match="configuration: the whole must be an object"):
        ToyConfiguration.parse(value)


PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
JSON = PLAIN | st.lists(PLAIN) | st.dictionaries(st.text(), PLAIN)


@given(st.sampled_from(sorted(CONFIGURATION)), JSON)
def test_whatever_stands_under_a_key_is_read_or_refused_by_name(key: str, value: object) -> None:
    """No value of the cloud's raises anything else."""
    try:
        toy = parsed(**{key: value})
    except ConfigurationError as error:
        assert error.key.startswith(key)  # noqa: PT017 - either way is right, and both are checked
    else:
        assert toy.tightened(parsed()).version == toy.version


def test_what_a_family_chose_is_in_no_representation() -> None:
    """A log line about a configuration does not say what the toy is called."""
    shown = f"{parsed()!r} {parsed()}"
    assert "version=7" in shown
    for word in ("Bruno", "bruno", "animals", "war"):
        assert word not in shown


def test_what_is_stricter_takes_effect_at_once() -> None:
    """Each of the guardian's limits, and nothing else of the new version."""
    new = parsed(
        version=8,
        name="Berta",
        volumeLimit=40,
        dailyPlayMinutes=30,
        quietHours={"start": "18:00", "end": "08:00"},
        safetyLevel="strict",
        blockedTopics=["money", "war"],
        consent={"listen": True, "storeAudio": False, "storeTranscripts": False},
    )
    old = parsed(consent={"listen": True, "storeAudio": True, "storeTranscripts": True})
    tightened = old.tightened(new)
    assert tightened.volume_limit_percent == 40
    assert tightened.daily_play_minutes == 30
    assert tightened.quiet_hours == QuietHours(time(18), time(8))
    assert tightened.safety_level == "strict"
    assert tightened.blocked_topics == ("war", "money")
    assert tightened.consent == new.consent
    assert (tightened.version, tightened.name) == (7, "Bruno")


def test_what_is_looser_waits() -> None:
    """Nothing of it comes into force in the middle of a turn."""
    new = parsed(
        version=8,
        volumeLimit=100,
        dailyPlayMinutes=None,
        quietHours=None,
        safetyLevel="relaxed",
        allowedTopics=["everything"],
        blockedTopics=[],
        consent={"listen": True, "storeAudio": True, "storeTranscripts": True},
    )
    assert parsed().tightened(new) == parsed()


def test_a_first_limit_is_stricter_than_none() -> None:
    """And none at all stays none."""
    free = parsed(dailyPlayMinutes=None)
    assert free.tightened(parsed(dailyPlayMinutes=5)).daily_play_minutes == 5
    assert free.tightened(free).daily_play_minutes is None
