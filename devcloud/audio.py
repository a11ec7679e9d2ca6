"""What the audio of every dialect has in common: speech is 16 kHz mono in frames of 20 ms."""

from __future__ import annotations

from enum import Enum
from typing import Final

SAMPLE_RATE_HZ: Final = 16_000
FRAME_MS: Final = 20
SAMPLE_BYTES: Final = 2
FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * FRAME_MS // 1000
PACKET_BYTES_MAX: Final = 1276
"""The longest Opus packet of one frame: its header byte and 1275 more (RFC 6716, section 3.2)."""

OPUS_RATES_HZ: Final = (16_000, 24_000, 48_000)
"""What a reply's Opus may be made at."""


class AudioFormat(Enum):
    """How audio is written: one Opus packet, signed 16 bit little-endian samples, or a WAV."""

    OPUS = "opus"
    PCM16 = "pcm16"
    WAV = "wav"
