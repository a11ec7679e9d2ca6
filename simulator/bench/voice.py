"""The voice, measured at the sound server: latencies, load, glitches, and wake words.

The real process, ``pommai run``, with PortAudio on a private PulseAudio and a development cloud:
its times are those of the sound server's devices and of the cloud's packets, not its own.

Left out: linux-voice-assistant doing the same, against which DESIGN.md sets further budgets.
"""

from __future__ import annotations

import asyncio
from typing import Final

from firmware.bench.errors import SectionError
from firmware.bench.section import Figure, Tell
from simulator.bench import load, timing, wake
from simulator.bench.rig import REPLY_TONE_MS, Rig
from simulator.errors import SimulatorError

TAKES_S: Final = 480


def measure(tell: Tell) -> list[Figure]:
    """Measure everything, one after the other: each would disturb the rest."""
    try:
        words = wake.measure(tell)
        return [*asyncio.run(_live(tell)), *words]
    except SimulatorError as error:
        raise SectionError(str(error)) from error


async def _live(tell: Tell) -> list[Figure]:
    tell("voice: a sound server, a cloud and a toy")
    async with Rig() as rig:
        loads = await load.measure(rig, tell)
        await rig.cloud.post("stream-options", {"reply_tone_ms": REPLY_TONE_MS})
        timings = await timing.measure(rig, tell)
        return [*timings.figures(), *loads]
