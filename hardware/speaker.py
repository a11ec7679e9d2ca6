"""The speaker: pulls 20 ms of sound at a time while it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Source = Callable[[int], bytes]
"""Asked for so many samples, returns exactly that much 16 kHz mono s16le: 2 bytes for each. It pads
with silence when it has nothing to say, never blocks and never raises: a sound card's callback has
no patience, and a short answer ends the stream."""


class Speaker(Protocol):
    """A sink of sound, constructed with a `Source`."""

    @property
    def is_open(self) -> bool:
        """Whether sound is being asked for."""

    @property
    def latency_ms(self) -> int:
        """How long after it is pulled a sample is heard; 0 where there is no telling.

        It may be asked for in any thread. Asked for by the source it says it of what is being
        pulled.
        """

    def open(self) -> None:
        """Begin to ask for a frame every 20 ms, the first right away. Harmless when open."""

    def close(self) -> None:
        """Fall silent at once; what the device still holds is dropped. Harmless when closed."""
