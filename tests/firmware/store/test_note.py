"""Notes: whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from firmware.errors import NoteError
from firmware.store.note import NOTE_BYTES_MAX, Note

if TYPE_CHECKING:
    from pathlib import Path


def test_facts_come_back_as_they_were_stored(tmp_path: Path) -> None:
    """The last ones; none before the first, and none after they were removed."""
    note = Note(tmp_path / "note.json")
    assert note.load() is None
    note.remove()
    for number in (1, 2):
        note.store({"number": number, "text": "Zähne"})
    assert Note(tmp_path / "note.json").load() == {"number": 2, "text": "Zähne"}
    assert (tmp_path / "note.json").stat().st_mode & 0o777 == 0o600
    note.remove()
    assert note.load() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", [0, 10, 64, 65, 70, -1])
def test_a_damaged_note_is_not_believed(tmp_path: Path, at: int) -> None:
    """Wherever it is damaged."""
    path = tmp_path / "note.json"
    Note(path).store({"muted": True})
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(NoteError, match="is damaged"):
        Note(path).load()


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b"x" * (NOTE_BYTES_MAX + 1)])
def test_what_is_no_note_is_not_believed(tmp_path: Path, content: bytes) -> None:
    """Empty, without a checksum, deep, long."""
    path = tmp_path / "note.json"
    path.write_bytes(content)
    with pytest.raises(NoteError, match="is damaged"):
        Note(path).load()


def test_a_folder_in_its_place_is_an_error_of_the_world(tmp_path: Path) -> None:
    """Whatever is asked of it, in one line that names the file."""
    (tmp_path / "note.json").mkdir()
    note = Note(tmp_path / "note.json")
    with pytest.raises(NoteError, match="cannot be read: Is a directory"):
        note.load()
    with pytest.raises(NoteError, match="cannot be written"):
        note.store({})
    with pytest.raises(NoteError, match="cannot be removed"):
        note.remove()
