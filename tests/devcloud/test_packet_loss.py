from __future__ import annotations

import itertools

import pytest

from devcloud.audio import AudioFormat
from devcloud.dialects.messages import Piece
from devcloud.faults import FaultBoard
from devcloud.packet_loss import PacketLoss

PACKETS = 1_000


def sent(board: FaultBoard, packets: int = PACKETS) -> list[tuple[int, float]]:
    """Send packets of 20 ms in real time; which arrive, and when, in seconds."""
    way = PacketLoss(board)
    arrived: list[tuple[int, float]] = []
    for n in range(packets):
        piece = Piece(b"opus", n, AudioFormat.OPUS, 16_000, n * 20)
        arrived += [(one.sequence, at_s) for one, at_s in way.send(piece, n / 50)]
    return arrived + [(one.sequence, at_s) for one, at_s in way.rest()]


def faults(**changes: int) -> FaultBoard:
    board = FaultBoard()
    board.set(changes)
    return board


def test_without_a_fault_everything_arrives_when_it_is_due() -> None:
    assert sent(faults()) == [(n, n / 50) for n in range(PACKETS)]


def test_so_many_are_lost_and_the_rest_is_as_it_was() -> None:
    board = faults(reply_loss_percent=10)
    arrived = sent(board)
    assert arrived == sorted(arrived)
    assert all(at_s == n / 50 for n, at_s in arrived)
    assert board.count("reply_loss_percent") == PACKETS - len(arrived) == pytest.approx(100, abs=40)


def test_so_many_come_behind_the_one_that_follows_and_none_is_lost() -> None:
    board = faults(reply_reorder_percent=20)
    order = [n for n, _ in sent(board)]
    assert sorted(order) == list(range(PACKETS))
    behind = sum(a > b for a, b in itertools.pairwise(order))
    assert board.count("reply_reorder_percent") == pytest.approx(behind, abs=1)
    assert behind == pytest.approx(170, abs=50)


def test_jitter_delays_within_its_bounds_and_keeps_the_order() -> None:
    board = faults(reply_jitter_ms=100)
    arrived = sent(board)
    late_s = [at_s - n / 50 for n, at_s in arrived]
    assert [n for n, _ in arrived] == list(range(PACKETS))
    assert [at_s for _, at_s in arrived] == sorted(at_s for _, at_s in arrived)
    assert min(late_s) >= 0
    assert 0.08 < max(late_s) <= 0.1
    assert board.count("reply_jitter_ms") == PACKETS


def test_the_same_packets_are_struck_in_every_reply_until_another_seed_is_given() -> None:
    worst = {"reply_loss_percent": 10, "reply_reorder_percent": 10, "reply_jitter_ms": 100}
    board = faults(**worst)
    assert sent(board) == sent(board) == sent(faults(**worst))
    assert sent(faults(**worst, reply_fault_seed=1)) != sent(board)
    lost = set(range(PACKETS)) - {n for n, _ in sent(board)}
    assert lost == set(range(PACKETS)) - {n for n, _ in sent(faults(reply_loss_percent=10))}


def test_the_last_one_arrives_although_nothing_follows_it() -> None:
    assert sent(faults(reply_reorder_percent=100), packets=3) == [(1, 0.02), (0, 0.02), (2, 0.04)]


def test_all_may_be_lost() -> None:
    assert sent(faults(reply_loss_percent=100)) == []
