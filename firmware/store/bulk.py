"""Records that may be lost in part: a database in memory, saved to a log on the card.

Copying the database each time would wear the card more than a commit for each record. So only what
has changed since the last saving is appended, and the log is written anew when most of it is about
records that are gone.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from firmware.store.bulk_log import BulkLog, Operation
from firmware.store.changes import Changes, Found
from firmware.store.database import RecordDatabase
from firmware.store.record import Record

DATABASE: Final = "bulk.db"
LOG: Final = "bulk.log"
LOG_BYTES_MIN: Final = 262_144
"""Length up to which the log is never written anew."""
LOG_SHARE_MAX: Final = 2
"""How many times longer than what waits the log may be."""

_log = logging.getLogger(__name__)


class BulkStore:
    """A `firmware.store.changes.RecordStore` that loses little at a power cut, and wears nothing.

    Within one start of the computer the database is believed, whoever ended in between: it is newer
    than the log. After another start the database is made from the log.

    Args:
        runtime: Folder in memory, for the database.
        data: Folder on the card, for the log.
        boot_id: Names this start of the computer.
    """

    def __init__(self, runtime: Path, data: Path, boot_id: str) -> None:
        self._database = RecordDatabase(
            runtime / DATABASE, synchronous="OFF", boot_id=boot_id, keeps_damaged=False
        )
        self._saved = BulkLog(data / LOG)
        self._logged: dict[str, str] = {}
        self._is_dirty = False

    def open(self) -> Found:
        """Open the database, or make it from the log: see `RecordStore`."""
        found = self._database.open()
        saved = self._saved.read()
        cut_bytes = self._saved.cut_bytes
        if cut_bytes:
            _log.error(
                "the last %d bytes of the saved records are torn and are left out", cut_bytes
            )
        if self._database.is_new or found.is_damaged:
            self._database.apply(Changes(put=saved))
            found = self._database.open()
        self._logged = {record_id: record.storage_id for record_id, record in saved.items()}
        self._is_dirty = True  # whether they differ is found out by the next saving
        return found._replace(cut_bytes=cut_bytes)

    def apply(self, changes: Changes) -> None:
        """Make the changes, which are not saved yet: see `RecordStore`."""
        self._is_dirty = True
        self._database.apply(changes)
        if changes.forgotten:
            self._save_whole()

    def read(self, record_ids: tuple[str, ...]) -> dict[str, Record]:
        """Return those of the records that can be read: see `RecordStore`."""
        return self._database.read(record_ids)

    def audio_names(self) -> set[str]:
        """Return the names of the audio that goes with what waits: see `RecordStore`."""
        return self._database.audio_names()

    def save(self) -> None:
        """Append to the log what has changed, if anything has: see `RecordStore`."""
        if not self._is_dirty:
            return
        waiting = self._database.storage_ids()
        operations = list(self._since_saved(waiting))
        if operations:
            self._write(operations)
        self._logged = waiting
        self._is_dirty = False

    def erase(self) -> None:
        """Remove the log, then what is in memory: see `RecordStore`."""
        self._saved.remove()
        self._logged = {}
        self._database.erase()

    def close(self) -> None:
        """Let go of the database; it saves nothing: see `RecordStore`."""
        self._database.close()

    def _since_saved(self, waiting: dict[str, str]) -> list[Operation]:
        """Return what leads from what the log says to what waits."""
        logged = self._logged
        fresh = tuple(record_id for record_id in waiting if record_id not in logged)
        records = self._database.read(fresh)
        operations: list[Operation] = [("put", record.encoded()) for record in records.values()]
        operations += [
            ("stored", record_id, storage_id)
            for record_id, storage_id in waiting.items()
            if record_id in logged and logged[record_id] != storage_id
        ]
        return operations + [
            ("done", record_id) for record_id in logged if record_id not in waiting
        ]

    def _write(self, operations: list[Operation]) -> None:
        log_bytes_max = max(LOG_BYTES_MIN, LOG_SHARE_MAX * self._database.bytes_waiting())
        if self._saved.bytes <= log_bytes_max:
            self._saved.append(operations)
        else:
            self._save_whole()

    def _save_whole(self) -> None:
        """Write the log anew, with what waits and nothing of what is gone."""
        waiting = self._database.storage_ids()
        self._saved.replace(self._database.read(tuple(waiting)).values())
        self._logged = waiting
