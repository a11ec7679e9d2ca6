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
