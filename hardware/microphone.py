"""The microphone: 20 ms frames while it is open, nothing at all while it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

OnFrame = Callable[[bytes, int], None]
"""Takes one frame (`hardware.pcm.FRAME_BYTES` of 16 kHz mono s16le) and the monotonic milliseconds
at which its first sample was captured. Called in the loop; must return quickly."""


class Microphone(Protocol):
    """A source of frames, constructed with an `OnFrame`."""

    @property
    def is_open(self) -> bool:
        """Whether sound is being taken in."""

    def open(self) -> None:
        """Begin a frame now, which is delivered when it is full. Harmless when open."""

    def close(self) -> None:
        """End at once: not one more frame, and what was begun is thrown away. Harmless when closed.

        A frame holds only what was captured after the last `open`.
        """
