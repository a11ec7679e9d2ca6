from __future__ import annotations

import pytest

from devcloud.dialects.messages import TURN_MAX, is_newer


@pytest.mark.parametrize(
    ("turn", "than", "newer"),
    [
        (1, 0, True),
        (0, 1, False),
        (7, 7, False),
        (0, TURN_MAX, True),
        (TURN_MAX, 0, False),
        (2**31 - 1, 0, True),
        (2**31, 0, False),
    ],
)
def test_a_turn_is_newer_also_after_its_number_has_wrapped_around(
    turn: int, than: int, *, newer: bool
) -> None:
    assert is_newer(turn, than) is newer
