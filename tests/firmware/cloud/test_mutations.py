"""Records as the calls that carry them."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud.mutations import joined, mutation, told_time
from firmware.store.record import Record, Stamp
from firmware.wall_clock import rfc3339

NOW = Stamp(1_795_000_090_000, clock_set=True, boot_id="one", monotonic_ms=100_000)
SET = Stamp(1_795_000_000_120, clock_set=True, boot_id="one", monotonic_ms=10_000)
UNSET = Stamp(5_000, clock_set=False, boot_id="one", monotonic_ms=10_000)


def record(name: str, function: str = "metrics:record", stamp: Stamp = SET) -> Record:
    """Return a record of this id."""
    return Record(name, function, '{"metrics":{"cpu":1}}', "toy-1", stamp)


def test_a_conversation_without_audio_says_so() -> None:
    """The function wants the key either way."""
    made = mutation([record("c", "conversations:create")], "dev-1", NOW)
    assert made.arguments["audioStorageId"] is None
    stored = record("c", "conversations:create").with_storage_id("s-1")
    assert mutation([stored], "dev-1", NOW).arguments["audioStorageId"] == "s-1"


def test_a_time_by_a_clock_that_was_set_is_told_as_it_is() -> None:
    """Whatever the clock says now."""
    assert told_time(SET, NOW) == {"timestamp": "2026-11-18T11:06:40.120Z"}


def test_a_time_by_a_clock_that_was_not_set_is_told_by_its_age() -> None:
    """Where that is known; and never as if it had been set."""
    assert told_time(UNSET, NOW) == {
        "timestamp": "2026-11-18T11:06:40.000Z",
        "clockSet": False,
        "ageMs": 90_000,
    }
    not_yet = Stamp(95_000, clock_set=False, boot_id="one", monotonic_ms=100_000)
    assert told_time(UNSET, not_yet) == {
        "timestamp": "1970-01-01T00:00:05.000Z",
        "clockSet": False,
        "ageMs": 90_000,
    }
    later = Stamp(NOW.wall_ms, clock_set=True, boot_id="two", monotonic_ms=50)
    assert told_time(UNSET, later) == {
        "timestamp": "1970-01-01T00:00:05.000Z",
        "clockSet": False,
        "ageMs": None,
    }


@given(st.integers())
def test_every_figure_of_a_clock_has_a_timestamp(wall_ms: int) -> None:
    """A clock may say anything; a record on disk, too."""
    told = datetime.fromisoformat(rfc3339(wall_ms))
    assert told.tzinfo == UTC
    if 0 <= wall_ms < 253_402_300_800_000:
        assert round(told.timestamp() * 1000) == wall_ms


def test_a_batch_has_one_id_for_the_same_records_and_another_for_others() -> None:
    """However often it is made, and whenever."""
    one = mutation([record("a"), record("b")], "dev-1", NOW)
    again = mutation([record("a"), record("b")], "dev-1", SET)
    other = mutation([record("a"), record("c")], "dev-1", NOW)
    assert one.arguments["recordId"] == again.arguments["recordId"]
    assert one.arguments["recordId"] != other.arguments["recordId"]


def test_only_metrics_are_joined() -> None:
    """As far as they go."""
    log = record("l", "logs:create")
    assert joined([record("a"), record("b"), log, record("c")]) == [record("a"), record("b")]
    assert joined([log, record("a")]) == [log]
