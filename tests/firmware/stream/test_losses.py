"""The share of packets that never come."""

from __future__ import annotations

import pytest

from firmware.stream.losses import PIECES_MIN, Losses


def test_nothing_is_known_before_the_first_reply() -> None:
    """No loss is another thing than none yet seen."""
    assert Losses().percent is None


def test_first_reply_counts_for_itself() -> None:
    """There is nothing to smooth it with."""
    losses = Losses()
    losses.note(5, 50)
    assert losses.percent == 10


def test_later_replies_move_it_by_half_the_way() -> None:
    """One bad reply is not the network."""
    losses = Losses()
    for missing in (0, 20, 0, 0):
        losses.note(missing, 100)
    assert losses.percent == pytest.approx(2.5)


def test_a_short_reply_tells_nothing() -> None:
    """One packet would be a tenth of it and more."""
    losses = Losses()
    losses.note(1, PIECES_MIN - 1)
    assert losses.percent is None
