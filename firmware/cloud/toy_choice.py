"""Which toy the device is: the configured one, until a guardian chose another."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from firmware.cloud.command import Stamp
from firmware.cloud.errors import CloudError
from firmware.cloud.workers import Workers
from firmware.errors import NoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.store.note import Note

FORMAT: Final = 1

_log = logging.getLogger(__name__)


class ToyChoice:
    """The present toy, in memory and in a note. Making it reads the note, which blocks.

    Args:
        note: Where the choice is kept.
        configured: The toy of the configuration, for as long as nobody chose another.
    """

    def __init__(self, note: Note, configured: str) -> None:
        self._note = note
        self._configured = configured
        self._id = configured
        self._stamp: Stamp | None = None
        self._worker = Workers("the toy", threads_max=1, waiting_max=16)
        self._load()

    @property
    def id(self) -> str:
        """The toy that the device is now."""
        return self._id

    @property
    def stamp(self) -> Stamp | None:
        """The command that chose it; None while it is the configured one."""
        return self._stamp

    def become(self, toy_id: str, stamp: Stamp) -> None:
        """Be another toy from now on; `save` makes it last."""
        self._id, self._stamp = toy_id, stamp

    def begin_anew(self) -> None:
        """Be the configured toy again."""
        self._id, self._stamp = self._configured, None

    async def save(self) -> None:
        """Make the present toy durable; it is on return.

        Raises:
            NoteError: It is not.
        """
        stamp = self._stamp
        facts = {"format": FORMAT, "toyId": self._id, **({} if stamp is None else stamp._asdict())}
        await self._on_worker(lambda: self._note.store(facts))

    async def erase(self) -> None:
        """Remove the note: the next start begins with the configured toy.

        Raises:
            NoteError: It could not be removed.
        """
        await self._on_worker(self._note.remove)

    def close(self) -> None:
        """Take no more saves; the one under way is finished."""
        self._worker.shutdown(wait=False)

    async def _on_worker(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except CloudError as error:  # the card has kept the thread busy for too long
            raise NoteError(str(error)) from error

    def _load(self) -> None:
        try:
            facts = self._note.load()
        except NoteError as error:
            _log.error("%s: the toy is the one in the configuration file", error)
            return
        match facts:
            case {
                "format": int(form),
                "toyId": str(toy_id),
                "issued_at_ms": int() | float() as issued_at_ms,
                "command": str(command),
            } if form == FORMAT:
                self._id, self._stamp = toy_id, Stamp(issued_at_ms, command)
