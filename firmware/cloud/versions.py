"""Which version of the configuration is in force, which ones wait, and what is on disk."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from firmware.cloud.configuration import ToyConfiguration
from firmware.cloud.errors import CacheError, ConfigurationError
from firmware.cloud.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firmware.cloud.cache import ConfigurationCache
    from firmware.ports import PerformEffect, Post

WAITING_MAX: Final = 16
"""Versions that may wait for their effect; of more, the oldest are forgotten."""

LOAD_TIMEOUT_S: Final = 5.0
"""How long the start waits for the card."""

BODY_BYTES_MAX: Final = 262_144
"""Longest configuration, as JSON: ten times what a guardian with many topics would write."""

OnConfiguration = Callable[[ToyConfiguration], None]
"""Takes up a configuration that is in force from now on; called on the loop."""

_log = logging.getLogger(__name__)


class ConfigurationVersions:
    """Performs ``apply_configuration`` and ``tighten``.

    What arrives, from the cloud or the cache, is checked and waits; ``configured`` is posted, and
    the table says when it comes into force. A version is heard of once: older and equal ones are
    ignored. What cannot be used is dropped, and the one in force stays.

    Whatever comes into force goes to disk, on a thread of its own. If several do while the card is
    busy, the newest is written and the others are not.

    Versions count per toy. What is posted is the cloud's version until the toy becomes another or
    is erased; from then on it is raised above all that was posted before, so that nothing of the
    toy before can outdate what comes.

    Args:
        on_configuration: Who takes up what comes into force, in this order.
    """

    def __init__(
        self,
        cache: ConfigurationCache,
        *,
        post: Post,
        on_configuration: Sequence[OnConfiguration],
    ) -> None:
        self._cache = cache
        self._post = post
        self._on_configuration = tuple(on_configuration)
        self._in_force: ToyConfiguration | None = None
        self._base = 0  # what is posted is so much more than the cloud's version
        self._newest_version = -1
        self._waiting: dict[int, _Received] = {}  # by version as posted, oldest first
        self._sent: _Received | None = None
        self._malformed = 0
        self._cached_version = -1
        self._unwritten: Callable[[], None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._writer = Workers("the configuration cache", threads_max=1, waiting_max=1)

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {"apply_configuration": self._apply, "tighten": self._tighten}

    @property
    def in_force(self) -> ToyConfiguration | None:
        """The configuration in force; None while none was ever received."""
        return self._in_force

    @property
    def as_sent(self) -> dict[str, object] | None:
        """The configuration that came into force last, as the cloud sent it; None without one."""
        return None if self._sent is None else json.loads(self._sent.body)

    @property
    def malformed(self) -> int:
        """How many configurations of the cloud were dropped because they could not be used."""
        return self._malformed

    async def load_cached(self) -> None:
        """Take up the configuration on disk, if there is one; once, before anything is received.

        A card that says nothing for `LOAD_TIMEOUT_S` is as one without.
        """
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                value = await asyncio.get_running_loop().run_in_executor(
                    self._writer, self._cache.load
                )
            if value is None:
                return
            received = _Received.read(value)
        except TimeoutError:
            _log.warning("no cached configuration: the card does not answer")
            return
        except (CacheError, ConfigurationError) as error:
            _log.warning("no cached configuration: %s", error)
            return
        self._cached_version = received.configuration.version
        self._take(received)

    def receive(self, value: object) -> None:
        """Take what the cloud sent: any plain value, as often as it likes."""
        try:
            received = _Received.read(value)
        except ConfigurationError as error:
            self._malformed += 1
            if self._malformed == 1:
                _log.warning("the cloud's configuration is not used, nor any like it: %s", error)
            return
        self._take(received)

    def begin_anew(self, cache: ConfigurationCache) -> None:
        """Forget every configuration, on disk too, and keep those to come in `cache`."""
        self._base = self._newest_version + 1
        self._newest_version = self._base - 1
        self._waiting.clear()
        self._in_force = self._sent = None
        self._cached_version = -1
        self._cache = cache
        self._have_written(cache.remove)

    async def erase(self) -> None:
        """Forget every configuration; nothing of them is on disk on return.

        Raises:
            CacheError: They could not be removed.
        """
        self.begin_anew(self._cache)
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await asyncio.get_running_loop().run_in_executor(self._writer, self._cache.remove)

    async def close(self) -> None:
        """Finish the write that is under way, and what waits behind it."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self._writer.shutdown(wait=False)

    def _take(self, received: _Received) -> None:
        configuration = received.configuration
        version = self._base + configuration.version
        if version <= self._newest_version:
            return
        self._newest_version = version
        self._waiting[version] = received
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[min(self._waiting)]
        self._post(
            "configured",
            version=version,
            consent=configuration.consent.listen,
            wake=configuration.wake_word_enabled,
            wake_barge=configuration.wake_word_barge_in,
            continued=configuration.continued_conversation,
        )

    def _apply(self, *, version: int) -> None:
        received = self._waiting.get(version)
        if received is None:  # applied already, or forgotten among many newer ones, which follow
            return
        self._waiting = {v: r for v, r in self._waiting.items() if v > version}
        self._write(received)
        self._sent = received
        self._put_in_force(received.configuration)

    def _tighten(self, *, version: int) -> None:
        received = self._waiting.get(version)
        if received is None:
            return
        # The whole of it goes to disk: whatever comes next after a power cut is no turn.
        self._write(received)
        if self._in_force is not None:
            self._put_in_force(self._in_force.tightened(received.configuration))

    def _put_in_force(self, configuration: ToyConfiguration) -> None:
        if configuration != self._in_force:
            self._in_force = configuration
            for take_up in self._on_configuration:
                take_up(configuration)

    def _write(self, received: _Received) -> None:
        if received.configuration.version > self._cached_version:
            self._cached_version = received.configuration.version
            self._have_written(
                partial(self._cache.store, received.body, received.configuration.version)
            )

    def _have_written(self, write: Callable[[], None]) -> None:
        self._unwritten = write
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_newest(), name="cache")

    async def _write_newest(self) -> None:
        loop = asyncio.get_running_loop()
        while (write := self._unwritten) is not None:
            self._unwritten = None
            try:
                await loop.run_in_executor(self._writer, write)
            except CacheError as error:
                _log.warning("the configuration is not cached: %s", error)
        self._writing = None


class _Received(NamedTuple):
    """A configuration that arrived: as it was sent, in JSON, and as it was understood."""

    body: bytes
    configuration: ToyConfiguration

    @classmethod
    def read(cls, value: object) -> _Received:
        """Check a plain value from the cloud or the cache.

        Raises:
            ConfigurationError: It cannot be used.
        """
        configuration = ToyConfiguration.parse(value)
        try:
            body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            body = b""
        if not body:
            raise ConfigurationError("the whole", "of whole characters")
        if len(body) > BODY_BYTES_MAX:
            raise ConfigurationError("the whole", f"at most {BODY_BYTES_MAX} bytes")
        return cls(body, configuration)
