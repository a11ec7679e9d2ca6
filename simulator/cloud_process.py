"""The development cloud as a process of its own, as a real one would be far away."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import requests

from simulator.errors import CloudLostError, CloudStartError
from simulator.tether import TETHER

READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0
ASK_TIMEOUT_S: Final = 5.0
LINE_BYTES_MAX: Final = 65_536


class CloudProcess:
    """``async with CloudProcess(secret) as cloud``: started, ready, and ended at the end.

    Attributes:
        convex_url: Where the Convex functions are.
        stream_url: Where the audio stream is.

    Args:
        secret: The device's.
        options: More of the command's, as ``--no-binary``; see ``pommai cloud --help``.

    Raises CloudStartError when it does not become ready, with what it said.
    """

    def __init__(self, secret: str, *options: str) -> None:
        self.convex_url = ""
        self.stream_url = ""
        self._control_url = ""
        self._secret = secret
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self._said = b""
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        given = (f"--device-secret={self._secret}", *self._options)
        command = ("-m", "devcloud", "--port", "0", "--json", *given)
        pipe = asyncio.subprocess.PIPE
        process = self._process = await asyncio.create_subprocess_exec(
            *TETHER,
            sys.executable,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
        self._listening = asyncio.create_task(self._listen(process), name="the cloud's errors")
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._read_ready(process)
        except TimeoutError:
            await self._stop()
            raise CloudStartError(
                f"the cloud was not ready after {READY_TIMEOUT_S:.0f} s"
            ) from None
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def turns(self) -> list[dict[str, Any]]:
        """Return what the cloud heard and answered, a turn each. Raises CloudLostError."""
        return list(await self.get("turns"))

    async def table(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a table, in order of arrival. Raises CloudLostError."""
        return list(await self.get(f"tables/{name}"))

    async def set_faults(self, faults: Mapping[str, object]) -> None:
        """Let something go wrong in the cloud; see ``devcloud.faults``. Raises CloudLostError."""
        await self.post("faults", faults)

    async def get(self, what: str) -> Any:  # noqa: ANN401 - any JSON
        """Ask the control API for something (``devcloud.control``). Raises CloudLostError."""
        return await asyncio.to_thread(self._ask, "GET", what, None)

    async def post(self, what: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - any JSON
        """Have the control API do something, and return its answer. Raises CloudLostError."""
        return await asyncio.to_thread(self._ask, "POST", what, body)

    async def put(self, what: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - any JSON
        """Have the control API change something, and return its answer. Raises CloudLostError."""
        return await asyncio.to_thread(self._ask, "PUT", what, body)

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:  # noqa: ANN401 - JSON
        url = f"{self._control_url}/{path}"
        try:
            answer = requests.request(method, url, json=body, timeout=ASK_TIMEOUT_S)
            answer.raise_for_status()
            return answer.json()
        except requests.RequestException as error:
            raise CloudLostError(f"the cloud does not answer: {type(error).__name__}") from error

    async def _read_ready(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = await process.stdout.readline()
        if not line:
            if self._listening is not None:
                await self._listening
            said = self._said.decode(errors="replace").strip()
            raise CloudStartError(
                said.splitlines()[-1] if said else "the cloud ended without a word"
            )
        ready = json.loads(line)
        self.convex_url = str(ready["convex_url"])
        self.stream_url = str(ready["stream_url"])
        self._control_url = str(ready["control_url"])

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keep the end of what it complains of: a pipe that nobody empties would stop it."""
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        while said := await process.stderr.read(LINE_BYTES_MAX):
            self._said = (self._said + said)[-LINE_BYTES_MAX:]

    async def _stop(self) -> None:
        process = self._process
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
        # To the end of both: only then asyncio lets go of them.
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        await process.stdout.read()
        if self._listening is not None:
            await self._listening
