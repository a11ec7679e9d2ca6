"""A toy that was locked, starts without a network, and is released by its guardian alone."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.app import Toy
from firmware.settings import Settings
from firmware.store.lock import LockStore
from hardware.sim.vault import VirtualVault
from simulator.cloud_process import CloudProcess
from simulator.watch import Watch
from states.machine import Step
from tests.faults.trial import quick

LIMIT_S: Final = 30
DEVICE_ID: Final = "dev-sim-1"
GUARDIANS: Final = Ed25519PrivateKey.generate()
SOMEBODYS: Final = Ed25519PrivateKey.generate()


def signature(lock_id: str, key: Ed25519PrivateKey = GUARDIANS) -> str:
    """Sign the release of a lock."""
    return base64.b64encode(key.sign(f"pommai-release\n{DEVICE_ID}\n{lock_id}".encode())).decode()


class Started:
    """A toy that was started, and what it does."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self._watch = Watch()
        toy.loop.observers.append(self._watch)

    @property
    def rows(self) -> list[str]:
        """What fired so far."""
        return [step.row for step in self._watch.steps]

    async def fires(self, row: str) -> Step:
        """Return the step at which a row fired, or wait for it."""
        return await self._watch.first(lambda step: step.row == row, LIMIT_S, since=0)

    async def is_awake(self) -> None:
        """Wait until it is."""
        await self._watch.first(lambda step: step.to == "idle.awake", LIMIT_S, since=0)


@asynccontextmanager
async def started(settings: Settings, secret: str) -> AsyncIterator[Started]:
    """Start a toy, and close it at the end."""
    toy = Started(Toy(settings, VirtualVault(secret)))
    toy.toy.start()
    try:
        yield toy
    finally:
        await toy.toy.close()


async def tell(cloud: CloudProcess, kind: str, **more: str) -> str:
    """Let the guardian command something, and return the command's id."""
    return str((await cloud.post("commands", {"kind": kind, **more}))["commandId"])


def test_it_hears_its_release_once_the_network_is_there_and_believes_its_guardian_alone(
    tmp_path: Path,
) -> None:
    """Neither tokens nor a cloud at its start; then five releases, of which the last is true.

    The others are of another lock, unsigned, signed by somebody else, and signed for another lock.
    """
    secret = secrets.token_hex(8)
    public = base64.b64encode(GUARDIANS.public_key().public_bytes_raw()).decode()
    kept = ("--data", str(tmp_path / "cloud.db"))

    async def main() -> None:
        async with CloudProcess(secret, *kept) as cloud:
            plain = quick(cloud, tmp_path / "toy")
            settings = replace(plain, identity=replace(plain.identity, guardian_key=public))
            async with started(settings, secret) as toy:
                await toy.is_awake()
                await tell(cloud, "lock")
                locking = await toy.fires("stop.lock")
                await toy.fires("lock.written")
        lock_id = locking.event.id
        async with started(settings, secret) as toy:
            await toy.fires("boot.locked")
            await toy.fires("tokens.failed")
            backend = toy.toy.backend
            assert backend is not None
            assert backend.cloud.tokens is None
            port = str(urlsplit(settings.cloud.url).port)
            async with CloudProcess(secret, *kept, "--port", port) as cloud:
                commands = [
                    await tell(cloud, "release", lockId="another", signature=signature("another")),
                    await tell(cloud, "release", lockId=lock_id),
                    await tell(
                        cloud, "release", lockId=lock_id, signature=signature(lock_id, SOMEBODYS)
                    ),
                    await tell(cloud, "release", lockId=lock_id, signature=signature("another")),
                    await tell(cloud, "release", lockId=lock_id, signature=signature(lock_id)),
                ]
                await toy.fires("lock.released")
                await toy.is_awake()
                assert toy.rows.count("lock.not_this") == len(commands) - 1
                assert toy.rows.index("lock.released") > toy.rows.index("lock.not_this")
                async with asyncio.timeout(LIMIT_S):
                    await backend.outbox.emptied("urgent")
                told = {
                    row["arguments"]["commandId"]: row["arguments"]["outcome"]
                    for row in await cloud.table("acks")
                }
                assert [told[command] for command in commands] == ["refused"] * 4 + ["done"]

    asyncio.run(main())
    assert LockStore(tmp_path / "toy").read().verdict == "free"
