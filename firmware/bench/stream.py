"""What speech costs on the wire, in each dialect of the stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from firmware.bench import wire
from firmware.bench.section import Figure, Tell

TAKES_S: Final = 5
SPEECH_BYTES_PER_S_MAX: Final = 4_000
"""32 kbit/s, for an utterance in Opus at 24."""


def measure(tell: Tell) -> list[Figure]:
    """Encode some speech in each."""
    tell("speech on the wire")
    costs = wire.costs()
    budgets: Mapping[str, float | None] = {"binary": SPEECH_BYTES_PER_S_MAX}
    figures = [
        Figure(
            "stream", f"{name}, an utterance", "bytes/s", cost.utterance, None, budgets.get(name)
        )
        for name, cost in costs.items()
    ]
    tls = wire.TLS_BYTES_PER_RECORD * wire.FRAMES_PER_S
    return [
        *figures,
        Figure("stream", "binary, without a pause", "bytes/s", costs["binary"].voice, None, None),
        Figure("stream", "TLS on top of each, estimated", "bytes/s", tls, None, None),
    ]
