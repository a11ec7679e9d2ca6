"""The jitter buffer: evens out the arrival of a reply's packets, and puts them in order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from firmware.voice.packet import Lost, Packet, duration_ms, size_bytes
from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    from firmware.voice.arrivals import Arrivals

JUMP_MAX: Final = 250
"""How far a packet's number may lie from the last one's. What lies further is no loss of five
seconds: the other end has begun to count anew, or cannot count."""

LOST_IN_A_ROW_MAX: Final = 10
"""Packets that are filled in one after the other: by then nothing more is heard. The rest of a gap
is left out."""

STRETCHES_MAX: Final = 2
"""Frames of time that are made at one gap, where the network turns out to be slower."""

_ABOUT_TO_SOUND_MS: Final = 2 * FRAME_MS
"""At a gap that cannot wait: the last frame that is ready, and the missing one."""

Fate = Literal["taken", "refused", "late", "duplicate"]
"""What becomes of a packet."""


class JitterBuffer:
    """Packets of one reply, held back a little at its beginning.

    It *collects* until as much sound is there as the arrivals ask for, or that much time has passed
    since the first packet, or no more will come; then it gives packets out as they are asked for.
    Whoever plays them says with `run_dry` that the listener hears a gap, and it collects anew.

    Packets that bear numbers are put in order. One that is missing is waited for as long as there
    is something else to play; then `Lost` stands in for it, and should it still come it is late.
    Where packets turn out to come later than was planned for, such a gap is stretched, and all that
    follows has more time. Packets without numbers are in order as they come, and none is missed.

    No clock is in it: who calls says what time it is, in monotonic milliseconds.

    Args:
        arrivals: Tells how much is collected, and is told of every packet.
        ms_max: How much sound it takes; what comes then is refused, because it lies furthest from
            being heard.
        bytes_max: The same in bytes.
    """

    def __init__(self, arrivals: Arrivals, *, ms_max: int, bytes_max: int) -> None:
        self._arrivals = arrivals
        self._ms_max = ms_max
        self._bytes_max = bytes_max
        self._packets: dict[int, Packet] = {}
        self._next = 0
        """The number of the packet that is to be given out next …"""
        self._end = 0
        """… and one more than the highest that is known of. Ours, not the other end's: …"""
        self._offset: int | None = None
        """… so much is added to his; None before the first."""
        self._media_ms = 0.0
        self._lost_in_a_row = 0
        self._stretches = 0
        self._has_given = False
        self._depth_ms = 0.0
        self._depth_bytes = 0
        self._is_collecting = True
        self._collecting_since_ms = 0
        self._is_finished = False
        arrivals.begin()

    @property
    def depth_ms(self) -> float:
        """How much sound it holds."""
        return self._depth_ms

    @property
    def is_awaiting(self) -> bool:
        """Whether the next packet is the first, or the first after a gap."""
        return self._is_collecting and not self._packets and not self._is_finished

    @property
    def is_complete(self) -> bool:
        """Whether no packet is missing of a reply that has ended."""
        return self._is_finished and len(self._packets) == self._end - self._next

    @property
    def is_over(self) -> bool:
        """Whether everything was given out and no more will come."""
        return self._is_finished and not self._packets and not self._has_missing_end

    def push(self, packet: Packet, now_ms: int, number: int | None = None) -> Fate:
        """Take the next packet, and say what became of it; `number` is as the other end counts."""
        depth_ms = self._depth_ms + duration_ms(packet)
        depth_bytes = self._depth_bytes + size_bytes(packet)
        if depth_ms > self._ms_max or depth_bytes > self._bytes_max:
            return "refused"
        place = self._place(number)
        if place in self._packets:
            return "duplicate"
        if place < self._next and self._has_given:
            return "late"
        if self._is_finished and place >= self._end:
            return "refused"
        if self.is_awaiting:
            self._collecting_since_ms = now_ms
        self._note_arrival(packet, now_ms, place, is_numbered=number is not None)
        self._packets[place] = packet
        self._next = min(self._next, place)
        self._end = max(self._end, place + 1)
        self._depth_ms, self._depth_bytes = depth_ms, depth_bytes
        return "taken"

    def finish(self, pieces: int | None = None) -> None:
        """Note that no more will come but what is missing, of `pieces` in all, if that is known."""
        self._is_finished = True
        if pieces is not None and self._offset is not None:
            end = pieces + self._offset
            # The other end may count pieces from another number than 0: then this tells nothing.
            if self._end < end <= self._end + JUMP_MAX:
                self._end = end

    def run_dry(self) -> bool:
        """Collect anew, because the listener hears a gap.

        Returns False if that is no news: it collects already, there are packets, or it is over.
        """
        if self._is_collecting or self._packets or self._is_finished:
            return False
        self._is_collecting = True
        self._arrivals.run_dry()
        return True

    def collected_in_ms(self, now_ms: int) -> int:
        """Return how long it still collects at most if nothing more comes."""
        if not self._is_collecting or self._is_finished:
            return 0
        since_ms = now_ms - self._collecting_since_ms
        return max(0, math.ceil(self._arrivals.target_ms - since_ms))

    def pop(self, now_ms: int, *, is_urgent: bool = True) -> Packet | Lost | None:
        """Return what is to be played next, or None while there is nothing or it collects.

        Args:
            now_ms: Monotonic milliseconds.
            is_urgent: Whether a missing packet can be waited for no longer.
        """
        if not self._packets and not self._has_missing_end:
            return None
        if self._is_collecting and not self._has_enough(now_ms):
            return None
        if self._next not in self._packets and not is_urgent:
            return None
        self._is_collecting = False
        self._has_given = True
        return self._given()

    def rest(self) -> Iterator[Packet | Lost]:
        """Give out all that is left, in order: nobody listens any more."""
        while self._packets:
            yield self._given(may_stretch=False)

    @property
    def _has_missing_end(self) -> bool:
        is_missing = self._is_finished and self._next < self._end
        return is_missing and self._lost_in_a_row < LOST_IN_A_ROW_MAX

    def _place(self, number: int | None) -> int:
        """Return where in our own count a packet belongs."""
        if number is None:
            return self._end
        if self._offset is None:
            self._offset = -number
        place = number + self._offset
        if abs(place - self._end) > JUMP_MAX:
            self._offset += self._end - place
            place = self._end
        return place

    def _note_arrival(self, packet: Packet, now_ms: int, place: int, *, is_numbered: bool) -> None:
        own_ms = duration_ms(packet)
        self._arrivals.note(now_ms, place * own_ms if is_numbered else self._media_ms)
        self._media_ms += own_ms

    def _given(self, *, may_stretch: bool = True) -> Packet | Lost:
        if self._lost_in_a_row >= LOST_IN_A_ROW_MAX and self._packets:
            self._next = min(self._packets)
        packet = self._packets.pop(self._next, None)
        if packet is None:
            return self._stand_in(may_stretch=may_stretch)
        self._depth_ms -= duration_ms(packet)
        self._depth_bytes -= size_bytes(packet)
        self._next += 1
        self._lost_in_a_row = self._stretches = 0
        return packet

    def _stand_in(self, *, may_stretch: bool) -> Lost:
        if may_stretch and self._is_late() and self._stretches < STRETCHES_MAX:
            self._stretches += 1
            return Lost(None)
        following = self._packets.get(self._next + 1)
        self._next += 1
        self._lost_in_a_row += 1
        return Lost(following if isinstance(following, bytes) else None)

    def _is_late(self) -> bool:
        """Tell whether less is held back than should be."""
        if self._is_finished:
            return False
        return self._depth_ms + _ABOUT_TO_SOUND_MS < self._arrivals.target_ms

    def _has_enough(self, now_ms: int) -> bool:
        waited_ms = now_ms - self._collecting_since_ms
        return self._is_finished or max(self._depth_ms, waited_ms) >= self._arrivals.target_ms
