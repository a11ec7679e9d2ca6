"""Replies that go on although nobody wants them any more: what every fence has to hold against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reply is to go on: of that turn, or of any; of that device, or of any."""

    turn: int | None
    device_id: str | None

    def fits(self, device_id: str, turn: int | None) -> bool:
        """Tell whether that reply is meant; where turns have no number, every turn is."""
        return self.device_id in {None, device_id} and (turn is None or self.turn in {None, turn})


class LateAudio:
    """At most one reply to let go on after it was cancelled or another utterance began."""

    def __init__(self) -> None:
        self.wanted: Wanted | None = None

    def strikes(self, device_id: str, turn: int | None) -> bool:
        """Tell whether a reply would go on."""
        return bool(self.wanted and self.wanted.fits(device_id, turn))

    def takes(self, device_id: str, turn: int | None) -> bool:
        """Tell it once: what was wanted is not wanted again."""
        strikes = self.strikes(device_id, turn)
        if strikes:
            self.wanted = None
        return strikes
