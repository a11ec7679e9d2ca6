"""What devices report: each record once, in order of arrival, as its function was given it.

A record lies in one of ``PLACES`` and carries the id that its device gave it. Devices deliver at
least once; a record that is there already is only counted.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from devcloud import values
from devcloud.errors import FunctionError, UnknownNameError

if TYPE_CHECKING:
    from devcloud.database import Database
    from devcloud.json_text import JsonObject
    from devcloud.values import ConvexObject

PLACES: Final = ("conversations", "metrics", "batches", "logs", "reports", "acks")

DOCUMENT_BYTES_MAX: Final = 1 << 20
DOCUMENT_NESTING_MAX: Final = 16
"""Convex's limits of what is stored as one document."""


class Stored(NamedTuple):
    """Where a record is: the id it got, and whether it was there already."""

    id: str
    duplicate: bool


class Records:
    """The records of a deployment. What writes is called within a transaction of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, place: str, function: str, device_id: str, arguments: ConvexObject, now_ms: int
    ) -> Stored:
        """Store what a function was given, unless that record of the device is there already.

        ``arguments`` name it by ``recordId``.

        Raises:
            FunctionError: it is too large, or nested too deeply, for a document.
        """
        record_id = arguments["recordId"]
        assert isinstance(record_id, str)  # noqa: S101 - what its function's validator says
        key = (device_id, place, record_id)
        before = self._database.row(
            "SELECT id FROM records WHERE device_id = ? AND place = ? AND record_id = ?", *key
        )
        if before:
            self._database.write(
                "UPDATE records SET deliveries = deliveries + 1"
                " WHERE device_id = ? AND place = ? AND record_id = ?",
                *key,
            )
            return Stored(before["id"], duplicate=True)
        _check_document(arguments)
        document_id = secrets.token_hex(16)
        self._database.write(
            "INSERT INTO records (device_id, place, record_id, id, function, arguments,"
            " received_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(*key, document_id, function, json.dumps(values.encode(arguments)), now_ms),
        )
        return Stored(document_id, duplicate=False)

    def to_json(self, place: str) -> list[JsonObject]:
        """Write the records of a place as the control API shows them, in order of arrival.

        ``arrival`` numbers the records of all places; ``deliveries`` counts how often one came.

        Raises:
            UnknownNameError: there is no such place.
        """
        if place not in PLACES:
            raise UnknownNameError("table", place, (*PLACES, "uploads"))
        rows = self._database.rows("SELECT * FROM records WHERE place = ? ORDER BY arrival", place)
        return [
            {
                "arrival": row["arrival"],
                "id": row["id"],
                "recordId": row["record_id"],
                "deviceId": row["device_id"],
                "function": row["function"],
                "arguments": json.loads(row["arguments"]),
                "receivedAt": row["received_at"],
                "deliveries": row["deliveries"],
            }
            for row in rows
        ]


def _check_document(document: ConvexObject) -> None:
    size = values.size(document)
    if size > DOCUMENT_BYTES_MAX:
        raise FunctionError(
            f"Value is too large ({size / DOCUMENT_BYTES_MAX:.2f} MiB > maximum size 1 MiB)"
        )
    nesting = values.nesting(document)
    if nesting > DOCUMENT_NESTING_MAX:
        raise FunctionError(
            f"Document is too nested (nested {nesting} levels deep > maximum nesting"
            f" {DOCUMENT_NESTING_MAX})"
        )
