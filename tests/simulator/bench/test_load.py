"""What a process takes of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from hardware.pcm import BYTES_PER_MS
from simulator.bench import tone
from simulator.bench.load import LONG_MS, MEGABYTE, Meter, _glitches, resident

HOLDS_50_MB = "import sys; held = b'x' * 50_000_000; print(); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A child of this process, which holds 50 MB."""
    command = [sys.executable, "-c", HOLDS_50_MB]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_memory_of_a_child_is_its_own_and_what_it_shares_counts_once(
    child: subprocess.Popen[bytes],
) -> None:
    one, other = psutil.Process(os.getpid()), psutil.Process(child.pid)
    alone, both = resident([one]), resident([one, other])
    assert 50 * MEGABYTE < both - alone <= other.memory_info().rss


def test_a_process_that_waits_takes_nothing(child: subprocess.Popen[bytes]) -> None:
    load = Meter(child.pid).read()
    assert load.cpu_percent < 50
    assert 50 < load.memory_mb <= load.each_mb * 1.01


@pytest.mark.parametrize(("torn", "a_minute"), [(0, 0), (2, 6)])
def test_tears_are_by_the_minute(torn: int, a_minute: float) -> None:
    whole = tone.make(LONG_MS)
    pieces = [whole[at : at + 4_000 * BYTES_PER_MS] for at in range(0, len(whole), 128_000)]
    for number in range(torn):
        pieces[number] = pieces[number][: -20 * BYTES_PER_MS]
    assert _glitches("playback", b"".join(pieces)).median == a_minute


def test_a_tone_that_is_missing_or_ends_early_is_torn() -> None:
    for sound in (bytes(1_000), tone.make(LONG_MS / 2)):
        figure = _glitches("playback", sound)
        assert (figure.median, figure.met) == (3, False)


def test_what_was_torn_before_the_toy_had_it_is_no_glitch_of_the_toy() -> None:
    whole, at = tone.make(LONG_MS), 5_000 * BYTES_PER_MS
    torn = whole[:at] + whole[at + 20 * BYTES_PER_MS :]
    assert _glitches("capture", torn, tone.tears(torn)).met
    assert not _glitches("capture", torn, tone.tears(whole)).met
