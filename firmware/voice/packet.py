"""The pieces that a reply comes in: Opus packets, or samples; and what they say of themselves."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from hardware.codec import PACKET_MS_MAX
from hardware.pcm import FRAME_MS, SAMPLE_BYTES, frame_bytes


class Pcm(NamedTuple):
    """Some samples: 16-bit little-endian, the channels interleaved, whole for each of them."""

    samples: bytes
    sample_rate_hz: int
    channels: int


Packet: TypeAlias = bytes | Pcm
"""A piece of a reply; `bytes` are an Opus packet."""


class Lost(NamedTuple):
    """Stands in for a packet that has not come.

    `following` is the Opus packet after it, if that is there: it may carry a coarse copy of it.
    """

    following: bytes | None


_SILK_MS: Final = (10.0, 20.0, 40.0, 60.0)
_HYBRID_MS: Final = (10.0, 20.0)
_CELT_MS: Final = (2.5, 5.0, 10.0, 20.0)
_CONFIGURATIONS_MS: Final = _SILK_MS * 3 + _HYBRID_MS * 2 + _CELT_MS * 4

_FRAMES_BY_CODE: Final = (1, 2, 2)
_FRAME_COUNT_MASK: Final = 0x3F


def cut(pcm: Pcm) -> list[Pcm]:
    """Cut samples into pieces of one frame each; the last may be shorter."""
    samples, rate_hz, channels = pcm
    piece_bytes = frame_bytes(rate_hz, channels)
    return [
        Pcm(samples[at : at + piece_bytes], rate_hz, channels)
        for at in range(0, len(samples), piece_bytes)
    ]


def size_bytes(packet: Packet | Lost) -> int:
    """Return how much memory a piece takes; that of a packet beside it is counted there."""
    if isinstance(packet, Lost):
        return 0
    return len(packet.samples if isinstance(packet, Pcm) else packet)


def duration_ms(packet: Packet | Lost) -> float:
    """Return how long a piece sounds; of a packet, by its first two bytes (RFC 6716, section 3.1).

    A packet that contradicts itself cannot be decoded and is concealed by one frame: so long it is.
    """
    if isinstance(packet, Lost):
        return FRAME_MS
    if isinstance(packet, Pcm):
        blocks = len(packet.samples) / (packet.channels * SAMPLE_BYTES)
        return blocks * 1000 / packet.sample_rate_hz
    if not packet:
        return FRAME_MS
    frame_ms, code = _CONFIGURATIONS_MS[packet[0] >> 3], packet[0] & 3
    if code < len(_FRAMES_BY_CODE):
        frames = _FRAMES_BY_CODE[code]
    else:
        frames = packet[1] & _FRAME_COUNT_MASK if len(packet) > 1 else 0
    total_ms = frames * frame_ms
    return total_ms if 0 < total_ms <= PACKET_MS_MAX else FRAME_MS
