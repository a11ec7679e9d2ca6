"""Erasing all personal data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from firmware.ports import Acknowledge, PerformEffect, Post

ERASE_MS_MAX: Final = 50_000
"""Longest time for all of it: less than the state ``boot.erasing`` lasts."""

Erase = Callable[[], Awaitable[None]]
"""Removes one kind of data; what it removed is gone from the disk when it is done. It raises
whatever it likes: only the fact is kept."""

_log = logging.getLogger(__name__)


class Erasure:
    """Performs ``erase``: removes every kind of data, whatever becomes of the others.

    ``erased`` is posted only if all of them are gone, else ``erase_failed``; a guardian's command
    is answered in the same sense, with the names of those that are not. Nothing is tried again by
    itself. What must outlive it is in no list: the lock record, what is reported and answered and
    not delivered yet, and the credentials.

    Args:
        erasable: What removes each kind of data, by its name, in this order.
        begin_anew: Called when all of it is gone, in the moment before ``erased`` is posted: forget
            what is remembered of it.
        go_on: Called instead when some of it is left, in the moment before ``erase_failed`` is
            posted: ask again for what is gone and still needed.
    """

    def __init__(
        self,
        erasable: Mapping[str, Erase],
        *,
        post: Post,
        acknowledge: Acknowledge,
        begin_anew: Sequence[Callable[[], None]],
        go_on: Sequence[Callable[[], None]],
    ) -> None:
        self._erasable = dict(erasable)
        self._post = post
        self._acknowledge = acknowledge
        self._begin_anew = tuple(begin_anew)
        self._go_on = tuple(go_on)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {"erase": self._erase}

    async def close(self) -> None:
        """Stop; what is gone is gone, and the command is still open at the cloud."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _erase(self, command: str | None) -> None:
        task = asyncio.create_task(self._erase_all(command), name="erasure")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _erase_all(self, command: str | None) -> None:
        async with self._one_at_a_time:
            deadline_s = asyncio.get_running_loop().time() + ERASE_MS_MAX / 1000
            left = [
                name
                for name, erase in self._erasable.items()
                if not await _is_gone(name, erase, deadline_s)
            ]
        for follow in self._go_on if left else self._begin_anew:
            follow()
        self._post("erase_failed" if left else "erased")
        if command is not None:
            details = {"left": ", ".join(left)} if left else None
            self._acknowledge(command, "failed" if left else "done", details)


async def _is_gone(name: str, erase: Erase, deadline_s: float) -> bool:
    """Remove one kind of data, and tell whether that worked."""
    try:
        async with asyncio.timeout_at(deadline_s):
            await erase()
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are erased all the same
        _log.error("%s could not be erased (%s)", name, type(error).__name__)
        return False
    return True
