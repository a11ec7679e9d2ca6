"""Ogg Opus: packets of one utterance as a file that any player opens (RFC 3533, RFC 7845).

libogg makes the pages, through PyOgg's bindings; they are loaded with those of Opus. They are read
without it: a reader that is to find fault with everything must see everything, and opusfile can
hang on a damaged file.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hardware.codec import PACKET_BYTES_MAX, load_bindings
from hardware.errors import CodecError, CorruptFileError, MisuseError
from hardware.pcm import FRAME_MS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from types import ModuleType

GRANULE_RATE_HZ: Final = 48_000
"""In which positions are told, whatever the sound's own rate (RFC 7845, section 4)."""
PRE_SKIP_SAMPLES: Final = 312
"""What a decoder discards at the start: the 6.5 ms by which libopus lags at 16 kHz for speech."""
SERIAL_BITS: Final = 31
PACKETS_MAX: Final = 30_000
"""Ten minutes."""
FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest file that is read: ten minutes at 200 kbit/s."""
TAGS_BYTES_MAX: Final = 65_025
"""Longest comment header that is read: what a page can hold."""

_GRANULES_PER_PACKET: Final = GRANULE_RATE_HZ * FRAME_MS // 1000
_VERSION: Final = 1
_CHANNELS: Final = 1
_NO_GAIN: Final = 0
_FAMILY_MONO: Final = 0
_VENDOR: Final = b"pommai"
"""The one tag that must be there (RFC 7845, section 5.2). There are no others: none could say
anything of a toy or a child."""

_PAGE: Final = struct.Struct("<4sBBqIIIB")
_PAGE_MAGIC: Final = b"OggS"
_CHECKSUM: Final = slice(22, 26)
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_SEGMENT_BYTES_MAX: Final = 255
_HEAD_MAGIC: Final = b"OpusHead"
_TAGS_MAGIC: Final = b"OpusTags"
_HEAD: Final = struct.Struct("<BBHIhB")
_VERSION_MAJOR_MASK: Final = 0xF0
_HEADERS: Final = 2
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def duration_ms(packets: int) -> float:
    """Return how long a player takes for a file of that many packets."""
    return max(0.0, packets * FRAME_MS - PRE_SKIP_SAMPLES * 1000 / GRANULE_RATE_HZ)


def pack(packets: Sequence[bytes], serial: int = 0) -> bytes:
    """Return an Ogg Opus file of `packets`, each 20 ms of mono speech, in order.

    It takes some milliseconds a minute of speech: call it on a worker's thread.

    Args:
        packets: 1 to `PACKETS_MAX`, each of 1 to `PACKET_BYTES_MAX` bytes.
        serial: Tells streams apart that are joined into one file; 31 bits.

    Raises:
        MisuseError: There are no packets, or too many, or one is too long or empty.
        CodecLibraryError: Ogg or Opus is not installed.
        CodecError: libogg failed.
    """
    if not 0 < len(packets) <= PACKETS_MAX:
        raise MisuseError(f"a file has 1 to {PACKETS_MAX} packets, not {len(packets)}")
    if not all(0 < len(packet) <= PACKET_BYTES_MAX for packet in packets):
        raise MisuseError(f"a packet has 1 to {PACKET_BYTES_MAX} bytes")
    if serial >> SERIAL_BITS:
        raise MisuseError(f"a stream's serial has {SERIAL_BITS} bits")
    load_bindings()
    from pyogg import ogg  # noqa: PLC0415 - loaded by now, and not before: see `hardware.codec`

    stream = _Stream(ogg, serial)
    try:
        return b"".join(_pages(stream, packets))
    finally:
        stream.close()


def unpack(content: bytes) -> list[bytes]:
    """Return the packets of an Ogg Opus file of one channel, in order.

    It takes less than a millisecond for ten seconds of speech. What its head says is to be skipped
    at the start is still there: of ours 6.5 ms.

    Args:
        content: The whole file, at most `FILE_BYTES_MAX`.

    Raises:
        CorruptFileError: It is something else, damaged, cut short, or has something after its end;
            or it holds more than `PACKETS_MAX` packets, an empty one, or one of more than
            `PACKET_BYTES_MAX`.
    """
    if len(content) > FILE_BYTES_MAX:
        raise CorruptFileError(f"{len(content)} bytes are more than {FILE_BYTES_MAX}")
    packets = []
    for number, packet in enumerate(_packets_of(content)):
        if number == 0:
            _require_head(packet)
        elif number == 1:
            if not packet.startswith(_TAGS_MAGIC):
                raise CorruptFileError("the comment header is missing")
        elif not 0 < len(packet) <= PACKET_BYTES_MAX:
            raise CorruptFileError(f"packet {number} has {len(packet)} bytes")
        elif number == PACKETS_MAX + _HEADERS:
            raise CorruptFileError(f"there are more than {PACKETS_MAX} packets")
        else:
            packets.append(packet)
    if not packets:
        raise CorruptFileError("there is no sound in it")
    return packets


class _Page(NamedTuple):
    """One page of a file: what it says of itself, and where its body lies."""

    flags: int
    serial: int
    number: int
    lacing: bytes
    begins_at: int


def _packets_of(content: bytes) -> Iterator[bytes]:
    """Yield the packets of the one stream, headers included, as page follows page."""
    pending, at, page = b"", 0, None
    number = 0
    while page is None or not page.flags & _LAST:
        before, page = page, _page(content, at)
        expected = (_CONTINUED if pending else 0) | (_FIRST if before is None else 0)
        if page.flags & ~_LAST != expected or page.number != number:
            raise CorruptFileError(f"page {number} does not follow the one before")
        if before is not None and page.serial != before.serial:
            raise CorruptFileError(f"page {number} belongs to another stream")
        at = page.begins_at
        for length in page.lacing:
            pending += content[at : at + length]
            at += length
            if len(pending) > TAGS_BYTES_MAX:
                raise CorruptFileError(f"a packet has more than {TAGS_BYTES_MAX} bytes")
            if length < _SEGMENT_BYTES_MAX:
                yield pending
                pending = b""
        number += 1
    if pending or at != len(content):
        raise CorruptFileError("the last page is not the end")


def _page(content: bytes, at: int) -> _Page:
    """Return the page that begins at `at`, whole and as it was written (RFC 3533, section 6)."""
    if len(content) < at + _PAGE.size:
        raise CorruptFileError(f"it ends at byte {len(content)}, before its last page")
    magic, version, flags, _, serial, number, checksum, segments = _PAGE.unpack_from(content, at)
    if (magic, version) != (_PAGE_MAGIC, 0):
        raise CorruptFileError(f"there is no page at byte {at}")
    begins_at = at + _PAGE.size + segments
    lacing = content[at + _PAGE.size : begins_at]
    ends_at = begins_at + sum(lacing)
    if ends_at > len(content):
        raise CorruptFileError(f"it ends at byte {len(content)}, within a page")
    page = bytearray(content[at:ends_at])
    page[_CHECKSUM] = bytes(4)
    if _checksum(page) != checksum:
        raise CorruptFileError(f"the page at byte {at} is damaged")
    return _Page(flags, serial, number, lacing, begins_at)


def _checksum(page: bytearray) -> int:
    """Return the CRC-32 of a page, which is zlib's, but from the other end of every number.

    Nothing is inverted in it, before or after (RFC 3533, section 6).
    """
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _require_head(packet: bytes) -> None:
    """Refuse a stream that is not Opus of one channel (RFC 7845, section 5.1)."""
    if not packet.startswith(_HEAD_MAGIC) or len(packet) < len(_HEAD_MAGIC) + _HEAD.size:
        raise CorruptFileError("it is not Opus")
    version, channels, *_, family = _HEAD.unpack_from(packet, len(_HEAD_MAGIC))
    if version & _VERSION_MAJOR_MASK or channels != _CHANNELS or family != _FAMILY_MONO:
        raise CorruptFileError(f"it is version {version} of Opus, with {channels} channels")


def _pages(stream: _Stream, packets: Sequence[bytes]) -> Iterator[bytes]:
    # Each of the two headers ends its page (RFC 7845, section 3).
    stream.put(_head(), 0)
    yield from stream.pages(flush=True)
    stream.put(_tags(), 0)
    yield from stream.pages(flush=True)
    for number, packet in enumerate(packets, 1):
        is_last = number == len(packets)
        # A position is that at the packet's end, and counts what is skipped at the start.
        stream.put(packet, number * _GRANULES_PER_PACKET, is_last=is_last)
        yield from stream.pages(flush=is_last)


def _head() -> bytes:
    """Return the identification header (RFC 7845, section 5.1)."""
    return _HEAD_MAGIC + _HEAD.pack(
        _VERSION, _CHANNELS, PRE_SKIP_SAMPLES, SAMPLE_RATE_HZ, _NO_GAIN, _FAMILY_MONO
    )


def _tags() -> bytes:
    """Return the comment header, without comments (RFC 7845, section 5.2)."""
    return _TAGS_MAGIC + struct.pack("<I", len(_VENDOR)) + _VENDOR + struct.pack("<I", 0)


class _Stream:
    """A logical stream of libogg: packets in, pages out. `close` it."""

    def __init__(self, ogg: ModuleType, serial: int) -> None:
        self._ogg: Any = ogg
        self._packets = 0
        self._state = self._ogg.ogg_stream_state()
        if self._ogg.libogg.ogg_stream_init(ctypes.byref(self._state), serial):
            raise CodecError("libogg cannot begin a stream: there is no memory")

    def put(self, content: bytes, granule: int, *, is_last: bool = False) -> None:
        """Append a packet that ends at a position; libogg copies it."""
        packet = self._ogg.ogg_packet(
            packet=ctypes.cast(ctypes.c_char_p(content), self._ogg.c_uchar_p),
            bytes=len(content),
            b_o_s=int(self._packets == 0),
            e_o_s=int(is_last),
            granulepos=granule,
            packetno=self._packets,
        )
        self._packets += 1
        if self._ogg.libogg.ogg_stream_packetin(ctypes.byref(self._state), ctypes.byref(packet)):
            raise CodecError("libogg cannot take a packet: there is no memory")

    def pages(self, *, flush: bool) -> Iterator[bytes]:
        """Yield the pages that are full, or with `flush` all that there is."""
        lib = self._ogg.libogg
        take = lib.ogg_stream_flush if flush else lib.ogg_stream_pageout
        page = self._ogg.ogg_page()
        while take(ctypes.byref(self._state), ctypes.byref(page)):
            yield ctypes.string_at(page.header, page.header_len)
            yield ctypes.string_at(page.body, page.body_len)

    def close(self) -> None:
        """Free the memory."""
        self._ogg.libogg.ogg_stream_clear(ctypes.byref(self._state))
