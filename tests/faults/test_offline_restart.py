"""A toy that waits long for its cloud, and is switched off meanwhile."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firmware.app import Toy
from firmware.store.outbox import Outbox
from hardware.sim.vault import VirtualVault
from simulator.cloud_process import CloudProcess
from tests.faults.lag import LoopLag
from tests.faults.trial import quick

LIMIT_S = 60
STARTS = 2
"""Without a cloud; at each, half of the records are put."""
RECORDS = 1_000
FUNCTIONS = {
    "reports": "guardian:reportEvent",
    "logs": "logs:create",
    "metrics": "metrics:record",
}
"""By table. One record in four is a report, and so urgent; half of them are metrics."""
TABLES = ("reports", "metrics", "logs", "metrics")


def arguments(table: str, number: int) -> Mapping[str, object]:
    """Return what a record says."""
    numbered = {"number": number}
    by_table: dict[str, Mapping[str, object]] = {
        "reports": {"eventType": "test", "details": numbered, "isUrgent": True},
        "logs": {"level": "info", "code": "test", "context": numbered},
        "metrics": {"metrics": numbered},
    }
    return by_table[table]


def put(outbox: Outbox, number: int) -> None:
    """Put a record of the kind that is next."""
    table = TABLES[number % len(TABLES)]
    outbox.put(
        FUNCTIONS[table],
        arguments(table, number),
        urgent=table == "reports",
        record_id=f"offline-{number:04}",
    )


def test_a_thousand_records_that_waited_over_restarts_arrive_in_order_and_once_each(
    tmp_path: Path,
) -> None:
    """The whole toy: it is stopped at once after the last one, and started where there is a cloud.

    Urgent ones come before all others. The loop is not held up by their number either.
    """
    secret = secrets.token_hex(8)
    lags = []

    async def start(cloud: CloudProcess, *, numbers: range) -> None:
        toy = Toy(quick(cloud, tmp_path), VirtualVault(secret))
        assert toy.backend is not None
        outbox = toy.backend.outbox
        async with LoopLag() as lag:
            toy.start()
            try:
                async with asyncio.timeout(LIMIT_S):
                    await toy.backend._is_open.wait()
                    for number in numbers:
                        put(outbox, number)
                    while not numbers and not (
                        outbox.is_empty("urgent") and outbox.is_empty("bulk")
                    ):
                        await outbox.emptied("urgent")
                        await outbox.emptied("bulk")
            finally:
                await toy.close()
        lags.append(lag.worst_ms)
        assert (toy.loop.failures, toy.loop.dropped) == ({}, {})
        assert (outbox.counts.refused, outbox.counts.gave_way, outbox.counts.set_aside) == (0, 0, 0)

    async def main() -> dict[str, list[dict[str, Any]]]:
        async with CloudProcess(secret) as cloud:
            await cloud.set_faults({"network": {"refuse": True}})
            share = RECORDS // STARTS
            for number in range(STARTS):
                await start(cloud, numbers=range(number * share, (number + 1) * share))
            await cloud.set_faults({"network": None})
            await start(cloud, numbers=range(0))
            return {table: await cloud.table(table) for table in FUNCTIONS}

    tables = asyncio.run(main())
    for table, rows in tables.items():
        ours = [row for row in rows if row["recordId"].startswith("offline-")]
        numbers = [n for n in range(RECORDS) if TABLES[n % len(TABLES)] == table]
        assert [row["recordId"] for row in ours] == [f"offline-{n:04}" for n in numbers]
        for number, row in zip(numbers, ours, strict=True):
            assert row["arguments"].items() >= arguments(table, number).items()
        tables[table] = ours
    bulk = [*tables["logs"], *tables["metrics"]]
    assert max(row["arrival"] for row in tables["reports"]) < min(row["arrival"] for row in bulk)
    assert max(lags) < 100, lags
