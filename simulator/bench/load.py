"""What the toy takes of the machine, and whether sound is torn, while it does one thing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from firmware.bench.section import Figure, Tell
from hardware import pcm
from simulator.bench import tone
from simulator.bench.latency import Uplink
from simulator.bench.rig import Rig

IDLE_S: Final = 20
LONG_MS: Final = 20_000
"""How long is spoken to the toy, and how long it speaks. An utterance may take 30 s."""
SETTLE_S: Final = 2.0
MEGABYTE: Final = 1_000_000

MEMORY_MB_MAX: Final = 110
TEARS_PER_MINUTE_MAX: Final = 0


@dataclass(frozen=True)
class Load:
    """What a process and its children took over a while.

    Attributes:
        cpu_percent: Of one core.
        memory_mb: Resident at the end, every page once, and wholly, whoever else has it too.
        each_mb: The same, with what they share counted for each of them.
    """

    cpu_percent: float
    memory_mb: float
    each_mb: float


class Meter:
    """Measures a process with its children, from when it is made.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._began_s, self._spent_s = time.monotonic(), self._cpu_s()

    def read(self) -> Load:
        """Return what was taken since."""
        passed_s = time.monotonic() - self._began_s
        cpu_percent = 100 * (self._cpu_s() - self._spent_s) / passed_s
        each = sum(process.memory_info().rss for process in self._family())
        return Load(cpu_percent, resident(self._family()) / MEGABYTE, each / MEGABYTE)

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _cpu_s(self) -> float:
        times = [process.cpu_times() for process in self._family()]
        return sum(one.user + one.system for one in times)


def resident(family: Sequence[psutil.Process]) -> int:
    """Return how many bytes of memory some processes occupy together.

    Of a file that several have mapped, the largest part counts; what belongs to no file is shared
    with nobody but a forked child, which Linux accounts for (PSS).
    """
    files: dict[str, int] = {}
    own = 0
    for process in family:
        for part in process.memory_maps(grouped=True):
            if part.path.startswith("/"):
                files[part.path] = max(files.get(part.path, 0), part.rss)
            else:
                own += part.pss
    return own + sum(files.values())


async def measure(rig: Rig, tell: Tell) -> list[Figure]:
    """Let the toy be idle, then listen, then speak. Raises ToyLostError when it does not."""
    tell(f"voice: idle with the wake word on, {IDLE_S} s")
    await asyncio.sleep(SETTLE_S)
    meter = Meter(rig.toy.pid)
    await asyncio.sleep(IDLE_S)
    idle = meter.read()
    tell(f"voice: capture, {LONG_MS // 1000} s")
    await rig.cloud.post("stream-options", {"reply_tone_ms": LONG_MS})
    meter = Meter(rig.toy.pid)
    said_from, begin = rig.microphone.samples, rig.speaker.samples
    await rig.speak(tone.make(LONG_MS))
    capture = meter.read()
    said = rig.microphone.since(said_from)
    uplink = Uplink.from_json((await rig.cloud.get("stream-heard"))[-1])
    tell(f"voice: playback, {LONG_MS // 1000} s")
    meter = Meter(rig.toy.pid)
    await rig.at("idle.awake", len(rig.toy.steps))
    playback = meter.read()
    played = rig.speaker.since(begin)
    return [
        *_figures("idle", idle),
        *_figures("capture", capture),
        *_figures("playback", playback),
        _glitches("capture", uplink.sound, tone.tears(said)),
        _glitches("playback", played),
    ]


def _figures(when: str, load: Load) -> list[Figure]:
    budget = MEMORY_MB_MAX
    return [
        Figure("voice", f"CPU, {when}", "% of a core", load.cpu_percent, None, None),
        Figure("voice", f"memory with the child, {when}", "MB", load.memory_mb, None, budget),
        Figure("voice", f"the same, each its own, {when}", "MB", load.each_mb, None, None),
    ]


def _glitches(when: str, sound: bytes, torn_before: Sequence[int] = ()) -> Figure:
    """Return how often a tone is torn; one that is not there, or not to its end, is torn too.

    ``torn_before`` is where it was torn before the toy had it: a busy desk says it with gaps.
    """
    begins, ends = tone.begins(sound), tone.ends(sound)
    length_ms = (ends[-1] - begins[0]) / pcm.SAMPLES_PER_MS if begins else 0.0
    torn = max(0, len(tone.tears(sound)) - len(torn_before))
    torn += length_ms < LONG_MS - 2 * tone.EDGE_MS
    per_minute = torn * 60_000 / LONG_MS
    what = f"glitches in {when}"
    return Figure("voice", what, "a minute", per_minute, None, TEARS_PER_MINUTE_MAX)
