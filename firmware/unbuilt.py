"""What the table asks for and this build cannot do yet: said aloud, never silently.

The table is whole from the start, the firmware grows towards it. An effect that nothing performs
yet is named here with what it means for the person who meets it; when its part is built, its line
goes. The README's status is made from this list.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from firmware.ports import Acknowledge, PerformEffect

UNBUILT: Final[Mapping[str, str]] = {
    "extend": "play time is not limited, so it cannot be extended",
    "reboot": "a restart takes a person",
    "update": "an update takes a person",
    "start_setup": "set-up is done by editing the configuration file",
    "stop_setup": "set-up is done by editing the configuration file",
}

_log = logging.getLogger(__name__)


class Unbuilt:
    """Performs the effects of `UNBUILT` by saying that they cannot be.

    Args:
        acknowledge: Answers the guardian's command that asked for one of them; None where no
            commands are received.
    """

    def __init__(self, acknowledge: Acknowledge | None) -> None:
        self._acknowledge = acknowledge

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs, in its way."""
        return {name: partial(self._say, name) for name in UNBUILT}

    def _say(self, effect: str, **fields: object) -> None:
        told = ", ".join(f"{name}={value}" for name, value in fields.items())
        _log.warning("%s(%s): %s", effect, told, UNBUILT[effect])
        command = fields.get("command")
        if self._acknowledge is not None and isinstance(command, str):
            self._acknowledge(command, "unsupported")
