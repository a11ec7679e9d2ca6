"""The toy is quieter for a while where somebody may be talking, without a click."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

from firmware.voice.ducking import RAMP_MS, Ducking
from hardware.clock import Clock
from hardware.pcm import FRAME_BYTES, SAMPLE_BYTES, from_bytes
from hardware.sim.clock import run_virtual
from tests.firmware.voice.rig import SILENCE, PlaybackRig, reply

LOUD = (10_000).to_bytes(SAMPLE_BYTES, "little") * (FRAME_BYTES // SAMPLE_BYTES)


def test_it_begins_with_a_ramp_and_ends_with_one() -> None:
    async def main() -> None:
        ducking = Ducking(Clock(), duck_db=12, duck_ms=200)
        heard = []
        for n in range(30):
            if n == 5:
                ducking.duck()
            heard.append(from_bytes(ducking.applied(LOUD)))
            await asyncio.sleep(0.02)
        low = 10_000 * 10 ** (-12 / 20)
        ramp = RAMP_MS // 20
        assert all(set(frame) == {10_000} for frame in heard[:5])
        assert all(abs(sample - low) <= 1 for frame in heard[5 + ramp : 15] for sample in frame)
        assert all(set(frame) == {10_000} for frame in heard[15 + ramp :])
        samples = [sample for frame in heard for sample in frame]
        assert max(abs(a - b) for a, b in pairwise(samples)) <= 20

    run_virtual(main())


def test_it_lasts_from_the_last_call_on() -> None:
    async def main() -> None:
        ducking = Ducking(Clock(), duck_db=20, duck_ms=100)
        quiet = 0
        for n in range(40):
            if n in {0, 4, 8}:
                ducking.duck()
            quiet += from_bytes(ducking.applied(LOUD))[-1] < 9_999
            await asyncio.sleep(0.02)
        assert quiet == 8 + 100 // 20 + RAMP_MS // 20 - 1

    run_virtual(main())


def test_playback_is_quieter_when_it_is_told_to_be() -> None:
    """From the next frame that is pulled, however much was made ready before."""

    async def main() -> None:
        rig = PlaybackRig()
        rig.perform("speaker", mode="reply", turn=1)
        rig.receive(1, reply(duration_ms=2_000))
        await asyncio.sleep(1)
        rig.playback.duck()
        await asyncio.sleep(0.5)
        before = [_level(frame) for at, frame in rig.pulled if 500 <= at < 1_000]
        after = [_level(frame) for at, frame in rig.pulled if 1_060 <= at < 1_500]
        ducked_db = 20 * math.log10(sum(before) * len(after) / (len(before) * sum(after)))
        assert 11.5 <= ducked_db <= 12.5
        rig.playback.close()

    run_virtual(main())


def test_what_is_heard_is_told_with_the_time_at_which_it_begins_to_be() -> None:
    """As it sounds, quieter where it is; silence is not told."""

    async def main() -> None:
        told: list[tuple[bytes, int]] = []
        rig = PlaybackRig(on_heard=lambda frame, heard_ms: told.append((frame, heard_ms)))
        rig.perform("speaker", mode="reply", turn=1)
        rig.receive(1, reply(duration_ms=400))
        rig.end(1)
        await asyncio.sleep(0.1)
        rig.playback.duck()
        await asyncio.sleep(1)
        late_ms = rig.speaker.latency_ms
        sounds = [(frame, at + late_ms) for at, frame in rig.pulled if frame != SILENCE]
        assert told == sounds
        assert len(told) == 20
        rig.playback.close()

    run_virtual(main())


def _level(frame: bytes) -> float:
    samples = from_bytes(frame)
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))
