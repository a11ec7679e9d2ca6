"""Writing that is wholly the old or wholly the new."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.store.files import remove_durably, write_durably
from tests.firmware.store.disk import Disk

STEPS = ["open", "write", "sync", "rename", "open folder", "sync"]


def test_the_file_holds_the_new_content_and_nothing_is_left_over(tmp_path: Path) -> None:
    """Twice, since the second time replaces the first."""
    path = tmp_path / "record"
    for content in (b"one", b"two"):
        write_durably(path, content)
        assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["record"]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """A lock's id is what a release must name."""
    write_durably(tmp_path / "record", b"one")
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_the_content_is_synced_before_it_takes_its_place_and_the_place_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any other order a power cut may leave an empty file."""
    disk = Disk(tmp_path, monkeypatch)
    write_durably(tmp_path / "record", b"one")
    assert disk.steps == STEPS


def test_whenever_the_power_goes_the_file_is_wholly_old_or_wholly_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And new for certain once the writing has returned."""
    path = tmp_path / "record"
    write_durably(path, b"the old one")
    disk = Disk(tmp_path, monkeypatch)
    write_durably(path, b"the new one")
    found = [left["record"] for cut in disk.cuts for left in cut]
    assert set(found) == {b"the old one", b"the new one"}
    assert {left["record"] for left in disk.found()} == {b"the new one"}


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
def test_a_disk_that_fails_raises_and_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whichever step it is; nothing half done lies about, and the next writing works."""
    path = tmp_path / "record"
    write_durably(path, b"the old one")
    disk = Disk(tmp_path, monkeypatch)
    disk.fails_at = step
    with pytest.raises(OSError, match="Input/output error"):
        write_durably(path, b"the new one")
    is_in_place = step > STEPS.index("rename") + 1
    assert path.read_bytes() == (b"the new one" if is_in_place else b"the old one")
    assert [entry.name for entry in tmp_path.iterdir()] == ["record"]
    write_durably(path, b"newer still")
    assert path.read_bytes() == b"newer still"


def test_what_a_power_cut_left_does_not_hinder_the_next_writing(tmp_path: Path) -> None:
    """A temporary file that is older and longer is begun anew."""
    (tmp_path / "record.new").write_bytes(b"half of something much longer")
    write_durably(tmp_path / "record", b"one")
    assert (tmp_path / "record").read_bytes() == b"one"


def test_what_is_removed_is_gone_for_good_with_all_that_a_power_cut_left_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is synced: no power cut brings the name back."""
    path = tmp_path / "record"
    write_durably(path, b"one")
    (tmp_path / "record.new").write_bytes(b"half of t")
    disk = Disk(tmp_path, monkeypatch)
    for _ in range(2):
        remove_durably(path)
        assert list(tmp_path.iterdir()) == []
    assert disk.steps == ["open folder", "sync"] * 2
    remove_durably(tmp_path / "nowhere" / "record")
