"""A way on which a reply's packets get lost, come late and overtake one another, always alike."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devcloud.dialects.messages import Piece
    from devcloud.faults import FaultBoard


class PacketLoss:
    """The way of one reply, by the faults that are in force as each packet sets out.

    What happens to a packet is drawn from ``reply_fault_seed`` and its place in the reply: the same
    packets of every reply are struck, whatever else is going on.
    """

    def __init__(self, faults: FaultBoard) -> None:
        self._faults = faults
        self._chance = Random(faults.now.reply_fault_seed)  # noqa: S311 - to be foreseen
        self._last_s = 0.0
        self._overtaken: Piece | None = None

    def send(self, piece: Piece, due_s: float) -> Iterator[tuple[Piece, float]]:
        """Give what arrives now that a packet sets out, and when: seconds, as ``due_s`` is.

        Times never fall: jitter alone delays, and keeps the order.
        """
        now = self._faults.now
        # All three every time, so that one fault does not shift another's draws.
        lost, overtaken, late = (self._chance.random() for _ in range(3))
        if lost * 100 < now.reply_loss_percent:
            self._faults.struck("reply_loss_percent")
            return
        if now.reply_jitter_ms:
            self._faults.struck("reply_jitter_ms")
            due_s += late * now.reply_jitter_ms / 1000
        self._last_s = max(self._last_s, due_s)
        if self._overtaken is None and overtaken * 100 < now.reply_reorder_percent:
            self._faults.struck("reply_reorder_percent")
            self._overtaken = piece
            return
        yield piece, self._last_s
        yield from self.rest()

    def rest(self) -> Iterator[tuple[Piece, float]]:
        """Give what is still under way at the reply's end; as ``send``."""
        piece, self._overtaken = self._overtaken, None
        if piece:
            yield piece, self._last_s
