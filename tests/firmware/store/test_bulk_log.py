"""The log of what may be lost: whatever becomes of the file, a prefix survives."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import RecordStoreError
from firmware.store import bulk_log
from firmware.store.bulk_log import MAGIC, BulkLog, Operation
from firmware.store.record import Record, Stamp

STAMP = Stamp(1, True, "boot", 2)  # noqa: FBT003 - as on disk


def record(name: str, words: str = "") -> Record:
    """Return a record of this id."""
    return Record(name, "logs:create", f'{{"words":"{words}"}}', "toy", STAMP)


def put(name: str, words: str = "") -> Operation:
    """Return the operation that puts a record."""
    return ("put", record(name, words).encoded())


STEPS: list[list[Operation]] = [
    [put("a"), put("b")],
    [("done", "a"), put("c")],
    [("stored", "b", "s-1")],
    [("done", "b"), ("done", "c"), put("d"), put("e")],
]


History = list[tuple[int, list[tuple[str, str]]]]
"""After each step, how long the file is and what waits."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, History]:
    """The steps as a file, and what it holds after each."""
    path = tmp_path_factory.mktemp("history") / "log"
    after = histories(path)
    return path.read_bytes(), after


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that many examples share."""
    return tmp_path_factory.mktemp("scratch")


def histories(path: Path) -> History:
    """Write the steps."""
    log = BulkLog(path)
    after = [(0, waiting(log))]
    for step in STEPS:
        log.append(step)
        after.append((log.bytes, waiting(BulkLog(path))))
    return after


def waiting(log: BulkLog) -> list[tuple[str, str]]:
    """Return what a log says: ids and what the cloud calls their audio."""
    return [(name, found.storage_id) for name, found in log.read().items()]


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    """By another that knows nothing but the file."""
    assert [what for _, what in histories(tmp_path / "log")] == [
        [],
        [("a", ""), ("b", "")],
        [("b", ""), ("c", "")],
        [("b", "s-1"), ("c", "")],
        [("d", ""), ("e", "")],
    ]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """It may hold what a child said."""
    BulkLog(tmp_path / "log").append(STEPS[0])
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_wherever_the_file_is_cut_a_prefix_is_found_and_appending_goes_on(
    tmp_path: Path, history: tuple[bytes, History], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every byte; and the rest is counted."""
    monkeypatch.setattr("firmware.store.files.os.fsync", lambda _: None)  # a thousand are slow
    content, after = history
    path = tmp_path / "cut"
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        log = BulkLog(path)
        whole = max((end, what) for end, what in after if end <= length)
        assert waiting(log) == whole[1]
        is_headed = len(MAGIC) <= length
        assert log.bytes == max(whole[0], len(MAGIC) if is_headed else 0)
        assert log.cut_bytes == length - log.bytes
        log.append([put("later")])
        assert waiting(BulkLog(path)) == [*whole[1], ("later", "")]


def test_whichever_byte_is_damaged_a_prefix_is_found(
    tmp_path: Path, history: tuple[bytes, History]
) -> None:
    """What stands before the frame with that byte."""
    content, after = bytearray(history[0]), history[1]
    path = tmp_path / "damaged"
    for place in range(len(content)):
        content[place] ^= 0xFF
        path.write_bytes(content)
        content[place] ^= 0xFF
        assert (
            waiting(BulkLog(path))
            == max((end, what) for end, what in after if end <= place or not end)[1]
        )


@given(garbage=st.binary(max_size=200), at=st.integers(1, len(STEPS)))
def test_whatever_stands_behind_whole_frames_is_cut_off(
    scratch: Path, history: tuple[bytes, History], garbage: bytes, at: int
) -> None:
    """Such as blocks that the system had given the file and not filled."""
    path = scratch / "log"
    length, what = history[1][at]
    path.write_bytes(history[0][:length] + garbage)
    log = BulkLog(path)
    assert waiting(log) == what
    assert log.cut_bytes == len(garbage)


@given(content=st.binary(max_size=400))
def test_no_file_makes_reading_raise(scratch: Path, content: bytes) -> None:
    """Nor allocate what a length in it says."""
    path = scratch / "log"
    for start in (b"", MAGIC):
        path.write_bytes(start + content)
        log = BulkLog(path)
        assert log.read() == {}
        assert log.bytes + log.cut_bytes == len(start + content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["stamp", "record_id", "arguments"]), inner)
        ),
        max_leaves=8,
    )
)
def test_no_frame_that_is_whole_makes_reading_raise(scratch: Path, value: object) -> None:
    """Such as one that a later version wrote."""
    path = scratch / "log"
    texts = [json.dumps(item) for item in (["put", value], value, ["done", value])]
    path.write_bytes(MAGIC + bulk_log._frame(texts))
    assert BulkLog(path).read() == {}


def test_many_operations_are_written_as_several_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each no longer than is read again."""
    monkeypatch.setattr(bulk_log, "FRAME_BYTES_MAX", 2_000)
    log = BulkLog(tmp_path / "log")
    names = [f"r{number}" for number in range(100)]
    log.append([put(name) for name in names])
    assert [name for name, _ in waiting(BulkLog(tmp_path / "log"))] == names
    log.replace([record(name, "x" * 200) for name in names])
    assert [name for name, _ in waiting(BulkLog(tmp_path / "log"))] == names


def test_writing_anew_leaves_only_what_waits(tmp_path: Path) -> None:
    """And appending goes on behind it."""
    log = BulkLog(tmp_path / "log")
    for number in range(100):
        log.append([put(f"r{number}", "canary")])
    log.replace([record("left")])
    assert b"canary" not in (tmp_path / "log").read_bytes()
    log.append([put("later")])
    assert [name for name, _ in waiting(BulkLog(tmp_path / "log"))] == ["left", "later"]
    log.remove()
    assert not (tmp_path / "log").exists()
    assert waiting(BulkLog(tmp_path / "log")) == []


@pytest.mark.parametrize("step", ["ftruncate", "lseek", "write", "fsync"])
def test_an_append_that_fails_leaves_a_prefix_and_the_next_one_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Also if half of it was written."""
    log = BulkLog(tmp_path / "log")
    log.append([put("a")])
    write = os.write
    with monkeypatch.context() as patch:
        half = itertools.count()

        def fails(descriptor: int, *rest: object) -> int:
            if step == "write" and next(half) == 0:
                (content,) = rest
                assert isinstance(content, memoryview)
                return int(write(descriptor, content[: len(content) // 2]))
            raise OSError(28, "No space left on device")

        patch.setattr(f"firmware.store.files.os.{step}", fails)
        with pytest.raises(RecordStoreError, match="No space left"):
            log.append([put("b")])
    names = [name for name, _ in waiting(BulkLog(tmp_path / "log"))]
    assert names == ["a"] or (step == "fsync" and names == ["a", "b"])
    log.append([put("c")])
    assert [name for name, _ in waiting(BulkLog(tmp_path / "log"))] == ["a", "c"]


def test_a_log_that_cannot_be_read_or_written_says_so(tmp_path: Path) -> None:
    """In the tree's own words."""
    (tmp_path / "log").mkdir()
    log = BulkLog(tmp_path / "log")
    for work in (log.read, lambda: log.append([put("a")]), lambda: log.replace([]), log.remove):
        with pytest.raises(RecordStoreError, match="log cannot be"):
            work()


def test_what_a_power_cut_left_half_written_is_gone_at_the_next_start(tmp_path: Path) -> None:
    """It holds words, and nothing would ever remove it."""
    log = BulkLog(tmp_path / "bulk.log")
    log.append([put("a")])
    (tmp_path / "bulk.log.new").write_bytes(b"canary")
    assert list(BulkLog(tmp_path / "bulk.log").read()) == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["bulk.log"]
