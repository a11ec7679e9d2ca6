"""The parent of the live queries' process: starts it, hears it, replaces it when it is silent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firmware.backoff import Backoff
from firmware.cloud.lines import LINE_BYTES_MAX, Job, read
from firmware.errors import JsonError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from firmware.cloud.query import Query
    from firmware.cloud.settings import CloudSettings
    from hardware.clock import Clock

STRAY_LINES_MAX: Final = 1_000
"""Lines that mean nothing, from one child; at one more it is replaced."""

COMMAND: Final = (sys.executable, "-m", "firmware.cloud.child")

# Where the child finds the same firmware as this, installed or not.
_TREE: Final = Path(__file__).resolve().parents[2]

# The child's whole environment. The firmware's own may hold its settings, secrets included.
_ENVIRONMENT_KEPT: Final = (
    "LD_LIBRARY_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)

_log = logging.getLogger(__name__)


class LiveQueries:
    """Keeps queries of the cloud alive in one child process.

    The child speaks for a token; `use` gives it another one by starting it anew, and `ask` other
    queries. One that falls silent, ends, or talks nonsense is killed and replaced after a wait with
    full jitter; why it did is not asked, since whatever happened, a new one is the answer. A new
    one tells every value anew.

    Args:
        command: What to start instead of the child, in tests.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: CloudSettings,
        address: str,
        queries: Sequence[Query],
        *,
        clock: Clock,
        random: Random,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._settings = settings
        self._address = address
        self._queries = {query.function: query for query in queries}
        self._clock = clock
        self._backoff = Backoff(settings.retry_delay_ms_min, settings.retry_delay_ms_max, random)
        self._command = command
        self._unanswered: set[str] = set()  # by the present child
        self._token = ""
        self._outdated = asyncio.Event()  # the present child is no longer wanted
        self._closed = False
        self._child: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.lost = asyncio.Event()
        """Set from the first child that failed until one has an answer to every query."""

    @property
    def child_pid(self) -> int | None:
        """The child's process; None while there is none. Any thread."""
        child = self._child
        return None if child is None else child.pid

    def use(self, token: str) -> None:
        """Speak for `token` from now on. The first time, this starts the queries."""
        self._token = token
        self._dismiss()
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._keep_alive(), name="live queries")

    @property
    def queries(self) -> tuple[Query, ...]:
        """What is asked now."""
        return tuple(self._queries.values())

    def ask(self, queries: Sequence[Query]) -> None:
        """Ask these instead, or the same anew; of those before, nothing more is heard."""
        self._queries = {query.function: query for query in queries}
        self._dismiss()

    async def close(self) -> None:
        """End the child and wait until it is gone."""
        self._closed = True
        self._dismiss()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _dismiss(self) -> None:
        self._outdated.set()
        if self._child is not None:
            _kill(self._child)

    async def _keep_alive(self) -> None:
        while not self._closed:
            self._outdated.clear()
            self._unanswered = set(self._queries)
            began_ms = self._clock.monotonic_ms()
            try:
                reason = await self._live_once()
            except Exception as error:  # noqa: BLE001 - no defect may make a locked toy deaf for good
                reason = f"an error that nobody expected ({type(error).__name__})"
            if self._outdated.is_set():
                continue
            if not self.lost.is_set():
                _log.warning("the live queries are lost: %s", reason)
                self.lost.set()
            if self._clock.monotonic_ms() - began_ms > self._settings.retry_delay_ms_max:
                self._backoff.reset()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._backoff.next_delay_ms() / 1000):
                    await self._outdated.wait()

    async def _live_once(self) -> str:
        """Start a child, hear it to its end, and return why it ended."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # it could say anything
                limit=LINE_BYTES_MAX,
                cwd=_TREE,
                env=self._environment(),
                start_new_session=True,  # an interrupt from the terminal is for us alone
            )
        except OSError as error:
            return f"its process cannot be started ({error.strerror})"
        self._child = child
        try:
            return await self._converse(child)
        finally:
            self._child = None
            _kill(child)
            await _bury(child)

    async def _converse(self, child: asyncio.subprocess.Process) -> str:
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        assert child.stdout is not None  # noqa: S101
        if self._outdated.is_set():
            return "it was started with what held before"
        silence_s = self._settings.child_silence_ms_max / 1000
        strays = 0
        try:
            async with asyncio.timeout(silence_s) as patience:
                # On standard input: arguments and environment of a process can be read by others.
                child.stdin.write(self._job().line())
                child.stdin.close()
                while (text := await _next_line(child.stdout)) and not self._outdated.is_set():
                    if self._understand(text):
                        patience.reschedule(asyncio.get_running_loop().time() + silence_s)
                        continue
                    strays += 1
                    if strays > STRAY_LINES_MAX:
                        return f"more than {STRAY_LINES_MAX} lines meant nothing"
                    await asyncio.sleep(0)  # a flood of them must not hold up the loop
                return f"its process ended ({await child.wait()})"
        except TimeoutError:
            return f"silence for {self._settings.child_silence_ms_max} ms"

    def _job(self) -> Job:
        return Job(
            parent=os.getpid(),
            url=self._address,
            token=self._token,
            queries={query.function: dict(query.arguments) for query in self.queries},
            heartbeat_ms=self._settings.heartbeat_ms,
            renewal_interval_ms=self._settings.renewal_interval_ms,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _ENVIRONMENT_KEPT if name in os.environ}
        return kept | ({"SSL_CERT_FILE": self._settings.ca_file} if self._settings.ca_file else {})

    def _understand(self, text: bytes) -> bool:
        """Act on a line; False if it means nothing."""
        try:
            message = read(text)
        except JsonError:
            return False
        match message:
            case {"of": str(of), "value": value} if of in self._queries:
                self._note_answer(of)
                self._queries[of].give(value)
            case {"of": str(of), "failed": str(code)} if of in self._queries:
                self._note_answer(of)
                self._queries[of].fail(code)
            case {"beat": True} | {"ready": True}:
                pass
            case _:
                return False
        return True

    def _note_answer(self, function: str) -> None:
        self._unanswered.discard(function)
        if self.lost.is_set() and not self._unanswered:
            _log.info("the live queries are back")
            self.lost.clear()


async def _next_line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line, an empty one if it was too long, or nothing at the end."""
    try:
        return await stream.readline()
    except ValueError:  # longer than LINE_BYTES_MAX; what was read of it is gone
        return b"\n"


def _kill(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()


async def _bury(child: asyncio.subprocess.Process) -> None:
    """Wait for a killed process, and empty its pipe: only then asyncio lets go of both."""
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    while await child.stdout.read(LINE_BYTES_MAX):
        pass
    await child.wait()
