"""Answers of the device's own, of which there are none yet."""

from __future__ import annotations

import pytest

from firmware.voice.offline import OfflineAnswers
from states.effects import EFFECTS
from tests.firmware.voice.rig import Posted


@pytest.mark.parametrize("effect", ["answer_offline", "say"])
def test_it_says_at_once_that_it_has_no_answer(effect: str) -> None:
    """The table apologises; nobody waits for a timeout."""
    posted = Posted()
    fields = dict.fromkeys(EFFECTS[effect].fields, "x") | {"turn": 3}
    OfflineAnswers(posted).effects[effect](**fields)
    assert posted == [("answer_failed", {"turn": 3})]


def test_a_guardian_whose_words_are_not_spoken_is_told_so() -> None:
    """Nobody else knows that they were not."""
    answers: list[tuple[object, ...]] = []
    posted = Posted()
    OfflineAnswers(posted, lambda *answer: answers.append(answer)).effects["say"](
        turn=3, command="c1"
    )
    assert answers == [("c1", "unsupported")]
    assert posted == [("answer_failed", {"turn": 3})]
