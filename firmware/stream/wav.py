"""Replies that come as samples: pieces of any length, bare or in WAV files, put together again.

Nothing is resampled or mixed here, which takes time: it is done as it is played.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from firmware.stream.codec import PCM_RATE_HZ_MAX, PCM_RATE_HZ_MIN
from firmware.stream.errors import SoundError
from hardware.pcm import SAMPLE_BYTES

CHANNELS_MAX: Final = 2

CHUNKS_MAX: Final = 32
"""Chunks before the sound that are looked at: titles, markers and the like."""

_RIFF_HEADER_BYTES: Final = 12
_CHUNK_HEADER: Final = struct.Struct("<4sI")
_FORMAT: Final = struct.Struct("<HHIIHH")
_FORMAT_PCM: Final = 0x0001
_FORMAT_EXTENSIBLE: Final = 0xFFFE
_SUBFORMAT: Final = struct.Struct("<H")
_SUBFORMAT_AT: Final = 24
_SAMPLE_BITS: Final = 8 * SAMPLE_BYTES

# Who writes to a pipe does not know the length: nothing, or as much as fits.
_LENGTHS_KNOWN: Final = range(1, 0x7FFF_0000)


class Sound(NamedTuple):
    """Whole samples of every channel, 16-bit little-endian, interleaved."""

    pcm: bytes
    sample_rate_hz: int
    channels: int


class _Format(NamedTuple):
    sample_rate_hz: int
    channels: int


class Joiner:
    """Puts the pieces of one reply together.

    A WAV file may come whole, or as a header with some of the sound and then bare samples, or as
    many files one after the other. What a header says of lengths is believed only as far as it
    shortens what is there.
    """

    def __init__(self) -> None:
        self._format: _Format | None = None
        self._rest = b""

    def take_pcm(self, pcm: bytes, sample_rate_hz: int) -> Sound | None:
        """Return what is whole of bare mono samples, if anything is; the rest waits for more."""
        return self._joined(_Format(sample_rate_hz, 1), pcm)

    def take_wav(self, data: bytes) -> Sound | None:
        """Return what is whole of a piece of a WAV file.

        Raises:
            SoundError: It is neither a WAV file of a kind that is played, nor the continuation of
                one.
        """
        if data.startswith(b"RIFF"):
            self._format = None
            return self._joined(*_opened(data))
        if self._format is None:
            raise SoundError("not a WAV file")
        return self._joined(self._format, data)

    def _joined(self, form: _Format, data: bytes) -> Sound | None:
        if form != self._format:
            self._format, self._rest = form, b""
        if self._rest:
            data = self._rest + data
        block_bytes = form.channels * SAMPLE_BYTES
        whole = len(data) - len(data) % block_bytes
        self._rest = data[whole:]
        return Sound(data[:whole], *form) if whole else None


def _opened(data: bytes) -> tuple[_Format, bytes]:
    """Return the format of a WAV file and the sound in it, as far as it is there.

    Follows "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft,
    1991).

    Raises:
        SoundError: It has none, or of a kind that is not played.
    """
    form: _Format | None = None
    at = _RIFF_HEADER_BYTES
    for _ in range(CHUNKS_MAX):
        if data[8:_RIFF_HEADER_BYTES] != b"WAVE" or at + _CHUNK_HEADER.size > len(data):
            break
        name, length = _CHUNK_HEADER.unpack_from(data, at)
        at += _CHUNK_HEADER.size
        if name == b"fmt ":
            form = _format(data[at : at + min(length, _SUBFORMAT_AT + _SUBFORMAT.size)])
        elif name == b"data":
            if form is None:
                break
            return form, data[at : at + length] if length in _LENGTHS_KNOWN else data[at:]
        at += length + length % 2
    raise SoundError("a WAV file without sound")


def _format(body: bytes) -> _Format:
    if len(body) < _FORMAT.size:
        raise SoundError("a WAV file whose header is cut off")
    tag, channels, rate_hz, _, _, sample_bits = _FORMAT.unpack_from(body)
    if tag == _FORMAT_EXTENSIBLE and len(body) == _SUBFORMAT_AT + _SUBFORMAT.size:
        (tag,) = _SUBFORMAT.unpack_from(body, _SUBFORMAT_AT)
    if (
        tag != _FORMAT_PCM
        or sample_bits != _SAMPLE_BITS
        or not 1 <= channels <= CHANNELS_MAX
        or not PCM_RATE_HZ_MIN <= rate_hz <= PCM_RATE_HZ_MAX
    ):
        raise SoundError("a WAV file of a kind that is not played")
    return _Format(rate_hz, channels)
