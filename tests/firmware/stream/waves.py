"""WAV files as a test wants them, honest or not."""

from __future__ import annotations

import struct


def wav(  # noqa: PLR0913 - every field of the header
    pcm: bytes,
    rate_hz: int = 16_000,
    channels: int = 1,
    *,
    tag: int = 1,
    sample_bits: int = 16,
    declared: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Return a WAV file; `declared` is the length that it claims for its sound.

    `before` and `after` are further chunks, whole.
    """
    block = channels * sample_bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, sample_bits)
    length = len(pcm) if declared is None else declared
    body = chunk(b"fmt ", form) + before + b"data" + struct.pack("<I", length) + pcm + after
    return b"RIFF" + struct.pack("<I", (4 + len(body)) % 2**32) + b"WAVE" + body


def chunk(name: bytes, body: bytes) -> bytes:
    """Return one chunk, padded."""
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
