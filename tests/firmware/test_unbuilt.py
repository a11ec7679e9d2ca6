"""What this build cannot do is said, every time, and hurts nobody."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import firmware
from firmware.cloud.configuration import ToyConfiguration
from firmware.unbuilt import NOT_ACTED_ON, UNBUILT, Unbuilt
from states.effects import EFFECTS
from states.events import EVENTS, Event, check
from tests.firmware.cloud.examples import configuration
from tests.firmware.voice.rig import Posted

CONFIGURATION = Path("cloud", "configuration.py")


@pytest.mark.parametrize("effect", sorted(UNBUILT))
def test_an_unbuilt_effect_says_what_it_means_for_a_person(
    effect: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with the effect, what it was to be done with, and what happens instead."""
    fields = dict.fromkeys(EFFECTS[effect].fields, "x")
    Unbuilt(Posted(), None).effects[effect](**fields)
    (record,) = caplog.records
    told = ", ".join(f"{field}=x" for field in fields)
    assert record.message == f"{effect}({told}): {UNBUILT[effect]}"
    assert record.levelname == "WARNING"


def test_a_command_that_cannot_be_carried_out_is_answered() -> None:
    """As unsupported, so that the guardian does not wait for it; where nobody commanded, nobody."""
    answers: list[tuple[object, ...]] = []
    performer = Unbuilt(Posted(), lambda *answer: answers.append(answer))
    for effect in ("reboot", "update", "extend"):
        performer.effects[effect](command=f"c-{effect}")
    performer.effects["say"](turn=3, command="c-say")
    performer.effects["update"](command=None)
    performer.effects["start_setup"]()
    assert answers == [
        (f"c-{effect}", "unsupported") for effect in ("reboot", "update", "extend", "say")
    ]


@pytest.mark.parametrize("effect", sorted(UNBUILT))
def test_whoever_waits_for_an_unbuilt_effect_is_told_at_once(effect: str) -> None:
    """The table apologises; nobody waits for a timeout, and nothing else comes of it."""
    posted = Posted()
    fields = dict.fromkeys(EFFECTS[effect].fields, "x") | {"turn": 3}
    Unbuilt(posted, None).effects[effect](**fields)
    if EFFECTS[effect].results:
        ((name, told),) = posted
        assert (name, told) == ("answer_failed", {"turn": 3})
        assert name in EFFECTS[effect].results
        assert check(Event(name, told)) is EVENTS[name]
    else:
        assert posted == []


def test_settings_that_are_not_acted_on_are_named_as_such() -> None:
    """Each is a key of the configuration, and nothing but its parser reads it."""
    sent = configuration()
    assert sent.keys() >= NOT_ACTED_ON.keys()
    fields = {_field(key) for key in NOT_ACTED_ON}
    assert fields <= set(ToyConfiguration.__dataclass_fields__)
    root = Path(firmware.__file__).parent
    read = {
        node.attr
        for path in root.rglob("*.py")
        if path.relative_to(root) != CONFIGURATION
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ToyConfiguration.__dataclass_fields__
    }
    unused = {_field(key) for key in sent} & set(ToyConfiguration.__dataclass_fields__) - read
    assert fields & read <= {"voice"}  # a section of the device's own settings is called so too
    assert unused - fields == set()


def _field(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
