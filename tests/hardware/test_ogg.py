"""Ogg Opus files, judged by opusfile and by a reading of their pages."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.codec import PACKET_BYTES_MAX, OpusEncoder, load_bindings
from hardware.errors import MisuseError
from hardware.ogg import PRE_SKIP_SAMPLES, duration_ms, pack
from hardware.pcm import FRAME_BYTES, FRAME_MS
from tests.hardware.voices import tone

_GET_LOOKAHEAD = 4027


class Page(NamedTuple):
    """A page as RFC 3533 lays it out."""

    flags: int
    granule: int
    serial: int
    number: int
    packets: tuple[bytes, ...]
    """Those that end on it, with what was begun before."""


def pages(file: bytes) -> list[Page]:
    """Take a file apart, without any library."""
    found, at, carried = [], 0, b""
    while at < len(file):
        magic, version, flags, granule, serial, number, _, segments = struct.unpack_from(
            "<4sBBqIIIB", file, at
        )
        assert (magic, version) == (b"OggS", 0)
        at += 27
        lacing = file[at : at + segments]
        at += segments
        packets = []
        for length in lacing:
            carried += file[at : at + length]
            at += length
            if length < 255:
                packets.append(carried)
                carried = b""
        found.append(Page(flags, granule, serial, number, tuple(packets)))
    return found


def encoded(duration_ms: int) -> list[bytes]:
    """Return packets of a tone."""
    sound = tone(440, duration_ms).tobytes()
    with OpusEncoder() as encoder:
        return [
            encoder.encode(sound[at : at + FRAME_BYTES])
            for at in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES)
        ]


def played(path: Path) -> tuple[int, int, bytes]:
    """Return what opusfile makes of a file: channels, samples at 48 kHz, and the sound."""
    opus = load_bindings()
    error = ctypes.c_int()
    file = opus.libopusfile.op_open_file(str(path).encode(), ctypes.byref(error))
    assert error.value == 0
    channels = opus.libopusfile.op_channel_count(file, -1)
    total = opus.libopusfile.op_pcm_total(file, -1)
    sound = b""
    buffer = (ctypes.c_int16 * 11_520)()
    while (
        samples := opus.libopusfile.op_read(
            file, ctypes.cast(buffer, opus.opus_int16_p), 11_520, None
        )
    ) > 0:
        sound += ctypes.string_at(buffer, samples * channels * 2)
    assert samples == 0
    opus.libopusfile.op_free(file)
    return channels, total, sound


@pytest.mark.parametrize("length_ms", [20, 1_000, 35_000])
def test_a_player_hears_it_whole(tmp_path: Path, length_ms: int) -> None:
    """The official library opens it, and finds as much sound as it should."""
    packets = encoded(length_ms)
    path = tmp_path / "a.opus"
    path.write_bytes(pack(packets))
    channels, samples, sound = played(path)
    assert channels == 1
    assert samples == length_ms * 48 - PRE_SKIP_SAMPLES
    assert samples / 48 == duration_ms(len(packets))
    assert len(sound) == samples * 2


def test_what_is_heard_is_what_was_said(tmp_path: Path) -> None:
    """A tone comes out as a tone, from its start."""
    path = tmp_path / "a.opus"
    path.write_bytes(pack(encoded(500)))
    _, _, sound = played(path)
    samples = struct.unpack(f"<{len(sound) // 2}h", sound)
    assert max(map(abs, samples[: 48 * 60])) > 1_000


def test_the_skip_is_the_encoders_lag() -> None:
    """As libopus tells it."""
    with OpusEncoder() as encoder:
        lag = ctypes.c_int()
        encoder._opus.libopus.opus_encoder_ctl(encoder._state, _GET_LOOKAHEAD, ctypes.byref(lag))
    assert lag.value * 3 == PRE_SKIP_SAMPLES


def test_it_is_laid_out_as_the_standard_asks() -> None:
    """Headers on pages of their own, positions at 48 kHz, first and last page marked."""
    packets = encoded(3_000)
    head, tags, *sound = pages(pack(packets, serial=7))
    assert (head.flags, head.granule, head.serial, head.number) == (2, 0, 7, 0)
    assert head.packets == (b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 16_000, 0, 0),)
    assert (tags.flags, tags.granule, len(tags.packets)) == (0, 0, 1)
    assert [packet for page in sound for packet in page.packets] == packets
    ended = 0
    for page in sound:
        ended += len(page.packets)
        assert page.granule == ended * FRAME_MS * 48
    assert [page.flags & 4 for page in sound] == [0] * (len(sound) - 1) + [4]
    assert [page.number for page in sound] == list(range(2, len(sound) + 2))


def test_nothing_in_it_says_whose_it_is() -> None:
    """No comments: a vendor that is the same for all, and no more."""
    _, tags, *_ = pages(pack(encoded(100)))
    assert tags.packets == (b"OpusTags" + struct.pack("<I", 6) + b"pommai" + struct.pack("<I", 0),)
    assert re.findall(rb"[A-Z]+=", tags.packets[0]) == []


@given(st.lists(st.binary(min_size=1, max_size=PACKET_BYTES_MAX), min_size=1, max_size=60))
def test_packets_of_all_lengths_come_out_as_they_went_in(packets: list[bytes]) -> None:
    """Multiples of 255 bytes, silence of one byte, all on as many pages as it takes."""
    _, _, *sound = pages(pack(packets))
    assert [packet for page in sound for packet in page.packets] == packets
    assert sound[-1].granule == len(packets) * 960


@pytest.mark.parametrize("packets", [[], [b""], [b"x" * (PACKET_BYTES_MAX + 1)], [b"x"] * 30_001])
def test_what_is_no_utterance_is_refused(packets: list[bytes]) -> None:
    """None, empty, too long, too many."""
    with pytest.raises(MisuseError):
        pack(packets)


def test_a_serial_that_does_not_fit_is_refused() -> None:
    """libogg would cut it off."""
    with pytest.raises(MisuseError, match="31 bits"):
        pack([b"x"], serial=2**31)
