"""Guardian commands end to end: development cloud, official client, real child, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import TYPE_CHECKING, Any

from firmware.cloud.cloud import IN_FORCE_FILE, TOY_FILE
from firmware.cloud.credentials import Identity
from firmware.cloud.delivery import Delivery
from firmware.store.note import Note
from firmware.store.outbox import Outbox
from firmware.store.settings import StoreSettings
from hardware.clock import Clock
from tests.firmware.cloud.examples import IDENTITY, settings
from tests.firmware.cloud.relay import Relay
from tests.firmware.cloud.test_cloud import QUICK, Toy, development_cloud, port_of, run, toy_of

if TYPE_CHECKING:
    from pathlib import Path

    from devcloud.server import DevelopmentCloud


def command(cloud: DevelopmentCloud, kind: str, **more: Any) -> str:  # noqa: ANN401 - any JSON
    """Issue a command as its guardian, and return its id."""
    deployment = cloud.deployment
    with deployment.transaction():
        row = deployment.commands.issue(
            IDENTITY.device_id, {"kind": kind, **more}, deployment.now_ms, checked=False
        )
    return str(row["commandId"])


def test_a_command_arrives_live_and_once(tmp_path: Path) -> None:
    """While tokens rotate and children come and go."""

    async def test() -> None:
        async with (
            development_cloud(token_lifetime_s=3.0) as cloud,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            first = command(cloud, "stop")
            assert await toy.table.until("stop") == {"command": first}
            await toy.table.until("tokens_granted", count=2)
            second = command(cloud, "lock")
            assert await toy.table.until("lock") == {"command": second}
            assert toy.table.named("stop") == [{"command": first}]

    run(test)


def test_a_toy_without_a_configuration_still_hears_its_release(tmp_path: Path) -> None:
    """The cloud has forgotten the toy; its device is known and may be locked."""
    stranger = Identity(IDENTITY.device_id, "toy-unknown", IDENTITY.secret)

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url), tmp_path, stranger) as toy,
        ):
            toy.authenticate()
            release = command(cloud, "release", lockId="boot1")
            assert await toy.table.until("unlock") == {
                "command": release,
                "lock_id": "boot1",
                "via": "subscription",
            }
            assert toy.cloud.configuration is None

    run(test)


def test_commands_are_polled_when_no_child_can_live(tmp_path: Path) -> None:
    """Both queries are, over HTTP."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            Relay(None) as trap,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            toy.cloud._live._address = trap.url
            toy.authenticate()
            stop = command(cloud, "stop")
            assert await toy.table.until("stop") == {"command": stop}
            await toy.until_volume(80)
            assert toy.cloud._live.lost.is_set()

    run(test)


def test_a_connection_that_falls_silent_loses_no_command_and_repeats_none(tmp_path: Path) -> None:
    """What was issued meanwhile comes with the next child; what came before does not again."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            Relay(port_of(cloud)) as relay,
            toy_of(settings(relay.url, **{**QUICK, "poll_interval_ms": 60_000}), tmp_path) as toy,
        ):
            toy.authenticate()
            first = command(cloud, "mute")
            await toy.table.until("mute")
            relay.silent = True
            await toy.cloud._live.lost.wait()
            second = command(cloud, "unmute")
            relay.silent = False
            assert await toy.table.until("unmute") == {"command": second}
            assert toy.table.named("mute") == [{"command": first}]

    run(test)


async def outcomes(cloud: DevelopmentCloud) -> dict[str, object]:
    """Return what became of each command, once the cloud knows it of all."""
    changed = asyncio.Event()
    with cloud.deployment.watching(changed.set):
        while True:
            rows = cloud.deployment.commands.to_json()
            if rows and all(row["outcome"] for row in rows):
                return {str(row["commandId"]): row["outcome"] for row in rows}
            changed.clear()
            await changed.wait()


class NoUploads:
    """A `firmware.cloud.delivery.Uploader` with nothing to upload."""

    async def upload(self, _name: str) -> str | None:
        """Find nothing."""
        return None

    async def stored(self, _name: str) -> None:
        """Do nothing."""


async def switched(toy: Toy) -> None:
    """Let the table say that the toy is at rest, once it is asked to become another."""
    wanted = await toy.table.until("switch_toy")
    toy.table.perform("switch_toy", **wanted)


def test_a_toy_becomes_another_one_for_good(tmp_path: Path) -> None:
    """Its configuration, live, and everybody who was to be told; also after a restart."""

    async def test() -> None:
        async with development_cloud() as cloud:
            cloud.deployment.add_toy("toy-2", IDENTITY.device_id, {"volumeLimit": 40.0})
            for limit in (70.0, 80.0):  # so that its versions are ahead of the other's
                cloud.deployment.configure({"volumeLimit": limit}, "toy-sim-1")
            async with toy_of(settings(cloud.convex_url), tmp_path) as toy:
                toy.authenticate()
                await toy.until_volume(80)
                wanted = command(cloud, "switchToy", toyId="toy-2")
                await switched(toy)
                assert toy.toys == ["toy-2"]
                assert toy.cloud.configuration is None
                await toy.outlet.until(wanted, "done")
                await toy.until_volume(40)
                cloud.deployment.configure({"volumeLimit": 30.0}, "toy-2")
                await toy.until_volume(30)
            async with toy_of(settings(cloud.convex_url), tmp_path) as toy:
                await toy.until_volume(30)  # from the cache
                toy.authenticate()
                cloud.deployment.configure({"volumeLimit": 20.0}, "toy-2")
                await toy.until_volume(20)
                again = command(cloud, "switchToy", toyId="toy-unknown")
                await toy.outlet.until(again, "refused")
                cloud.deployment.configure({"volumeLimit": 10.0}, "toy-2")
                await toy.until_volume(10)
                assert toy.toys == []

    run(test)


def test_an_erased_toy_is_the_configured_one_and_learns_everything_anew(tmp_path: Path) -> None:
    """Nothing of what it kept is left; the same configuration counts again."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            cloud.deployment.add_toy("toy-2", IDENTITY.device_id, {"volumeLimit": 40.0})
            toy.authenticate()
            await toy.until_volume(80)
            volume = command(cloud, "volume", percent=25)
            await toy.table.until("volume")
            toy.table.perform("set_volume", command=volume)
            toy.table.perform("acknowledge", command=volume, outcome="done")
            command(cloud, "switchToy", toyId="toy-2")
            await switched(toy)
            await toy.until_volume(40)
            await toy.outlet.until(volume, "done")
            erase = command(cloud, "erase")
            toy.table.perform("erase", **await toy.table.until("erase"))
            await toy.table.until("erased")
            assert toy.cloud.configuration is None
            assert toy.toys == ["toy-2", "toy-sim-1"]
            assert toy.outlet.answers[-1] == (erase, "done")
            for name in (IN_FORCE_FILE, TOY_FILE):
                assert Note(tmp_path / name).load() is None
            await toy.until_volume(80)

    run(test)


def test_an_export_tells_what_is_in_force(tmp_path: Path) -> None:
    """As the cloud sent it, for which toy."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            export = command(cloud, "export")
            toy.table.perform("export", **await toy.table.until("export"))
            sent = cloud.deployment.configuration()
            held = {"configuration": {"toyId": "toy-sim-1", "asSent": sent}}
            await toy.outlet.until(export, "done", {"export": held})

    run(test)


def test_an_answer_closes_the_command_at_the_cloud(tmp_path: Path) -> None:
    """Through the outbox on disk and its delivery; then the row comes no more."""

    async def test() -> None:
        clock = Clock()
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            outbox = Outbox(
                StoreSettings(runtime_dir=str(tmp_path / "runtime")),
                tmp_path,
                toy_id=lambda: IDENTITY.toy_id,
                clock=clock,
                post=toy.table.post,
                is_clock_set=lambda: True,
                boot_id="boot",
                random=Random(1),  # noqa: S311 - jitter
            )
            await outbox.open()
            toy.cloud.commands._outlet = outbox
            delivery = Delivery(
                settings(cloud.convex_url, **QUICK),
                outbox,
                toy.cloud.calls,
                device_id=IDENTITY.device_id,
                tokens=lambda: toy.cloud.tokens,
                on_rejected=toy.cloud.reject,
                uploader=NoUploads(),
                random=Random(1),  # noqa: S311 - jitter
            )
            delivery.start()
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(outbox.close)
                stack.push_async_callback(delivery.close)
                toy.authenticate()
                mute, dance = command(cloud, "mute"), command(cloud, "dance")
                await toy.table.until("mute")
                toy.table.perform("acknowledge", command=mute, outcome="done")
                assert await outcomes(cloud) == {mute: "done", dance: "unsupported"}
                await outbox.emptied("urgent")

    run(test)
