"""What comes in of the present turn's reply, until it is asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from firmware.voice.arrivals import Arrivals
from firmware.voice.jitter import JitterBuffer
from firmware.voice.reply import Recorded, Recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware.voice.jitter import Fate
    from firmware.voice.packet import Packet
    from firmware.voice.settings import VoiceSettings


class _Arrival:
    """One reply: its packets on their way, and what is kept of them."""

    def __init__(self, buffer: JitterBuffer, recording: Recording) -> None:
        self.buffer = buffer
        self.recording = recording
        self.recorded = Recorded(buffer, recording)


class Reception:
    """Takes the packets of one turn's reply, as long as it is open for them.

    How unevenly they come is remembered from reply to reply of a connection.

    Args:
        settings: The jitter buffer, and what is kept.
    """

    def __init__(self, settings: VoiceSettings) -> None:
        self.packets: Counter[Fate | Literal["stale"]] = Counter()
        """What became of the packets so far; those of a turn or a reply that is over are stale."""
        self._settings = settings
        self._turn = 0
        self._is_open = False
        self._arrival: _Arrival | None = None
        self._arrivals = self._new_arrivals()
        self._arrivals_of = 0

    @property
    def target_ms(self) -> float:
        """How much is held back at this moment, because packets come unevenly."""
        return self._arrivals.target_ms

    @property
    def is_awaiting(self) -> bool:
        """Whether the next packet is the first of a reply, or the first after a gap."""
        return self._arrival is None or self._arrival.buffer.is_awaiting

    @property
    def arrived(self) -> Recorded | None:
        """Where the reply's packets are to be had; None if nothing has come."""
        return None if self._arrival is None else self._arrival.recorded

    @property
    def recording(self) -> Recording | None:
        """What was kept of them, and will be; None if nothing has come."""
        return None if self._arrival is None else self._arrival.recording

    def expect(self, turn: int) -> None:
        """Be open for the reply to a turn, and for no other."""
        self.drop()
        self._turn = turn
        self._is_open = True

    def shut(self) -> None:
        """Take nothing more; what has come stays."""
        self._is_open = False

    def drop(self) -> None:
        """Let go of what has come; the recording gets what was not asked for."""
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.recorded.end()

    def take(
        self,
        turn: int,
        connection: int,
        packets: Sequence[Packet],
        number: int | None,
        now_ms: int,
    ) -> bool:
        """Take packets that came at once, and tell whether any of them is to be played."""
        if turn != self._turn or not self._is_open:
            self.packets["stale"] += len(packets)
            return False
        if self._arrival is None:
            self._arrival = self._new_arrival(connection)
        buffer = self._arrival.buffer
        is_any_taken = self._push(buffer, packets, number, now_ms)
        if is_any_taken and buffer.is_complete:
            self.shut()
        return is_any_taken

    def finish(self, turn: int, pieces: int | None) -> bool:
        """Note that the reply to a turn is complete, but for what its end has overtaken.

        Returns whether anything has come of it.
        """
        if turn != self._turn:
            return False
        if self._arrival is None:
            self.shut()
            return False
        self._arrival.buffer.finish(pieces)
        if self._arrival.buffer.is_complete:
            self.shut()
        return True

    def run_dry(self) -> bool:
        """Note that the listener hears a gap; False if that is no news."""
        return self._arrival is not None and self._arrival.buffer.run_dry()

    def collected_in_ms(self, now_ms: int) -> int:
        """Return how long it still collects at most if nothing more comes."""
        return 0 if self._arrival is None else self._arrival.buffer.collected_in_ms(now_ms)

    def _push(
        self, buffer: JitterBuffer, packets: Sequence[Packet], number: int | None, now_ms: int
    ) -> bool:
        is_any_taken = False
        for seen, packet in enumerate(packets):
            fate = buffer.push(packet, now_ms, number)
            if fate == "refused":  # and so are those behind it
                self.packets[fate] += len(packets) - seen
                break
            self.packets[fate] += 1
            is_any_taken = is_any_taken or fate == "taken"
        return is_any_taken

    def _new_arrival(self, connection: int) -> _Arrival:
        s = self._settings
        if connection != self._arrivals_of:
            self._arrivals, self._arrivals_of = self._new_arrivals(), connection
        buffer = JitterBuffer(self._arrivals, ms_max=s.jitter_ms_max, bytes_max=s.reply_bytes_max)
        return _Arrival(buffer, Recording(ms_max=s.last_reply_ms_max, bytes_max=s.reply_bytes_max))

    def _new_arrivals(self) -> Arrivals:
        s = self._settings
        return Arrivals(start_ms=s.jitter_target_ms, ms_max=s.jitter_target_ms_max)
