"""What a WAV file says of itself: its chunks, and the format of its samples.

Follows "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991),
with the extensible format of later. Nothing is refused here: what can be used is for others to say.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"RIFF"
KIND: Final = b"WAVE"
KIND_AT: Final = 8
HEADER_BYTES: Final = 12
"""Before the first chunk."""

FORMAT_PCM: Final = 0x0001
"""The tag of plain integers."""

FORMAT_BYTES_READ: Final = 26
"""Of a format chunk nothing further is looked at."""

LENGTH_UNKNOWN_MIN: Final = 0x7FFF_0000
"""Who writes to a pipe does not know the length: sox and ffmpeg write sizes like these."""

_CHUNK: Final = struct.Struct("<4sI")
_FORMAT: Final = struct.Struct("<HHIIHH")
_FORMAT_EXTENSIBLE: Final = 0xFFFE
_SUBFORMAT_AT: Final = 24


class Chunk(NamedTuple):
    """One chunk: its name, how long it says it is, and where its body begins."""

    name: bytes
    declared_bytes: int
    begins_at: int


class Format(NamedTuple):
    """How samples are written; `block_bytes` is what the file says one of all channels takes."""

    tag: int
    channels: int
    rate_hz: int
    block_bytes: int
    sample_bits: int


def chunks(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks whose name and length are there; their bodies may be cut off."""
    at = HEADER_BYTES
    while at + _CHUNK.size <= len(content):
        name, declared = _CHUNK.unpack_from(content, at)
        at += _CHUNK.size
        yield Chunk(name, declared, at)
        at += declared + declared % 2


def read_format(body: bytes) -> Format | None:
    """Return what the body of a format chunk says, or None if it is too short to say anything."""
    if len(body) < _FORMAT.size:
        return None
    tag, channels, rate_hz, _, block_bytes, sample_bits = _FORMAT.unpack_from(body)
    if tag == _FORMAT_EXTENSIBLE and len(body) >= FORMAT_BYTES_READ:
        tag = int.from_bytes(body[_SUBFORMAT_AT:FORMAT_BYTES_READ], "little")
    return Format(tag, channels, rate_hz, block_bytes, sample_bits)
