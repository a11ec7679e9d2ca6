"""What Opus packets say of their length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.voice.packet import duration_ms
from hardware.codec import OpusDecoder
from hardware.errors import CorruptPacketError
from hardware.pcm import BYTES_PER_MS
from tests.firmware.voice.rig import packed, reply


@pytest.mark.parametrize(
    ("configuration", "frame_ms"),
    [(0, 10), (3, 60), (5, 20), (10, 40), (12, 10), (15, 20), (16, 2.5), (25, 5), (31, 20)],
)
def test_configurations_are_those_of_the_rfc(configuration: int, frame_ms: float) -> None:
    """RFC 6716, table 2; one frame and, with code 1, two of them."""
    assert duration_ms(bytes([configuration << 3])) == frame_ms
    assert duration_ms(bytes([configuration << 3 | 1, 0, 0])) == 2 * frame_ms


def test_several_frames_in_one_packet_are_added_up() -> None:
    """60 ms in a packet of three."""
    assert duration_ms(packed(reply()[:3])) == 60


@pytest.mark.parametrize(
    "packet", [b"", b"\x03", b"\x03\x00", bytes([0b11111_011, 7]), bytes([0b00011_011, 63])]
)
def test_a_packet_that_contradicts_itself_counts_as_one_frame(packet: bytes) -> None:
    """Empty, without its count, with a count of none, longer than 120 ms."""
    assert duration_ms(packet) == 20


@given(st.binary(min_size=1, max_size=40))
def test_libopus_agrees_wherever_it_can_decode(packet: bytes) -> None:
    """The judge of what a packet holds is the decoder."""
    with OpusDecoder() as decoder:
        try:
            pcm = decoder.decode(packet)
        except CorruptPacketError:
            return
    assert duration_ms(packet) == len(pcm) / BYTES_PER_MS
