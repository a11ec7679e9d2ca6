"""The files of wake words that are given as models: fetched, checked, and kept by their digest."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from firmware.cloud.errors import CloudError
from firmware.cloud.settings import is_loopback
from firmware.cloud.workers import Workers
from firmware.store.files import remove_durably, write_durably
from firmware.tls import client_context
from firmware.voice.errors import WakeWordModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.cloud.configuration import WakeWordModel
    from firmware.cloud.settings import CloudSettings

MODEL_BYTES_MAX: Final = 2_097_152
"""Largest model: twenty times what those in use take."""

FETCH_MS_MAX: Final = 60_000
"""Longest time for one try to fetch a model."""

_PIECE_BYTES: Final = 16_384
_JOBS_WAITING_MAX: Final = 4
_STATUS_OK: Final = 200
_STATUS_REDIRECTS: Final = range(300, 400)
_STATUS_LATER: Final = frozenset({408, 425, 429})
_STATUS_SERVER_FAULTS: Final = 500  # and above: RFC 9110, section 15.6

_T = TypeVar("_T")


class Models:
    """A folder of models, each in a file that is named by its SHA-256.

    The network is used as for everything else: TLS to whom the cloud's settings trust, no proxies,
    no redirections, nothing compressed; in the clear only from this machine. Pins are the cloud's,
    and a model may come from anywhere: what it must be stands in its digest, which came from there.

    Nothing opens a file before its digest was found right; it is looked at again at each use.

    Args:
        folder: Made with the first model.
        settings: Whom to trust, and how patiently to wait.
    """

    def __init__(self, folder: Path, settings: CloudSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._worker = Workers("wake words' models", threads_max=1, waiting_max=_JOBS_WAITING_MAX)

    async def get(self, model: WakeWordModel) -> Path:
        """Return the file of a model, fetched if it is not here yet.

        Raises:
            WakeWordModelError: It cannot be had. Nothing of it is kept.
        """
        try:
            async with asyncio.timeout(FETCH_MS_MAX / 1000):
                return await self._on_worker(lambda: self._get(model))
        except TimeoutError:
            pass
        raise WakeWordModelError("unreachable")

    async def keep_only(self, sha256: str | None) -> None:
        """Remove every model but that one, for good.

        Raises:
            WakeWordModelError: `unstorable`: they cannot be removed.
        """
        await self._on_worker(lambda: self._keep_only(sha256))

    def close(self) -> None:
        """Take no more; what is under way ends by itself."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def _on_worker(self, work: Callable[[], _T]) -> _T:
        reason: Any = "unstorable"
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except CloudError:  # earlier tries keep the thread busy
            reason = "unreachable"
        except OSError:
            pass
        raise WakeWordModelError(reason)

    def _get(self, model: WakeWordModel) -> Path:
        path = self._folder / model.sha256
        if not _holds(path, model.sha256):
            content = self._fetched(model.url)
            if hashlib.sha256(content).hexdigest() != model.sha256:
                raise WakeWordModelError("wrong_digest")
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_durably(path, content)
        return path

    def _keep_only(self, sha256: str | None) -> None:
        if not self._folder.exists():
            return
        for path in self._folder.iterdir():
            if path.name != sha256:
                remove_durably(path)

    def _fetched(self, url: str) -> bytes:
        """Return what is to be had at an address; it blocks, `FETCH_MS_MAX` or so at most."""
        # With the first model: it costs a quarter of a second, and the cloud may have brought it.
        import requests  # noqa: PLC0415

        from firmware.cloud.adapter import TlsAdapter  # noqa: PLC0415

        deadline_s = time.monotonic() + FETCH_MS_MAX / 1000  # a socket knows no other time
        is_encrypted = _is_encrypted(url)
        failure: WakeWordModelError
        try:
            with requests.Session() as session:
                session.trust_env = False
                if is_encrypted:
                    context = client_context(self._settings.ca_file)
                    session.mount("https://", TlsAdapter(context))
                session.headers["Accept-Encoding"] = "identity"
                with session.get(
                    url,
                    timeout=(
                        self._settings.connect_timeout_ms / 1000,
                        self._settings.read_timeout_ms / 1000,
                    ),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    _check_status(response.status_code)
                    return _read(response.raw, deadline_s)
        except WakeWordModelError as error:
            failure = error
        except Exception:  # noqa: BLE001 - whatever the network and its libraries raise
            failure = WakeWordModelError("unreachable")
        # Outside the handlers, so that theirs, which holds the address, does not hang on ours.
        raise failure


def _holds(path: Path, sha256: str) -> bool:
    """Return whether a file is there and is what its name says."""
    try:
        with path.open("rb") as file:
            content = file.read(MODEL_BYTES_MAX + 1)
    except FileNotFoundError:
        return False
    return hashlib.sha256(content).hexdigest() == sha256


def _is_encrypted(url: str) -> bool:
    """Return whether an address is one of TLS; it is one of this machine otherwise."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise WakeWordModelError("unsafe_address") from None
    if host and parts.scheme == "https":
        return True
    if parts.scheme == "http" and is_loopback(host):
        return False
    raise WakeWordModelError("unsafe_address")


def _check_status(status: int) -> None:
    if status == _STATUS_OK:
        return
    if status in _STATUS_REDIRECTS:
        raise WakeWordModelError("elsewhere")
    is_passing = status in _STATUS_LATER or status >= _STATUS_SERVER_FAULTS
    raise WakeWordModelError("unreachable" if is_passing else "not_there")


def _read(raw: Any, deadline_s: float) -> bytes:  # noqa: ANN401 - urllib3's response, untyped in requests
    """Read a file within its limits. The read timeout bounds each wait, the deadline their sum."""
    content = bytearray()
    while piece := raw.read1(_PIECE_BYTES):
        content += piece
        if len(content) > MODEL_BYTES_MAX:
            raise WakeWordModelError("too_large")
        if time.monotonic() > deadline_s:
            raise WakeWordModelError("unreachable")
    return bytes(content)
