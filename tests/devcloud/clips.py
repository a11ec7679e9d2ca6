"""Recorded human speech, from the Debian package pocketsphinx-testdata: 16 kHz mono, 16 bit."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

import pytest

SPEECH: Final = Path("/usr/share/pocketsphinx/test/data")

GO_FORWARD: Final = "goforward.raw"
"""2.8 s: go forward ten meters."""

SEVEN_OF_CLUBS: Final = "cards/003.wav"
"""1.5 s: seven of clubs."""

THREE_CARDS: Final = "cards/005.wav"
"""3.5 s: eight of spades, four of clubs, seven of hearts."""

FRAME_BYTES: Final = 640


def load(name: str) -> bytes:
    path = SPEECH / name
    if not path.exists():
        pytest.skip(f"{path} is missing: install the package pocketsphinx-testdata")
    if path.suffix == ".raw":
        return path.read_bytes()
    with wave.open(str(path)) as reader:
        pcm: bytes = reader.readframes(reader.getnframes())
    return pcm


def frames(pcm: bytes) -> list[bytes]:
    """Cut sound into 20 ms frames; the last one is filled up with silence."""
    return [
        pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        for start in range(0, len(pcm), FRAME_BYTES)
    ]
