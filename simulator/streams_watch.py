"""When programs open and close the sound server's devices, as the server tells it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from types import TracebackType
from typing import Final, NamedTuple, Self

from simulator.errors import SoundServerError
from simulator.sound_server import SoundServer
from simulator.tether import TETHER

STOP_TIMEOUT_S: Final = 5.0

_TOLD: Final = re.compile(r"Event '(new|remove)' on source-output #(\d+)")


class Change(NamedTuple):
    """A microphone was opened, or closed; when by `time.monotonic`, in milliseconds."""

    ms: float
    stream: int
    is_open: bool


class StreamsWatch:
    """``async with StreamsWatch(sound) as watch``: every opening and closing of a microphone.

    Attributes:
        changes: All of them so far, those of other programs too.

    Args:
        sound: The server, running. Raises SoundServerError when it cannot be watched.
    """

    def __init__(self, sound: SoundServer) -> None:
        self.changes: list[Change] = []
        self._environment = sound.environment
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        process = self._process = await asyncio.create_subprocess_exec(
            *TETHER,
            "pactl",
            "subscribe",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self._environment, "LC_ALL": "C"},
        )
        self._task = asyncio.create_task(self._listen(process), name="openings of microphones")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None  # noqa: S101 - it was started
        assert self._task is not None  # noqa: S101 - likewise
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._task

    async def closed_ms(self, since_ms: float, wait_s: float = STOP_TIMEOUT_S) -> float:
        """Wait until a microphone that was open is closed, from a moment on; return when it was.

        Raises SoundServerError when none is in time.
        """
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    for change in self.changes:
                        if change.ms >= since_ms and not change.is_open:
                            return change.ms
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise SoundServerError(f"no microphone was closed within {wait_s:g} s") from None

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while line := await process.stdout.readline():
            now_ms = time.monotonic() * 1000
            if told := _TOLD.search(line.decode(errors="replace")):
                self.changes.append(Change(now_ms, int(told[2]), told[1] == "new"))
                self._came.set()
