"""A locked toy hears its release, however it came to be locked and whatever it lacks at first.

The whole app on the virtual board, against the development cloud over real sockets.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devcloud.server import DevelopmentCloud
from devcloud.settings import Settings as CloudSettings
from firmware.app import Toy
from firmware.settings import Settings
from firmware.store.lock import LockStore
from hardware.sim.vault import VirtualVault
from simulator.watch import Watch, arrives_at
from states.journal import read
from tests.firmware.cloud.test_cloud_commands import outcomes
from tests.firmware.composed import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LIMIT_S: Final = 30
SECRET: Final = "sim-secret"  # noqa: S105 - it guards nothing
PRIVATE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def configured(data: Path, *, guardian_key: str = "") -> Settings:
    """Return the configuration of the development cloud's device, before there is such a cloud."""
    plain = settings(data)
    return replace(
        plain,
        identity=replace(
            plain.identity, device_id="dev-sim-1", toy_id="toy-sim-1", guardian_key=guardian_key
        ),
        cloud=replace(plain.cloud, retry_delay_ms_min=100, retry_delay_ms_max=500),
    )


class Guarded:
    """A toy that starts locked, and its guardian."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.watch = Watch()
        toy.loop.observers.append(self.watch)

    async def fires(self, row: str) -> Any:  # noqa: ANN401 - a step
        """Return the step at which a row fired, or wait for it."""
        return await self.watch.first(lambda step: step.row == row, LIMIT_S, since=0)

    async def arrives_at(self, leaf: str) -> None:
        """Wait until it was somewhere."""
        await self.watch.first(arrives_at(leaf), LIMIT_S, since=0)

    def commands(self, cloud: DevelopmentCloud, kind: str, **more: Any) -> None:  # noqa: ANN401 - any JSON
        """Let the guardian command something."""
        deployment = cloud.deployment
        with deployment.transaction():
            deployment.commands.issue(
                "dev-sim-1", {"kind": kind, **more}, deployment.now_ms, checked=False
            )


@contextlib.asynccontextmanager
async def locked(of: Settings) -> AsyncIterator[Guarded]:
    """Run a toy whose lock record says that it is locked."""
    LockStore(Path(of.device.data_dir)).write("yesterday", "lock", 0, "lock")
    guarded = Guarded(Toy(of, VirtualVault(SECRET)))
    guarded.toy.start()
    try:
        await guarded.arrives_at("safety_lockout.lock")
        yield guarded
    finally:
        await guarded.toy.close()


def cloud_of(of: Settings) -> DevelopmentCloud:
    """Return a development cloud where the configuration says that one is."""
    port = urlsplit(of.cloud.url).port
    assert port is not None
    return DevelopmentCloud(CloudSettings(port=port))


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a real loop, which ends it if it hangs."""

    async def main() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test()

    asyncio.run(main())


def test_a_toy_that_starts_locked_without_a_network_is_released_once_there_is_one(
    tmp_path: Path,
) -> None:
    """No tokens, no configuration, no cloud: it goes on asking until somebody answers."""
    of = configured(tmp_path)

    async def test() -> None:
        async with locked(of) as guarded:
            await guarded.fires("tokens.failed")
            assert guarded.toy.backend is not None
            assert guarded.toy.backend.cloud.tokens is None
            async with cloud_of(of) as cloud:
                guarded.commands(cloud, "release", lockId="another")
                guarded.commands(cloud, "release", lockId="yesterday")
                released = await guarded.fires("lock.released")
                assert released.event.fields["lock_id"] == "yesterday"
                assert not released.to.startswith("safety_lockout")
                assert [step.row for step in guarded.watch.steps].count("lock.not_this") == 1
                assert list((await outcomes(cloud)).values()) == ["refused", "done"]
                await guarded.toy.close()

    run(test)
    assert LockStore(tmp_path).read().verdict == "free"


def test_where_a_guardians_key_is_enrolled_only_a_signed_release_counts(tmp_path: Path) -> None:
    """Whoever has the cloud has not the toy."""
    public = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
    of = configured(tmp_path, guardian_key=public)
    signature = base64.b64encode(PRIVATE.sign(b"pommai-release\ndev-sim-1\nyesterday")).decode()

    async def test() -> None:
        async with cloud_of(of) as cloud, locked(of) as guarded:
            guarded.commands(cloud, "release", lockId="yesterday")
            refused = await guarded.fires("lock.not_this")
            assert refused.to == "safety_lockout.lock"
            guarded.commands(cloud, "release", lockId="yesterday", signature=signature)
            await guarded.fires("lock.released")

    run(test)


def test_a_guardian_locks_mutes_and_releases_a_toy_at_rest(tmp_path: Path) -> None:
    """The way of every command, with the real table; a mute outlives the restart."""
    of = configured(tmp_path)

    async def test() -> None:
        async with cloud_of(of) as cloud:
            async with locked(of) as guarded:
                guarded.commands(cloud, "release", lockId="yesterday")
                await guarded.fires("lock.released")
                guarded.commands(cloud, "mute")
                guarded.commands(cloud, "lock")
                locking = await guarded.fires("stop.lock")
                await guarded.fires("lock.written")
                guarded.commands(cloud, "release", lockId=locking.event.id)
                await guarded.watch.first(
                    lambda step: (
                        step.row == "lock.released"
                        and step.event.fields["lock_id"] == locking.event.id
                    ),
                    LIMIT_S,
                    since=0,
                )
                assert guarded.toy.loop.core.situation.context.muted
            async with locked(of) as guarded:
                await guarded.fires("mute.noted")
                assert guarded.toy.loop.core.situation.context.muted

    run(test)


def test_a_toy_is_erased_by_its_guardian_and_begins_anew(tmp_path: Path) -> None:
    """The journal too; the lock record stays, and the command is answered."""
    of = configured(tmp_path)

    async def test() -> None:
        async with cloud_of(of) as cloud, locked(of) as guarded:
            guarded.commands(cloud, "release", lockId="yesterday")
            await guarded.arrives_at("idle.awake")
            guarded.commands(cloud, "erase")
            erased = await guarded.fires("erase.done")
            assert erased.to == "boot.reading"
            since = len(guarded.watch.steps)
            await guarded.watch.first(arrives_at("idle.awake"), LIMIT_S, since=since)
            assert list((await outcomes(cloud)).values()) == ["done", "done"]

    run(test)
    lines = (tmp_path / "journal.jsonl").read_text(encoding="ascii").splitlines(keepends=True)
    rows = [entry.step.row for entry in read(lines).entries]
    assert "lock.released" not in rows
    assert rows[0] == "erase.done"
    assert not list(tmp_path.glob("journal.jsonl.*"))
    assert LockStore(tmp_path).read().verdict == "free"


def test_a_guardian_is_sent_what_the_toy_holds(tmp_path: Path) -> None:
    """The answer arrives whole, at a cloud that checks what it is sent."""
    of = configured(tmp_path)

    async def test() -> None:
        async with cloud_of(of) as cloud, locked(of) as guarded:
            guarded.commands(cloud, "release", lockId="yesterday")
            await guarded.arrives_at("idle.awake")
            guarded.commands(cloud, "export")
            assert list((await outcomes(cloud)).values()) == ["done", "done"]
            export: Any = cloud.deployment.commands.to_json()[-1]
            (answer,) = export["acknowledgements"]
            assert answer["details"]["export"]["conversations"] == []
            assert answer["details"]["export"]["configuration"]["toyId"] == "toy-sim-1"

    run(test)


def test_a_toy_becomes_another_with_the_real_table(tmp_path: Path) -> None:
    """Muted until the other toy's configuration has come, whatever its version; also at a start."""
    of = configured(tmp_path)

    async def test() -> None:
        async with cloud_of(of) as cloud:
            cloud.deployment.add_toy("toy-2", "dev-sim-1", {"volumeLimit": 40.0})
            cloud.deployment.configure({"volumeLimit": 70.0}, "toy-sim-1")  # its second version
            async with locked(of) as guarded:
                guarded.commands(cloud, "release", lockId="yesterday")
                await guarded.arrives_at("idle.awake")
                guarded.commands(cloud, "switchToy", toyId="toy-2")
                switched = await guarded.fires("command.switch_toy")
                assert switched.to in {"idle.muted", "offline.ready"}
                since = guarded.watch.steps.index(switched)
                await guarded.watch.first(
                    lambda step: step.row == "configured.rest", LIMIT_S, since=since
                )
                assert guarded.toy.backend is not None
                assert guarded.toy.backend.cloud.toy_id == "toy-2"
                assert guarded.toy.backend.cloud.configuration is not None
                assert guarded.toy.backend.cloud.configuration.volume_limit_percent == 40
            async with locked(of) as guarded:
                assert guarded.toy.backend is not None
                assert guarded.toy.backend.cloud.toy_id == "toy-2"

    run(test)
