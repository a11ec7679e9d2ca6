"""Becoming another toy."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from firmware.cloud.configuration import ToyConfiguration
from firmware.cloud.errors import ApplicationError, CloudFaultError
from firmware.cloud.retrying import call_with_retries
from firmware.errors import NoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from firmware.cloud.caller import Calls
    from firmware.cloud.command import Command
    from firmware.cloud.credentials import Tokens
    from firmware.cloud.toy_choice import ToyChoice
    from firmware.ports import Acknowledge, PerformEffect, Post

CONFIGURATION: Final = "toys:getConfiguration"
TOY_NOT_FOUND: Final = "TOY_NOT_FOUND"

_log = logging.getLogger(__name__)


class Switching:
    """Performs ``switch_toy``, for toys that the cloud has.

    Before anything changes, the cloud is asked for the other toy's configuration. Where it has
    none, the command is refused and never becomes an event. Otherwise ``switch_toy`` is posted, and
    the table says when the toy is at rest and it may be done. What was asked for is not used: it
    may be old by then, and consent with it. The other toy's microphone stays closed until its
    configuration has come the usual way.

    Args:
        acknowledge: Answers a command: id, outcome, details.
        tokens: Gives the tokens that are held, if any.
        on_toy: Is told of the other toy, in the same moment as all others.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        device_id: str,
        choice: ToyChoice,
        calls: Calls,
        *,
        post: Post,
        random: Random,
        tokens: Callable[[], Tokens | None],
        acknowledge: Acknowledge,
        on_toy: Callable[[], None],
    ) -> None:
        self._device_id = device_id
        self._choice = choice
        self._calls = calls
        self._post = post
        self._tokens = tokens
        self._acknowledge = acknowledge
        self._on_toy = on_toy
        self._random = random
        self._wanted: list[Command] = []
        self._found: dict[str, Command] = {}
        self._looking: asyncio.Task[None] | None = None
        self._saving: set[asyncio.Task[None]] = set()

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {"switch_toy": self._switch}

    def look_for(self, command: Command) -> None:
        """Find out whether the cloud has the toy of a ``switchToy``, after those before it."""
        self._wanted.append(command)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="another toy")

    async def close(self) -> None:
        """Stop looking, and finish what is being made durable."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        if self._saving:
            await asyncio.wait(self._saving)

    async def _look(self) -> None:
        try:
            while self._wanted:
                await self._look_for(self._wanted.pop(0))
        finally:
            self._looking = None

    async def _look_for(self, command: Command) -> None:
        try:
            await self._find(command)
        except Exception as error:  # noqa: BLE001 - whatever it is, the guardian is answered
            # Only our own texts are known to hold nothing.
            reason = error if isinstance(error, CloudFaultError) else type(error).__name__
            _log.warning("the toy does not become another: %s", reason)
            is_unknown = isinstance(error, ApplicationError) and error.code == TOY_NOT_FOUND
            self._acknowledge(command.id, "refused" if is_unknown else "failed")
        else:
            self._found[command.id] = command
            self._post("switch_toy", command=command.id)

    async def _find(self, command: Command) -> None:
        """Return if the cloud has the toy; raise what it says otherwise."""
        arguments = {"deviceId": self._device_id, "toyId": command.toy_id}
        tokens = self._tokens()
        await call_with_retries(
            self._calls,
            "query",
            CONFIGURATION,
            lambda: arguments,
            ToyConfiguration.parse,
            token=None if tokens is None else tokens.convex,
            random=self._random,
        )

    def _switch(self, command: str) -> None:
        found = self._found.pop(command)
        self._choice.become(found.toy_id, found.stamp)
        self._on_toy()
        task = asyncio.create_task(self._save(command), name="the toy")
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _save(self, command: str) -> None:
        try:
            await self._choice.save()
        except NoteError as error:
            _log.error("%s: the next start begins with the toy before", error)
            self._acknowledge(command, "done", {"durable": False})
        else:
            self._acknowledge(command, "done")
