"""How long to wait before trying again: full jitter under a ceiling that doubles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class Backoff:
    """The waits of one kind of retry.

    Each wait is drawn evenly from 0 to a ceiling, which starts at `ceiling_ms_min` and doubles up
    to `ceiling_ms_max`. So a thousand toys that failed together do not come back together (M.
    Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """

    def __init__(self, ceiling_ms_min: int, ceiling_ms_max: int, random: Random) -> None:
        self._ceiling_ms_min = ceiling_ms_min
        self._ceiling_ms_max = ceiling_ms_max
        self._random = random
        self._ceiling_ms = ceiling_ms_min

    def next_delay_ms(self) -> int:
        """Draw the next wait, in milliseconds."""
        ceiling_ms = self._ceiling_ms
        self._ceiling_ms = min(2 * ceiling_ms, self._ceiling_ms_max)
        return self._random.randint(0, ceiling_ms)

    def reset(self) -> None:
        """Begin again with short waits: it has worked."""
        self._ceiling_ms = self._ceiling_ms_min
