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

    def open(self) -> None:
        """Begin to ask for a frame every 20 ms, the first right away. Harmless when open."""

    def close(self) -> None:
        """Fall silent at once; what the device still holds is dropped. Harmless when closed."""
