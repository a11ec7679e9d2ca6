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


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("speech_start_ms", 300, "speech_start_window_ms"),
        ("silence_percent", 60, "voice_percent"),
        ("opus_bitrate_bps_min", 25_000, "opus_bitrate_bps"),
        ("opus_bitrate_bps", 33_000, "opus_bitrate_bps_max"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(name: str, value: int, bound: str) -> None:
    """Such as a beginning with more voice than its window holds, which would never be found."""
    with pytest.raises(SettingError, match=rf"voice\.{name} is {value}: give at most {bound}"):
        VoiceSettings(**{name: value})
