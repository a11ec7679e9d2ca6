"""The journal's files: rotated, bounded, replayable each, and honest about a failing disk."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firmware.bench.walk import walk
from firmware.errors import JournalFileError
from firmware.store.journal import JournalFile
from states.derive import Situation
from states.events import Event
from states.journal import FORMAT, Header, Journal, read
from states.machine import START, Core
from states.replay import replay

STEPS = 400
EVENTS = walk(STEPS)
BYTES_MAX = 12_000


class Recording:
    """A machine whose steps are recorded as the loop does it."""

    def __init__(self, path: Path, *, bytes_max: int = BYTES_MAX, files_max: int = 100) -> None:
        self.core = Core()
        self.path = path
        self.file = JournalFile(
            path,
            lambda situation: Header(FORMAT, "abc", "table", {}, "configuration", situation),
            lambda: self.core.situation,
            bytes_max=bytes_max,
            files_max=files_max,
        )

    def take(self, events: list[Event]) -> None:
        """Step and record events; begin another file between steps where that is due."""
        for event in events:
            step = self.core.step(event)
            self.file.record(step)
            self.file.after(step)

    @property
    def journals(self) -> list[Journal]:
        """Every file that is there, oldest first, read and believed."""
        older = list(self.path.parent.glob(f"{self.path.name}.[0-9]*"))
        older.sort(key=lambda path: int(path.suffix[1:]), reverse=True)
        return [
            read(path.read_text(encoding="ascii").splitlines(keepends=True))
            for path in (*older, self.path)
        ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is written; the folder is not there yet."""
    return tmp_path / "data" / "journal.jsonl"


@contextmanager
def recording(path: Path, **limits: int) -> Iterator[Recording]:
    """Give a recording that has begun; it is closed at the end."""
    made = Recording(path, **limits)
    made.file.begin()
    try:
        yield made
    finally:
        made.file.close()


def test_a_journal_begins_with_a_header_and_holds_every_step(path: Path) -> None:
    """In a folder that it makes; each line is there as soon as it was recorded."""
    with recording(path, bytes_max=10_000_000) as made:
        (empty,) = made.journals
        assert (empty.header.situation, empty.entries) == (START, ())
        made.take(EVENTS)
        (journal,) = made.journals
        assert [entry.step.event for entry in journal.entries] == EVENTS
        assert not journal.torn
        assert made.file.steps == STEPS


def test_every_file_of_a_rotated_journal_can_be_replayed_by_itself(path: Path) -> None:
    """Each begins where the one before it ended, and no step is lost between them."""
    with recording(path) as made:
        made.take(EVENTS)
        journals = made.journals
    assert len(journals) > 5
    core = Core()
    for journal in journals:
        assert journal.header.situation == core.situation
        assert replay(journal).difference is None
        for entry in journal.entries:
            core.step(entry.step.event)
    assert sum(len(journal.entries) for journal in journals) == STEPS


def test_files_end_at_their_size_and_the_oldest_give_way(path: Path) -> None:
    """The journal never grows without end."""
    with recording(path, files_max=3) as made:
        made.take(EVENTS)
        sizes = [file.stat().st_size for file in path.parent.iterdir()]
        names = sorted(file.name for file in path.parent.iterdir())
        last = made.journals[-1].entries[-1:] or made.journals[-2].entries[-1:]
    assert names == ["journal.jsonl", *(f"journal.jsonl.{number}" for number in (1, 2, 3))]
    assert max(sizes) < BYTES_MAX + 2_000
    assert last[0].step.event == EVENTS[-1]


def test_another_start_begins_another_file(path: Path) -> None:
    """What an earlier start recorded stays, torn last line included."""
    for number in range(3):
        with recording(path) as made:
            made.take(EVENTS[: 3 + number])
    with path.open("a") as file:
        file.write('{"seq":')
    with recording(path) as made:
        journals = made.journals
    assert [len(journal.entries) for journal in journals] == [3, 4, 5, 0]
    assert [journal.torn for journal in journals] == [False, False, True, False]


def test_a_journal_whose_folder_is_a_file_cannot_be_begun(tmp_path: Path) -> None:
    """One line names the file and the reason."""
    (tmp_path / "data").write_text("no folder")
    path = tmp_path / "data" / "journal.jsonl"
    with pytest.raises(JournalFileError) as caught:
        Recording(path).file.begin()
    assert str(caught.value) == f"{path}: the journal cannot be written: File exists"


def test_a_full_disk_at_the_start_moves_no_older_file(path: Path) -> None:
    """However often it is tried: the journals that are there are what explains the failure."""
    with recording(path) as made:
        made.take(EVENTS[:5])
    path.with_name("journal.jsonl.new").symlink_to("/dev/full")
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    with pytest.raises(JournalFileError, match="No space left on device"):
        Recording(path).file.begin()
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the firmware logged."""
    return [log.getMessage() for log in caplog.records if log.name.startswith("firmware.")]


@contextmanager
def full_at(size_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size: the system writes what fits, then reports an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_after_half_a_line_recording_goes_on_in_a_file_of_its_own(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was recorded before and what is recorded later can be replayed."""
    with recording(path, bytes_max=10_000_000) as made:
        made.take(EVENTS[:20])
        with full_at(path.stat().st_size + 40):
            made.take(EVENTS[20:21])
        made.take(EVENTS[21:60])
        journals = made.journals
        assert made.file.failed == 1
    assert [(len(journal.entries), journal.torn) for journal in journals] == [
        (20, True),
        (39, False),
    ]
    assert all(replay(journal).difference is None for journal in journals)
    assert said(caplog) == [f"{path}: the journal cannot be written: No space left on device"]


def test_a_disk_that_stays_full_is_said_once_and_pushes_no_older_file_out(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Trying again and again loses nothing that was recorded."""
    for number in range(3):
        with recording(path, bytes_max=10_000_000) as made:
            made.take(EVENTS[: 10 + number])
    with recording(path, bytes_max=10_000_000, files_max=3) as made:
        made.take(EVENTS[:13])
        with full_at(100):
            made.take(EVENTS[13:113])
        assert made.file.failed == 100
        assert [len(journal.entries) for journal in made.journals] == [10, 11, 12, 13]
    assert said(caplog) == [f"{path}: the journal cannot be written: File too large"]


def test_a_folder_that_vanishes_stops_neither_the_toy_nor_the_journal_for_good(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As long as it is gone steps are lost and counted; then another file is begun."""
    with recording(path) as made:
        made.take(EVENTS[:5])
        path.parent.rename(path.parent.with_name("elsewhere"))
        path.parent.write_text("a file where the folder was")
        made.take(EVENTS[5:300])
        assert made.file.failed > 0
        path.parent.unlink()
        made.take(EVENTS[300:301])
        lost = made.file.failed
        made.take(EVENTS[301:])
        assert made.file.failed == lost
        journals = made.journals
    assert all(replay(journal).difference is None for journal in journals)
    assert sum(len(journal.entries) for journal in journals) == STEPS - 301
    assert said(caplog) == [f"{path}: the journal cannot be written: File exists"]


def test_a_closed_journal_takes_no_more_and_raises_nothing(path: Path) -> None:
    """Whatever still happens while the toy ends is counted; closing twice is harmless."""
    with recording(path) as made:
        made.take(EVENTS[:5])
        made.file.close()
        made.file.close()
        made.take(EVENTS[5:6])
        assert (made.file.steps, made.file.failed) == (6, 1)
        assert [len(journal.entries) for journal in made.journals] == [5]


def test_the_header_is_made_for_the_situation_of_the_moment(path: Path) -> None:
    """Not for that of the start."""
    seen: list[Situation] = []
    core = Core()

    def make(situation: Situation) -> Header:
        seen.append(situation)
        return Header(FORMAT, "", "", {}, "", situation)

    file = JournalFile(path, make, lambda: core.situation, bytes_max=1)
    file.begin()
    step = core.step(Event("started", id="e1"))
    file.record(step)
    file.after(step)
    file.close()
    assert [situation.leaf for situation in seen] == ["boot.dark", "boot.reading"]


def test_an_erased_journal_holds_nothing_of_before(path: Path) -> None:
    """It begins anew with the present situation, and goes on to be written."""
    with recording(path) as made:
        made.take(EVENTS[:300])
        asyncio.run(made.file.erase())
        assert [file.name for file in path.parent.iterdir()] == ["journal.jsonl"]
        (journal,) = made.journals
        assert (journal.header.situation, journal.entries) == (made.core.situation, ())
        made.take(EVENTS[300:305])
        assert len(made.journals[-1].entries) == 5


def test_a_journal_that_cannot_be_erased_says_so(path: Path) -> None:
    """A folder in a file's place stands for a card that takes nothing any more."""
    with recording(path) as made:
        path.with_name("journal.jsonl.1").mkdir()
        with pytest.raises(JournalFileError, match="cannot be erased"):
            asyncio.run(made.file.erase())


def test_a_closed_journal_is_erased_but_for_its_last_file(path: Path) -> None:
    """Nothing is begun any more."""
    with recording(path) as made:
        made.take(EVENTS)
        made.file.close()
        asyncio.run(made.file.erase())
        assert [file.name for file in path.parent.iterdir()] == ["journal.jsonl"]
