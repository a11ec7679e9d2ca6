"""What a device of the sound server plays, as it plays it, with the time of every sample."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Self

import numpy as np

from hardware import pcm
from simulator.errors import SoundServerError

LOUD: Final = 200
"""What counts as sound: a mean of magnitudes over `WINDOW_MS`, 0..32768; the devices have no noise
of their own."""
WINDOW_MS: Final = 5
"""How finely sound and silence are told apart."""
WAIT_S_MAX: Final = 20.0
"""How long is waited for something to be heard, unless told otherwise."""
READ_BYTES_MAX: Final = 65_536

_WINDOW_SAMPLES: Final = WINDOW_MS * pcm.SAMPLES_PER_MS
_WINDOW_BYTES: Final = WINDOW_MS * pcm.BYTES_PER_MS


class SoundRecording:
    """Samples as they arrive: 16 kHz, one channel, 16 bits, the first of them sample 0.

    The devices keep the system's time and never pause, so one moment dates all samples: the one at
    which the piece arrived that was held up least. A piece arrives when its first sample is heard:
    the server makes some milliseconds in advance, and hands them over at once (measured). Times are
    of `time.monotonic`, in milliseconds, and comparable between processes.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._heard = bytearray()
        self._loud: list[bool] = []
        self._began_ms = float("inf")
        self._arrived = asyncio.Event()
        self._has_ended = False
        self._task = asyncio.create_task(self._listen(), name="recording a device")

    async def begun(self) -> Self:
        """Wait for the first sample. Raises SoundServerError when there will be none."""
        await self.until(lambda: bool(self._heard))
        return self

    async def close(self) -> None:
        """End it; what was heard stays."""
        if self._process.returncode is None:
            self._process.terminate()
        await self._task
        await self._process.wait()

    @property
    def pcm(self) -> bytes:
        """All that was heard so far."""
        whole = len(self._heard) - len(self._heard) % pcm.SAMPLE_BYTES
        return bytes(self._heard[:whole])

    @property
    def samples(self) -> int:
        """How many samples have arrived: the next one's number."""
        return len(self._heard) // pcm.SAMPLE_BYTES

    @property
    def has_ended(self) -> bool:
        """Whether nothing comes any more: the device or the server is gone, or it was closed."""
        return self._has_ended

    def since(self, sample: int) -> bytes:
        """Return what was heard from a sample on."""
        return self.pcm[sample * pcm.SAMPLE_BYTES :]

    def heard_ms(self, sample: int) -> float:
        """Return when a sample was heard, or will be."""
        return self._began_ms + sample / pcm.SAMPLES_PER_MS

    def sample_at(self, ms: float) -> int:
        """Return the sample that is heard at a time; 0 for what was before the first."""
        return max(0, round((ms - self._began_ms) * pcm.SAMPLES_PER_MS))

    async def until(self, condition: Callable[[], bool], wait_s: float = WAIT_S_MAX) -> None:
        """Wait until a condition holds, which is looked at whenever something has arrived.

        Raises SoundServerError when the recording ends before, TimeoutError after ``wait_s``.
        """
        async with asyncio.timeout(wait_s):
            while not condition():
                if self._has_ended:
                    raise SoundServerError("the recording ended: its device is gone")
                self._arrived.clear()
                await self._arrived.wait()

    async def sound(self, since: int = 0, wait_s: float = WAIT_S_MAX) -> int:
        """Wait for sound, and return the sample at which it begins, to within `WINDOW_MS`.

        Args:
            since: The sample to begin at.
            wait_s: How long to wait; TimeoutError after it. Raises SoundServerError as `until`.
        """
        return await self._first(since, 1, loud=True, wait_s=wait_s)

    async def silence(self, since: int, for_ms: int, wait_s: float = WAIT_S_MAX) -> int:
        """Wait for silence of a length, and return the sample at which it begins; as `sound`."""
        return await self._first(since, for_ms // WINDOW_MS, loud=False, wait_s=wait_s)

    async def _first(self, since: int, windows: int, *, loud: bool, wait_s: float) -> int:
        at = since // _WINDOW_SAMPLES
        run = 0

        def found() -> bool:
            nonlocal at, run
            while run < windows and at < len(self._loud):
                run = run + 1 if self._loud[at] is loud else 0
                at += 1
            return run >= windows

        await self.until(found, wait_s)
        return max(since, (at - run) * _WINDOW_SAMPLES)

    async def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        came_ms = lasts_ms = 0.0
        while piece := await self._process.stdout.read(READ_BYTES_MAX):
            now_ms = time.monotonic() * 1000
            # What was too much for one piece comes as another, right behind it: its first sample is
            # heard later than it comes.
            if now_ms - came_ms > lasts_ms / 2:
                began_ms = now_ms - len(self._heard) / pcm.BYTES_PER_MS
                self._began_ms = min(self._began_ms, began_ms)
            came_ms, lasts_ms = now_ms, len(piece) / pcm.BYTES_PER_MS
            self._heard += piece
            self._measure()
            self._arrived.set()
        self._has_ended = True
        self._arrived.set()

    def _measure(self) -> None:
        begin = len(self._loud) * _WINDOW_BYTES
        windows = (len(self._heard) - begin) // _WINDOW_BYTES
        if windows:
            new = bytes(self._heard[begin : begin + windows * _WINDOW_BYTES])
            samples = np.frombuffer(new, np.int16).reshape(windows, _WINDOW_SAMPLES)
            self._loud += (np.abs(samples.astype(np.int32)).mean(axis=1) >= LOUD).tolist()
