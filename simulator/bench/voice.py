"""The voice, measured at the sound server."""

from __future__ import annotations

from typing import Final

from firmware.bench.section import Figure, Tell

TAKES_S: Final = 480


def measure(tell: Tell) -> list[Figure]:
    """Measure everything."""
    tell("the voice")
    return []
