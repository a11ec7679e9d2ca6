"""What this build cannot do is said, every time, and hurts nobody."""

from __future__ import annotations

import pytest

from firmware.unbuilt import UNBUILT, Unbuilt
from states.effects import EFFECTS
from tests.firmware.voice.rig import Posted


@pytest.mark.parametrize("effect", sorted(UNBUILT))
def test_an_unbuilt_effect_says_what_it_means_for_a_person(
    effect: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with the effect, what it was to be done with, and what happens instead."""
    fields = dict.fromkeys(EFFECTS[effect].fields, "x")
    Unbuilt(Posted()).effects[effect](**fields)
    (record,) = caplog.records
    told = ", ".join(f"{field}=x" for field in fields)
    assert record.message == f"{effect}({told}): {UNBUILT[effect]}"
    assert record.levelname == "WARNING"


def test_an_erase_that_cannot_be_done_is_reported_as_failed() -> None:
    """The machine waits for an answer; of the others none is expected."""
    posted = Posted()
    performer = Unbuilt(posted)
    for effect in UNBUILT:
        performer.effects[effect](**dict.fromkeys(EFFECTS[effect].fields, "x"))
    assert posted == [("erase_failed", {})]


def test_what_an_unbuilt_effect_should_lead_to_is_told_in_its_place() -> None:
    """Effects whose results the machine waits for are not silently swallowed here."""
    waited_for = {name for name in UNBUILT if EFFECTS[name].results}
    assert waited_for == {"erase"}
