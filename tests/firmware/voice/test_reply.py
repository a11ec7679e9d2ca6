"""A reply from packets to frames."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence

import pytest

from firmware.voice.arrivals import Arrivals
from firmware.voice.jitter import JitterBuffer
from firmware.voice.packet import Lost
from firmware.voice.reply import Recording, Replay, Reply
from hardware.codec import OpusDecoder, load_bindings
from hardware.pcm import FRAME_BYTES, from_bytes
from tests.firmware.voice.rig import decoded, packed, reply
from tests.hardware.voices import frames, tone


def heard(packets: Sequence[bytes | Lost]) -> tuple[list[bytes], Reply]:
    """All frames of a reply that is complete."""
    decoding = Reply(Replay(packets))
    sounds = []
    while (frame := decoding.next_frame(0)) is not None:
        sounds.append(frame)
    return sounds, decoding


def foreign_packets(rate_hz: int, packet_ms: float, duration_ms: int) -> list[bytes]:
    """A tone of 1 kHz as another encoder would send it: another rate, another length."""
    opus = load_bindings()
    lib, error = opus.libopus, ctypes.c_int()
    state = lib.opus_encoder_create(rate_hz, 1, opus.OPUS_APPLICATION_AUDIO, ctypes.byref(error))
    samples = int(rate_hz * packet_ms / 1000)
    pcm = tone(1000, duration_ms, rate_hz).tobytes()
    packets, out = [], (ctypes.c_ubyte * 4000)()
    for at in range(0, len(pcm) - 2 * samples + 1, 2 * samples):
        piece = ctypes.cast(ctypes.c_char_p(pcm[at : at + 2 * samples]), opus.opus_int16_p)
        length = lib.opus_encode(state, piece, samples, out, len(out))
        packets.append(bytes(out[:length]))
    lib.opus_encoder_destroy(state)
    return packets


def crossings(pcm: bytes) -> int:
    """How often the sound goes from below zero to above."""
    samples = from_bytes(pcm)
    return sum(a < 0 <= b for a, b in itertools.pairwise(samples))


def test_it_gives_out_every_frame_of_every_packet() -> None:
    """Exactly as the decoder makes them."""
    sounds, decoding = heard(reply())
    assert sounds == frames(decoded(reply()))
    assert decoding.is_over
    assert decoding.packets_concealed == 0


def test_long_packets_are_cut_into_frames() -> None:
    """Three frames in one packet sound as in three packets."""
    long = [packed(reply()[at : at + 3]) for at in range(0, 18, 3)]
    assert heard(long)[0] == frames(decoded(reply()[:18]))
    decoding = Reply(Replay(long[:1]))
    assert [(decoding.next_frame(0) is not None, decoding.is_over) for _ in range(4)] == [
        (True, False),
        (True, False),
        (True, True),
        (False, True),
    ]


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("packet_ms", [2.5, 10, 20, 60])
def test_any_rate_and_length_is_decoded_to_ours(rate_hz: int, packet_ms: float) -> None:
    """Neither pitch nor duration change, and nothing is lost between packets."""
    packets = foreign_packets(rate_hz, packet_ms, 900)
    sounds, decoding = heard(packets)
    assert len(sounds) == 45
    assert all(len(frame) == FRAME_BYTES for frame in sounds)
    assert crossings(b"".join(sounds[5:])) == pytest.approx(800, abs=3)
    assert decoding.packets_concealed == 0


def test_silence_fills_up_the_last_frame() -> None:
    """Three packets of 2.5 ms are one frame."""
    (frame,), _ = heard(foreign_packets(48_000, 2.5, 900)[:3])
    assert len(frame) == FRAME_BYTES
    assert frame[240:] == bytes(400)


@pytest.mark.parametrize("broken", [b"", b"\xff\xff\xff\xff", b"\x03"])
def test_a_broken_packet_is_concealed_and_counted(broken: bytes) -> None:
    """The reply keeps its length, and goes on after the gap."""
    packets = reply()
    packets[10] = broken
    sounds, decoding = heard(packets)
    assert decoding.packets_concealed == 1
    with OpusDecoder() as decoder:
        first = [decoder.decode(packet) for packet in reply()[:10]]
        rest = [decoder.conceal(), *(decoder.decode(packet) for packet in reply()[11:])]
    assert sounds == first + rest


def test_a_lost_packet_is_recovered_from_the_one_after_it() -> None:
    """The reply keeps its length; without the one after it, something is made up."""
    packets = reply()
    recovered, first = heard([*packets[:10], Lost(packets[11]), *packets[11:]])
    made_up, second = heard([*packets[:10], Lost(None), *packets[11:]])
    assert len(recovered) == len(made_up) == 20
    assert (first.packets_recovered, first.packets_concealed) == (1, 0)
    assert (second.packets_recovered, second.packets_concealed) == (0, 1)
    with OpusDecoder() as decoder:
        for packet in packets[:10]:
            decoder.decode(packet)
        assert recovered[10] == decoder.decode_fec(packets[11])


def test_a_lost_packet_before_a_broken_one_is_made_up() -> None:
    """What is not Opus carries no copy either."""
    packets: list[bytes | Lost] = [*reply()]
    packets[10:12] = [Lost(b"\xff\xff\xff\xff"), b"\xff\xff\xff\xff"]
    sounds, decoding = heard(packets)
    assert len(sounds) == 20
    assert decoding.packets_concealed == 2


def test_a_lost_packet_is_as_long_as_its_neighbours() -> None:
    """Three frames are missing where three were in each packet."""
    long = [packed(reply()[at : at + 3]) for at in range(0, 18, 3)]
    sounds, decoding = heard([*long[:2], Lost(long[3]), *long[3:]])
    assert len(sounds) == 18
    assert decoding.packets_concealed == 1


def test_it_waits_for_the_jitter_buffer() -> None:
    """None for now is not the end."""
    jitter = JitterBuffer(Arrivals(start_ms=60, ms_max=60), ms_max=1000, bytes_max=10_000)
    decoding = Reply(jitter)
    jitter.push(reply()[0], 0)
    assert decoding.next_frame(0) is None
    assert not decoding.has_sounded
    assert decoding.next_frame(60) is not None
    assert decoding.has_sounded
    assert not decoding.is_over
    jitter.finish()
    assert decoding.is_over
    decoding.close()


def test_half_a_frame_waits_for_the_other_half() -> None:
    """Packets of 10 ms are joined, not filled with silence."""
    halves = foreign_packets(16_000, 10, 900)
    jitter = JitterBuffer(Arrivals(start_ms=0, ms_max=0), ms_max=1000, bytes_max=10_000)
    decoding = Reply(jitter)
    jitter.push(halves[0], 0)
    assert decoding.next_frame(0) is None
    jitter.push(halves[1], 10)
    assert decoding.next_frame(10) == decoded(halves[:2])


def test_a_recording_keeps_what_it_has_room_for() -> None:
    """By length or by size; it has no holes: after the first that is left out nothing is kept."""
    packets = reply()
    by_length = Recording(ms_max=100, bytes_max=10_000)
    by_size = Recording(ms_max=1000, bytes_max=len(packets[0]) + len(packets[1]))
    for packet in packets:
        by_length.keep(packet)
        by_size.keep(packet)
    by_size.keep(b"\x08")
    assert by_length.packets == packets[:5]
    assert by_size.packets == packets[:2]


def test_a_recording_is_not_used_up() -> None:
    """It can be played as often as one likes."""
    packets = reply()
    assert heard(packets)[0] == heard(packets)[0]
    assert len(packets) == 20
