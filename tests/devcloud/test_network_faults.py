from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.errors import SettingsError
from devcloud.faults import FaultBoard
from devcloud.network_faults import NetworkBoard, NetworkFault, parse

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json


def test_rules_are_a_list_or_one_or_none() -> None:
    assert parse(None) == parse([]) == ()
    assert parse({"latency_ms": 5}) == parse([{"latency_ms": 5}]) == (NetworkFault(latency_ms=5),)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("slow", "a rule is an object"),
        ([{}] * 17, "at most 16"),
        ({"latency": 5}, "did you mean 'latency_ms'"),
        ({"latency_ms": True}, "milliseconds"),
        ({"jitter_ms": -1}, "milliseconds"),
        ({"loss_percent": 100.5}, "percent"),
        ({"cut_after_bytes": 0.5}, "bytes"),
        ({"cut_connections_max": 0}, "1 or more"),
        ({"half_open": 1}, "true or false"),
        ({"channel": "video"}, "http, sync, stream"),
        ({"channel": []}, "http, sync, stream"),
        ({"direction": "left"}, "up, down"),
        ({"connections": "some"}, "established, new"),
        ({"refuse": True, "channel": "stream"}, "closes the port to all"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_and_nothing_changes(value: Json, says: str) -> None:
    board = FaultBoard()
    with pytest.raises(SettingsError, match=says):
        board.set({"no_reply": True, "network": value})
    assert not board.now.no_reply
    assert board.network.rules == ()


def test_with_tls_a_rule_is_for_all_channels() -> None:
    board = FaultBoard()
    board.network.channels_can_be_told = False
    board.set({"network": {"latency_ms": 1}})
    with pytest.raises(SettingsError, match="TLS"):
        board.set({"network": {"latency_ms": 1, "channel": "sync"}})


def test_rules_stay_until_they_are_replaced() -> None:
    board = FaultBoard()
    board.set({"network": {"half_open": True}})
    board.set({"no_reply": True})
    listed = board.to_json()["network"]
    assert isinstance(listed, list)
    assert listed[0]["half_open"] is True
    board.set({"network": None})
    assert board.to_json()["network"] == []


def test_a_rule_that_is_set_again_knows_who_was_new_to_it() -> None:
    board = NetworkBoard()
    rule = NetworkFault(connections="established", half_open=True)
    board.set((rule,))
    accepted = board.generation
    board.set((rule, NetworkFault(latency_ms=1)))
    assert board.is_new(rule, accepted)
    board.set(())
    board.set((rule,))
    assert not board.is_new(rule, accepted)


def test_a_rule_cuts_only_so_many() -> None:
    board = NetworkBoard()
    rule = NetworkFault(cut_after_bytes=0, cut_connections_max=1)
    board.set((rule,))
    assert board.may_cut(rule)
    board.cut(rule)
    assert not board.may_cut(rule)
    assert board.struck_to_json()["cut"] == 1
