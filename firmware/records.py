"""Performs the reading and writing of what decides at start: identity and lock record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from firmware.errors import LockStoreError
from firmware.ports import PerformEffect
from firmware.store.lock import LockStore
from states.events import FieldValue

_log = logging.getLogger(__name__)

PostFromThread = Callable[..., None]


class Records:
    """Reads and writes on one worker thread, in the order that was asked for.

    Args:
        store: The lock record.
        has_identity: Whether the device knows who it is.
        post_from_thread: Where events go, from any thread.
    """

    def __init__(
        self, store: LockStore, post_from_thread: PostFromThread, *, has_identity: bool
    ) -> None:
        self._store = store
        self._post = post_from_thread
        self._has_identity = has_identity
        self._worker = ThreadPoolExecutor(1, "records")

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {
            "read_records": self._on_worker(self._read),
            "write_lock": self._on_worker(self._write),
            "clear_lock": self._on_worker(self._clear),
        }

    def close(self) -> None:
        """Finish what was begun. What is written is safe when this returns."""
        self._worker.shutdown(wait=True)

    def _on_worker(self, work: Callable[..., None]) -> PerformEffect:
        """Return what has ``work`` done by the worker, and does not wait for it."""

        def perform(**fields: FieldValue) -> None:
            done = asyncio.get_running_loop().run_in_executor(self._worker, partial(work, **fields))
            done.add_done_callback(_tell_defect)

        return perform

    def _read(self) -> None:
        record = self._store.read()
        self._post(
            "records_read",
            identity=self._has_identity,
            lock=record.verdict,
            lock_id=record.lock_id,
            pause_ms=record.pause_ms,
        )

    def _write(self, lock_id: str, kind: str, pause_ms: int, cause: str) -> None:
        try:
            self._store.write(lock_id, kind, pause_ms, cause)
        except LockStoreError as error:
            _log.error("%s: the lock is held in memory only and written again soon", error)
            self._post("lock_write_failed", lock_id=lock_id)
        else:
            self._post("lock_written", lock_id=lock_id)

    def _clear(self, lock_id: str) -> None:
        try:
            self._store.clear(lock_id)
        except LockStoreError as error:
            _log.error("%s: the next start may still believe the lock that has ended", error)


def _tell_defect(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (defect := done.exception()) is not None:
        _log.error("the records' worker failed", exc_info=defect)
