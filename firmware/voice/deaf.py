"""The ear of a toy that knows no wake word."""

from __future__ import annotations


class DeafEar:
    """A `firmware.ports.Ear` that hears nothing: only the button begins a turn."""

    heard_ms: int | None = None

    def begin(self) -> None:
        """Do nothing."""

    def hear(self, frame: bytes, captured_ms: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""
