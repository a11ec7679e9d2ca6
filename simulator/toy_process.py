"""The toy as a process of its own, as it is on a device: its button pressed, its steps watched."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from simulator.errors import ToyLostError
from simulator.tether import TETHER

STOP_TIMEOUT_S: Final = 5.0
WAIT_S_MAX: Final = 30.0
"""How long is waited for a step, unless told otherwise."""
SAID_BYTES_MAX: Final = 65_536


@dataclass(frozen=True)
class Told:
    """One step, as ``pommai run --json`` tells it; ``at_ms`` as `time.monotonic` has it."""

    at_ms: int
    event: str
    fields: Mapping[str, Any]
    came_from: str
    row: str
    to: str


class ToyProcess:
    """``async with ToyProcess(data_dir, environment) as toy``: started, and ended at the end.

    Attributes:
        steps: All steps so far.

    Args:
        data_dir: Where it keeps its data.
        environment: Its settings (``POMMAI_...``) and whatever else it needs on top of this
            process's own environment.
    """

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self.steps: list[Told] = []
        self._data_dir = data_dir
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._keyboard = -1
        self._came = asyncio.Event()
        self._said = b""
        self._reading: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        command = ("-m", "firmware", "run", "--board", "sim", "--json")
        given = ("--data-dir", str(self._data_dir))
        pipe = asyncio.subprocess.PIPE
        # What reads its orders from a terminal goes on without one; so this is one.
        self._keyboard, terminal = pty.openpty()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *TETHER,
                sys.executable,
                *command,
                *given,
                stdin=terminal,
                stdout=pipe,
                stderr=pipe,
                env={**os.environ, **self._environment},
            )
        except BaseException:
            os.close(self._keyboard)
            raise
        finally:
            os.close(terminal)
        self._reading = [
            asyncio.create_task(self._read_steps(process), name="a toy's steps"),
            asyncio.create_task(self._read_errors(process), name="a toy's errors"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None  # noqa: S101 - it was started
        return self._process.pid

    @property
    def state(self) -> str:
        """Where it is now; empty before its first step."""
        return self.steps[-1].to if self.steps else ""

    @property
    def said(self) -> str:
        """The end of what it complained of on standard error."""
        return self._said.decode(errors="replace")

    def type(self, words: str) -> None:
        """Type a line into its terminal, such as ``tap``; see ``pommai run --help``."""
        os.write(self._keyboard, f"{words}\n".encode())

    async def until(
        self, condition: Callable[[Told], bool], since: int = 0, wait_s: float = WAIT_S_MAX
    ) -> int:
        """Wait for a step, and return its number in `steps`.

        Args:
            condition: Whether a step is the one.
            since: The number of the first step that may be it.
            wait_s: How long to wait.

        Raises ToyLostError when it ends before or does not come to it, with its last steps.
        """
        at = since
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    while at < len(self.steps):
                        if condition(self.steps[at]):
                            return at
                        at += 1
                    if all(task.done() for task in self._reading):
                        raise ToyLostError(f"the toy has ended: {self._last_words()}")
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise ToyLostError(
                f"the toy did not come to it within {wait_s:g} s: {self._last_words()}"
            ) from None

    async def stop(self) -> None:
        """End it as a service is ended. Harmless twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await asyncio.gather(*self._reading)
        os.close(self._keyboard)

    async def _read_steps(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while line := await process.stdout.readline():
            told = json.loads(line)
            step = Told(*(told[key] for key in ("ms", "event", "fields", "from", "row", "to")))
            self.steps.append(step)
            self._came.set()
        self._came.set()

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        while said := await process.stderr.read(SAID_BYTES_MAX):
            self._said = (self._said + said)[-SAID_BYTES_MAX:]
        self._came.set()

    def _last_words(self) -> str:
        steps = [f"{step.event} ({step.row}) to {step.to}" for step in self.steps[-8:]]
        return "; ".join([*steps, *self.said.splitlines()[-3:]])
