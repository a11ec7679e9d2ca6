"""What this build cannot do is said, every time, and hurts nobody."""

from __future__ import annotations

import pytest

from firmware.unbuilt import UNBUILT, Unbuilt
from states.effects import EFFECTS


@pytest.mark.parametrize("effect", sorted(UNBUILT))
def test_an_unbuilt_effect_says_what_it_means_for_a_person(
    effect: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with the effect, what it was to be done with, and what happens instead."""
    fields = dict.fromkeys(EFFECTS[effect].fields, "x")
    Unbuilt(None).effects[effect](**fields)
    (record,) = caplog.records
    told = ", ".join(f"{field}=x" for field in fields)
    assert record.message == f"{effect}({told}): {UNBUILT[effect]}"
    assert record.levelname == "WARNING"


def test_a_command_that_cannot_be_carried_out_is_answered() -> None:
    """As unsupported, so that the guardian does not wait for it; where nobody commanded, nobody."""
    answers: list[tuple[object, ...]] = []
    performer = Unbuilt(lambda *answer: answers.append(answer))
    for effect in ("reboot", "update", "extend"):
        performer.effects[effect](command=f"c-{effect}")
    performer.effects["update"](command=None)
    performer.effects["start_setup"]()
    assert answers == [(f"c-{effect}", "unsupported") for effect in ("reboot", "update", "extend")]


def test_nothing_that_the_machine_waits_for_is_unbuilt() -> None:
    """Effects whose results the machine waits for are not silently swallowed here."""
    assert not [name for name in UNBUILT if EFFECTS[name].results]
