from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.errors import SettingsError
from devcloud.faults import FaultBoard, Faults

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


def test_a_fault_stays_until_it_is_ended() -> None:
    board = FaultBoard()
    board.set({"cut_stream_after_chunks": 5})
    board.set({"no_reply": True})
    assert board.now == Faults(cut_stream_after_chunks=5, no_reply=True)
    board.set({"cut_stream_after_chunks": None})
    assert board.now == Faults(no_reply=True)


def test_how_often_a_fault_struck_is_counted() -> None:
    board = FaultBoard()
    board.struck("no_reply")
    board.struck("no_reply")
    struck = board.to_json()["struck"]
    assert isinstance(struck, dict)
    assert set(struck.pop("network").values()) == {0}
    assert struck.pop("no_reply") == board.count("no_reply") == 2
    assert set(struck.values()) == {0}


def test_a_fault_of_calls_ends_by_itself_when_it_has_struck_often_enough() -> None:
    board = FaultBoard()
    board.set({"http_status": {"times": 2}})
    statuses = [fault and fault.status for fault in map(board.strike, ["http_status"] * 3)]
    assert statuses == [503, 503, None]
    assert board.now == Faults()


def test_a_fault_of_calls_strikes_the_function_that_it_names_alone() -> None:
    board = FaultBoard()
    board.set({"garbage": {"function": "toys:getConfiguration"}})
    assert board.strike("garbage", "devices:commands") is None
    assert board.strike("garbage") is None
    assert board.strike("garbage", "toys:getConfiguration")
    assert board.to_json()["garbage"] == {
        "function": "toys:getConfiguration",
        "times": None,
        "status": None,
        "to": None,
        "kind": "text",
        "after_bytes": None,
    }


def test_all_faults_can_be_ended_together() -> None:
    board = FaultBoard()
    nothing = board.to_json()
    board.set({"no_reply": True, "commit_then_drop": True, "network": [{"refuse": True}]})
    assert board.to_json() != nothing
    board.clear()
    assert board.to_json() == nothing


def test_an_unknown_fault_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(SettingsError, match="did you mean 'no_reply'"):
        FaultBoard().set({"no_replay": True})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cut_stream_after_chunks", 0),
        ("cut_stream_after_chunks", True),
        ("cut_reply_after_packets", -1),
        ("no_reply", 1),
        ("reply_delay_ms", 0.5),
        ("reply_delay_ms", None),
        ("reply_loss_percent", 101),
        ("reply_loss_percent", None),
        ("reply_reorder_percent", -1),
        ("reply_jitter_ms", 10_001),
        ("reply_fault_seed", "seed"),
        ("refuse_auth", "yes"),
        ("token_lifetime_s", 0),
        ("token_lifetime_s", True),
        ("token_lifetime_s", 1e300),
        ("http_status", 200),
    ],
)
def test_a_fault_that_cannot_be_is_refused_and_nothing_changes(name: str, value: Json) -> None:
    board = FaultBoard()
    with pytest.raises(SettingsError, match=name):
        board.set({"no_reply": True, name: value})
    assert board.now == Faults()
