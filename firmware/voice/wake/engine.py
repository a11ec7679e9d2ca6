"""What hears a wake word."""

from __future__ import annotations

from typing import Protocol


class Engine(Protocol):
    """Hears one wake word in one sound, a frame at a time and in order.

    It belongs to one thread at a time.
    """

    def hear(self, frame: bytes) -> bool:
        """Take the next frame of `hardware.pcm.FRAME_BYTES`; whether the word ends in it.

        What is computed takes some tenths of a millisecond, and now and then, where the word may
        have been, some tens. A word is told once, up to 300 ms after its last sound.
        """

    @property
    def is_likely(self) -> bool:
        """Whether what was heard last may be becoming the word: lower the toy's own voice."""

    def reset(self) -> None:
        """Forget what was heard: what comes next is something else."""

    def close(self) -> None:
        """Give back what it holds; harmless when done twice. Nothing is heard afterwards."""
