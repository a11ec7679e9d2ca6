"""The jitter buffer: evens out the arrival of a reply's packets."""

from __future__ import annotations

from collections import deque

from firmware.voice.packet import Packet, duration_ms, size_bytes


class JitterBuffer:
    """Packets of one reply, in order of arrival, held back a little at its beginning.

    It *collects* until `target_ms` of sound are there, or that much time has passed since the first
    packet, or no more will come; then it gives packets out as they are asked for. Whoever plays
    them says with `run_dry` that the listener hears a gap, and it collects anew.

    No clock is in it: who calls says what time it is, in monotonic milliseconds.

    Args:
        target_ms: How much is collected.
        ms_max: How much sound it takes; what comes then is refused, because it lies furthest from
            being heard.
        bytes_max: The same in bytes.
    """

    def __init__(self, *, target_ms: int, ms_max: int, bytes_max: int) -> None:
        self._target_ms = target_ms
        self._ms_max = ms_max
        self._bytes_max = bytes_max
        self._packets: deque[Packet] = deque()
        self._depth_ms = 0.0
        self._depth_bytes = 0
        self._is_collecting = True
        self._collecting_since_ms = 0
        self._is_finished = False

    @property
    def depth_ms(self) -> float:
        """How much sound it holds."""
        return self._depth_ms

    @property
    def is_awaiting(self) -> bool:
        """Whether the next packet is the first, or the first after a gap."""
        return self._is_collecting and not self._packets and not self._is_finished

    @property
    def is_over(self) -> bool:
        """Whether everything was given out and no more will come."""
        return self._is_finished and not self._packets

    def push(self, packet: Packet, now_ms: int) -> bool:
        """Take the next packet; returns False if it is refused: there is no room, or it is over."""
        depth_ms = self._depth_ms + duration_ms(packet)
        depth_bytes = self._depth_bytes + size_bytes(packet)
        if self._is_finished or depth_ms > self._ms_max or depth_bytes > self._bytes_max:
            return False
        if self.is_awaiting:
            self._collecting_since_ms = now_ms
        self._packets.append(packet)
        self._depth_ms, self._depth_bytes = depth_ms, depth_bytes
        return True

    def finish(self) -> None:
        """Note that no more will come."""
        self._is_finished = True

    def run_dry(self) -> bool:
        """Collect anew, because the listener hears a gap.

        Returns False if that is no news: it collects already, there are packets, or it is over.
        """
        if self._is_collecting or self._packets or self._is_finished:
            return False
        self._is_collecting = True
        return True

    def pop(self, now_ms: int) -> Packet | None:
        """Return the next packet to be played, or None while there is none or it collects."""
        if not self._packets or (self._is_collecting and not self._has_enough(now_ms)):
            return None
        self._is_collecting = False
        packet = self._packets.popleft()
        self._depth_ms -= duration_ms(packet)
        self._depth_bytes -= size_bytes(packet)
        return packet

    def _has_enough(self, now_ms: int) -> bool:
        waited_ms = now_ms - self._collecting_since_ms
        return self._is_finished or max(self._depth_ms, waited_ms) >= self._target_ms
