"""Ogg Opus: packets of one utterance as a file that any player opens (RFC 3533, RFC 7845).

libogg makes the pages, through PyOgg's bindings; they are loaded with those of Opus.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from hardware.codec import PACKET_BYTES_MAX, load_bindings
from hardware.errors import CodecError, MisuseError
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

_GRANULES_PER_PACKET: Final = GRANULE_RATE_HZ * FRAME_MS // 1000
_VERSION: Final = 1
_CHANNELS: Final = 1
_NO_GAIN: Final = 0
_FAMILY_MONO: Final = 0
_VENDOR: Final = b"pommai"
"""The one tag that must be there (RFC 7845, section 5.2). There are no others: none could say
anything of a toy or a child."""


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
    return b"OpusHead" + struct.pack(
        "<BBHIhB",
        _VERSION,
        _CHANNELS,
        PRE_SKIP_SAMPLES,
        SAMPLE_RATE_HZ,
        _NO_GAIN,
        _FAMILY_MONO,
    )


def _tags() -> bytes:
    """Return the comment header, without comments (RFC 7845, section 5.2)."""
    return b"OpusTags" + struct.pack("<I", len(_VENDOR)) + _VENDOR + struct.pack("<I", 0)


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
