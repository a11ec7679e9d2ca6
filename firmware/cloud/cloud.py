"""The cloud as the rest of the firmware sees it: one performer, put together here."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from firmware.cloud.authentication import Authentication, OnTokens
from firmware.cloud.cache import ConfigurationCache
from firmware.cloud.caller import Caller
from firmware.cloud.live import LiveQuery, Query
from firmware.cloud.polling import Polling
from firmware.cloud.settings import CloudSettings, checked_address
from firmware.cloud.values import TOKEN_REFUSALS
from firmware.cloud.versions import ConfigurationVersions, OnConfiguration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from random import Random

    from firmware.cloud.configuration import ToyConfiguration
    from firmware.cloud.credentials import Identity, Tokens
    from firmware.ports import PerformEffect, Post
    from hardware.clock import Clock

CONFIGURATION_FUNCTION: Final = "toys:getConfiguration"

_log = logging.getLogger(__name__)


class Cloud:
    """Performs what the machine asks of the cloud: tokens, and the toy's configuration.

    Make it and use it on the loop's thread. Nothing connects before the first ``authenticate``.

    Args:
        cache_path: Where the last good configuration is kept; the folder must exist.
        random: Draws the waits of all retries.
        on_tokens: Who else takes up new tokens, such as the stream.
        on_configuration: Who takes up a configuration that comes into force.
        clock_is_set: Awaited before anything connects: see `Authentication`.

    Raises:
        AddressError: The settings' address cannot be used.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: CloudSettings,
        identity: Identity,
        cache_path: Path,
        *,
        clock: Clock,
        post: Post,
        random: Random,
        on_tokens: Sequence[OnTokens] = (),
        on_configuration: Sequence[OnConfiguration] = (),
        clock_is_set: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        address = checked_address(settings.url)
        arguments = {"deviceId": identity.device_id, "toyId": identity.toy_id}
        query = Query(CONFIGURATION_FUNCTION, arguments)
        self._caller = Caller(settings)
        self._versions = ConfigurationVersions(
            ConfigurationCache(cache_path, identity.toy_id),
            post=post,
            on_configuration=on_configuration,
        )
        self._live = LiveQuery(
            settings,
            address,
            query,
            clock=clock,
            random=random,
            on_value=self._versions.receive,
            on_failed=self._note_failure,
        )
        self._authentication = Authentication(
            settings,
            identity,
            self._caller,
            clock=clock,
            post=post,
            random=random,
            on_tokens=[*on_tokens, lambda tokens: self._live.use(tokens.convex)],
            clock_is_set=clock_is_set,
        )
        self._polling = Polling(
            settings,
            self._caller,
            query,
            lost=self._live.lost,
            random=random,
            tokens=lambda: self._authentication.tokens,
            on_value=self._versions.receive,
            on_rejected=self._authentication.reject,
        )

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {**self._authentication.effects, **self._versions.effects}

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that are held, if any."""
        return self._authentication.tokens

    @property
    def configuration(self) -> ToyConfiguration | None:
        """The configuration in force; None while none was ever received."""
        return self._versions.in_force

    def start(self) -> None:
        """Take up the cached configuration: posts ``configured`` if there is one."""
        self._versions.load_cached()
        self._polling.start()

    async def close(self) -> None:
        """End the child, the calls and the timers; finish writing the cache."""
        await self._authentication.close()
        await asyncio.gather(self._polling.close(), self._live.close(), self._versions.close())
        self._caller.close()

    def _note_failure(self, code: str) -> None:
        """Take note that the cloud refused the live query."""
        tokens = self._authentication.tokens
        if code in TOKEN_REFUSALS and tokens is not None:
            self._authentication.reject(tokens)
        else:
            _log.warning("the cloud refuses the configuration: %s", code or "it gave no code")
