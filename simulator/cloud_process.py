"""The development cloud as a process of its own, as a real one would be far away."""

from __future__ import annotations

import asyncio
import json
import sys
from types import TracebackType
from typing import Any, Final, Self

import requests

from simulator.errors import CloudStartError

READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0
ASK_TIMEOUT_S: Final = 5.0
LINE_BYTES_MAX: Final = 65_536


class CloudProcess:
    """``async with CloudProcess(secret) as cloud``: started, ready, and ended at the end.

    Attributes:
        convex_url: Where the Convex functions are.
        stream_url: Where the audio stream is.

    Raises CloudStartError when it does not become ready, with what it said.
    """

    def __init__(self, secret: str) -> None:
        self.convex_url = ""
        self.stream_url = ""
        self._control_url = ""
        self._secret = secret
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        command = ("-m", "devcloud", "--port", "0", "--json", "--device-secret", self._secret)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._read_ready(self._process)
        except TimeoutError:
            await self._stop()
            raise CloudStartError(f"the cloud was not ready after {READY_TIMEOUT_S:.0f} s") from None
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def turns(self) -> list[dict[str, Any]]:
        """Return what the cloud heard and answered, a turn each."""
        found = await asyncio.to_thread(self._ask, "GET", "/turns", None)
        return list(found)

    async def set_faults(self, faults: dict[str, object]) -> None:
        """Let something go wrong in the cloud; see ``devcloud.faults``."""
        await asyncio.to_thread(self._ask, "POST", "/faults", faults)

    def _ask(self, method: str, path: str, body: dict[str, object] | None) -> Any:  # noqa: ANN401 - JSON
        answer = requests.request(method, self._control_url + path, json=body, timeout=ASK_TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    async def _read_ready(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        line = await process.stdout.readline()
        if not line:
            said = (await process.stderr.read(LINE_BYTES_MAX)).decode(errors="replace").strip()
            raise CloudStartError(said.splitlines()[-1] if said else "the cloud ended without a word")
        ready = json.loads(line)
        self.convex_url = str(ready["convex_url"])
        self.stream_url = str(ready["stream_url"])
        self._control_url = str(ready["control_url"])

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
