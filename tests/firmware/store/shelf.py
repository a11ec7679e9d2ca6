"""An outbox on virtual time, and what a test needs around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from firmware.store.outbox import Class, Outbox
from firmware.store.settings import StoreSettings
from hardware.clock import Clock
from states.events import FieldValue

BOOT: str = "boot-one"
WALL_S = 1_795_000_000.0


class World:
    """What an outbox asks of its neighbours, and what it told them."""

    def __init__(self) -> None:
        self.toy = "toy-1"
        self.is_clock_set = True
        self.wall_s = WALL_S
        self.posted: list[str] = []

    def post(self, name: str, /, **_: FieldValue) -> None:
        """Take an event."""
        self.posted.append(name)


def make(
    data: Path,
    world: World | None = None,
    *,
    boot_id: str = BOOT,
    **settings: Any,  # noqa: ANN401 - any setting
) -> Outbox:
    """Return an outbox that is not open yet."""
    world = world or World()
    return Outbox(
        StoreSettings(**settings),
        data,
        toy_id=lambda: world.toy,
        clock=Clock(),
        post=world.post,
        is_clock_set=lambda: world.is_clock_set,
        boot_id=boot_id,
        random=Random(1),  # noqa: S311 - chance that is the same each time
        wall_s=lambda: world.wall_s,
    )


@asynccontextmanager
async def opened(
    data: Path,
    world: World | None = None,
    *,
    boot_id: str = BOOT,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Outbox]:
    """Open an outbox, and close it."""
    outbox = make(data, world, boot_id=boot_id, **settings)
    await outbox.open()
    try:
        yield outbox
    finally:
        await outbox.close()


def put(outbox: Outbox, name: str, *, urgent: bool = True, **arguments: object) -> None:
    """Put a record of this id."""
    content: Mapping[str, object] = {"eventType": "said_by_guardian", **arguments}
    outbox.put("guardian:reportEvent", content, urgent=urgent, record_id=name)


async def ids(outbox: Outbox, of: Class = "urgent") -> list[str]:
    """Return the ids of all that waits, oldest first."""
    return [record.record_id for record in await outbox.head(of, 1_000_000)]
