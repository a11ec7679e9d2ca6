"""Engines that hear what a test puts into the sound, and a thread that can be waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from hardware.pcm import FRAME_BYTES

if TYPE_CHECKING:
    from firmware.voice.wake.listener import WakeListener

WORD: Final = b"\x57\x04" * (FRAME_BYTES // 2)
"""The frame in which the word ends."""
ALMOST: Final = b"\x41\x04" * (FRAME_BYTES // 2)
"""A frame that may be becoming the word."""
BROKEN: Final = b"\x42\x04" * (FRAME_BYTES // 2)
"""A frame at which the engine fails."""
SPEECH: Final = b"\x00\x10\x00\xf0" * (FRAME_BYTES // 4)
"""A frame of something else, at -18 dB of full scale."""
SILENCE: Final = bytes(FRAME_BYTES)


class ScriptedEngine:
    """A `firmware.voice.wake.engine.Engine` that hears `WORD`, and remembers."""

    def __init__(self, word: bytes = WORD) -> None:
        self.heard: list[bytes] = []
        """What was heard since the last `reset`."""
        self.resets = 0
        self.is_closed = False
        self._word = word

    @property
    def is_likely(self) -> bool:
        """Whether the last frame was `ALMOST` it."""
        return self.heard[-1:] == [ALMOST]

    def hear(self, frame: bytes) -> bool:
        """Take a frame."""
        assert not self.is_closed
        assert len(frame) == FRAME_BYTES
        if frame == BROKEN:
            raise RuntimeError("what an engine may say of itself")
        self.heard.append(frame)
        return frame == self._word

    def reset(self) -> None:
        """Forget."""
        self.resets += 1
        self.heard.clear()

    def close(self) -> None:
        """Hear nothing any more."""
        self.is_closed = True


async def settle(listener: WakeListener) -> None:
    """Wait until the thread has heard everything, and what came of it is posted."""
    while listener._frames:
        await listener._on_thread(_nothing)
    await listener._on_thread(_nothing)  # the frame that was being heard
    await asyncio.sleep(0)


def _nothing() -> None:
    """Come between two frames."""
