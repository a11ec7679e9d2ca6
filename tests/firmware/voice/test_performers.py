"""What the performers of this package take and give, against the machine's vocabulary."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from firmware.voice import capture, playback
from hardware.sim.clock import run_virtual
from states.effects import EFFECTS
from states.events import EVENTS
from tests.firmware.voice.rig import CaptureRig, PlaybackRig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from firmware.ports import PerformEffect


def all_effects() -> list[Mapping[str, PerformEffect]]:
    """The effects of each performer."""

    async def main() -> list[Mapping[str, PerformEffect]]:
        return [
            CaptureRig().capture.effects,
            PlaybackRig().playback.effects,
        ]

    return run_virtual(main())


def test_every_effect_takes_exactly_its_fields() -> None:
    """By name: the loop calls with the effect's fields as keywords."""
    for effects in all_effects():
        for name, perform in effects.items():
            assert tuple(inspect.signature(perform).parameters) == EFFECTS[name].fields, name


@pytest.mark.parametrize("module", [capture, playback])
def test_every_event_is_posted_with_its_fields(module: ModuleType) -> None:
    """As the vocabulary has them."""
    posts = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self._post"
    ]
    assert posts
    for call in posts:
        fields = {keyword.arg for keyword in call.keywords}
        for name in event_names(call.args[0]):
            assert fields == set(EVENTS[name].fields), name


def event_names(argument: Any) -> list[str]:  # noqa: ANN401 - a node of the syntax tree
    """The events that the first argument of a post can name."""
    if isinstance(argument, ast.Constant):
        return [str(argument.value)]
    assert ast.unparse(argument) == "f'speech_{boundary}'"
    return ["speech_started", "speech_ended"]
