"""What the computer tells of itself, and that it may tell nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hardware.sensors import (
    INTERFACES_FOLDER,
    TEMPERATURE_FILE,
    THROTTLED_FILE,
    WIRELESS_FILE,
    Reading,
    SystemSensors,
)

WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   58.  -52.  -256        0      0      0      0     12        0
"""


def computer(root: Path, files: dict[str, str]) -> SystemSensors:
    """Return the sensors of a computer that has only these files."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return SystemSensors(root, root=root)


def test_a_raspberry_pi_is_read(tmp_path: Path) -> None:
    """Heat, power and radio from the files of its kernel."""
    reading = computer(
        tmp_path,
        {
            TEMPERATURE_FILE: "48312\n",
            THROTTLED_FILE: "50005\n",
            WIRELESS_FILE: WIRELESS,
            f"{INTERFACES_FOLDER}/lo/operstate": "unknown\n",
            f"{INTERFACES_FOLDER}/wlan0/operstate": "up\n",
        },
    ).read()
    assert reading.temperature_c == 48.312
    assert reading.throttled == 0x50005
    assert reading.wifi_dbm == -52
    assert reading.link_up is True


def test_a_computer_that_tells_nothing_is_read_all_the_same(tmp_path: Path) -> None:
    """No such files at all: unknown, not wrong."""
    reading = computer(tmp_path, {}).read()
    assert (reading.temperature_c, reading.throttled, reading.wifi_dbm, reading.link_up) == (
        *(None, None, None, None),
    )


@pytest.mark.parametrize("content", ["", "\n", "hot", "\x00\x00", "é", "1 2 3\n" * 9])
def test_nonsense_is_unknown(tmp_path: Path, content: str) -> None:
    """Whatever a driver may write."""
    files = dict.fromkeys((TEMPERATURE_FILE, THROTTLED_FILE, WIRELESS_FILE), content)
    reading = computer(tmp_path, files).read()
    assert (reading.temperature_c, reading.throttled, reading.wifi_dbm) == (None, None, None)


def test_a_signal_of_another_scale_is_unknown(tmp_path: Path) -> None:
    """Some drivers tell percent, or nothing, where dBm should stand."""
    for level in ("58.", "0.", "-256."):
        files = {WIRELESS_FILE: WIRELESS.replace("-52.", level)}
        assert computer(tmp_path, files).read().wifi_dbm is None


def test_without_wireless_there_is_no_signal(tmp_path: Path) -> None:
    """A toy on a cable."""
    header = "".join(WIRELESS.splitlines(keepends=True)[:2])
    assert computer(tmp_path, {WIRELESS_FILE: header}).read().wifi_dbm is None


def test_a_link_that_is_down_is_told(tmp_path: Path) -> None:
    """The loopback is always there and counts for nothing."""
    files = {
        f"{INTERFACES_FOLDER}/lo/operstate": "up\n",
        f"{INTERFACES_FOLDER}/wlan0/operstate": "down\n",
    }
    assert computer(tmp_path, files).read().link_up is False


def test_this_computer_is_read() -> None:
    """Load, memory and space are told by every computer."""
    reading = SystemSensors(Path.cwd()).read()
    for percent in (reading.cpu_percent, reading.memory_percent, reading.disk_free_percent):
        assert percent is not None
        assert 0 <= percent <= 100
    assert reading.rss_bytes is not None
    assert reading.rss_bytes > 1_000_000


def test_the_child_is_weighed_while_it_lives() -> None:
    """And is unknown before and after."""
    pids: list[int] = []
    sensors = SystemSensors(Path.cwd(), lambda: pids[0] if pids else None)
    assert sensors.read().child_rss_bytes is None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        pids.append(child.pid)
        weight = sensors.read().child_rss_bytes
        assert weight is not None
        assert weight > 100_000
        child.communicate()
    assert sensors.read().child_rss_bytes is None


def test_a_folder_that_is_gone_has_no_free_space(tmp_path: Path) -> None:
    """The card may have been pulled."""
    assert SystemSensors(tmp_path / "gone").read().disk_free_percent is None


def test_a_reading_says_unknown_by_default() -> None:
    """Nothing is made up."""
    assert {getattr(Reading(), name) for name in Reading.__slots__} == {None}
