"""How loud a frame is."""

from __future__ import annotations

import array

import pytest

from firmware.voice.level import SILENT_DBFS, Level
from hardware.pcm import FRAME_SAMPLES
from tests.firmware.voice.rig import SILENCE
from tests.hardware.voices import tone


def test_a_sine_is_3_db_below_its_peak() -> None:
    """10,000 of 32,768 are -10.3 dBFS."""
    level = Level.of(tone(500, 20).tobytes())
    assert level.peak_dbfs == pytest.approx(-10.3, abs=0.1)
    assert level.rms_dbfs == pytest.approx(-13.3, abs=0.1)


def test_silence_has_a_level_too() -> None:
    """Its logarithm would have none."""
    assert Level.of(SILENCE) == Level(SILENT_DBFS, SILENT_DBFS)


@pytest.mark.parametrize("sample", [-32_768, 32_767])
def test_the_loudest_there_is_is_full_scale(sample: int) -> None:
    """Downwards there is one step more than upwards."""
    level = Level.of(array.array("h", [sample] * FRAME_SAMPLES).tobytes())
    assert level == pytest.approx((0, 0), abs=0.001)
