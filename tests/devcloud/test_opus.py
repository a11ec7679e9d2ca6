from __future__ import annotations

import math
import os
import subprocess
import sys
from array import array

import pytest

from devcloud import opus
from devcloud.errors import BadPacketError
from devcloud.opus import FRAME_BYTES, Decoder, Encoder
from tests.devcloud import clips

SILK_WIDEBAND_20_MS = 9
VOICE_ACTIVITY = 0x80
REDUNDANCY = 0x40


def tone(frames: int) -> list[bytes]:
    samples = array("h", (round(8000 * math.sin(n / 5)) for n in range(320 * frames)))
    pcm = samples.tobytes()
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)]


def power(frame: bytes) -> float:
    samples = array("h", frame)
    return sum(sample * sample for sample in samples) / len(samples)


def test_what_is_encoded_is_heard_again() -> None:
    with Encoder() as encoder, Decoder() as decoder:
        heard = [decoder.decode(encoder.encode(frame)) for frame in tone(20)]
    assert [len(frame) for frame in heard] == [FRAME_BYTES] * 20
    assert power(heard[-1]) == pytest.approx(8000**2 / 2, rel=0.2)


def test_speech_costs_what_it_may_and_silence_next_to_nothing() -> None:
    with Encoder() as encoder:
        spoken = [len(encoder.encode(frame)) for frame in tone(100)]
        silent = [len(encoder.encode(bytes(FRAME_BYTES))) for _ in range(100)]
    assert sum(spoken[50:]) / 50 * 8 / 0.02 <= 32_000
    assert silent[-1] <= 2


@pytest.mark.parametrize("packet", [b"\xff\xff\xff", b"\x03", bytes.fromhex("0b41")])
def test_what_is_no_opus_is_refused(packet: bytes) -> None:
    with Decoder() as decoder, pytest.raises(BadPacketError, match="no Opus"):
        decoder.decode(packet)


def test_a_packet_of_another_length_is_refused() -> None:
    """0x18 begins a packet of one 60 ms frame."""
    with Decoder() as decoder, pytest.raises(BadPacketError, match="60 ms instead of 20"):
        decoder.decode(b"\x18" + bytes(40))


def test_loading_leaves_path_as_it_was() -> None:
    opus.load()
    assert ";" not in os.environ["PATH"]


def test_loading_works_where_there_is_no_path() -> None:
    code = "import os; from devcloud import opus; opus.load(); print(os.environ.get('PATH'))"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "None\n"


def test_each_packet_of_speech_holds_the_one_before_once_more() -> None:
    """What a receiver makes up for losses with; source: RFC 6716, sections 4.2.3 and 4.2.4."""
    with Encoder() as encoder:
        packets = [encoder.encode(frame) for frame in clips.frames(clips.load(clips.GO_FORWARD))]
    spoken = [packet for packet in packets if len(packet) > 2 and packet[1] & VOICE_ACTIVITY]
    assert {packet[0] >> 3 for packet in spoken} == {SILK_WIDEBAND_20_MS}
    assert sum(bool(packet[1] & REDUNDANCY) for packet in spoken) > 0.8 * len(spoken) > 50
