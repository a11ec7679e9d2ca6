"""How records become the mutations that carry them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from firmware.store.record import (
    ACKNOWLEDGE_FUNCTION,
    CONVERSATION_FUNCTION,
    LOG_FUNCTION,
    METRICS_FUNCTION,
    Record,
    Stamp,
)
from firmware.wall_clock import rfc3339

BATCH_FUNCTION: Final = "metrics:batchRecord"
BATCH_RECORDS_MAX: Final = 60
"""Records that are joined into one call."""

_ID_CHARS: Final = 32


class Mutation(NamedTuple):
    """A call that is to be made."""

    function: str
    arguments: dict[str, object]


def mutation(records: Sequence[Record], device_id: str, now: Stamp) -> Mutation:
    """Return the call that carries these records: one of any function, or several of metrics.

    However often records are sent, their ids and that of the call are the same, so the cloud can
    tell a second time from another record. ``now`` is only for records from a time when the wall
    clock was not set.
    """
    first = records[0]
    if len(records) == 1:
        arguments = _own(first, now) | json.loads(first.arguments)
        if first.function == CONVERSATION_FUNCTION:
            arguments["audioStorageId"] = first.storage_id or None
        if first.function != ACKNOWLEDGE_FUNCTION:
            arguments["toyId"] = first.toy_id
        return Mutation(first.function, {"deviceId": device_id, **arguments})
    ids = "\n".join(record.record_id for record in records)
    return Mutation(
        BATCH_FUNCTION,
        {
            "deviceId": device_id,
            "toyId": first.toy_id,
            "metrics": [_in_batch(record, first.toy_id, now) for record in records],
            **_own(records[-1], now),
            "recordId": hashlib.sha256(ids.encode()).hexdigest()[:_ID_CHARS],
        },
    )


def held_up_log(held: Record, now: Stamp) -> Record:
    """Return a log which says that a record is held up; the same one however often it is sent.

    Where that is a log itself, it is a metric that says so: another function, in case it is that.
    """
    arguments: dict[str, object]
    name = hashlib.sha256(held.record_id.encode()).hexdigest()[:_ID_CHARS]
    if held.function == LOG_FUNCTION:
        function, arguments = METRICS_FUNCTION, {"metrics": {"recordsHeldUp": 1}}
    else:
        context = {"function": held.function, "recordId": held.record_id}
        function = LOG_FUNCTION
        arguments = {"level": "warning", "code": "record_held_up", "context": context}
    return Record(f"held-up-{name}", function, json.dumps(arguments), held.toy_id, now)


def joined(records: Sequence[Record]) -> Sequence[Record]:
    """Return the first records that can go in one call: metrics as far as they go, or one."""
    count = 0
    while count < min(len(records), BATCH_RECORDS_MAX) and _is_metrics(records[count]):
        count += 1
    return records[: max(1, count)]


def told_time(stamp: Stamp, now: Stamp) -> dict[str, object]:
    """Return what a record says of when it was made.

    A clock that was not set is made up for by the record's age, which is known while the computer
    has not been started anew.
    """
    if stamp.clock_set:
        return {"timestamp": rfc3339(stamp.wall_ms)}
    age_ms, wall_ms = None, stamp.wall_ms
    if stamp.boot_id == now.boot_id:
        age_ms = max(0, now.monotonic_ms - stamp.monotonic_ms)
        if now.clock_set:
            wall_ms = now.wall_ms - age_ms
    return {"timestamp": rfc3339(wall_ms), "clockSet": False, "ageMs": age_ms}


def _own(record: Record, now: Stamp) -> dict[str, object]:
    return {"recordId": record.record_id, **told_time(record.stamp, now)}


def _in_batch(record: Record, toy_id: str, now: Stamp) -> dict[str, object]:
    other_toy = {} if record.toy_id == toy_id else {"toyId": record.toy_id}
    return {**_own(record, now), **other_toy, **json.loads(record.arguments)}


def _is_metrics(record: Record) -> bool:
    return record.function == METRICS_FUNCTION
