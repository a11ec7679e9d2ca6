"""What the computer under the toy can tell of itself: load, heat, power, space, radio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import psutil

TEMPERATURE_FILE: Final = "sys/class/thermal/thermal_zone0/temp"
"""Thousandths of a degree (Linux, Documentation/driver-api/thermal/sysfs-api.rst)."""
THROTTLED_FILE: Final = "sys/devices/platform/soc/soc:firmware/get_throttled"
"""Hexadecimal flags of the Raspberry Pi's firmware; see `Reading.throttled`."""
WIRELESS_FILE: Final = "proc/net/wireless"
"""One line an interface; the fourth word is the signal in dBm (wireless-tools)."""
INTERFACES_FOLDER: Final = "sys/class/net"
FILE_BYTES_MAX: Final = 65_536

_LOOPBACK: Final = "lo"
_WIRELESS_SIGNAL_WORD: Final = 3
_WIRELESS_HEADER_LINES: Final = 2
_SIGNAL_DBM_MIN, _SIGNAL_DBM_MAX = -150.0, 0.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at the computer; None where it cannot be told."""

    cpu_percent: float | None = None
    """Of all cores, since the reading before."""
    memory_percent: float | None = None
    """Of the memory, what is not available."""
    rss_bytes: int | None = None
    """Resident memory of this process."""
    child_rss_bytes: int | None = None
    """Resident memory of the child process."""
    temperature_c: float | None = None
    throttled: int | None = None
    """Flags of the firmware: bit 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft limit of
    the temperature; the same since boot in bits 16 to 19 (Raspberry Pi documentation,
    `vcgencmd get_throttled`)."""
    disk_free_percent: float | None = None
    """Of the file system that holds the toy's data, what we may still fill."""
    wifi_dbm: float | None = None
    link_up: bool | None = None
    """Whether any network interface but the loopback is up."""


class Sensors(Protocol):
    """Reads the computer."""

    def read(self) -> Reading:
        """Look now. It reads files, so call it on a worker's thread; it raises nothing."""
        ...


class SystemSensors:
    """`Sensors` of the computer that this runs on.

    Args:
        data: A folder on the file system that holds the toy's data.
        child: Gives the process id of the child, or None while there is none; any thread.
        root: What stands before ``/sys`` and ``/proc``; for tests.
    """

    def __init__(
        self, data: Path, child: Callable[[], int | None] = lambda: None, root: Path = Path("/")
    ) -> None:
        self._data = data
        self._child = child
        self._root = root
        self._process = psutil.Process()
        psutil.cpu_percent()  # the first call begins its interval and tells nothing

    def read(self) -> Reading:
        """Look now: see `Sensors`."""
        return Reading(
            cpu_percent=_or_none(psutil.cpu_percent),
            memory_percent=_or_none(lambda: psutil.virtual_memory().percent),
            rss_bytes=_or_none(lambda: self._process.memory_info().rss),
            child_rss_bytes=_or_none(self._child_rss_bytes),
            temperature_c=_or_none(self._temperature_c),
            throttled=_or_none(self._throttled),
            disk_free_percent=_or_none(self._disk_free_percent),
            wifi_dbm=_or_none(self._wifi_dbm),
            link_up=_or_none(self._link_up),
        )

    def _child_rss_bytes(self) -> int | None:
        pid = self._child()
        return None if pid is None else psutil.Process(pid).memory_info().rss

    def _temperature_c(self) -> float:
        return int(self._text(TEMPERATURE_FILE)) / 1000

    def _throttled(self) -> int:
        return int(self._text(THROTTLED_FILE), 16)

    def _disk_free_percent(self) -> float:
        usage = psutil.disk_usage(str(self._data))
        return 100.0 - usage.percent

    def _wifi_dbm(self) -> float | None:
        for line in self._text(WIRELESS_FILE).splitlines()[_WIRELESS_HEADER_LINES:]:
            signal_dbm = float(line.split()[_WIRELESS_SIGNAL_WORD].rstrip("."))
            if _SIGNAL_DBM_MIN <= signal_dbm < _SIGNAL_DBM_MAX:  # some drivers tell other scales
                return signal_dbm
        return None

    def _link_up(self) -> bool:
        folder = self._root / INTERFACES_FOLDER
        states = [
            self._text(f"{INTERFACES_FOLDER}/{interface.name}/operstate").strip()
            for interface in folder.iterdir()
            if interface.name != _LOOPBACK
        ]
        return "up" in states

    def _text(self, name: str) -> str:
        with (self._root / name).open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode("ascii")


def _or_none(read: Callable[[], _T]) -> _T | None:
    """Return what is read, or None where the computer does not tell, or tells nonsense."""
    try:
        return read()
    except (OSError, ValueError, IndexError, ArithmeticError, psutil.Error):
        return None
