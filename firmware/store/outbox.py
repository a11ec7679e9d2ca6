"""The outbox: what the cloud is yet to be told, through power cuts and weeks without a network.

Two classes. *Urgent* records are on the disk before anything else becomes of them, and none is ever
dropped for want of room: when there are too many, the toy locks, and places are kept for what a
locked toy must still say. *Bulk* records may be lost: the oldest give way when there are too many,
and a power cut takes those that came after the last saving.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final, Literal, NamedTuple

from firmware.backoff import Backoff
from firmware.ports import Post
from firmware.store.bulk import BulkStore
from firmware.store.changes import Found
from firmware.store.database import RecordDatabase
from firmware.store.lane import Lane
from firmware.store.record import (
    LOG_FUNCTION,
    REPORT_FUNCTION,
    Record,
    Stamp,
    checked_arguments,
    checked_id,
    goes_past,
    is_lock_report,
)
from firmware.store.settings import StoreSettings
from firmware.supervised import supervised
from hardware.clock import Clock

URGENT_DATABASE: Final = "urgent.db"
RETRY_MS_MIN: Final = 1_000
RETRY_MS_MAX: Final = 60_000
OPEN_TIMEOUT_S: Final = 5.0
"""How long opening waits for the disk."""
CLOSE_TIMEOUT_S: Final = 0.9
"""How long closing waits for the disk."""

Class = Literal["urgent", "bulk"]
_log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """What the outbox tells of itself, for metrics; counted since the start where not *present*."""

    urgent_records: int
    """Present."""
    urgent_bytes: int
    """Present."""
    bulk_records: int
    """Present."""
    bulk_bytes: int
    """Present."""
    refused: int
    """Records that were too long, or urgent ones for which the last place was taken."""
    gave_way: int
    """Bulk records that made room for newer ones."""
    set_aside: int
    """Records that the cloud would not take."""


class Outbox:
    """`firmware.ports.Outlet` on disk. Make it and use it on the loop's thread.

    ``await open()`` before anything is put or asked: what was put before a restart is not known
    earlier. A disk that cannot be read or written is no error: it is logged, records stay in
    memory, can be delivered from there, and are written as soon as the disk takes them.

    It posts ``urgent_full`` and ``urgent_low``.

    Args:
        settings: Its limits.
        data: The data folder, on the card.
        toy_id: Gives the toy that the device is now.
        post: Where events go.
        is_clock_set: Tells whether the wall clock can be believed.
        boot_id: Names this start of the computer, as the monotonic clock does.
        wall_s: The wall clock: seconds since 1970, UTC.
        random: Draws the waits when the disk fails.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: StoreSettings,
        data: Path,
        *,
        toy_id: Callable[[], str],
        clock: Clock,
        post: Post,
        is_clock_set: Callable[[], bool],
        boot_id: str,
        random: Random,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.on_lock_report: Callable[[], None] = _nobody
        """Is told that a report of a lock was put: it is worth another try at once."""
        self._settings = settings
        self._toy_id = toy_id
        self._clock = clock
        self._post = post
        self._is_clock_set = is_clock_set
        self._boot_id = boot_id
        self._wall_s = wall_s
        self._urgent = Lane(
            "urgent",
            RecordDatabase(data / URGENT_DATABASE, synchronous="FULL"),
            Backoff(RETRY_MS_MIN, RETRY_MS_MAX, random),
            self._take_up_urgent,
        )
        self._bulk = Lane(
            "bulk",
            BulkStore(settings.runtime_folder(data), data, boot_id),
            Backoff(RETRY_MS_MIN, RETRY_MS_MAX, random),
            self._take_up_bulk,
        )
        self._is_full = False
        self._refused = 0
        self._gave_way = 0
        self._gave_way_untold = 0
        self._saving: asyncio.Task[None] | None = None

    @property
    def counts(self) -> Counts:
        """How much waits, and what became of the rest."""
        return Counts(
            len(self._urgent),
            self._urgent.bytes,
            len(self._bulk),
            self._bulk.bytes,
            self._refused,
            self._gave_way,
            self._urgent.aside + self._bulk.aside,
        )

    def now(self) -> Stamp:
        """Return this moment, as it would be told of a record that is put now."""
        return Stamp(
            int(self._wall_s() * 1000),
            self._is_clock_set(),
            self._boot_id,
            self._clock.monotonic_ms(),
        )

    async def open(self) -> None:
        """Open both classes; returns when what waited is known.

        A disk that fails, or says nothing for `OPEN_TIMEOUT_S`, does not hold up the start.
        """
        self._urgent.start()
        self._bulk.start()
        name = "saving of bulk records"
        self._saving = asyncio.create_task(supervised(name, self._save_regularly), name=name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await asyncio.gather(self._urgent.settle(), self._bulk.settle())

    async def close(self) -> None:
        """Save what can be within `CLOSE_TIMEOUT_S`, and end."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.wait([self._saving])
        await asyncio.gather(self._urgent.close(CLOSE_TIMEOUT_S), self._bulk.close(CLOSE_TIMEOUT_S))

    def knows(self, record_id: str) -> bool:
        """Tell whether a record was put before: see `Outlet`."""
        return self._urgent.knows(record_id) or self._bulk.knows(record_id)

    def put(  # noqa: PLR0913 - all that there is to say of a record
        self,
        function: str,
        arguments: Mapping[str, object],
        *,
        urgent: bool,
        record_id: str | None = None,
        audio: str = "",
        toy_id: str | None = None,
    ) -> None:
        """Queue a record: see `Outlet`.

        One that is longer than `record_bytes_max` is refused, with an error in the log. Raises
        ValueError or TypeError for arguments or an id that cannot be.
        """
        if record_id is not None and self.knows(record_id):
            return
        record = Record(
            checked_id(record_id or secrets.token_hex(16)),
            function,
            checked_arguments(arguments),
            self._toy_id() if toy_id is None else toy_id,
            self.now(),
            audio,
        )
        size = len(record.encoded())
        if size > self._settings.record_bytes_max:
            self._refuse(record, f"{size} bytes are too many")
        elif urgent:
            self._put_urgent(record, size, arguments)
        else:
            self._bulk.put(record, size)
            self._make_room()

    async def settle(self, of: Class = "urgent") -> bool:
        """Wait until every record of a class that was put is on its disk; tell whether it is.

        It returns False, and soon, while the disk fails.
        """
        return await self._lane(of).settle()

    async def save(self) -> None:
        """Save bulk records now, as at each interval."""
        await self._bulk.save()

    async def erase(self) -> None:
        """Forget every bulk record for ever: they hold what was said, and how the toy was used.

        Urgent records stay: they are about safety. Raises RecordStoreError.
        """
        await self._bulk.erase()

    def forget_words(self) -> None:
        """Take what was said out of every conversation that waits; it returns at once."""
        self._bulk.forget("words")

    def forget_speech(self) -> None:
        """Take out of them what refers to speech, on the card or at the cloud; likewise."""
        self._bulk.forget("speech")

    async def audio_names(self) -> set[str]:
        """Return the names of the audio that goes with what waits. Raises RecordStoreError."""
        return await self._bulk.audio_names()

    async def filled(self, of: Class) -> None:
        """Wait until a record of this class waits."""
        await self._lane(of).filled()

    async def emptied(self, of: Class) -> None:
        """Wait until no record of this class waits."""
        await self._lane(of).emptied()

    def is_empty(self, of: Class) -> bool:
        """Tell whether no record of this class waits."""
        return not len(self._lane(of))

    async def cleared(self, of: Class) -> None:
        """Wait until no record of this class waits but those that were put off."""
        await self._lane(of).cleared()

    def is_clear(self, of: Class) -> bool:
        """Tell whether no record of this class waits but those that were put off."""
        return self._lane(of).is_clear

    async def head(self, of: Class, count: int = 1, *, going_past: bool = False) -> list[Record]:
        """Return the next records of a class; none if there are none, or the disk fails.

        ``going_past``: only those that do not wait behind one that fails.
        """
        return await self._lane(of).head(count, going_past=going_past)

    async def everything(self, of: Class) -> list[Record]:
        """Return all records of a class that wait. Raises RecordStoreError where it cannot."""
        return await self._lane(of).everything()

    def store_audio(self, of: Class, record_id: str, storage_id: str) -> None:
        """Keep with a record what the cloud calls its audio."""
        self._lane(of).store_audio(record_id, storage_id)

    def finish(self, of: Class, *record_ids: str) -> None:
        """Remove records that the cloud has."""
        self._lane(of).finish(record_ids)
        if of == "urgent":
            self._watch_low()
        else:
            self._tell_gave_way()

    def put_off(self, of: Class, record: Record) -> int:
        """Have a record go behind all others of its class; return how often that was done with it.

        A restart begins anew: the order is then that in which they were put.
        """
        times = self._lane(of).put_off(record.record_id)
        if times == 1:
            _log.warning("the record %s is put off: %s", record.record_id, record.function)
        return times

    def set_aside(self, of: Class, record: Record, code: str) -> None:
        """Take a record that the cloud will never take out of the line, and say so once.

        Neither the log nor the cloud is told what is in it.
        """
        _log.error("the record %s is set aside: %s (%s)", record.record_id, record.function, code)
        self._lane(of).set_aside(record.record_id, code)
        if of == "urgent":
            self._watch_low()
        if record.function != LOG_FUNCTION:  # a log that is refused is not told by another
            self._put_log(
                "error",
                "record_set_aside",
                {"function": record.function, "code": code, "recordId": record.record_id},
            )

    def _lane(self, of: Class) -> Lane:
        return self._urgent if of == "urgent" else self._bulk

    def _put_urgent(self, record: Record, size: int, arguments: Mapping[str, object]) -> None:
        places = self._settings.urgent_records_reserved
        is_of_lock = is_lock_report(record.function, arguments)
        if not is_of_lock:
            places //= 2
        taken = max(
            len(self._urgent) - self._settings.urgent_records_max,
            # Bytes beyond the limit take places of the longest record each.
            -(
                (self._settings.urgent_bytes_max - self._urgent.bytes)
                // self._settings.record_bytes_max
            ),
        )
        if taken >= places:
            self._refuse(record, "every place is taken, the kept ones too")
            return
        self._urgent.put(record, size, goes_past=goes_past(record.function, arguments))
        if is_of_lock:
            self.on_lock_report()
        self._watch_full()

    def _refuse(self, record: Record, reason: str) -> None:
        self._refused += 1
        _log.error("the record %s of %s is refused: %s", record.record_id, record.function, reason)

    def _watch_full(self) -> None:
        is_full = (
            len(self._urgent) >= self._settings.urgent_records_max
            or self._urgent.bytes >= self._settings.urgent_bytes_max
        )
        if is_full and not self._is_full:
            self._is_full = True
            _log.error("the urgent records are too many: %d", len(self._urgent))
            self._post("urgent_full")

    def _watch_low(self) -> None:
        is_low = (
            2 * len(self._urgent) < self._settings.urgent_records_max
            and 2 * self._urgent.bytes < self._settings.urgent_bytes_max
        )
        if is_low and self._is_full:
            self._is_full = False
            self._post("urgent_low")

    def _make_room(self) -> None:
        gave_way = 0
        while (
            len(self._bulk) > self._settings.bulk_records_max
            or self._bulk.bytes > self._settings.bulk_bytes_max
        ):
            self._bulk.finish([self._bulk.oldest()])
            gave_way += 1
        if gave_way and not self._gave_way_untold:
            _log.warning("the bulk records are too many: the oldest give way")
        self._gave_way += gave_way
        self._gave_way_untold += gave_way

    def _tell_gave_way(self) -> None:
        """Tell the cloud how many records it will never see, once there is room to say so."""
        has_room = (
            2 * len(self._bulk) < self._settings.bulk_records_max
            and 2 * self._bulk.bytes < self._settings.bulk_bytes_max
        )
        if self._gave_way_untold and has_room:
            count, self._gave_way_untold = self._gave_way_untold, 0
            self._put_log("warning", "records_gave_way", {"count": count})

    def _put_log(self, level: str, code: str, context: Mapping[str, object]) -> None:
        self.put(LOG_FUNCTION, {"level": level, "code": code, "context": context}, urgent=False)

    def _take_up_urgent(self, found: Found) -> None:
        if found.is_damaged:
            self.put(
                REPORT_FUNCTION,
                {"eventType": "urgent_store_lost", "details": {}, "isUrgent": True},
                urgent=True,
            )
        self._watch_full()
        self._watch_low()

    def _take_up_bulk(self, found: Found) -> None:
        if found.cut_bytes:
            self._put_log("warning", "bulk_log_torn", {"bytes": found.cut_bytes})
        self._make_room()

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._settings.persist_interval_s)
            await self._bulk.save()


def _nobody() -> None:
    """Be told, and do nothing."""
