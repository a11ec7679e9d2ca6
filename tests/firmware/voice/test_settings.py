"""The configuration's section `voice`."""

from __future__ import annotations

import dataclasses

import pytest

from firmware.voice.errors import SettingError
from firmware.voice.settings import _RANGES, VoiceSettings


def test_the_defaults_are_valid_and_say_what_they_mean() -> None:
    """Every key has a range, a description and a unit."""
    VoiceSettings()
    fields = dataclasses.fields(VoiceSettings)
    assert {field.name for field in fields} == set(_RANGES)
    assert all(field.metadata["says"] and field.metadata["unit"] for field in fields)
    for suffix, unit in (("_ms", "ms"), ("_ms_max", "ms"), ("_percent", "%"), ("_bps", "bit/s")):
        assert all(f.metadata["unit"] == unit for f in fields if f.name.endswith(suffix))


@pytest.mark.parametrize("name", _RANGES)
def test_a_value_out_of_range_is_named_with_its_range(name: str) -> None:
    """One clear line: the key as it stands in the file, the value, what to give."""
    highest = _RANGES[name][1]
    with pytest.raises(
        SettingError, match=rf"voice\.{name} is {highest + 1}: give .* to {highest}"
    ):
        VoiceSettings(**{name: highest + 1})


def test_a_beginning_that_cannot_be_heard_is_refused() -> None:
    """More voice than its window holds would never be found."""
    with pytest.raises(
        SettingError, match=r"speech_start_ms is 300: give at most speech_start_window_ms"
    ):
        VoiceSettings(speech_start_ms=300)
