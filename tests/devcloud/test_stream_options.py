from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.audio import AudioFormat
from devcloud.errors import SettingsError
from devcloud.stream_options import StreamOptions, StreamOptionsBoard

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


def test_options_stay_until_they_are_changed() -> None:
    board = StreamOptionsBoard(StreamOptions())
    board.set({"reply_format": "pcm16"})
    board.set({"binary": False, "reply_rate_hz": 48_000})
    assert board.now == StreamOptions(binary=False, reply_format="pcm16", reply_rate_hz=48_000)
    assert board.to_json()["wav_layout"] == "whole"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("binary", 1),
        ("reply_format", "mp3"),
        ("reply_rate_hz", 16_001),
        ("reply_channels", True),
        ("reply_channels", 3),
        ("wav_layout", None),
        ("wav_layout", []),
        ("reply_formats", "wav"),
        ("reply_text", ""),
        ("reply_text", "x" * 1001),
        ("reply_text", 5),
        ("reply_tone_ms", 0),
        ("reply_tone_ms", True),
        ("reply_tone_ms", 60_001),
    ],
)
def test_an_option_that_cannot_be_is_refused_and_nothing_changes(name: str, value: Json) -> None:
    board = StreamOptionsBoard(StreamOptions())
    with pytest.raises(SettingsError, match=name):
        board.set({"binary": False, name: value})
    assert board.now == StreamOptions()


@pytest.mark.parametrize(
    ("format_", "wanted_hz", "rate_hz"),
    [
        (AudioFormat.WAV, None, 22_050),
        (AudioFormat.WAV, 8_000, 8_000),
        (AudioFormat.PCM16, None, 16_000),
        (AudioFormat.PCM16, 44_100, 44_100),
        (AudioFormat.OPUS, None, 16_000),
        (AudioFormat.OPUS, 24_000, 24_000),
        (AudioFormat.OPUS, 44_100, 16_000),
    ],
)
def test_each_format_gets_a_rate_that_it_can_have(
    format_: AudioFormat, wanted_hz: int | None, rate_hz: int
) -> None:
    assert StreamOptions(reply_rate_hz=wanted_hz).rate_hz(format_, 22_050) == rate_hz
