from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from devcloud.database import Database
from devcloud.errors import DataFileError

if TYPE_CHECKING:
    from pathlib import Path

TOY = "INSERT INTO toys VALUES (?, ?)"


def test_what_was_written_is_there_for_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "data"
    first = Database(path)
    first.write(TOY, "toy", "device")
    first.close()
    assert [row["toy_id"] for row in Database(path).rows("SELECT * FROM toys")] == ["toy"]


def test_a_transaction_that_an_error_leaves_changes_nothing() -> None:
    database = Database()

    def write_and_fail() -> None:
        with database.transaction():
            database.write(TOY, "toy", "device")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert database.row("SELECT * FROM toys") is None
    with database.transaction():
        database.write(TOY, "toy", "device")
    assert database.row("SELECT * FROM toys")


def test_two_clouds_cannot_have_one_file(tmp_path: Path) -> None:
    first = Database(tmp_path / "data")
    first.write(TOY, "toy", "device")
    with pytest.raises(DataFileError, match="another development cloud has it"):
        Database(tmp_path / "data")


def test_a_file_that_is_no_data_of_ours_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    notes, foreign = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    notes.write_text("x" * 5000)
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = notes.read_bytes(), foreign.read_bytes()
    for path in (notes, foreign):
        with pytest.raises(DataFileError, match=path.name):
            Database(path)
    assert (notes.read_bytes(), foreign.read_bytes()) == before


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="nowhere"):
        Database(tmp_path / "nowhere" / "data")
