"""Performs the reading and writing of what decides at start: identity and lock record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from firmware.errors import LockStoreError
from firmware.ports import PerformEffect
from firmware.store.lock import LockStore

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
            "read_records": partial(self._worker.submit, self._read),
            "write_lock": partial(self._worker.submit, self._write),
            "clear_lock": partial(self._worker.submit, self._clear),
        }

    def close(self) -> None:
        """Finish what was begun. What is written is safe when this returns."""
        self._worker.shutdown(wait=True)

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
        except LockStoreError:
            _log.exception("the lock is held in memory only; it is written again soon")
            self._post("lock_write_failed", lock_id=lock_id)
        else:
            self._post("lock_written", lock_id=lock_id)

    def _clear(self, lock_id: str) -> None:
        try:
            self._store.clear(lock_id)
        except LockStoreError:
            _log.exception("the record still says locked; the next start believes it")
