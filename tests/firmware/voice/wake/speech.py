"""Speech for the tests: synthesised once in a run."""

from __future__ import annotations

import functools
import io
import subprocess
import wave
from typing import TYPE_CHECKING

from hardware.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE_HZ, from_bytes
from hardware.resampler import FOR_CLIPS, Resampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.voice.wake.engine import Engine

SECOND = bytes(SAMPLE_RATE_HZ * SAMPLE_BYTES)


@functools.cache
def spoken(text: str, voice: str = "en-us") -> bytes:
    """PCM of a text, with a second of silence before it and behind it."""
    command = ["espeak-ng", "-v", voice, "--stdin", "--stdout"]
    said = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(said)) as wav:
        resampler = Resampler(wav.getframerate(), SAMPLE_RATE_HZ, FOR_CLIPS)
        samples = resampler.feed(from_bytes(wav.readframes(SAMPLE_RATE_HZ * 60)))
    return SECOND + (samples + resampler.flush()).tobytes() + SECOND


def heard_ms(engine: Engine, pcm: bytes) -> list[int]:
    """When, in `pcm`, an engine hears its word."""
    return [at_ms for at_ms, frame in _frames(pcm) if engine.hear(frame)]


def _frames(pcm: bytes) -> Iterator[tuple[int, bytes]]:
    for number, start in enumerate(range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)):
        yield number * FRAME_MS, pcm[start : start + FRAME_BYTES]
