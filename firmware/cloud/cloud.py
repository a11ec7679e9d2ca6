"""The cloud as the rest of the firmware sees it: one performer, put together here."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from firmware.cloud.authentication import Authentication, OnTokens
from firmware.cloud.cache import ConfigurationCache
from firmware.cloud.caller import Caller
from firmware.cloud.commands import Commands
from firmware.cloud.guardian_key import GuardianKey
from firmware.cloud.in_force import InForce
from firmware.cloud.live import LiveQueries
from firmware.cloud.polling import Polling
from firmware.cloud.query import Query
from firmware.cloud.settings import CloudSettings, checked_address
from firmware.cloud.switching import CONFIGURATION as CONFIGURATION_FUNCTION
from firmware.cloud.switching import Switching
from firmware.cloud.values import TOKEN_REFUSALS
from firmware.cloud.versions import ConfigurationVersions, OnConfiguration
from firmware.erasure import Erase, Erasure
from firmware.export import Export, Tell, Upload
from firmware.store.note import Note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from random import Random

    from firmware.cloud.configuration import ToyConfiguration
    from firmware.cloud.credentials import Identity, Tokens
    from firmware.cloud.toy_choice import ToyChoice
    from firmware.ports import Outlet, PerformEffect, Post
    from hardware.clock import Clock

COMMANDS_FUNCTION: Final = "devices:commands"

# In the data folder.
CONFIGURATION_FILE: Final = "configuration.json"
IN_FORCE_FILE: Final = "in-force.json"
TOY_FILE: Final = "toy.json"

_log = logging.getLogger(__name__)


class Cloud:
    """Performs what the machine asks of the cloud: tokens, the toy's configuration, commands.

    Make it and use it on the loop's thread. Nothing connects before the first ``authenticate``.

    Args:
        folder: Where the last good configuration and what guardians put into force are kept; it
            must exist by the time of `start`.
        toy: Which toy the device is.
        outlet: Where answers to commands go.
        random: Draws the waits of all retries.
        guardian_key: The public key that releases must be signed with; empty where none is.
        set_volume: Sets the volume, in percent of what is allowed.
        on_tokens: Who else takes up new tokens, such as the stream.
        on_configuration: Who takes up a configuration that comes into force.
        on_toy: Who else takes up the id of another toy, such as the stream.
        erasable: What removes data that others keep about a family, by its name.
        held: What tells, for an export, of data that others keep, by its name.
        upload: Stores an export that is too long for an answer; None where nobody can.
        may_connect: Awaited before anything connects: see `Authentication`.

    Raises:
        AddressError: The settings' address cannot be used.
        SettingError: The guardian's key cannot be one.

    Attributes:
        commands: The guardian's commands: its `after` observes the loop, its `acknowledge` is for
            whoever performs one.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: CloudSettings,
        identity: Identity,
        folder: Path,
        *,
        toy: ToyChoice,
        clock: Clock,
        post: Post,
        outlet: Outlet,
        random: Random,
        guardian_key: str = "",
        set_volume: Callable[[int], None],
        on_tokens: Sequence[OnTokens] = (),
        on_configuration: Sequence[OnConfiguration] = (),
        on_toy: Sequence[Callable[[str], None]] = (),
        erasable: Mapping[str, Erase] = MappingProxyType({}),
        held: Mapping[str, Tell] = MappingProxyType({}),
        upload: Upload | None = None,
        may_connect: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        address = checked_address(settings.url)
        self._is_encrypted = address.startswith("https:")
        self._device_id = identity.device_id
        self._folder = folder
        self._toy = toy
        self._on_toy = tuple(on_toy)
        self._caller = Caller(settings)
        self._versions = ConfigurationVersions(
            self._cache(), post=post, on_configuration=on_configuration
        )
        self._switching = Switching(
            self._device_id,
            toy,
            self._caller,
            post=post,
            random=random,
            tokens=lambda: self.tokens,
            acknowledge=self._acknowledge,
            on_toy=self._take_up_toy,
        )
        self._in_force = InForce(Note(folder / IN_FORCE_FILE))
        self.commands = Commands(
            self._device_id,
            post=post,
            outlet=outlet,
            in_force=self._in_force,
            guardian_key=GuardianKey(guardian_key) if guardian_key else None,
            set_volume=set_volume,
            switch=self._switching.look_for,
            toy_stamp=toy.stamp,
        )
        self._erasure = Erasure(
            {
                "configuration": self._versions.erase,
                "what is in force": self._in_force.erase,
                "the toy": toy.erase,
                **erasable,
            },
            post=post,
            acknowledge=self._acknowledge,
            begin_anew=[self._begin_anew],
            go_on=[self._ask_anew],
        )
        self._export = Export(
            {"configuration": self._tell_configuration, **held},
            acknowledge=self._acknowledge,
            upload=upload,
        )
        self._live = LiveQueries(settings, address, self._queries(), clock=clock, random=random)
        self._authentication = Authentication(
            settings,
            identity,
            self._caller,
            clock=clock,
            post=post,
            random=random,
            on_tokens=[*on_tokens, lambda tokens: self._live.use(tokens.convex)],
            may_connect=may_connect,
        )
        self._polling = Polling(
            settings,
            self._caller,
            queries=lambda: self._live.queries,
            lost=self._live.lost,
            random=random,
            tokens=lambda: self.tokens,
            on_rejected=self.reject,
        )

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {
            **self._authentication.effects,
            **self._versions.effects,
            **self.commands.effects,
            **self._switching.effects,
            **self._erasure.effects,
            **self._export.effects,
        }

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that are held, if any."""
        return self._authentication.tokens

    @property
    def calls(self) -> Caller:
        """One-shot calls of the cloud's functions and uploads, for whoever else needs some."""
        return self._caller

    @property
    def child_pid(self) -> int | None:
        """The process that hears the live queries; None while there is none. Any thread."""
        return self._live.child_pid

    @property
    def is_encrypted(self) -> bool:
        """Whether the cloud is reached over TLS."""
        return self._is_encrypted

    def hint(self) -> None:
        """Look for news soon: the stream says that there are some.

        The live queries hear of them by themselves; polling may not for a while.
        """
        self._polling.hint()

    def reject(self, tokens: Tokens) -> None:
        """Note that the cloud does not take these tokens: see `Authentication.reject`."""
        self._authentication.reject(tokens)

    @property
    def configuration(self) -> ToyConfiguration | None:
        """The configuration in force; None while none was ever received."""
        return self._versions.in_force

    @property
    def configurations_malformed(self) -> int:
        """How many configurations of the cloud could not be used."""
        return self._versions.malformed

    async def start(self) -> None:
        """Take up what is kept: posts ``mute`` and ``configured`` where there is reason to.

        In this order: the configuration may open a microphone that is muted.
        """
        try:
            await self.commands.start()
            await self._versions.load_cached()
        finally:
            self._polling.start()

    async def close(self) -> None:
        """End the child, the calls and the timers; finish what is being written."""
        await self._authentication.close()
        await asyncio.gather(
            self._switching.close(),
            self._erasure.close(),
            self._export.close(),
        )
        await asyncio.gather(
            self._polling.close(),
            self._live.close(),
            self._versions.close(),
            self.commands.close(),
        )
        self._toy.close()
        self._caller.close()

    def _acknowledge(
        self, command: str, outcome: str, details: Mapping[str, object] | None = None, /
    ) -> None:
        self.commands.acknowledge(command, outcome, details)

    def _begin_anew(self) -> None:
        """Be the configured toy, of which nothing is known yet: all that was kept is erased."""
        self._toy.begin_anew()
        self._take_up_toy()

    def _ask_anew(self) -> None:
        """Have every value told again: a configuration that was erased is not told by itself."""
        self._live.ask(self._queries())

    def _take_up_toy(self) -> None:
        """Let everything be of the present toy, and nothing of the one before."""
        self._versions.begin_anew(self._cache())
        self._ask_anew()
        for take_up in self._on_toy:
            take_up(self._toy.id)

    async def _tell_configuration(self) -> object:
        return {"toyId": self._toy.id, "asSent": self._versions.as_sent}

    def _cache(self) -> ConfigurationCache:
        return ConfigurationCache(self._folder / CONFIGURATION_FILE, self._toy.id)

    def _queries(self) -> tuple[Query, Query]:
        device = {"deviceId": self._device_id}
        return (
            Query(
                CONFIGURATION_FUNCTION,
                {**device, "toyId": self._toy.id},
                self._versions.receive,
                partial(self._note_failure, "the configuration"),
            ),
            Query(
                COMMANDS_FUNCTION,
                device,
                self.commands.receive,
                partial(self._note_failure, "its commands"),
            ),
        )

    def _note_failure(self, what: str, code: str) -> None:
        """Take note that the cloud refused a query."""
        tokens = self.tokens
        if code in TOKEN_REFUSALS and tokens is not None:
            self.reject(tokens)
        else:
            _log.warning("the cloud refuses %s: %s", what, code or "it gave no code")
