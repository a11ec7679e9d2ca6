"""What an Opus packet says of itself."""

from __future__ import annotations

from typing import Final

from hardware.codec import PACKET_MS_MAX
from hardware.pcm import FRAME_MS

_SILK_MS: Final = (10.0, 20.0, 40.0, 60.0)
_HYBRID_MS: Final = (10.0, 20.0)
_CELT_MS: Final = (2.5, 5.0, 10.0, 20.0)
_CONFIGURATIONS_MS: Final = _SILK_MS * 3 + _HYBRID_MS * 2 + _CELT_MS * 4

_FRAMES_BY_CODE: Final = (1, 2, 2)
_FRAME_COUNT_MASK: Final = 0x3F


def duration_ms(packet: bytes) -> float:
    """Return how long a packet sounds, from its first two bytes (RFC 6716, section 3.1).

    A packet that contradicts itself cannot be decoded and is concealed by one frame: so long it is.
    """
    if not packet:
        return FRAME_MS
    frame_ms, code = _CONFIGURATIONS_MS[packet[0] >> 3], packet[0] & 3
    if code < len(_FRAMES_BY_CODE):
        frames = _FRAMES_BY_CODE[code]
    else:
        frames = packet[1] & _FRAME_COUNT_MASK if len(packet) > 1 else 0
    total_ms = frames * frame_ms
    return total_ms if 0 < total_ms <= PACKET_MS_MAX else FRAME_MS
