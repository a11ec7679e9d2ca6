"""The sound card for real: PyAudio and PortAudio before a sound server, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from hardware.card_microphone import LEASE_MS, CardMicrophone
from hardware.card_speaker import CardSpeaker
from hardware.clock import Clock
from hardware.errors import SoundStreamError
from hardware.portaudio import PortAudio
from hardware.sound_card import SoundCard
from simulator.sound_server import MICROPHONE, SPEAKER, SoundServer
from tests.hardware.card_process import HANG

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30
SILENT_MS_MAX = 300
"""Within which a speaker that was closed is silent on a machine that is busy with other tests. On
one that is not it takes 5 ms."""
ASKING_MS_MAX = 300
"""How long it may take to ask the sound server, likewise. Else it takes 10 ms."""


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


def go_on(process: Process, how: str = "") -> None:
    """Let it go on."""
    assert process.stdin is not None
    process.stdin.write(f"{how}\n".encode())


async def listeners(sound: SoundServer) -> int:
    """Return how many streams take in what the microphone hears, as the server has it."""
    return len((await sound._control("list", "short", "source-outputs")).splitlines())


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


def test_a_loop_that_hangs_loses_a_real_microphone_within_2_s_and_has_it_again_afterwards() -> None:
    """By the server's word that nobody listens, not by the toy's."""

    async def main() -> None:
        async with (
            SoundServer() as sound,
            card_process(sound, MICROPHONE, SPEAKER) as process,
        ):
            assert (await told(process))["works"] == [True, True]
            assert (await told(process))["what"] == "starved"
            assert await listeners(sound) == 1
            go_on(process, HANG)
            hangs = await told(process)
            assert hangs["what"] == "hangs"
            async with asyncio.timeout(PATIENCE_S):
                while await listeners(sound):
                    pass
            closed_ms = time.monotonic() * 1000
            hung = await told(process)
            assert hung["what"] == "hung"
            assert closed_ms < hung["ms"]
            assert closed_ms - hangs["ms"] <= LEASE_MS + ASKING_MS_MAX
            hears = await told(process)
            assert (hears["what"], hears["microphone"]["lapses"]) == ("hears", 1)
            assert await listeners(sound) == 1

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


class Hung(Executor):
    """A thread that never comes back from its first call."""

    def __init__(self) -> None:
        self.calls: list[Future[Any]] = []

    def submit(self, *_call: object, **_more: object) -> Future[Any]:
        """Let it wait for ever."""
        self.calls.append(Future())
        return self.calls[-1]


def a_microphone(card: SoundCard, clock: Clock) -> CardMicrophone:
    """Return one that nobody hears of."""
    return CardMicrophone(
        card,
        clock,
        "usb",
        lambda *_: None,
        on_failed=lambda: None,
        on_recovered=lambda: None,
    )


def a_speaker(card: SoundCard, clock: Clock) -> CardSpeaker:
    """Return one that nobody hears of, and that has nothing to say."""
    return CardSpeaker(
        card,
        clock,
        "usb",
        lambda samples: bytes(2 * samples),
        on_failed=lambda: None,
        on_recovered=lambda: None,
    )


def test_however_often_a_card_that_hangs_is_asked_for_five_calls_wait_for_its_thread() -> None:
    """Whose queue would be full else, and the microphone could neither be opened nor closed."""

    async def main() -> None:
        thread, clock = Hung(), Clock()
        card = SoundCard(clock, thread, PortAudio())
        parts: tuple[CardMicrophone | CardSpeaker, ...] = (
            a_microphone(card, clock),
            a_speaker(card, clock),
        )
        for _ in range(40):
            for part in parts:
                part.open()
                card.inspect(part._line)
                part._line._note_failure(SoundStreamError("it gives no sign of life"))
                part.close()
                part._line._try_again()
        assert len(thread.calls) == 5
        for part in parts:
            part._line.end()

    asyncio.run(main())


def test_a_test_that_takes_too_long_leaves_the_answer_to_whoever_else_asked() -> None:
    async def main() -> None:
        thread, clock = Hung(), Clock()
        card = SoundCard(clock, thread, PortAudio())
        microphone = a_microphone(card, clock)
        testing = asyncio.create_task(microphone.test())
        await asyncio.sleep(0)
        asked = card.probe(microphone._line)
        testing.cancel()
        with suppress(asyncio.CancelledError):
            await testing
        assert not asked.cancelled()
        thread.calls[0].set_result(None)
        assert await asked is None
        assert len(thread.calls) == 1

    asyncio.run(main())
