"""Which configuration is in force."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import pytest

from firmware.cloud.cache import ConfigurationCache
from firmware.cloud.configuration import ToyConfiguration
from firmware.cloud.errors import CacheError
from firmware.cloud.versions import BODY_BYTES_MAX, WAITING_MAX, ConfigurationVersions
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from states.effects import EFFECTS
from states.events import EVENTS, Event, check
from tests.firmware.cloud.examples import configuration
from tests.firmware.cloud.scripted import Table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Rig(NamedTuple):
    """Versions with their neighbours; the table does nothing of itself."""

    versions: ConfigurationVersions
    table: Table
    cache: ConfigurationCache
    taken_up: list[ToyConfiguration]

    def receive(self, *versions: int) -> None:
        """Receive versions of the example from the cloud."""
        for version in versions:
            self.versions.receive(configuration(version=version))

    def apply(self, version: int) -> None:
        """As the table asks for it."""
        self.versions.effects["apply_configuration"](version=version)

    def tighten(self, version: int) -> None:
        """As the table asks for it."""
        self.versions.effects["tighten"](version=version)

    def in_force(self) -> int | None:
        """Return which version is in force."""
        return None if self.versions.in_force is None else self.versions.in_force.version

    def posted(self) -> list[object]:
        """Return the versions that were posted."""
        return [fields["version"] for fields in self.table.named("configured")]


def with_rig(folder: Path, test: Callable[[Rig], Awaitable[None]]) -> None:
    """Run a test; the cache is written when it is over."""

    async def main() -> None:
        table = Table(Clock())
        cache = ConfigurationCache(folder / "configuration.json", "toy-sim-1")
        taken_up: list[ToyConfiguration] = []
        versions = ConfigurationVersions(cache, post=table.post, on_configuration=[taken_up.append])
        await test(Rig(versions, table, cache, taken_up))
        await versions.close()

    run_virtual(main())


def cached_version(folder: Path, toy_id: str = "toy-sim-1") -> int | None:
    """Return which version is on disk."""
    value = ConfigurationCache(folder / "configuration.json", toy_id).load()
    return None if value is None else ToyConfiguration.parse(value).version


def test_a_configuration_is_posted_in_the_words_of_the_vocabulary(tmp_path: Path) -> None:
    """Exactly its fields, and each from the right key."""

    async def test(rig: Rig) -> None:
        rig.versions.receive(configuration(wakeWordEnabled=False, continuedConversation=True))
        assert rig.table.named("configured") == [
            {"version": 7, "consent": True, "wake": False, "wake_barge": False, "continued": True}
        ]
        assert check(Event("configured", rig.table.named("configured")[0])) is EVENTS["configured"]
        assert rig.versions.in_force is None

    with_rig(tmp_path, test)


def test_its_effects_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    """By name, with the fields that they carry there."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        for name, perform in rig.versions.effects.items():
            assert EFFECTS[name].fields == ("version",)
            perform(**dict.fromkeys(EFFECTS[name].fields, 7))

    with_rig(tmp_path, test)


def test_what_is_applied_is_in_force_and_on_disk(tmp_path: Path) -> None:
    """And those who asked to know it know it."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        assert rig.in_force() == 7
        assert [taken.version for taken in rig.taken_up] == [7]

    with_rig(tmp_path, test)
    assert cached_version(tmp_path) == 7


def test_nothing_is_in_force_or_on_disk_before_it_is_applied(tmp_path: Path) -> None:
    """When is for the table to say."""

    async def test(rig: Rig) -> None:
        rig.receive(7)

    with_rig(tmp_path, test)
    assert cached_version(tmp_path) is None


def test_repeated_and_older_versions_are_ignored(tmp_path: Path) -> None:
    """Subscriptions repeat themselves, and a poll may be overtaken."""

    async def test(rig: Rig) -> None:
        rig.receive(7, 7, 6, 8, 7, 8)
        rig.apply(7)
        rig.receive(7, 8)
        rig.apply(8)
        rig.receive(1)
        assert rig.posted() == [7, 8]
        assert rig.in_force() == 8

    with_rig(tmp_path, test)


def test_effects_come_after_newer_versions_arrived(tmp_path: Path) -> None:
    """Each effect puts the version into force that it names, never backwards."""

    async def test(rig: Rig) -> None:
        rig.receive(7, 8, 9)
        rig.apply(7)
        assert rig.in_force() == 7
        rig.apply(9)
        rig.apply(8)
        rig.apply(9)
        assert rig.in_force() == 9
        assert [taken.version for taken in rig.taken_up] == [7, 9]

    with_rig(tmp_path, test)
    assert cached_version(tmp_path) == 9


def test_a_version_nobody_sent_changes_nothing(tmp_path: Path) -> None:
    """As after a replayed effect."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(3)
        rig.tighten(3)
        assert rig.versions.in_force is None

    with_rig(tmp_path, test)


def test_tightening_takes_only_what_is_stricter(tmp_path: Path) -> None:
    """The rest of the new version comes with its own effect; the card has the whole already."""

    async def test(rig: Rig) -> None:
        rig.versions.receive(configuration(version=7))
        rig.apply(7)
        rig.versions.receive(configuration(version=8, volumeLimit=20.0, voice="other"))
        rig.tighten(8)
        assert rig.versions.in_force is not None
        assert rig.versions.in_force.volume_limit_percent == 20
        assert rig.versions.in_force.voice == "en-us"
        assert rig.in_force() == 7

    with_rig(tmp_path, test)
    assert cached_version(tmp_path) == 8


def test_what_was_tightened_is_applied_later(tmp_path: Path) -> None:
    """At the next idle moment, as a whole."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        rig.versions.receive(configuration(version=8, volumeLimit=20.0, voice="other"))
        rig.tighten(8)
        rig.apply(8)
        volumes = [taken.volume_limit_percent for taken in rig.taken_up]
        assert volumes == [80, 20, 20]
        assert [taken.voice for taken in rig.taken_up] == ["en-us", "en-us", "other"]

    with_rig(tmp_path, test)


def test_tightening_that_makes_nothing_stricter_is_told_to_nobody(tmp_path: Path) -> None:
    """Nothing changes for the child in the middle of a sentence."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        rig.versions.receive(configuration(version=8, volumeLimit=100.0))
        rig.tighten(8)
        assert len(rig.taken_up) == 1

    with_rig(tmp_path, test)


def written(path: Path) -> tuple[int, int]:
    """Return what another write would change: reading alone changes the time of access."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def test_the_cache_is_taken_up_at_the_start(tmp_path: Path) -> None:
    """As a configuration like any other, and not written again."""

    async def store(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)

    async def start(rig: Rig) -> None:
        before = written(tmp_path / "configuration.json")
        await rig.versions.load_cached()
        assert rig.posted() == [7]
        assert rig.in_force() is None
        rig.apply(7)
        rig.receive(7)
        assert rig.posted() == [7]
        assert rig.in_force() == 7
        await rig.versions.close()
        assert written(tmp_path / "configuration.json") == before

    with_rig(tmp_path, store)
    with_rig(tmp_path, start)


@pytest.mark.parametrize("content", [None, b"", b"{}\n{}\n", b"\xff"])
def test_a_cache_that_cannot_be_used_is_none(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says so, if there was a file at all; the toy waits for the cloud."""
    if content is not None:
        (tmp_path / "configuration.json").write_bytes(content)

    async def test(rig: Rig) -> None:
        await rig.versions.load_cached()
        assert rig.table.posted == []
        rig.receive(7)
        assert rig.posted() == [7]

    with_rig(tmp_path, test)
    assert caplog.text.count("no cached configuration") == (content is not None)


def test_a_sound_cache_of_a_configuration_that_cannot_be_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Written by firmware that asked for less."""
    ConfigurationCache(tmp_path / "configuration.json", "toy-sim-1").store(b'{"version":3}', 3)

    async def test(rig: Rig) -> None:
        await rig.versions.load_cached()
        assert rig.table.posted == []

    with_rig(tmp_path, test)
    assert "no cached configuration: configuration: name must be there" in caplog.text


def test_what_cannot_be_used_is_dropped_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The configuration in force stays."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        for _ in range(5):
            rig.versions.receive(configuration(version=8, volumeLimit="loud"))
        rig.versions.receive(None)
        assert rig.versions.malformed == 6
        assert rig.posted() == [7]
        assert rig.in_force() == 7
        rig.receive(8)
        assert rig.posted() == [7, 8]

    with_rig(tmp_path, test)
    assert caplog.text.count("volumeLimit must be") == 1
    assert len(caplog.records) == 1


def test_a_configuration_that_is_too_long_is_dropped(tmp_path: Path) -> None:
    """Even where all that is too long is unknown here."""

    async def test(rig: Rig) -> None:
        rig.versions.receive(configuration(newer="x" * BODY_BYTES_MAX))
        assert rig.versions.malformed == 1
        assert rig.table.posted == []

    with_rig(tmp_path, test)


def test_only_so_many_versions_wait(tmp_path: Path) -> None:
    """Of more, the oldest are forgotten; the newest comes into force."""

    async def test(rig: Rig) -> None:
        rig.receive(*range(1, WAITING_MAX + 3))
        rig.apply(1)
        rig.apply(2)
        assert rig.in_force() is None
        rig.apply(3)
        assert rig.in_force() == 3
        rig.apply(WAITING_MAX + 2)
        assert rig.in_force() == WAITING_MAX + 2

    with_rig(tmp_path, test)


def test_a_card_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the configuration is in force all the same."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        assert rig.in_force() == 7

    with_rig(tmp_path / "missing", test)
    assert "the configuration is not cached" in caplog.text


def test_of_many_changes_the_last_is_on_disk(tmp_path: Path) -> None:
    """Those that were overtaken while the card was busy are not written at all."""

    async def test(rig: Rig) -> None:
        for version in range(1, 50):
            rig.receive(version)
            rig.apply(version)

    with_rig(tmp_path, test)
    assert cached_version(tmp_path) == 49


def test_a_familys_words_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither from a good configuration nor from a bad one."""
    caplog.set_level(logging.DEBUG)

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        rig.versions.receive(configuration(version=8, name="Bruno\n"))
        await rig.versions.load_cached()

    with_rig(tmp_path, test)
    assert "name must be" in caplog.text
    assert "Bruno" not in caplog.text


def test_another_toys_versions_begin_anew(tmp_path: Path) -> None:
    """Lower ones count, and nothing of the toy before can outdate them."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        rig.receive(8)
        other = ConfigurationCache(tmp_path / "configuration.json", "toy-2")
        rig.versions.begin_anew(other)
        assert rig.in_force() is None
        assert rig.versions.as_sent is None
        rig.apply(8)  # the table had been told of it before
        assert rig.in_force() is None
        rig.receive(3, 2, 3)
        assert rig.posted() == [7, 8, 12]
        rig.apply(12)
        assert rig.in_force() == 3
        assert rig.versions.as_sent == configuration(version=3)
        rig.receive(4)
        rig.tighten(13)
        assert rig.posted() == [7, 8, 12, 13]

    with_rig(tmp_path, test)
    assert cached_version(tmp_path, "toy-2") == 4


def test_the_toy_befores_configuration_is_not_left_on_disk(tmp_path: Path) -> None:
    """Also when none of the other toy's comes."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        rig.versions.begin_anew(rig.cache)

    with_rig(tmp_path, test)
    assert list(tmp_path.iterdir()) == []


def test_an_erased_configuration_is_gone_and_the_same_one_may_come_again(tmp_path: Path) -> None:
    """From the disk when it returns, whatever was being written."""

    async def test(rig: Rig) -> None:
        rig.receive(7)
        rig.apply(7)
        await rig.versions.erase()
        assert cached_version(tmp_path) is None
        rig.receive(7)
        assert rig.posted() == [7, 15]
        rig.apply(15)

    with_rig(tmp_path, test)
    assert cached_version(tmp_path) == 7


def test_what_cannot_be_erased_is_said(tmp_path: Path) -> None:
    """A folder in the file's place stands for a card that takes nothing any more."""
    (tmp_path / "configuration.json").mkdir()

    async def test(rig: Rig) -> None:
        with pytest.raises(CacheError, match="cannot be removed"):
            await rig.versions.erase()

    with_rig(tmp_path, test)
