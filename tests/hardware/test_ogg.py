"""Ogg Opus files, judged by opusfile and by a reading of their pages."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import re
import struct
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.codec import PACKET_BYTES_MAX, OpusEncoder, load_bindings
from hardware.errors import CorruptFileError, MisuseError
from hardware.ogg import FILE_BYTES_MAX, PRE_SKIP_SAMPLES, duration_ms, pack, unpack
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


# -- Reading --------------------------------------------------------------------------------------


def recorded(duration_ms: int = 100) -> bytes:
    """Return a file, small enough to be damaged everywhere."""
    return pack(encoded(duration_ms), serial=7)


@given(st.lists(st.binary(min_size=1, max_size=PACKET_BYTES_MAX), min_size=1, max_size=80))
def test_what_was_packed_is_unpacked(packets: list[bytes]) -> None:
    """Whatever it is, and however it lies across the pages."""
    assert unpack(pack(packets)) == packets


def test_nothing_of_a_damaged_file_is_relied_on() -> None:
    """One bit anywhere is noticed: every page is checked."""
    whole = recorded()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(CorruptFileError):
            unpack(bytes(damaged))


def test_a_file_that_was_cut_short_or_goes_on_is_refused() -> None:
    """Also where it was cut between two pages."""
    whole = recorded()
    for end in range(len(whole)):
        with pytest.raises(CorruptFileError):
            unpack(whole[:end])
    for rest in (b"\0", b"OggS", whole):
        with pytest.raises(CorruptFileError):
            unpack(whole + rest)


def repaired(page: bytes) -> bytes:
    """Return a page with the checksum that libogg gives it."""
    load_bindings()
    from pyogg import ogg  # noqa: PLC0415 - loaded by now, and not before

    segments = page[26]
    header = ctypes.create_string_buffer(page[: 27 + segments], 27 + segments)
    body = ctypes.create_string_buffer(page[27 + segments :], len(page) - 27 - segments)
    ogg_page = ogg.ogg_page(
        header=ctypes.cast(header, ogg.c_uchar_p),
        header_len=27 + segments,
        body=ctypes.cast(body, ogg.c_uchar_p),
        body_len=len(page) - 27 - segments,
    )
    ogg.libogg.ogg_page_checksum_set(ctypes.byref(ogg_page))
    return header.raw + body.raw


def page_bytes(file: bytes) -> list[bytes]:
    """Cut a file into its pages."""
    begins = [found.start() for found in re.finditer(b"OggS", file)]
    return [file[a:b] for a, b in itertools.pairwise([*begins, len(file)])]


SEVERAL_PAGES = page_bytes(pack(encoded(1_000), serial=7))


@given(data=st.data())
def test_hostile_pages_with_good_checksums_end_in_an_answer(data: st.DataObject) -> None:
    """Pages left out, repeated, or changed in their headers: packets, or a named error."""
    found = SEVERAL_PAGES
    order = data.draw(st.lists(st.sampled_from(range(len(found))), max_size=6))
    file = bytearray()
    for number in order:
        page = bytearray(found[number])
        at = data.draw(st.integers(4, len(page) - 1))
        if at not in range(26, 27 + page[26]):  # the lengths must go on fitting the body
            page[at] = data.draw(st.integers(0, 255))
        file += repaired(bytes(page))
    with contextlib.suppress(CorruptFileError):
        assert unpack(bytes(file))


@pytest.mark.parametrize(
    ("at", "value", "problem"),
    [
        (0x1C, b"X", "not Opus"),
        (0x24, b"\x10", "version 16"),
        (0x25, b"\x02", "2 channels"),
        (0x2E, b"\x01", "channels"),
    ],
)
def test_another_kind_of_stream_is_refused(at: int, value: bytes, problem: str) -> None:
    """One channel, of a version that is known."""
    head, *rest = page_bytes(recorded())
    changed = repaired(head[:at] + value + head[at + 1 :])
    with pytest.raises(CorruptFileError, match=problem):
        unpack(changed + b"".join(rest))


def test_a_file_beyond_the_limits_is_refused() -> None:
    """Before anything is made of it."""
    with pytest.raises(CorruptFileError, match="more than"):
        unpack(bytes(FILE_BYTES_MAX + 1))


def test_headers_alone_are_no_sound() -> None:
    """A file without one packet is not one that can be played."""
    head, tags, *_ = page_bytes(recorded())
    last = bytearray(tags)
    last[5] |= 4
    with pytest.raises(CorruptFileError, match="no sound"):
        unpack(head + repaired(bytes(last)))
