"""What guardians' commands have put into force, and what of it outlives a restart."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from firmware.cloud.command import PERCENT_MAX, Stamp
from firmware.cloud.errors import CloudError
from firmware.cloud.workers import Workers
from firmware.errors import NoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware.store.note import Note

FORMAT: Final = 1
LOAD_TIMEOUT_S: Final = 5.0
"""How long the start waits for the card."""

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Mute(NamedTuple):
    """The guardian's last word about the microphone."""

    stamp: Stamp
    muted: bool


class Volume(NamedTuple):
    """The guardian's last word about the volume."""

    stamp: Stamp
    percent: int


UNREADABLE: Final = Mute(Stamp(-1, "unreadable"), muted=True)
"""What is believed of a damaged file: privacy first. The guardian's next word replaces it."""


class InForce:
    """The last mute and the last volume, in memory and in a note.

    Writes are made on a thread of its own; if several are asked for while the card is busy, the
    last one is made and stands for all.

    Args:
        note: Where it is kept.
    """

    def __init__(self, note: Note) -> None:
        self.mute: Mute | None = None
        self.volume: Volume | None = None
        self._note = note
        self._asked = 0  # saves, of which so many …
        self._saved = 0  # … were made
        self._lock = asyncio.Lock()
        self._worker = Workers("what is in force", threads_max=1, waiting_max=2)

    async def load(self) -> None:
        """Take up what the note holds; once, at the start.

        A card that says nothing for `LOAD_TIMEOUT_S` is as one whose note is damaged.
        """
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                facts = await self._on_worker(self._note.load)
        except (NoteError, TimeoutError) as error:
            _log.error(
                "%s: the toy is muted until its guardian says otherwise",
                error if isinstance(error, NoteError) else "the card does not answer",
            )
            self.mute = UNREADABLE
        else:
            self.take_up(facts)

    def take_up(self, facts: Mapping[str, object] | None) -> None:
        """Take up facts of a note, whatever they are."""
        if facts is not None and facts.get("format") == FORMAT:
            self.mute = _mute(facts.get("mute"))
            self.volume = _volume(facts.get("volume"))

    async def save(self) -> None:
        """Make durable what holds now; it is on return.

        Raises:
            NoteError: It is not.
        """
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._saved >= mine:  # another one's write came after this was asked for
                return
            asked, facts = self._asked, self._facts()
            await self._on_worker(lambda: self._note.store(facts))
            self._saved = asked

    async def erase(self) -> None:
        """Remove the note, and forget what it held: no later save writes that back.

        The machine stays muted, and the volume as it is, until the toy is started again.

        Raises:
            NoteError: It could not be removed.
        """
        self.mute = self.volume = None
        async with self._lock:
            await self._on_worker(self._note.remove)

    def close(self) -> None:
        """Take no more saves; the one under way is finished."""
        self._worker.shutdown(wait=False)

    async def _on_worker(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except CloudError as error:  # the card has kept the thread busy for too long
            raise NoteError(str(error)) from error

    def _facts(self) -> dict[str, object]:
        mute, volume = self.mute, self.volume
        return {
            "format": FORMAT,
            "mute": mute and {**mute.stamp._asdict(), "muted": mute.muted},
            "volume": volume and {**volume.stamp._asdict(), "percent": volume.percent},
        }


def _mute(fact: object) -> Mute | None:
    match fact:
        case {"issued_at_ms": int() | float() as at, "command": str(command), "muted": bool(muted)}:
            return Mute(Stamp(at, command), muted)
    return None


def _volume(fact: object) -> Volume | None:
    match fact:
        case {"issued_at_ms": int() | float() as at, "command": str(command), "percent": int(p)}:
            return Volume(Stamp(at, command), min(max(p, 0), PERCENT_MAX))
    return None
