"""The whole of it against the development cloud: official clients, real child, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from devcloud.server import DevelopmentCloud
from devcloud.settings import Settings
from firmware.cloud.cache import ConfigurationCache
from firmware.cloud.cloud import CONFIGURATION_FILE, IN_FORCE_FILE, TOY_FILE, Cloud
from firmware.cloud.credentials import Identity
from firmware.cloud.errors import AddressError
from firmware.cloud.toy_choice import ToyChoice
from firmware.store.note import Note
from hardware.clock import Clock
from states.effects import EFFECTS
from tests.firmware.cloud.certificates import Authority
from tests.firmware.cloud.examples import IDENTITY, SECRET, configuration, settings, tokens
from tests.firmware.cloud.relay import Relay
from tests.firmware.cloud.scripted import Table
from tests.firmware.outlets import KeptOutlet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from firmware.cloud.configuration import ToyConfiguration
    from firmware.cloud.credentials import Tokens
    from firmware.cloud.settings import CloudSettings

LIMIT_S: Final = 20

QUICK: Final = {
    "retry_delay_ms_min": 100,
    "retry_delay_ms_max": 200,
    "child_silence_ms_max": 1_500,
    "heartbeat_ms": 100,
    "renewal_interval_ms": 500,
    "poll_interval_ms": 300,
}
"""Settings under which a test does not wait for minutes."""


class Toy:
    """A cloud performer, the table's rows for it, and what others took up."""

    def __init__(self, cloud_settings: CloudSettings, folder: Path, identity: Identity) -> None:
        clock = Clock()
        self.table = Table(clock)
        self.tokens: list[Tokens] = []
        self.configurations: list[ToyConfiguration] = []
        self.outlet = KeptOutlet()
        self.volumes: list[int] = []
        self.toys: list[str] = []
        self._news = asyncio.Event()
        self.cloud = Cloud(
            cloud_settings,
            identity,
            folder,
            toy=ToyChoice(Note(folder / TOY_FILE), identity.toy_id),
            clock=clock,
            post=self.table.post,
            outlet=self.outlet,
            set_volume=self.volumes.append,
            on_toy=[self.toys.append],
            random=Random(1),  # noqa: S311 - jitter
            on_tokens=[self.tokens.append],
            on_configuration=[self._take_configuration],
        )
        self.table.connect(self.cloud.effects)

    def _take_configuration(self, configuration: ToyConfiguration) -> None:
        self.configurations.append(configuration)
        self._news.set()

    def authenticate(self) -> None:
        """Begin, as the table does when the records are read."""
        self.cloud.effects["authenticate"]()

    async def until_volume(self, percent: float) -> None:
        """Wait until a configuration with this volume limit is in force."""
        while (
            self.cloud.configuration is None
            or self.cloud.configuration.volume_limit_percent != percent
        ):
            self._news.clear()
            await self._news.wait()

    def child_pid(self) -> int:
        """Return the process id of the live query's child."""
        child = self.cloud._live._child
        assert child is not None
        return child.pid


@contextlib.asynccontextmanager
async def toy_of(
    cloud_settings: CloudSettings, folder: Path, identity: Identity = IDENTITY
) -> AsyncIterator[Toy]:
    """Run a toy's cloud; afterwards nothing may be left of it."""
    toy = Toy(cloud_settings, folder, identity)
    await toy.cloud.start()
    try:
        yield toy
    finally:
        async with asyncio.timeout(1):
            await toy.cloud.close()
    assert not [task for task in asyncio.all_tasks() if "firmware" in repr(task.get_coro())]


def development_cloud(port: int = 0, **changes: Any) -> DevelopmentCloud:  # noqa: ANN401 - any setting
    """Return a development cloud that knows the device of the examples."""
    return DevelopmentCloud(Settings(port=port, device_secret=SECRET, **changes))


def port_of(cloud: DevelopmentCloud) -> int:
    """Return where a development cloud listens."""
    port = urlsplit(cloud.convex_url).port
    assert port is not None
    return port


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a real loop, which ends it if it hangs."""

    async def main() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test()

    asyncio.run(main())


def test_its_effects_are_in_the_vocabulary(tmp_path: Path) -> None:
    """Those that it performs, no others."""

    async def test() -> None:
        async with toy_of(settings(), tmp_path) as toy:
            assert set(toy.cloud.effects) == {
                "authenticate", "back_off", "apply_configuration", "tighten", "acknowledge",
                "set_volume", "switch_toy", "erase", "export",
            }  # fmt: skip
            assert set(toy.cloud.effects) <= set(EFFECTS)

    run(test)


def test_an_address_that_cannot_be_called_is_refused_at_the_start(tmp_path: Path) -> None:
    """In the one line that a person reads."""

    async def test() -> None:
        with pytest.raises(AddressError, match=r"url: 'http://toy\.example' must be https"):
            async with toy_of(settings("http://toy.example"), tmp_path):
                pass

    run(test)


def test_a_toy_authenticates_and_gets_its_configuration(tmp_path: Path) -> None:
    """The way of every start, and it is on disk for the next one."""

    async def test() -> None:
        async with development_cloud() as cloud:
            async with toy_of(settings(cloud.convex_url), tmp_path) as toy:
                toy.authenticate()
                assert await toy.table.until("configured") == {
                    "version": 1,
                    "consent": True,
                    "wake": True,
                    "wake_barge": True,
                    "continued": False,
                }
                await toy.until_volume(80)
                assert toy.tokens == [toy.cloud.tokens]
                assert [c.version for c in toy.configurations] == [1]
            async with toy_of(settings(cloud.convex_url), tmp_path) as toy:
                assert (await toy.table.until("configured"))["version"] == 1
                assert toy.cloud.tokens is None

    run(test)


def test_a_change_arrives_within_a_second(tmp_path: Path) -> None:
    """Live, over the WebSocket; each version once."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            async with asyncio.timeout(1):
                cloud.deployment.configure({"volumeLimit": 30.0})
                await toy.until_volume(30)
            assert [c.version for c in toy.configurations] == [1, 2]

    run(test)


def test_a_connection_that_falls_silent_is_noticed_and_replaced(tmp_path: Path) -> None:
    """Half open: no end, no error, nothing. Neither TCP nor the client would tell for minutes."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            Relay(port_of(cloud)) as relay,
            toy_of(settings(relay.url, **{**QUICK, "poll_interval_ms": 60_000}), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            first = toy.child_pid()
            relay.silent = True
            await toy.cloud._live.lost.wait()
            cloud.deployment.configure({"volumeLimit": 30.0})
            relay.silent = False
            await toy.until_volume(30)
            assert toy.child_pid() != first

    run(test)


def test_a_listener_that_never_answers_is_left_again_and_again(tmp_path: Path) -> None:
    """It accepts and stays silent, which stops the official client for good."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            Relay(None) as trap,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            toy.cloud._live._address = trap.url
            toy.authenticate()
            await trap.connected.wait()
            first = toy.child_pid()
            trap.connected.clear()
            async with asyncio.timeout(7):
                await trap.connected.wait()
            assert toy.child_pid() != first
            assert toy.cloud._live.lost.is_set()
            await toy.until_volume(80)  # polled

    run(test)


def test_a_cloud_that_comes_back_is_found_again(tmp_path: Path) -> None:
    """With other keys: the old tokens are worth nothing, and new ones are fetched unasked."""

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with development_cloud() as cloud:
                port = port_of(cloud)
                toy = await stack.enter_async_context(
                    toy_of(settings(cloud.convex_url, **QUICK), tmp_path)
                )
                toy.authenticate()
                await toy.until_volume(80)
            async with development_cloud(port) as cloud:
                cloud.deployment.configure({"volumeLimit": 30.0})
                await toy.until_volume(30)
                assert len(toy.tokens) == 2
                assert toy.table.named("tokens_lost") == [{}]
                await stack.aclose()

    run(test)


def test_tokens_rotate_and_the_live_query_goes_on_with_the_new_ones(tmp_path: Path) -> None:
    """At four fifths of their life, in a child of its own."""

    async def test() -> None:
        async with (
            development_cloud(token_lifetime_s=3.0) as cloud,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            first = toy.child_pid()
            await toy.table.until("tokens_granted", count=2)
            cloud.deployment.configure({"volumeLimit": 30.0})
            await toy.until_volume(30)
            assert toy.child_pid() != first
            assert toy.table.named("tokens_lost") == []

    run(test)


def test_refused_credentials_are_told_and_tried_again(tmp_path: Path) -> None:
    """As refused, with the longer wait; and when they are good again, all is well."""

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url, refused_delay_ms_min=100, **QUICK), tmp_path) as toy,
        ):
            cloud.faults.set({"refuse_auth": True})
            toy.authenticate()
            assert await toy.table.until("auth_failed", count=2) == {"refused": True}
            cloud.faults.set({"refuse_auth": False})
            await toy.until_volume(80)

    run(test)


def test_a_toy_that_the_cloud_does_not_know_gets_no_configuration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says so, with the cloud's code; the tokens are good, so they stay."""

    async def test() -> None:
        logged = asyncio.Event()

        class Handler(logging.Handler):
            """Wakes the test."""

            def emit(self, _: logging.LogRecord) -> None:
                logged.set()

        handler = Handler()
        logging.getLogger("firmware.cloud.cloud").addHandler(handler)
        stranger = Identity(IDENTITY.device_id, "toy-unknown", IDENTITY.secret)
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url), tmp_path, stranger) as toy,
        ):
            toy.authenticate()
            await logged.wait()
            assert toy.cloud.tokens is not None
            assert toy.cloud.configuration is None
        logging.getLogger("firmware.cloud.cloud").removeHandler(handler)

    run(test)
    assert "the cloud refuses the configuration: TOY_NOT_FOUND" in caplog.text


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "DEVICE_NOT_FOUND"])
def test_tokens_that_a_function_does_not_take_are_lost(tmp_path: Path, code: str) -> None:
    """The live query says so: the tokens that are held go."""

    async def test() -> None:
        async with toy_of(settings(**QUICK), tmp_path) as toy:
            toy.table.connect({})
            toy.cloud._authentication._grant(tokens(), asked_ms=Clock().monotonic_ms())
            for query in toy.cloud._live.queries:
                query.on_failed(code)
                assert toy.cloud.tokens is None
            await toy.table.until("tokens_lost")
            assert len(toy.table.named("tokens_lost")) == 1

    run(test)


def test_all_of_it_works_over_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    """Calls in this process and the WebSocket in the child trust the same file."""
    authority = Authority(tmp_path)

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            Relay(port_of(cloud), authority.server_context()) as relay,
            toy_of(
                settings(relay.url, ca_file=str(authority.path), pins=authority.server.pin),
                tmp_path,
            ) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            cloud.deployment.configure({"volumeLimit": 30.0})
            await toy.until_volume(30)
            assert not toy.cloud._live.lost.is_set()

    run(test)


def test_no_secret_is_in_a_log_an_argument_or_an_environment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Through a whole day in short: grant, change, loss and a cloud that refuses."""
    caplog.set_level(logging.DEBUG)
    canaries = [SECRET]
    seen: list[str] = []

    async def test() -> None:
        asyncio.get_running_loop().set_debug(True)
        asyncio.get_running_loop().slow_callback_duration = 0
        async with (
            development_cloud() as cloud,
            Relay(port_of(cloud)) as relay,
            toy_of(settings(relay.url, **QUICK), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            canaries.extend((toy.tokens[0].convex, toy.tokens[0].websocket))
            folder = Path(f"/proc/{toy.child_pid()}")
            seen.extend((folder / name).read_bytes().decode() for name in ("cmdline", "environ"))
            relay.silent = True
            await toy.cloud._live.lost.wait()

    run(test)
    seen.append(caplog.text)
    seen.extend(path.read_text() for path in tmp_path.iterdir())
    assert "firmware.cloud.child" in seen[0]
    # A part of one would be enough: debug output shortens what it shows. (Tokens of one issuer
    # begin alike, with nothing secret.)
    parts = [SECRET[:16], *[canary[-16:] for canary in canaries]]
    assert not [part for part in parts if part in "".join(seen)]


def test_after_an_erase_that_failed_the_configuration_is_told_again(tmp_path: Path) -> None:
    """It was forgotten with the rest; the live queries tell a value only when it is another one."""

    async def refuse() -> None:
        raise OSError(5, "Input/output error")

    async def test() -> None:
        async with (
            development_cloud() as cloud,
            toy_of(settings(cloud.convex_url, **QUICK), tmp_path) as toy,
        ):
            toy.authenticate()
            await toy.until_volume(80)
            toy.cloud._erasure._erasable["stored speech"] = refuse
            toy.cloud.effects["erase"](command=None)
            await toy.table.until("erase_failed")
            assert toy.cloud.configuration is None
            await toy.until_volume(80)
            versions = [fields["version"] for fields in toy.table.named("configured")]
            assert versions == [1, 3], "above all before, whatever the machine remembers of those"

    run(test)


def test_what_is_kept_is_read_off_the_loops_thread_and_a_mute_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration opens a microphone: of a muted toy it must not for a single step."""
    readers: list[str] = []

    def noting(load: Callable[[Any], object]) -> Callable[[Any], object]:
        def noted(of: Any) -> object:  # noqa: ANN401 - a note or a cache
            readers.append(threading.current_thread().name)
            return load(of)

        return noted

    Note(tmp_path / IN_FORCE_FILE).store(
        {"format": 1, "mute": {"issued_at_ms": 1, "command": "c1", "muted": True}}
    )
    ConfigurationCache(tmp_path / CONFIGURATION_FILE, IDENTITY.toy_id).store(
        json.dumps(configuration()).encode(), 7
    )

    async def test() -> None:
        toy = Toy(settings(), tmp_path, IDENTITY)
        monkeypatch.setattr(Note, "load", noting(Note.load))
        monkeypatch.setattr(ConfigurationCache, "load", noting(ConfigurationCache.load))
        await toy.cloud.start()
        assert [name for _, name, _ in toy.table.posted] == ["mute", "configured"]
        await toy.cloud.close()
        assert len(readers) == 2
        assert threading.current_thread().name not in readers

    run(test)
