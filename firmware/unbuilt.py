"""What is asked for and this build cannot do yet: said aloud, never silently.

The table is whole from the start, and so is what a guardian can set; the firmware grows towards
both. An effect that is not performed yet, and a setting that is not acted on yet, are named here
with what that means for the person who meets it; when its part is built, its line goes. The
README's status is made from these lists.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from firmware.ports import Acknowledge, PerformEffect, Post

UNBUILT: Final[Mapping[str, str]] = {
    "say": "a guardian's words are not spoken; the command is answered as unsupported",
    "answer_offline": "without the gateway the toy only apologises",
    "extend": "play time is not limited, so it cannot be extended",
    "reboot": "a restart takes a person",
    "update": "an update takes a person",
    "start_setup": "set-up is done by editing the configuration file",
    "stop_setup": "set-up is done by editing the configuration file",
}
"""Effects (`states.effects`)."""

NOT_ACTED_ON: Final[Mapping[str, str]] = {
    "quietHours": "the toy does not go to sleep by itself",
    "dailyPlayMinutes": "nobody counts how long it is played with",
    "safetyLevel": "whatever the cloud answers is played; only the cloud can be strict",
    "allowedTopics": "only the cloud can keep to them",
    "blockedTopics": "only the cloud can keep from them",
    "voice": "the toy plays whatever voice the cloud speaks with",
}
"""Keys of a toy's configuration that are received, checked, and change nothing on the device."""

_RESULT: Final = "answer_failed"
"""What comes of an unbuilt effect whose result the machine waits for: the table apologises."""

_AWAITED: Final = frozenset({"say", "answer_offline"})

_log = logging.getLogger(__name__)


class Unbuilt:
    """Performs the effects of `UNBUILT` by saying that they cannot be.

    Args:
        post: Where the failure goes, of those whose result the machine waits for.
        acknowledge: Answers the guardian's command that asked for one of them; None where no
            commands are received.
    """

    def __init__(self, post: Post, acknowledge: Acknowledge | None) -> None:
        self._post = post
        self._acknowledge = acknowledge

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs, in its way."""
        return {name: partial(self._say, name) for name in UNBUILT}

    def _say(self, effect: str, **fields: object) -> None:
        told = ", ".join(f"{name}={value}" for name, value in fields.items())
        _log.warning("%s(%s): %s", effect, told, UNBUILT[effect])
        command, turn = fields.get("command"), fields.get("turn")
        if self._acknowledge is not None and isinstance(command, str):
            self._acknowledge(command, "unsupported")
        if effect in _AWAITED and isinstance(turn, int):
            self._post(_RESULT, turn=turn)
