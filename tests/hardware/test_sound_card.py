"""The sound card for real: PyAudio and PortAudio before a sound server, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from simulator.sound_server import MICROPHONE, SPEAKER, SoundServer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30
SILENT_MS_MAX = 300
"""Within which a speaker that was closed is silent on a machine that is busy with other tests. On
one that is not it takes 5 ms."""


@asynccontextmanager
async def card_process(sound: SoundServer, *names: str) -> AsyncIterator[Process]:
    """Run ``tests.hardware.card_process``; it is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.hardware.card_process",
        *names,
        cwd=ROOT,
        env={**os.environ, **sound.environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def told(process: Process) -> dict[str, Any]:
    """Return the next thing it tells."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        line = await process.stdout.readline()
    found: dict[str, Any] = json.loads(line)
    return found


def go_on(process: Process) -> None:
    """Let it go on."""
    assert process.stdin is not None
    process.stdin.write(b"\n")


def test_a_real_card_is_starved_pulled_out_put_back_and_closed() -> None:
    """It survives the first, notices the second, finds the third, and is silent at the fourth."""

    async def main() -> None:
        async with (
            SoundServer(microphone_hz=44_100, speaker_hz=48_000) as sound,
            card_process(sound, MICROPHONE.upper(), SPEAKER[2:]) as process,
        ):
            tested = await told(process)
            assert (tested["what"], tested["works"]) == ("tested", [True, True])
            starved = await told(process)
            assert starved["what"] == "starved"
            for direction in ("microphone", "speaker"):
                counters = starved[direction]
                assert counters["stalls"] >= 1
                assert counters["glitches"] >= 1
                assert counters["failures"] == counters["callbacks_failed"] == 0

            for device in ("microphone", "speaker"):
                await sound.remove(device)
                assert (await told(process))["what"] == f"{device} failed"
                await sound.restore(device)
                assert (await told(process))["what"] == f"{device} recovered"

            async with sound.record() as recording:
                at = await recording.sound()
                go_on(process)
                closed = await told(process)
                end = await recording.silence(at, 500)
                assert recording.heard_ms(end) - closed["ms"] <= SILENT_MS_MAX
            go_on(process)
            assert (await told(process))["streams"] == 0
            assert await process.wait() == 0

    asyncio.run(main())


def test_without_a_sound_server_there_is_no_part_that_works() -> None:
    """Not one device is there, and the process goes on."""

    async def main() -> None:
        async with SoundServer() as sound:
            await sound.kill()
            async with card_process(sound, "default", "default") as process:
                tested = await told(process)
                assert (tested["what"], tested["works"]) == ("tested", [False, False])

    asyncio.run(main())


def test_a_sound_server_that_hangs_keeps_nobody_from_ending() -> None:
    """PortAudio then never returns from anything, not even from closing a stream."""

    async def main() -> None:
        async with (
            SoundServer() as sound,
            card_process(sound, MICROPHONE, SPEAKER) as process,
        ):
            assert (await told(process))["works"] == [True, True]
            assert (await told(process))["what"] == "starved"
            assert sound._process is not None
            sound._process.send_signal(signal.SIGSTOP)
            for _ in range(2):
                assert (await told(process))["what"].endswith(" failed")
            go_on(process)
            assert (await told(process))["what"] == "closed"
            go_on(process)
            assert (await told(process))["streams"] > 0
            async with asyncio.timeout(PATIENCE_S):
                assert await process.wait() == 0

    asyncio.run(main())
