"""What is in force, on disk."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from firmware.cloud import in_force as in_force_module
from firmware.cloud.command import Stamp
from firmware.cloud.in_force import UNREADABLE, InForce, Mute, Volume
from firmware.errors import NoteError
from firmware.store.note import Note
from hardware.sim.clock import run_virtual

if TYPE_CHECKING:
    from pathlib import Path

MUTE = Mute(Stamp(5.0, "c5"), muted=True)
VOLUME = Volume(Stamp(6.5, "c6"), 35)


class CountingNote(Note):
    """A note that counts how often it was stored."""

    stores = 0

    def store(self, facts: dict[str, object]) -> None:  # type: ignore[override] # what is given here
        """Store and count."""
        self.stores += 1
        super().store(facts)


def loaded(path: Path) -> InForce:
    """Return what a start finds."""

    in_force = InForce(Note(path))
    in_force.take_up(Note(path).load())
    in_force.close()
    return in_force


def test_what_was_saved_is_found_at_the_next_start(tmp_path: Path) -> None:
    """Either, both or none."""
    path = tmp_path / "in-force.json"
    assert (loaded(path).mute, loaded(path).volume) == (None, None)

    async def main() -> None:
        in_force = InForce(Note(path))
        for mute, volume in ((MUTE, None), (None, VOLUME), (MUTE, VOLUME)):
            in_force.mute, in_force.volume = mute, volume
            await in_force.save()
            assert (loaded(path).mute, loaded(path).volume) == (mute, volume)
        await in_force.erase()
        assert (in_force.mute, in_force.volume) == (None, None)
        in_force.volume = VOLUME
        await in_force.save()
        assert loaded(path).mute is None, "what was erased is written back"
        await in_force.erase()
        in_force.close()

    run_virtual(main())
    assert (loaded(path).mute, loaded(path).volume) == (None, None)


def test_many_saves_at_once_are_few_writes(tmp_path: Path) -> None:
    """Each is durable when it returns."""

    async def main() -> None:
        note = CountingNote(tmp_path / "in-force.json")
        in_force = InForce(note)
        in_force.mute = MUTE
        saves = [asyncio.create_task(in_force.save()) for _ in range(20)]
        await saves[0]
        in_force.volume = VOLUME
        await asyncio.gather(*saves[1:], in_force.save())
        assert note.stores <= 3
        assert loaded(tmp_path / "in-force.json").volume == VOLUME
        in_force.close()

    run_virtual(main())


def test_what_cannot_be_saved_is_told_to_everybody_who_asked(tmp_path: Path) -> None:
    """And the next save tries again."""
    (tmp_path / "in-force.json.new").mkdir()

    async def main() -> None:
        in_force = InForce(Note(tmp_path / "in-force.json"))
        for outcome in await asyncio.gather(
            in_force.save(), in_force.save(), return_exceptions=True
        ):
            assert isinstance(outcome, NoteError)
        (tmp_path / "in-force.json.new").rmdir()
        await in_force.save()
        in_force.close()

    run_virtual(main())


@pytest.mark.parametrize(
    "facts",
    [
        {"format": 2, "mute": {"issued_at_ms": 1, "command": "c", "muted": True}},
        {"format": 1},
        {"format": 1, "mute": 7, "volume": []},
        {"format": 1, "mute": {"issued_at_ms": 1, "command": "c"}, "volume": {"percent": 9}},
    ],
)
def test_a_note_of_another_form_is_left_alone(tmp_path: Path, facts: dict[str, object]) -> None:
    """As one that a later version wrote."""
    Note(tmp_path / "in-force.json").store(facts)
    in_force = loaded(tmp_path / "in-force.json")
    assert (in_force.mute, in_force.volume) == (None, None)


class HangingNote(Note):
    """A note on a card that says nothing until it is told to, and notes who asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go_on = threading.Event()
        self.threads: list[str] = []

    def load(self) -> dict[str, object] | None:
        """Load after a while."""
        self.threads.append(threading.current_thread().name)
        self.go_on.wait(10)
        return super().load()


def test_the_note_is_read_off_the_loops_thread(tmp_path: Path) -> None:
    """The start does not hold up a button."""

    async def main() -> None:
        note = HangingNote(tmp_path / "in-force.json")
        in_force = InForce(note)
        loading = asyncio.create_task(in_force.load())
        await asyncio.sleep(0)
        note.go_on.set()
        await loading
        assert (in_force.mute, in_force.volume) == (None, None)
        assert note.threads != [threading.current_thread().name]
        in_force.close()

    asyncio.run(main())


def test_a_card_that_does_not_answer_leaves_the_toy_muted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Privacy first; the start goes on, and whoever saves is told that it cannot be."""
    monkeypatch.setattr(in_force_module, "LOAD_TIMEOUT_S", 0.05)

    async def main() -> None:
        note = HangingNote(tmp_path / "in-force.json")
        in_force = InForce(note)
        await in_force.load()
        assert in_force.mute is UNREADABLE
        saves = [asyncio.create_task(in_force._on_worker(note.remove)) for _ in range(3)]
        with pytest.raises(NoteError, match="calls already wait"):
            await saves[-1]
        note.go_on.set()
        await asyncio.gather(*saves[:-1])
        in_force.close()

    asyncio.run(main())
    assert "the card does not answer: the toy is muted" in caplog.text
