"""The configuration's section `store`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.errors import SettingsError
from firmware.setting import setting

_RANGES: Final = {
    "persist_interval_s": (1, 3_600),
    "urgent_records_max": (10, 100_000),
    "urgent_records_reserved": (2, 10_000),
    "urgent_bytes_max": (65_536, 64_000_000),
    "bulk_records_max": (10, 100_000),
    "bulk_bytes_max": (65_536, 64_000_000),
    "record_bytes_max": (1_024, 65_536),
}


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """How much waits for the cloud, where, and how often what may be lost is saved.

    Raises:
        SettingsError: A value is out of its range.
    """

    runtime_dir: str = setting(
        "", "folder in memory for records that may be lost; empty: `run` in the data folder"
    )
    persist_interval_s: int = setting(
        60, "time between savings of records that may be lost", unit="s"
    )
    urgent_records_max: int = setting(
        2_000, "urgent records that wait, at which the toy locks", unit="records"
    )
    urgent_records_reserved: int = setting(
        200,
        "places beyond that; half for reports of locks, half for what a locked toy must still say",
        unit="records",
    )
    urgent_bytes_max: int = setting(
        4_000_000, "their size in all, at which the toy locks", unit="bytes"
    )
    bulk_records_max: int = setting(
        10_000, "other records that wait; the oldest give way", unit="records"
    )
    bulk_bytes_max: int = setting(8_000_000, "their size in all; the oldest give way", unit="bytes")
    record_bytes_max: int = setting(16_384, "longest record that is taken", unit="bytes")

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise SettingsError(f"store.{name} is {value}: give {lowest} to {highest}")

    def runtime_folder(self, data: Path) -> Path:
        """Return the folder for what may be lost, beside the data folder's own."""
        return Path(self.runtime_dir) if self.runtime_dir else data / "run"
