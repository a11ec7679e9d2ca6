"""Speech recognition: a process of its own, and what the event loop sees of it.

Decoding begins while the utterance still arrives, so that the words are there soon after its end.
The process is started with the cloud, is ready about a second later (utterances wait for it), and
is started again when an utterance finds it dead.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from devcloud.errors import RecognitionError
from devcloud.worker_pipe import Kind, Message

COMMAND: Final = (sys.executable, "-P", "-m", "devcloud.recogniser_process")
RESULT_TIMEOUT_S: Final = 20.0
"""From the end of an utterance to its words; a device gives up before."""


class Recogniser:
    """Recognises utterances, several at a time if need be.

    ``command`` starts the process; tests pass another.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._process: _Process | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the process; it gets ready in the background."""
        await self._living_process()

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            RecognitionError: the process ended instead.
        """
        process = await self._living_process()
        await process.loaded()

    async def close(self) -> None:
        """End the process. Utterances that are still open fail."""
        if self._process:
            await self._process.kill()

    async def begin(self) -> Utterance:
        """Begin an utterance.

        Raises:
            RecognitionError: the process cannot be started.
        """
        return Utterance(await self._living_process())

    @property
    def process_id(self) -> int | None:
        """The process that decodes, if one lives."""
        return self._process.id if self._process and not self._process.ended else None

    async def _living_process(self) -> _Process:
        async with self._starting:
            if self._process is None or self._process.ended:
                self._process = await _Process.start(self._command)
            return self._process


class Utterance:
    """One utterance: fed as it arrives, then ``finish`` for its words, or ``cancel``."""

    def __init__(self, process: _Process) -> None:
        self._process = process
        self._number = process.next_number()

    async def feed(self, pcm: bytes) -> None:
        """Give it more audio: 16 kHz mono, signed 16 bit.

        Raises:
            RecognitionError: the process has ended.
        """
        await self._process.send(Message(Kind.AUDIO, self._number, pcm))

    async def finish(self) -> str:
        """End it and wait for its words; an empty text if nothing was recognised.

        Raises:
            RecognitionError: the process ended, or gave no answer in time.
        """
        return await self._process.finish(self._number)

    async def cancel(self) -> None:
        """Drop it: nobody wants its words."""
        with suppress(RecognitionError):
            await self._process.send(Message(Kind.DROP, self._number))


class _Process:
    """One run of the recogniser process, until it ends for whatever reason."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin  # noqa: S101 - opened by `start`
        assert process.stdout  # noqa: S101 - opened by `start`
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._numbers = itertools.count(1)
        # None stands for words that will never come.
        self._expected: dict[int, asyncio.Future[str | None]] = {}
        self._heard_from = asyncio.Event()
        self._results = asyncio.create_task(self._read_results())
        self.ended = False

    @classmethod
    async def start(cls, command: tuple[str, ...]) -> _Process:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": _python_path()},
                # Ctrl-C in a terminal is for the cloud, which then ends this process.
                start_new_session=True,
            )
        except OSError as error:
            raise RecognitionError(f"the recogniser cannot be started: {error}") from error
        return cls(process)

    @property
    def id(self) -> int:
        return self._process.pid

    def next_number(self) -> int:
        return next(self._numbers)

    async def loaded(self) -> None:
        await self._heard_from.wait()
        if self.ended:
            raise await self._obituary()

    async def send(self, message: Message) -> None:
        if self.ended:
            raise await self._obituary()
        self._stdin.write(message.pack())
        try:
            await self._stdin.drain()
        except ConnectionError:
            raise await self._obituary() from None

    async def finish(self, number: int) -> str:
        result: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._expected[number] = result
        answered = False
        try:
            await self.send(Message(Kind.END, number))
            async with asyncio.timeout(RESULT_TIMEOUT_S):
                words = await result
            answered = True
        except TimeoutError:
            raise RecognitionError(f"no words within {RESULT_TIMEOUT_S:g} s") from None
        finally:
            del self._expected[number]
            if not (answered or self.ended):
                self._stdin.write(Message(Kind.DROP, number).pack())
        if words is None:
            raise await self._obituary()
        return words

    async def kill(self) -> None:
        # It holds nothing that could be lost.
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._results

    async def _read_results(self) -> None:
        async for line in self._stdout:
            result = json.loads(line)
            self._heard_from.set()
            expected = self._expected.get(result.get("utterance"))
            if expected and not expected.done():
                expected.set_result(result["text"])
        self.ended = True
        self._stdin.close()
        await self._process.wait()
        self._heard_from.set()
        for expected in self._expected.values():
            if not expected.done():
                expected.set_result(None)

    async def _obituary(self) -> RecognitionError:
        exit_code = await self._process.wait()
        return RecognitionError(f"the recogniser ended with {exit_code}")


def _python_path() -> str:
    """Make sure that the process finds this package, wherever the cloud was started from."""
    ours = str(Path(__file__).parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([ours, inherited]) if inherited else ours
