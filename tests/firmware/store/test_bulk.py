"""What may be lost: how much of it is, and how little the card is worn by that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import RecordStoreError
from firmware.store import bulk
from firmware.store.bulk import BulkStore
from firmware.store.changes import Changes
from tests.firmware.store.test_database import done, ids, puts


class Device:
    """A store, and the cuts that it survives."""

    def __init__(self, folder: Path) -> None:
        self.runtime, self.data = folder / "run", folder / "data"
        self.data.mkdir()
        self._boots = 0
        self.store = self._make()
        self.store.open()

    def restart(self) -> list[str]:
        """Kill the process; return what waits afterwards."""
        self.store.close()
        self.store = self._make()
        return ids(self.store.open())

    def power_cut(self, *, keeps_runtime: bool = False) -> list[str]:
        """Cut the power; return what waits afterwards."""
        self.store.close()
        self._boots += 1
        if not keeps_runtime:
            shutil.rmtree(self.runtime)
        self.store = self._make()
        return ids(self.store.open())

    def _make(self) -> BulkStore:
        return BulkStore(self.runtime, self.data, f"boot-{self._boots}")


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """A device with nothing in its store."""
    device = Device(tmp_path)
    yield device
    device.store.close()


def test_a_power_cut_takes_what_came_after_the_last_saving(device: Device) -> None:
    """And brings back what was finished after it: the cloud knows its id."""
    device.store.apply(puts("a", "b"))
    device.store.save()
    device.store.apply(done("a"))
    device.store.apply(puts("c"))
    assert device.power_cut() == ["a", "b"]


@pytest.mark.parametrize("keeps_runtime", [False, True], ids=["in memory", "on a desk"])
def test_what_was_saved_is_there_after_a_power_cut(device: Device, *, keeps_runtime: bool) -> None:
    """A database that did not wait for the disk is not believed, even if it is there."""
    device.store.apply(puts("a", "b"))
    device.store.apply(done("a"))
    device.store.save()
    device.store.apply(puts("c"))
    device.store.apply(Changes(stored={"b": "s-1"}))
    device.store.save()
    device.store.apply(puts("lost"))
    assert device.power_cut(keeps_runtime=keeps_runtime) == ["b", "c"]
    assert device.store.read(("b",))["b"].storage_id == "s-1"
    device.store.apply(puts("d"))
    device.store.save()
    assert device.power_cut() == ["b", "c", "d"]


def test_a_process_that_dies_loses_nothing_and_saves_the_rest_later(device: Device) -> None:
    """The database in memory is newer than the log."""
    device.store.apply(puts("a", "b"))
    device.store.save()
    device.store.apply(done("a"))
    device.store.apply(puts("c"))
    assert device.restart() == ["b", "c"]
    device.store.save()
    assert device.power_cut() == ["b", "c"]


def test_what_came_and_went_between_two_savings_never_wears_the_card(device: Device) -> None:
    """Nor does a saving with nothing to say."""
    log = device.data / "bulk.log"
    device.store.apply(puts("a"))
    device.store.apply(done("a"))
    device.store.save()
    assert not log.exists()
    device.store.apply(puts("b"))
    device.store.save()
    before = log.stat()
    for _ in range(3):
        device.store.apply(puts("c"))
        device.store.apply(done("c"))
        device.store.save()
    assert (log.stat().st_size, log.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_the_log_stays_bounded_by_what_waits(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much goes through it."""
    monkeypatch.setattr(bulk, "LOG_BYTES_MIN", 4_000)
    longest = 0
    for number in range(300):
        device.store.apply(puts(f"r{number}", words="x" * 100))
        if number >= 5:
            device.store.apply(done(f"r{number - 5}"))
        device.store.save()
        longest = max(longest, (device.data / "bulk.log").stat().st_size)
    assert longest < 6_000
    assert device.power_cut() == [f"r{number}" for number in range(295, 300)]


def test_a_saving_that_fails_is_made_up_for_by_the_next(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is forgotten."""
    device.store.apply(puts("a"))
    device.store.save()
    device.store.apply(puts("b"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("firmware.store.bulk_log.append_durably", full)
        with pytest.raises(RecordStoreError):
            device.store.save()
    device.store.apply(puts("c"))
    device.store.save()
    assert device.power_cut() == ["a", "b", "c"]


def test_a_torn_log_is_cut_and_counted_and_what_memory_has_is_saved_again(device: Device) -> None:
    """While the computer runs, nothing is lost by it."""
    log = device.data / "bulk.log"
    for name in ("a", "b", "c"):
        device.store.apply(puts(name))
        device.store.save()
    log.write_bytes(log.read_bytes()[:-3])
    device.store.close()
    found = device.store.open()
    assert ids(found) == ["a", "b", "c"]
    assert found.cut_bytes > 0
    device.store.save()
    assert device.power_cut() == ["a", "b", "c"]


def test_a_damaged_database_in_memory_is_made_from_the_log(device: Device) -> None:
    """As after a power cut."""
    device.store.apply(puts("a"))
    device.store.save()
    device.store.apply(puts("b"))
    device.store.close()
    (device.runtime / "bulk.db").write_bytes(b"damage")
    assert device.restart() == ["a"]


def test_words_are_taken_out_of_memory_and_of_the_card(device: Device) -> None:
    """At once, and of nothing but conversations."""
    conversation = puts("log", "said", words="canary")
    said = conversation.put["said"]
    conversation.put["said"] = type(said)(
        "said",
        "conversations:create",
        '{"transcript":"canary","replyText":"canary","outcome":"answered"}',
        said.toy_id,
        said.stamp,
    )
    device.store.apply(conversation)
    device.store.save()
    words = Changes()
    words.forget("words")
    device.store.apply(words)
    kept = device.store.read(("log", "said"))
    assert "canary" in kept["log"].arguments
    assert kept["said"].arguments == '{"transcript":null,"replyText":null,"outcome":"answered"}'
    assert device.power_cut() == ["log", "said"]
    assert device.store.read(("log", "said")) == kept
    assert (device.data / "bulk.log").read_bytes().count(b"canary") == 1


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "done", "save", "restart", "cut"]), st.integers(0, 5)),
    max_size=25,
)


@given(OPERATIONS)
def test_whatever_happens_what_survives_a_power_cut_is_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
) -> None:
    """In order; and a restart in between changes nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firmware.store.files.os.fsync", lambda _: None)  # thousands are slow
        device = Device(tmp_path_factory.mktemp("device"))
        waits: list[str] = []
        saved: list[str] = []
        for number, (what, which) in enumerate(operations):
            match what:
                case "put":
                    device.store.apply(puts(f"r{number}"))
                    waits.append(f"r{number}")
                case "done" if waits:
                    name = waits.pop(which % len(waits))
                    device.store.apply(done(name))
                case "save":
                    device.store.save()
                    saved = list(waits)
                case "restart":
                    assert device.restart() == waits
                case "cut":
                    assert device.power_cut() == saved
                    waits = list(saved)
        device.store.close()
