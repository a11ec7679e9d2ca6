"""The section `store`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from firmware.errors import SettingsError
from firmware.settings import load
from firmware.store.settings import _RANGES, StoreSettings


def test_the_defaults_lie_within_their_ranges() -> None:
    """And every figure has one."""
    figures = {field.name for field in fields(StoreSettings)} - {"runtime_dir"}
    assert figures == set(_RANGES)
    StoreSettings()


@pytest.mark.parametrize("key", sorted(_RANGES))
def test_a_figure_beyond_its_range_is_refused_by_name(key: str, tmp_path: Path) -> None:
    """With the range, and where it stands."""
    lowest, highest = _RANGES[key]
    file = tmp_path / "pommai.toml"
    for value in (lowest - 1, highest + 1):
        file.write_text(f"[store]\n{key} = {value}\n")
        with pytest.raises(SettingsError, match=f"store.{key} is {value}: give {lowest} to"):
            load(file, {})


def test_the_runtime_folder_is_below_the_data_folder_unless_another_is_given() -> None:
    """A desk has no folder in memory."""
    assert StoreSettings().runtime_folder(Path("/data")) == Path("/data/run")
    given = StoreSettings(runtime_dir="/run/pommai")
    assert given.runtime_folder(Path("/data")) == Path("/run/pommai")


def test_what_waits_fits_the_device() -> None:
    """512 MB of memory, in which the runtime folder lies as well."""
    settings = StoreSettings()
    reserved = settings.urgent_records_reserved * settings.record_bytes_max
    assert settings.urgent_bytes_max + reserved + settings.bulk_bytes_max < 16_000_000
