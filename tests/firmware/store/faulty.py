"""A store whose disk fails, or hangs, when a test says so."""

from __future__ import annotations

import threading

from firmware.errors import RecordStoreError
from firmware.store.changes import Changes, Found, RecordStore
from firmware.store.record import Record

GATE_TIMEOUT_S = 30


class FaultyStore:
    """A `firmware.store.changes.RecordStore` before a real one.

    Attributes:
        failing: Names of the methods that fail.
        defects: Names of methods, each of which raises once what no store should.
        unreadable: Ids of records that are on disk, and cannot be read there.
        gate: While it is cleared, every method hangs.
        hangs: Set once a method does.
        asked: The methods that were called.
    """

    def __init__(self, store: RecordStore) -> None:
        self.failing: set[str] = set()
        self.defects: list[str] = []
        self.unreadable: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.hangs = threading.Event()
        self.asked: list[str] = []
        self._store = store

    def open(self) -> Found:
        """Open it."""
        self._pass("open")
        return self._store.open()

    def apply(self, changes: Changes) -> None:
        """Make changes."""
        self._pass("apply")
        self._store.apply(changes)

    def read(self, record_ids: tuple[str, ...]) -> dict[str, Record]:
        """Read records."""
        self._pass("read")
        return self._store.read(tuple(i for i in record_ids if i not in self.unreadable))

    def audio_names(self) -> set[str]:
        """Read names."""
        self._pass("audio_names")
        return self._store.audio_names()

    def save(self) -> None:
        """Save."""
        self._pass("save")
        self._store.save()

    def erase(self) -> None:
        """Erase."""
        self._pass("erase")
        self._store.erase()

    def close(self) -> None:
        """Close."""
        self._store.close()

    def _pass(self, name: str) -> None:
        self.asked.append(name)
        if not self.gate.is_set():
            self.hangs.set()
        assert self.gate.wait(GATE_TIMEOUT_S)
        if name in self.defects:
            self.defects.remove(name)
            raise ValueError("canary")
        if name in self.failing:
            raise RecordStoreError("the card does not answer")
