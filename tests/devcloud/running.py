"""A development cloud that runs while tests talk to it, in a thread with an event loop of its own.

The official Convex clients block; a test of them and the cloud cannot share a thread.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Self, TypeVar

import requests
from convex.http_client import ConvexHttpClient

from devcloud.server import DevelopmentCloud
from devcloud.settings import Settings
from devcloud.stream_options import StreamOptions

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from tests.devcloud.json_type import Json

T = TypeVar("T")

TIMEOUT_S: Final = 30.0
DEVICE: Final[Json] = {"deviceId": "dev-sim-1"}
CREDENTIALS: Final[Json] = {**DEVICE, "deviceSecret": "sim-secret"}
TOY: Final[Json] = {**DEVICE, "toyId": "toy-sim-1"}


class RunningCloud:
    """A development cloud in a thread. ``run`` carries a coroutine over to its loop."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.cloud = DevelopmentCloud(settings or Settings(port=0))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cloud")

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.cloud.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.run(self.cloud.__aexit__(kind, error, traceback))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    def run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S)

    def authenticate(self) -> dict[str, Json]:
        tokens: dict[str, Json] = ConvexHttpClient(self.cloud.convex_url).mutation(
            "auth:authenticateDevice", CREDENTIALS
        )
        return tokens

    def get(self, what: str) -> Json:
        answer = requests.get(f"{self.cloud.control_url}/{what}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def put_configuration(self, **changes: Json) -> Json:
        answer = requests.put(
            f"{self.cloud.control_url}/configuration", json=changes, timeout=TIMEOUT_S
        )
        answer.raise_for_status()
        return answer.json()

    def post_faults(self, **faults: Json) -> Json:
        answer = requests.post(f"{self.cloud.control_url}/faults", json=faults, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def post(self, what: str, **body: Json) -> Json:
        answer = requests.post(f"{self.cloud.control_url}/{what}", json=body, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def reset(self) -> None:
        """Undo what a test may have changed; the port is open again on return."""
        self.run(self._reset())

    async def _reset(self) -> None:
        self.cloud.stream_options.set(asdict(StreamOptions()))
        self.cloud.late_audio.wanted = None
        self.cloud.faults.clear()
        await asyncio.sleep(0)  # the relay hears of it in the loop's next turn
