"""How much of what is sent gets lost, as the replies tell."""

from __future__ import annotations

from typing import Final

PIECES_MIN: Final = 10
"""Of a shorter reply no share is taken: one packet would be too much of it."""

NEWEST_SHARE: Final = 0.5
"""Weight of the newest reply against all before it: a network of an hour ago says little."""


class Losses:
    """The share of packets that never come, smoothed over replies.

    Attributes:
        percent: 0 to 100; None before the first reply that tells.
    """

    def __init__(self) -> None:
        self.percent: float | None = None

    def note(self, missing: int, sent: int) -> None:
        """Note that of `sent` packets of a reply, `missing` never came."""
        if sent < PIECES_MIN:
            return
        newest = 100 * missing / sent
        before = newest if self.percent is None else self.percent
        self.percent = before + NEWEST_SHARE * (newest - before)
