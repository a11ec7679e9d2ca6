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
    assert board.to_json()["struck"] == {
        "cut_stream_after_chunks": 0,
        "cut_reply_after_packets": 0,
        "no_reply": 2,
        "reply_delay_ms": 0,
        "refuse_auth": 0,
        "network": {
            "latency": 0,
            "loss": 0,
            "cut": 0,
            "half_open": 0,
            "accept_and_stall": 0,
            "refuse": 0,
        },
    }


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
        ("refuse_auth", "yes"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_and_nothing_changes(name: str, value: Json) -> None:
    board = FaultBoard()
    with pytest.raises(SettingsError, match=name):
        board.set({"no_reply": True, name: value})
    assert board.now == Faults()
