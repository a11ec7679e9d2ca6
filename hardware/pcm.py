"""Sound as the whole firmware handles it, and the files it comes from and goes to.

Everywhere inside: 16 kHz, one channel, signed 16-bit little-endian ("PCM"), in frames of 20 ms.
The machine is little-endian too, as every Pi and every desk is: samples are never swapped.
"""

from __future__ import annotations

import array
import math
import wave
from operator import mul
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hardware import riff
from hardware.errors import (
    ClipEmptyError,
    ClipEncodingError,
    ClipFormatError,
    ClipTooLongError,
    ClipTruncatedError,
    ClipUnreadableError,
    ClipUnwritableError,
    MisuseError,
)
from hardware.resampler import FOR_CLIPS, Resampler

SAMPLE_RATE_HZ = 16_000
FRAME_MS = 20
SAMPLE_BYTES = 2
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
FRAME_SAMPLES = SAMPLES_PER_MS * FRAME_MS
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
BYTES_PER_MS = SAMPLES_PER_MS * SAMPLE_BYTES

CLIP_MS_MAX = 120_000
"""Longest clip that is read: a clip is some seconds of speech."""

CLIP_BYTES_MAX = 48 * 1024 * 1024
"""Largest clip file that is read: room for `CLIP_MS_MAX` of 48 kHz stereo at 32 bits."""

SAMPLE_MIN = -32_768
SAMPLE_MAX = 32_767

_CLIP_RATE_HZ_MIN = 8_000
_CLIP_RATE_HZ_MAX = 48_000
_CLIP_CHANNELS_MAX = 2
_SAMPLE_BITS_READ = (8, 16, 24, 32)

_FORMAT_NAMES = {2: "ADPCM", 3: "floating point", 6: "A-law", 7: "mu-law", 17: "ADPCM", 85: "MP3"}

_TO_SIGNED = bytes(value ^ 0x80 for value in range(256))


class _Format(NamedTuple):
    channels: int
    rate_hz: int
    sample_bits: int

    @property
    def block_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.sample_bits // 8


def read_wav(path: str | Path) -> bytes:
    """Read a clip as PCM.

    Takes WAV files of 8, 16, 24 or 32-bit integer samples, mono or stereo (mixed down), at any
    sample rate of 8-48 kHz (resampled), and headerless files whose name ends
    in `.raw`, which are taken for PCM as it is used here.

    Args:
        path: The file; at most `CLIP_BYTES_MAX` and `CLIP_MS_MAX`.

    Returns:
        Whole samples, `SAMPLE_BYTES` each.

    Raises:
        ClipError: One of its kinds, whose message names the file and what to do.
    """
    path = Path(path)
    content = _read_file(path)
    if path.suffix.lower() == ".raw":
        form, data = _Format(1, SAMPLE_RATE_HZ, 16), content
        if len(data) % SAMPLE_BYTES:
            raise ClipTruncatedError(path, "ends in half a sample; copy it again, whole")
    else:
        form, data = _parse_wav(path, content)
    blocks = len(data) // form.block_bytes
    if not blocks:
        raise ClipEmptyError(path, "holds no sound; record it again")
    if blocks * 1000 > CLIP_MS_MAX * form.rate_hz:
        raise ClipTooLongError(path, f"is longer than {CLIP_MS_MAX // 1000} s; cut it into pieces")
    samples = _to_16_bits(data[: blocks * form.block_bytes], form.sample_bits)
    if form.channels > 1:
        samples = mixed_down(samples)
    if form.rate_hz != SAMPLE_RATE_HZ:
        resampler = Resampler(form.rate_hz, SAMPLE_RATE_HZ, FOR_CLIPS)
        samples = resampler.feed(samples) + resampler.flush()
    return samples.tobytes()


def write_wav(path: str | Path, pcm: bytes) -> None:
    """Write PCM as a WAV file, replacing what is there.

    Raises:
        ClipUnwritableError: The file cannot be written.
        MisuseError: `pcm` is not whole samples.
    """
    require_whole_samples(pcm)
    try:
        with Path(path).open("wb") as file, wave.open(file, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(SAMPLE_BYTES)
            wav.setframerate(SAMPLE_RATE_HZ)
            wav.writeframes(pcm)
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); choose a folder that exists and is yours"
        raise ClipUnwritableError(Path(path), problem) from error


def rms(pcm: bytes) -> float:
    """Return the root mean square of PCM, 0..32768; 0 for no samples."""
    samples = from_bytes(pcm)
    return math.sqrt(sum(map(mul, samples, samples)) / len(samples)) if samples else 0.0


def mix(first: bytes, second: bytes) -> bytes:
    """Return the sum of two equally long pieces of PCM, clipped where it is too loud."""
    pairs = zip(from_bytes(first), from_bytes(second), strict=True)
    return array.array("h", (_clipped(a + b) for a, b in pairs)).tobytes()


def mixed_down(samples: array.array[int]) -> array.array[int]:
    """Return one channel of interleaved two.

    Of 20 ms at 48 kHz in 4 us on a desktop: a microphone of two channels needs it all day.
    """
    both = np.frombuffer(samples, np.int16).astype(np.int32)
    mixed = (both[0::2] + both[1::2]) >> 1
    return array.array("h", mixed.astype(np.int16).tobytes())


def frame_bytes(rate_hz: int, channels: int) -> int:
    """Return how much 20 ms take, in whole 16-bit samples of every channel at another rate."""
    return rate_hz * FRAME_MS // 1000 * channels * SAMPLE_BYTES


def require_whole_samples(pcm: bytes) -> None:
    """Refuse PCM that ends in half a sample.

    Raises:
        MisuseError: It does.
    """
    if len(pcm) % SAMPLE_BYTES:
        raise MisuseError(f"{len(pcm)} bytes are not whole 16-bit samples")


def from_bytes(pcm: bytes | bytearray) -> array.array[int]:
    """Return PCM as numbers."""
    samples = array.array("h")
    samples.frombytes(pcm)
    return samples


def _clipped(sample: int) -> int:
    return max(SAMPLE_MIN, min(SAMPLE_MAX, sample))


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > CLIP_BYTES_MAX:
            megabytes = CLIP_BYTES_MAX // (1024 * 1024)
            raise ClipTooLongError(path, f"is larger than {megabytes} MB; cut it into pieces")
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); give the path of a WAV file"
        raise ClipUnreadableError(path, problem) from error


def _parse_wav(path: Path, content: bytes) -> tuple[_Format, bytes]:
    if not content:
        raise ClipEmptyError(path, "is an empty file; record it again")
    kind = content[riff.KIND_AT : riff.HEADER_BYTES]
    if not content.startswith(riff.MAGIC) or kind not in {riff.KIND, b""}:
        problem = "is not a WAV file; convert it, for example with `sox IN -b 16 OUT.wav`"
        raise ClipFormatError(path, problem)
    form: _Format | None = None
    for name, declared, at in riff.chunks(content):
        body = content[at : at + declared]
        if name == b"fmt ":
            form = _parse_format(path, body)
        elif name == b"data":
            if form is None:
                raise ClipFormatError(path, "has sound before its format; convert it with `sox`")
            if len(body) < declared < riff.LENGTH_UNKNOWN_MIN:
                problem = f"ends after {len(body)} of {declared} bytes of sound; copy it again"
                raise ClipTruncatedError(path, problem)
            return form, body
    raise ClipTruncatedError(path, "ends before any sound begins; copy it again, whole")


def _parse_format(path: Path, body: bytes) -> _Format:
    found = riff.read_format(body)
    if found is None:
        raise ClipTruncatedError(path, "ends within its header; copy it again, whole")
    tag, channels, rate_hz, block_bytes, sample_bits = found
    advice = "convert it with `sox IN -b 16 -c 1 -r 16000 OUT.wav`"
    if tag != riff.FORMAT_PCM:
        kind = _FORMAT_NAMES.get(tag, f"format {tag:#06x}")
        raise ClipEncodingError(path, f"holds {kind} samples, not integers; {advice}")
    if sample_bits not in _SAMPLE_BITS_READ:
        raise ClipEncodingError(path, f"has {sample_bits}-bit samples; {advice}")
    if not 1 <= channels <= _CLIP_CHANNELS_MAX:
        raise ClipEncodingError(path, f"has {channels} channels, not 1 or 2; {advice}")
    if not _CLIP_RATE_HZ_MIN <= rate_hz <= _CLIP_RATE_HZ_MAX:
        raise ClipEncodingError(path, f"is sampled at {rate_hz} Hz, not 8-48 kHz; {advice}")
    form = _Format(channels, rate_hz, sample_bits)
    if block_bytes != form.block_bytes:
        raise ClipEncodingError(path, f"contradicts itself in its header; {advice}")
    return form


def _to_16_bits(data: bytes, sample_bits: int) -> array.array[int]:
    """Keep the upper 16 bits of little-endian samples; 8-bit ones alone are unsigned."""
    sample_bytes = sample_bits // 8
    if sample_bytes == SAMPLE_BYTES:
        return from_bytes(data)
    upper = bytearray(len(data) // sample_bytes * SAMPLE_BYTES)
    if sample_bytes == 1:
        upper[1::2] = data.translate(_TO_SIGNED)
    else:
        upper[0::2] = data[sample_bytes - 2 :: sample_bytes]
        upper[1::2] = data[sample_bytes - 1 :: sample_bytes]
    return from_bytes(upper)
