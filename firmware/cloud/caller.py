"""Calls of Convex functions from the loop, which they never hold up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from firmware.cloud.errors import DeadlineError
from firmware.cloud.session import Kind, Session
from firmware.cloud.workers import Workers
from firmware.durations import Durations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from firmware.cloud.settings import CloudSettings

CALLS_AT_ONCE_MAX: Final = 4
"""Deliveries of both classes, what somebody waits for, and authentication, which must not wait for
any of them when the cloud stalls."""
CALLS_WAITING_MAX: Final = 16
UPLOADS_WAITING_MAX: Final = 2

_T = TypeVar("_T")


class Calls(Protocol):
    """Calls functions of the cloud."""

    async def call(
        self,
        kind: Kind,
        function: str,
        arguments: Callable[[], Mapping[str, object]],
        parse: Callable[[object], _T],
        *,
        token: str | None = None,
    ) -> _T:
        """Call a function and return what `parse` makes of its value.

        Args:
            kind: ``query`` or ``mutation``.
            function: Its name, as ``toys:getConfiguration``.
            arguments: Gives the arguments when the call begins. It runs on a worker's thread, so it
                may block, and a secret in them lives no longer than the call.
            parse: Turns the value into a result, on a worker's thread.
            token: Whom to speak for; nobody if left out.

        Raises:
            CloudFaultError: There is no result; the class says why. A mutation may have been
                carried out all the same.
            ClosedError: The calls are closed.
        """
        ...


class Caller:
    """`Calls` over one HTTP session and a few threads, each call with a deadline.

    A call that is cancelled or late is given up by the loop at once; its thread is free again when
    the session's own timeouts end it.

    Raises:
        AddressError: The settings' address cannot be used.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self._session = Session(settings)
        self._deadline_ms = settings.call_deadline_ms
        self._workers = Workers(
            "cloud calls", threads_max=CALLS_AT_ONCE_MAX, waiting_max=CALLS_WAITING_MAX
        )
        # Apart: an upload takes its time, and an emergency does not wait for it.
        self._upload_deadline_ms = settings.upload_deadline_ms
        self._uploaders = Workers("uploads", threads_max=1, waiting_max=UPLOADS_WAITING_MAX)
        self.durations = (Durations("call"), Durations("upload"))
        """How long calls and uploads took, those in vain too; for the metrics."""

    async def call(
        self,
        kind: Kind,
        function: str,
        arguments: Callable[[], Mapping[str, object]],
        parse: Callable[[object], _T],
        *,
        token: str | None = None,
    ) -> _T:
        """Call a function: see `Calls`."""

        def work() -> _T:
            return parse(self._session.call(kind, function, arguments(), token))

        try:
            async with asyncio.timeout(self._deadline_ms / 1000), _timed(self.durations[0]):
                return await asyncio.get_running_loop().run_in_executor(self._workers, work)
        except TimeoutError:
            pass
        raise DeadlineError(f"{function} was not answered within {self._deadline_ms} ms")

    async def upload(self, url: str, body: bytes, content_type: str, device_id: str) -> object:
        """Post a file and return the parsed answer: see `Session.upload`.

        Raises:
            CloudFaultError: There is no answer; the class says why. The cloud may have the file all
                the same.
            ClosedError: The calls are closed.
        """

        def work() -> object:
            return self._session.upload(url, body, content_type, device_id)

        try:
            async with asyncio.timeout(self._upload_deadline_ms / 1000), _timed(self.durations[1]):
                return await asyncio.get_running_loop().run_in_executor(self._uploaders, work)
        except TimeoutError:
            pass
        raise DeadlineError(f"an upload was not answered within {self._upload_deadline_ms} ms")

    def close(self) -> None:
        """Take no more calls, forget those that wait, and close the connections."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._uploaders.shutdown(wait=False, cancel_futures=True)
        self._session.close()


@contextlib.asynccontextmanager
async def _timed(durations: Durations) -> AsyncIterator[None]:
    """Add how long it took, however it ends."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        yield
    finally:
        durations.add(round((loop.time() - began_s) * 1000))
