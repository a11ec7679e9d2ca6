"""One class of the records that wait: known in memory, kept on disk by one worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Final, TypeVar

from firmware.backoff import Backoff
from firmware.cloud.errors import BacklogError, ClosedError
from firmware.cloud.workers import Workers
from firmware.errors import RecordStoreError
from firmware.store.changes import Changes, Found, RecordStore
from firmware.store.database import REMEMBERED_MAX
from firmware.store.record import Private, Record

WORK_WAITING_MAX: Final = 16
UNREADABLE: Final = "UNREADABLE"
"""Code for which a record is set aside that is on disk, but cannot be read there."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Lane:
    """Records of one class, in order. Use it on the loop's thread only.

    The order is that in which they were put; those that were put off stand behind all the others.

    Ids and sizes are in memory, records on disk; those that are not on disk yet are in memory as
    well. All that was put while the worker was busy goes to disk in one transaction. When the disk
    fails, that is said once in the log and tried again and again; meanwhile records stay in memory
    and can be delivered from there.

    Attributes:
        bytes: The size of what waits.
        aside: Records that were set aside since the start.

    Args:
        name: What is in it, for a log.
        store: Where records are kept.
        retry: How long to wait when the disk fails.
        on_found: Is told what was there, each time the store is opened.
    """

    def __init__(
        self, name: str, store: RecordStore, retry: Backoff, on_found: Callable[[Found], None]
    ) -> None:
        self.bytes = 0
        self.aside = 0
        self._name = name
        self._store = store
        self._retry = retry
        self._on_found = on_found
        self._worker = Workers(f"{name} records", threads_max=1, waiting_max=WORK_WAITING_MAX)
        self._waiting: dict[str, int] = {}
        self._passing: set[str] = set()
        self._put_off: dict[str, int] = {}
        self._remembered: dict[str, None] = {}
        self._changes = Changes()
        self._under_way = Changes()
        self._is_open = False
        self._is_failing = False
        self._has_work = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._has_records = asyncio.Event()
        self._has_none = asyncio.Event()
        self._has_none.set()
        self._is_clear = asyncio.Event()
        self._is_clear.set()
        self._erasures = 0
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        """Begin to open the store, and to write what is put."""
        self._has_work.set()
        self._task = asyncio.create_task(self._write(), name=f"{self._name} records")

    def knows(self, record_id: str) -> bool:
        """Tell whether a record waits, or is remembered. Before `settle` it may not be found."""
        return record_id in self._waiting or record_id in self._remembered

    def put(self, record: Record, size: int, *, goes_past: bool = False) -> None:
        """Add a record that is not known yet, of this size in bytes.

        ``goes_past``: whether it does not wait behind one that fails.
        """
        self._changes.put[record.record_id] = record
        if goes_past:
            self._passing.add(record.record_id)
        self._wait_in_line(record.record_id, size)
        self._note_change()

    def store_audio(self, record_id: str, storage_id: str) -> None:
        """Keep with a record what the cloud calls its audio."""
        self._changes.stored[record_id] = storage_id
        self._note_change()

    def forget(self, private: Private) -> None:
        """Take something out of every conversation that waits."""
        self._changes.forget(private)
        self._note_change()

    def finish(self, record_ids: Iterable[str]) -> None:
        """Remove records that are delivered, or have to give way."""
        for record_id in record_ids:
            self._leave(record_id)
            self._changes.finish(record_id)
        self._note_change()

    def set_aside(self, record_id: str, code: str) -> None:
        """Take a record out of the line, and keep it for a person to look at."""
        self.aside += 1
        self._leave(record_id)
        self._changes.set_aside(record_id, code)
        self._note_change()

    def put_off(self, record_id: str) -> int:
        """Have a record that waits go behind all the others, until the next start.

        Returns how often that was done with it by now.
        """
        times = self._put_off.pop(record_id, 0) + 1
        self._put_off[record_id] = times
        self._note_length()
        return times

    def oldest(self) -> str:
        """Return the id of the record that has waited longest; there must be one."""
        return next(iter(self._waiting))

    async def filled(self) -> None:
        """Wait until a record waits."""
        await self._has_records.wait()

    async def emptied(self) -> None:
        """Wait until none does."""
        await self._has_none.wait()

    async def cleared(self) -> None:
        """Wait until none does but those that were put off."""
        await self._is_clear.wait()

    @property
    def is_clear(self) -> bool:
        """Whether no record waits but those that were put off."""
        return self._is_clear.is_set()

    async def settle(self) -> bool:
        """Wait until all that was put is on disk; tell whether it is. A failing disk says no."""
        await self._at_rest.wait()
        return not self._changes and not self._under_way and self._is_open

    async def head(self, count: int, *, going_past: bool = False) -> list[Record]:
        """Return the records whose turn it is next, `count` at most.

        It waits until they are on disk; from a disk that fails nothing is had, but what memory has.
        ``going_past``: only those that do not wait behind one that fails.
        """
        while self._waiting:
            await self.settle()
            wanted = tuple(islice(self._in_line(going_past=going_past), count))
            records = self._unwritten()
            try:
                on_disk = await self._add_read(records, wanted)
            except (RecordStoreError, BacklogError) as error:
                self._note_failure(error)
                in_line = self._in_line(going_past=going_past)
                in_memory = (records[item] for item in in_line if item in records)
                return [self._as_changed(record) for record in islice(in_memory, count)]
            for record_id in on_disk:
                if record_id not in records and record_id in self._waiting:
                    _log.error("the record %s cannot be read: it is set aside", record_id)
                    self.set_aside(record_id, UNREADABLE)
            found = [records[record_id] for record_id in wanted if record_id in self._waiting]
            if found or not wanted:
                return [self._as_changed(record) for record in found]
        return []

    async def everything(self) -> list[Record]:
        """Return all records that wait, none left out. Raises RecordStoreError where it cannot."""
        await self.settle()
        wanted = tuple(self._in_line())
        records = self._unwritten()
        try:
            await self._add_read(records, wanted)
        except BacklogError as error:
            raise RecordStoreError(f"too much waits for the {self._name} records") from error
        present = [record_id for record_id in wanted if record_id in self._waiting]
        if any(record_id not in records for record_id in present):
            raise RecordStoreError(f"one of the {self._name} records cannot be read")
        return [self._as_changed(records[record_id]) for record_id in present]

    async def audio_names(self) -> set[str]:
        """Return the names of the audio that goes with what waits. Raises RecordStoreError."""
        await self.settle()
        in_memory = {record.audio for record in self._unwritten().values() if record.audio}
        return in_memory | await self._on_worker(self._store.audio_names)

    async def save(self) -> None:
        """Make what is there survive a power cut, as far as the disk goes along."""
        if await self.settle():
            try:
                await self._on_worker(self._store.save)
            except (RecordStoreError, BacklogError) as error:
                self._note_failure(error)

    async def erase(self) -> None:
        """Forget all records, and those that are done with. Raises RecordStoreError."""
        await self.settle()
        self._erasures += 1
        self._changes, self._under_way = Changes(), Changes()
        self._waiting.clear()
        self._passing.clear()
        self._put_off.clear()
        self._remembered.clear()
        self.bytes = 0
        self._note_length()
        try:
            await self._on_worker(self._store.erase)
        except RecordStoreError as error:
            self._note_failure(error)
            raise

    async def close(self, timeout_s: float) -> None:
        """Write and save what can be in this time; what is put later is lost."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.save()
                await self._stop()
                await self._on_worker(self._store.close)
        except (TimeoutError, RecordStoreError, BacklogError):
            _log.error("%s records were not all saved in %g s", self._name, timeout_s)
            await self._stop()
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _write(self) -> None:
        """Open the store and carry out changes, as they come, until cancelled."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            self._under_way = self._under_way.followed_by(self._changes)
            self._changes = Changes()
            try:
                if not self._is_open:
                    erasures = self._erasures
                    found = await self._on_worker(self._store.open)
                    # What was found before it was erased is not there any more. Where the erasing
                    # failed, it is found again: the store is then opened anew.
                    self._take_up(found if erasures == self._erasures else Found())
                if self._under_way:
                    await self._on_worker(self._store.apply, self._under_way)
            except Exception as error:  # noqa: BLE001 - a defect must not end the keeping of records
                self._note_failure(error)
                await asyncio.sleep(self._retry.next_delay_ms() / 1000)
                continue
            self._under_way = Changes()
            self._note_success()

    def _take_up(self, found: Found) -> None:
        """Put what was found before what is only in memory."""
        pending = self._under_way.followed_by(self._changes)
        gone = {*pending.done, *pending.aside}
        self._remembered = dict.fromkeys((*found.remembered, *self._remembered))
        in_memory = dict(self._waiting)
        self._passing.update(set(found.passing) - gone)
        self._waiting.clear()
        self.bytes = 0
        for record_id, size in found.waiting:
            if record_id not in gone:
                self._wait_in_line(record_id, size)
        for record_id in pending.put:
            if record_id in found.remembered:
                self._drop_put(record_id)
            elif record_id not in self._waiting and record_id not in gone:
                self._wait_in_line(record_id, in_memory[record_id])
        for record_id in self._put_off.keys() - self._waiting.keys():
            del self._put_off[record_id]
        self._note_length()
        self._is_open = True
        self._on_found(found)

    def _drop_put(self, record_id: str) -> None:
        for changes in (self._under_way, self._changes):
            changes.put.pop(record_id, None)

    def _as_changed(self, record: Record) -> Record:
        """Return a record as it is after changes that are not on disk yet."""
        for changes in (self._under_way, self._changes):
            record = record.without(changes.forgotten)
            storage_id = changes.stored.get(record.record_id, record.storage_id)
            record = record.with_storage_id(storage_id)
        return record

    def _unwritten(self) -> dict[str, Record]:
        return {**self._under_way.put, **self._changes.put}

    def _in_line(self, *, going_past: bool = False) -> Iterator[str]:
        """Yield the ids of what waits in the order of its turns."""
        first = (record_id for record_id in self._waiting if record_id not in self._put_off)
        for record_id in chain(first, self._put_off):
            if not going_past or record_id in self._passing:
                yield record_id

    async def _add_read(self, records: dict[str, Record], wanted: tuple[str, ...]) -> list[str]:
        """Add to ``records`` the others that are wanted and can be read; return which these are."""
        on_disk = [record_id for record_id in wanted if record_id not in records]
        if on_disk:
            records |= await self._on_worker(self._store.read, tuple(on_disk))
        return on_disk

    def _wait_in_line(self, record_id: str, size: int) -> None:
        self._waiting[record_id] = size
        self.bytes += size
        self._note_length()

    def _leave(self, record_id: str) -> None:
        self.bytes -= self._waiting.pop(record_id, 0)
        self._passing.discard(record_id)
        self._put_off.pop(record_id, None)
        self._note_length()
        self._remembered[record_id] = None
        if len(self._remembered) > REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]

    def _note_length(self) -> None:
        if self._waiting:
            self._has_records.set()
            self._has_none.clear()
        else:
            self._has_records.clear()
            self._has_none.set()
        if len(self._waiting) > len(self._put_off):
            self._is_clear.clear()
        else:
            self._is_clear.set()

    def _note_change(self) -> None:
        self._has_work.set()
        if not self._is_failing:
            self._at_rest.clear()

    def _note_failure(self, error: Exception) -> None:
        if not self._is_failing:
            # Only our own texts are known to hold nothing of a record.
            reason = error if isinstance(error, RecordStoreError) else type(error).__name__
            _log.error("%s: %s records stay in memory for now", reason, self._name)
        self._is_failing = True
        self._is_open = False
        self._has_work.set()
        self._at_rest.set()

    def _note_success(self) -> None:
        if self._is_failing:
            _log.warning("%s records are on the disk again", self._name)
        self._is_failing = False
        self._retry.reset()
        if self._changes:
            self._at_rest.clear()
        else:
            self._at_rest.set()

    async def _on_worker(self, work: Callable[..., _T], *arguments: object) -> _T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._worker, lambda: work(*arguments))
        except ClosedError as error:
            raise RecordStoreError(f"the {self._name} records are closed") from error
