"""A process with a sound card: opens it, is starved for a second, and tells what happens.

It is a process of its own because ALSA looks at its environment once. Lines on its standard output
are JSON; it ends when its standard input does. A line "hang" on that lets its loop hang.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import sys
import threading
import time
from dataclasses import asdict

from firmware.cloud.workers import Workers
from hardware.card_microphone import CardMicrophone
from hardware.card_speaker import CardSpeaker
from hardware.clock import Clock
from hardware.sound_card import SoundCard
from tests.hardware.voices import tone

STARVED_S = 1
HUNG_S = 3
HANG = "hang"
FRAMES = 25


def tell(what: str, **facts: object) -> None:
    """Tell the test what happened, and when."""
    told = {"what": what, "ms": time.monotonic() * 1000, **facts}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def fresh(heard: asyncio.Queue[bytes], frames: int) -> None:
    """Hear so many frames that come from now on."""
    while not heard.empty():
        heard.get_nowait()
    for _ in range(frames):
        await heard.get()


async def main(microphone_name: str, speaker_name: str) -> None:
    """Hear, play a tone, starve, and go on until nobody listens any more."""
    clock, heard = Clock(), asyncio.Queue[bytes]()
    sound, pulled = tone(440, 20).tobytes(), threading.Event()

    def give(_samples: int) -> bytes:
        pulled.set()
        return sound

    card = SoundCard(clock, Workers("sound", threads_max=1, waiting_max=32))
    microphone = CardMicrophone(
        card,
        clock,
        microphone_name,
        lambda frame, _: heard.put_nowait(frame),
        on_failed=lambda: tell("microphone failed"),
        on_recovered=lambda: tell("microphone recovered"),
    )
    speaker = CardSpeaker(
        card,
        clock,
        speaker_name,
        give,
        on_failed=lambda: tell("speaker failed"),
        on_recovered=lambda: tell("speaker recovered"),
    )
    tell("tested", works=[await microphone.test(), await speaker.test()])
    microphone.open()
    speaker.open()
    await fresh(heard, FRAMES)
    await asyncio.to_thread(pulled.wait)
    ctypes.PyDLL(None).sleep(STARVED_S)  # with Python's lock: no callback can run meanwhile
    pulled.clear()
    await fresh(heard, FRAMES)
    await asyncio.to_thread(pulled.wait)
    tell("starved", microphone=asdict(microphone.counters), speaker=asdict(speaker.counters))
    while (await asyncio.to_thread(sys.stdin.readline)).strip() == HANG:
        tell("hangs")
        threading.Event().wait(HUNG_S)  # on the loop; other threads go on
        tell("hung")
        await fresh(heard, 1)
        tell("hears", microphone=asdict(microphone.counters))
    speaker.close()
    microphone.close()
    tell("closed")
    await asyncio.to_thread(sys.stdin.readline)
    await card.close()
    tell("ended", streams=len(card._streams))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
