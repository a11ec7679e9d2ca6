"""A reply on its way from packets to sound."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from firmware.voice.packet import Lost, Packet, Pcm, duration_ms, size_bytes
from hardware.codec import PACKET_MS_MAX, OpusDecoder
from hardware.errors import CorruptPacketError
from hardware.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, from_bytes, mixed_down
from hardware.resampler import FOR_LIVE, Resampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware.voice.jitter import JitterBuffer


class PacketSource(Protocol):
    """Where the packets of a reply come from: `Recorded` or `Replay`."""

    @property
    def is_over(self) -> bool:
        """Whether everything was given out and no more will come."""

    def pop(self, now_ms: int, *, is_urgent: bool) -> Packet | Lost | None:
        """Return what is to be played next, or None for now: see `JitterBuffer.pop`."""


class Recording:
    """The packets of a reply, kept to be played again; its end is missing where it is too long.

    Args:
        ms_max: How much sound is kept.
        bytes_max: The same in bytes.
    """

    def __init__(self, *, ms_max: int, bytes_max: int) -> None:
        self._ms_left: float = ms_max
        self._bytes_left = bytes_max
        self._packets: list[Packet | Lost] = []

    @property
    def packets(self) -> Sequence[Packet | Lost]:
        """What was kept, in order, with what was missing of it."""
        return self._packets

    def keep(self, packet: Packet | Lost) -> None:
        """Keep the next piece; after the first for which there is no room, none."""
        self._ms_left -= duration_ms(packet)
        self._bytes_left -= size_bytes(packet)
        if self._ms_left >= 0 and self._bytes_left >= 0:
            self._packets.append(packet)


class Replay:
    """A recording, played once.

    Args:
        packets: What is played; not changed.
    """

    def __init__(self, packets: Sequence[Packet | Lost]) -> None:
        self._packets = deque(packets)

    @property
    def is_over(self) -> bool:
        """Whether everything was given out."""
        return not self._packets

    def pop(self, now_ms: int, *, is_urgent: bool) -> Packet | Lost | None:  # noqa: ARG002 - a recording waits for nothing
        """Return the next piece, or None after the last."""
        return self._packets.popleft() if self._packets else None


class Recorded:
    """What a jitter buffer gives out, which is recorded on the way.

    Args:
        buffer: Where the packets come from.
        recording: Where they are kept.
    """

    def __init__(self, buffer: JitterBuffer, recording: Recording) -> None:
        self._buffer = buffer
        self._recording = recording

    @property
    def is_over(self) -> bool:
        """Whether everything was given out and no more will come."""
        return self._buffer.is_over

    def pop(self, now_ms: int, *, is_urgent: bool) -> Packet | Lost | None:
        """Return what is to be played next, or None for now."""
        packet = self._buffer.pop(now_ms, is_urgent=is_urgent)
        if packet is not None:
            self._recording.keep(packet)
        return packet

    def end(self) -> None:
        """Keep what came and was not played."""
        for packet in self._buffer.rest():
            self._recording.keep(packet)


class Reply:
    """Decodes the packets of one reply into frames of 20 ms.

    A packet that is lost is recovered from the coarse copy in the one after it, where there is one,
    else concealed; so is one that is not Opus. The packets may have been encoded at any rate, and
    each may last as long as it likes: Opus decodes all of them to ours. Samples are mixed down and
    resampled, a piece at a time.

    Args:
        packets: Where they come from.
    """

    def __init__(self, packets: PacketSource) -> None:
        self.packets_concealed = 0
        """Packets that never came, or could not be decoded, and left nothing behind."""
        self.packets_recovered = 0
        """Packets that never came, and whose place was filled from the one after them."""
        self.has_sounded = False
        """Whether a frame was given out."""
        self._packets = packets
        self._decoder = OpusDecoder()
        self._packet_ms: float = FRAME_MS
        self._pcm = bytearray()
        self._rate_hz = SAMPLE_RATE_HZ
        self._resampler: Resampler | None = None

    @property
    def is_over(self) -> bool:
        """Whether the last frame was given out and no more will come."""
        return self._packets.is_over and not self._pcm and self._resampler is None

    def next_frame(self, now_ms: int, *, is_urgent: bool = True) -> bytes | None:
        """Return the next `FRAME_BYTES`, or None for now; silence fills up the last.

        Args:
            now_ms: Monotonic milliseconds.
            is_urgent: Whether what is missing can be waited for no longer.
        """
        while len(self._pcm) < FRAME_BYTES:
            packet = self._packets.pop(now_ms, is_urgent=is_urgent)
            if packet is not None:
                self._pcm += self._decoded(packet)
            elif self._packets.is_over and self._resampler is not None:
                self._pcm += self._drained()
            elif self._packets.is_over and self._pcm:
                self._pcm += bytes(FRAME_BYTES - len(self._pcm))
            else:
                return None
        self.has_sounded = True
        frame = bytes(self._pcm[:FRAME_BYTES])
        del self._pcm[:FRAME_BYTES]
        return frame

    def close(self) -> None:
        """Free the decoder."""
        self._decoder.close()

    def _decoded(self, packet: Packet | Lost) -> bytes:
        if isinstance(packet, Pcm):
            return self._converted(packet)
        before, self._rate_hz = self._drained(), SAMPLE_RATE_HZ
        if isinstance(packet, Lost):
            return before + self._filled_in(packet)
        if packet:
            try:
                sound = self._decoder.decode(packet)
            except CorruptPacketError:
                pass
            else:
                self._packet_ms = duration_ms(packet)
                return before + sound
        return before + self._concealed()

    def _filled_in(self, lost: Lost) -> bytes:
        # A copy is as long as the packet that it is of.
        if lost.following and self._packet_ms == FRAME_MS:
            try:
                sound = self._decoder.decode_fec(lost.following)
            except CorruptPacketError:
                pass
            else:
                self.packets_recovered += 1
                return sound
        return self._concealed()

    def _concealed(self) -> bytes:
        """Continue what was heard; after some of this Opus has faded to silence."""
        self.packets_concealed += 1
        tens = min(max(1, round(self._packet_ms / 10)), PACKET_MS_MAX // 10)
        return self._decoder.conceal(tens * 10)

    def _converted(self, pcm: Pcm) -> bytes:
        before = b"" if pcm.sample_rate_hz == self._rate_hz else self._drained()
        samples = from_bytes(pcm.samples)
        if pcm.channels > 1:
            samples = mixed_down(samples)
        if pcm.sample_rate_hz != SAMPLE_RATE_HZ:
            if self._resampler is None:
                self._resampler = Resampler(pcm.sample_rate_hz, SAMPLE_RATE_HZ, FOR_LIVE)
            samples = self._resampler.feed(samples)
        self._rate_hz = pcm.sample_rate_hz
        return before + samples.tobytes()

    def _drained(self) -> bytes:
        """Return what the resampler still holds; it is done with."""
        resampler, self._resampler = self._resampler, None
        return b"" if resampler is None else resampler.flush().tobytes()
