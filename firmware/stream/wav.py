"""Replies that come as samples: pieces of any length, bare or in WAV files, put together again.

Nothing is resampled or mixed here, which takes time: it is done as it is played.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from firmware.stream.codec import PCM_RATE_HZ_MAX, PCM_RATE_HZ_MIN
from firmware.stream.errors import SoundError
from hardware import riff
from hardware.pcm import SAMPLE_BYTES, frame_bytes

CHANNELS_MAX: Final = 2

CHUNKS_MAX: Final = 32
"""Chunks before the sound that are looked at: titles, markers and the like."""

HEADER_BYTES_MAX: Final = 1_024
"""Beginning of a WAV file that is kept until its header is whole."""

FORMATS_MAX: Final = 16
"""Changes of rate or channels within a reply: each costs a filter of its own, and a seam."""

_SAMPLE_BITS: Final = 8 * SAMPLE_BYTES


class Sound(NamedTuple):
    """Whole samples of every channel, 16-bit little-endian, interleaved."""

    pcm: bytes
    sample_rate_hz: int
    channels: int


class _Format(NamedTuple):
    sample_rate_hz: int
    channels: int

    @property
    def block_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * SAMPLE_BYTES


class _Header(NamedTuple):
    form: _Format
    begins_at: int
    declared_bytes: int | None


class Joiner:
    """Puts the pieces of one reply together.

    What it gives out are whole frames of 20 ms, but for what is left at the end and where the
    format changes: pieces of a sample each would cost a hundred times what is in them.

    A WAV file may come whole, or as a header with some of the sound and then bare samples, or as
    many files one after the other; the header itself may be cut. What it says of the sound's length
    is believed as far as it shortens what is there. A header that is right for its own piece may
    have been written for that alone: bare samples may still follow.
    """

    def __init__(self) -> None:
        self._opening = b""
        """The beginning of a file whose header is not whole yet."""
        self._file: _Format | None = None
        """The format of the present file."""
        self._file_bytes_left: int | None = None
        """How much of its sound is still to come; None if that is not known."""
        self._format: _Format | None = None
        self._formats = 0
        self._rest = b""

    def take_pcm(self, pcm: bytes, sample_rate_hz: int) -> list[Sound]:
        """Return what is whole by now of bare mono samples.

        Raises:
            SoundError: The format has changed too often.
        """
        return self._joined(_Format(sample_rate_hz, 1), memoryview(pcm))

    def take_wav(self, data: bytes) -> list[Sound]:
        """Return what is whole by now of a WAV file, given its next piece.

        Raises:
            SoundError: It is neither a WAV file of a kind that is played, nor the continuation of
                one; or the format has changed too often.
        """
        data, self._opening = self._opening + data, b""
        is_new = self._file is None and riff.MAGIC.startswith(data)
        if is_new or data.startswith(riff.MAGIC):
            return self._opened(data)
        if self._file is None:
            raise SoundError("not a WAV file")
        return self._joined(self._file, self._measured(memoryview(data)))

    def finish(self) -> list[Sound]:
        """Return what is left: no more will come.

        Raises:
            SoundError: That is nothing but half a header.
        """
        left = self._flushed()
        if not left and self._opening:
            raise SoundError("a WAV file whose header is cut off")
        return left

    def _opened(self, data: bytes) -> list[Sound]:
        self._file = None
        header = _header(data)
        if header is None:
            if len(data) > HEADER_BYTES_MAX:
                raise SoundError("a WAV file without sound")
            self._opening = data
            return []
        self._file, begins_at, self._file_bytes_left = header
        # Half a sample at the end of the file before is none.
        self._trim()
        sound = self._measured(memoryview(data)[begins_at:])
        if len(data) - begins_at == header.declared_bytes:
            self._file_bytes_left = None
        return self._joined(self._file, sound)

    def _measured(self, data: memoryview) -> memoryview:
        """Return what is sound of a piece: after it there may be titles and the like."""
        if self._file_bytes_left is not None:
            data = data[: self._file_bytes_left]
            self._file_bytes_left -= len(data)
        return data

    def _joined(self, form: _Format, data: memoryview) -> list[Sound]:
        before = []
        if form != self._format:
            if self._formats == FORMATS_MAX:
                raise SoundError("in too many formats")
            before = self._flushed()
            self._format = form
            self._formats += 1
        if self._rest:
            data = memoryview(self._rest + data)
        whole = len(data) - len(data) % frame_bytes(*form)
        self._rest = bytes(data[whole:])
        return [*before, Sound(bytes(data[:whole]), *form)] if whole else before

    def _trim(self) -> None:
        if self._format is not None:
            self._rest = self._rest[: len(self._rest) - len(self._rest) % self._format.block_bytes]

    def _flushed(self) -> list[Sound]:
        self._trim()
        rest, self._rest = self._rest, b""
        return [Sound(rest, *self._format)] if rest and self._format is not None else []


def _header(data: bytes) -> _Header | None:
    """Return the header of a WAV file, or None if it goes on beyond `data`.

    Raises:
        SoundError: It has none, or of a kind that is not played.
    """
    form: _Format | None = None
    if not riff.KIND.startswith(data[riff.KIND_AT : riff.HEADER_BYTES]):
        raise SoundError("not a WAV file")
    for number, chunk in enumerate(riff.chunks(data)):
        if number == CHUNKS_MAX:
            raise SoundError("a WAV file without sound")
        name, declared, at = chunk
        if name == b"fmt ":
            length = min(declared, riff.FORMAT_BYTES_READ)
            if at + length > len(data):
                break
            form = _playable(riff.read_format(data[at : at + length]))
        elif name == b"data":
            if form is None:
                raise SoundError("a WAV file with its sound before its format")
            is_known = 0 < declared < riff.LENGTH_UNKNOWN_MIN
            return _Header(form, at, declared if is_known else None)
    return None


def _playable(found: riff.Format | None) -> _Format:
    if (
        found is None
        or found.tag != riff.FORMAT_PCM
        or found.sample_bits != _SAMPLE_BITS
        or not 1 <= found.channels <= CHANNELS_MAX
        or not PCM_RATE_HZ_MIN <= found.rate_hz <= PCM_RATE_HZ_MAX
    ):
        raise SoundError("a WAV file of a kind that is not played")
    return _Format(found.rate_hz, found.channels)
