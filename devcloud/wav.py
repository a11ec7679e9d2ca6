"""WAV, as far as the stream has it: signed 16 bit samples behind a header of 44 bytes."""

from __future__ import annotations

import io
import struct
import wave
from typing import Final

from devcloud.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from devcloud.errors import BadPacketError

MAGIC: Final = b"RIFF"
_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM: Final = 1


def header(pcm_bytes: int, rate_hz: int, channels: int) -> bytes:
    """Write the header of that many bytes of samples."""
    frame_bytes = SAMPLE_BYTES * channels
    return _HEADER.pack(
        *(MAGIC, _HEADER.size - 8 + pcm_bytes, b"WAVE"),
        *(b"fmt ", 16, _PCM, channels, rate_hz, rate_hz * frame_bytes, frame_bytes),
        *(8 * SAMPLE_BYTES, b"data", pcm_bytes),
    )


def read_speech(wav: bytes) -> bytes:
    """Take the samples out of a WAV of speech: 16 kHz mono. One cut short is read to its end.

    Raises:
        BadPacketError: it is something else.
    """
    try:
        with wave.open(io.BytesIO(wav)) as reader:
            kind = reader.getframerate(), reader.getnchannels(), reader.getsampwidth()
            pcm: bytes = reader.readframes(len(wav))
    except (wave.Error, EOFError, ValueError) as error:
        raise BadPacketError(f"the audio is no WAV: {error}") from None
    if kind != (SAMPLE_RATE_HZ, 1, SAMPLE_BYTES):
        raise BadPacketError(f"a WAV of speech is {SAMPLE_RATE_HZ} Hz, mono, 16 bit")
    return pcm
