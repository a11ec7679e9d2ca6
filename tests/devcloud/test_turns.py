from __future__ import annotations

from devcloud.turns import TURNS_MAX, TurnLog


def test_the_list_of_turns_is_bounded() -> None:
    turns = TurnLog()
    for connection in range(TURNS_MAX + 5):
        turns.begin(connection, "seed", None)
    listed = turns.to_json()
    assert len(listed) == TURNS_MAX
    assert listed[0]["connection"] == 5
