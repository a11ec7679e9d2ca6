"""Takes files to the cloud's file storage: stored speech, before the conversation it belongs to.

An upload is three steps: an address is asked for, the whole file is posted to it, and the answer
names it. Nothing of it can be continued: after a cut the file is posted again, whole, to another
address, and what the cloud may have kept of the first is referred to by nothing. The file on the
card is removed when the conversation that names it has been stored, and no sooner.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from firmware.backoff import Backoff
from firmware.cloud.errors import (
    AuthenticationError,
    CloudError,
    MalformedError,
    SpeechUnavailableError,
    UploadExpiredError,
)
from firmware.cloud.settings import is_loopback
from firmware.cloud.workers import Workers
from firmware.errors import AudioStoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from firmware.cloud.caller import Calls
    from firmware.store.audio import AudioStore
    from hardware.clock import Clock

URL_FUNCTION: Final = "storage:generateUploadUrl"
SPEECH_TYPE: Final = "audio/opus"

TRIES_MAX: Final = 3
"""Addresses that are tried before the delivery's own waits begin."""
RETRY_DELAY_MS_MIN: Final = 200
RETRY_DELAY_MS_MAX: Final = 2_000
URL_CHARS_MAX: Final = 2_048
STORAGE_ID_CHARS_MAX: Final = 200
CARD_WAITING_MAX: Final = 4

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Posts(Protocol):
    """Posts files."""

    async def upload(self, url: str, body: bytes, content_type: str, device_id: str) -> object:
        """Post a file: see `firmware.cloud.caller.Caller.upload`."""
        ...


class Uploader:
    """Uploads files, one at a time.

    Args:
        calls: Asks for addresses.
        posts: Posts to them; the same `Caller`.
        store: Where the speech is.
        device_id: Who we are.
        token: Gives the token for the cloud that is held, if any.
        clock: Whose time.
        random: Draws the waits between tries.
    """

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        calls: Calls,
        posts: Posts,
        store: AudioStore,
        *,
        device_id: str,
        token: Callable[[], str | None],
        clock: Clock,
        random: Random,
    ) -> None:
        self._calls = calls
        self._posts = posts
        self._store = store
        self._device_id = device_id
        self._token = token
        self._clock = clock
        self._random = random
        self._workers = Workers("stored speech", threads_max=1, waiting_max=CARD_WAITING_MAX)

    async def upload(self, name: str) -> str | None:
        """Upload the stored speech of that name and return the id that the cloud gave it.

        Returns:
            The id; or None where the speech is gone: it gave way, could not be opened, or must not
            be kept any more, which may have happened during the upload.

        Raises:
            UploadRefusedError: The cloud will never take it.
            CloudFaultError: It cannot be uploaded now; the class says why.
            ClosedError: It is closed.
        """
        audio = await self._on_card(lambda: self._store.get(name))
        if audio is None:
            return None

        async def is_wanted() -> bool:
            return await self._on_card(lambda: self._store.has(name))

        storage_id = await self._upload(audio, SPEECH_TYPE, is_wanted)
        return storage_id if await is_wanted() else None

    async def upload_bytes(self, content: bytes, content_type: str) -> str:
        """Upload a file that is in memory and return the id that the cloud gave it.

        It is posted to another address each time that one is not taken.

        Raises:
            UploadRefusedError: The cloud will never take it.
            CloudFaultError: It cannot be uploaded now; the class says why.
            ClosedError: It is closed.
        """
        uploaded = await self._upload(content, content_type, _always)
        assert uploaded is not None  # noqa: S101 - it is always wanted
        return uploaded

    async def stored(self, name: str) -> None:
        """Remove the speech: the conversation that names it has been stored by the cloud.

        Where the card fails, it is an orphan, which the next start removes.
        """
        try:
            await self._on_card(lambda: self._store.remove(name))
        except CloudError:
            _log.warning("speech that the cloud has could not be removed from the card")

    def close(self) -> None:
        """Take no more; what is under way on the card ends by itself."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _upload(
        self, content: bytes, content_type: str, is_wanted: Callable[[], Awaitable[bool]]
    ) -> str | None:
        """Post to one address after another; None once it is not wanted any more."""
        backoff = Backoff(RETRY_DELAY_MS_MIN, RETRY_DELAY_MS_MAX, self._random)
        for _ in range(TRIES_MAX - 1):
            try:
                return await self._post(content, content_type, is_wanted)
            except UploadExpiredError:
                await self._wait(backoff.next_delay_ms())
        return await self._post(content, content_type, is_wanted)

    async def _post(
        self, content: bytes, content_type: str, is_wanted: Callable[[], Awaitable[bool]]
    ) -> str | None:
        token = self._token()
        if token is None:
            raise AuthenticationError("there is no token to upload with")
        arguments = {"deviceId": self._device_id}
        url = await self._calls.call(
            "mutation", URL_FUNCTION, lambda: arguments, upload_url, token=token
        )
        if not await is_wanted():  # asked for last: what was withdrawn is not sent once more
            return None
        answer = await self._posts.upload(url, content, content_type, self._device_id)
        return storage_id(answer)

    async def _wait(self, delay_ms: int) -> None:
        over = asyncio.Event()
        timer = self._clock.call_later(delay_ms, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    async def _on_card(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work)
        except AudioStoreError as error:
            problem = str(error)
        raise SpeechUnavailableError(problem)


async def _always() -> bool:
    return True


def upload_url(value: object) -> str:
    """Return the address in the answer to `URL_FUNCTION`.

    The file storage may be another host than the deployment; what it must be is encrypted, or this
    machine.

    Raises:
        MalformedError: There is none, or it is not one that speech may be sent to. The address
            itself is in no message: it is a permission.
    """
    url = value.get("url") if isinstance(value, dict) else None
    if not isinstance(url, str) or len(url) > URL_CHARS_MAX or not _is_uploadable(url):
        raise MalformedError("the cloud's address for an upload cannot be used")
    return url


def storage_id(answer: object) -> str:
    """Return the id in the answer to an upload.

    Raises:
        MalformedError: There is none, or it is not one.
    """
    found = answer.get("storageId") if isinstance(answer, dict) else None
    if isinstance(found, str) and 0 < len(found) <= STORAGE_ID_CHARS_MAX and _is_plain(found):
        return found
    raise MalformedError("the answer to an upload names nothing that was stored")


def _is_uploadable(url: str) -> bool:
    if not _is_plain(url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def _is_plain(text: str) -> bool:
    """Whether a text is of visible ASCII characters only: as every address and every id is."""
    return text.isascii() and text.isprintable() and " " not in text
