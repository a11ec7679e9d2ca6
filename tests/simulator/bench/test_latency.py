"""A delay that was put in is a delay that is shown."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest

from hardware import pcm
from hardware.codec import OpusDecoder, OpusEncoder
from hardware.pcm import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from simulator.bench import tone
from simulator.bench.latency import Uplink, bursts_ms, first_after, to_wire_ms

BEGAN_MS = 5_000.0
GAPS_MS = (211, 307, 257, 293)


def _said() -> bytes:
    return b"".join(bytes(gap * BYTES_PER_MS) + tone.make(60) for gap in (*GAPS_MS, 320))


def _heard_ms(sample: int) -> float:
    return BEGAN_MS + sample / pcm.SAMPLES_PER_MS


def _uplink(sound: bytes, delay_ms: float) -> Uplink:
    """Return what arrives when each packet takes so long from the end of its frame."""
    frames = [sound[at : at + FRAME_BYTES] for at in range(0, len(sound) - 639, FRAME_BYTES)]
    with OpusEncoder(bitrate_bps=24_000, complexity=5, expected_loss_percent=10) as encoder:
        packets = [encoder.encode(frame) for frame in frames]
    with OpusDecoder() as decoder:
        decoded = b"".join(map(decoder.decode, packets))
    chunks = [
        (number, BEGAN_MS + (number + 1) * FRAME_MS + delay_ms, (number + 1) * 320)
        for number in range(len(packets))
    ]
    facts = {"chunks": chunks, "pcm": base64.b64encode(decoded).decode()}
    return Uplink.from_json(facts)


@pytest.mark.parametrize("delay_ms", [0, 30, 100])
def test_the_way_to_the_wire_takes_what_is_left_of_the_frame_and_the_delay(delay_ms: float) -> None:
    said = bursts_ms(_said(), _heard_ms)
    took = to_wire_ms(said, _uplink(_said(), delay_ms).bursts_ms())
    assert len(took) == len(GAPS_MS) + 1
    for began, shown in zip(said, took, strict=True):
        frame_left_ms = FRAME_MS - (began - BEGAN_MS) % FRAME_MS
        # At a frame's very edge a burst may be taken for one of the next.
        assert shown - delay_ms == pytest.approx(frame_left_ms, abs=3) or (
            min(frame_left_ms, FRAME_MS - frame_left_ms) < 3
        )


def test_bursts_have_the_gaps_that_they_were_said_with() -> None:
    began = bursts_ms(_said(), _heard_ms)
    gaps = [later - earlier for earlier, later in pairwise(began)]
    assert gaps == pytest.approx([gap + 60 for gap in (*GAPS_MS[1:], 320)], abs=1)


def test_where_a_burst_is_missing_nothing_is_shown() -> None:
    """It is not known which one."""
    assert to_wire_ms([1, 2, 3], [2, 3]) == []


def test_a_sample_arrives_with_its_packet() -> None:
    uplink = Uplink(b"", (10, 20, 30), (320, 640, 960))
    shown = [uplink.arrival_ms(sample) for sample in (0, 319, 320, 959, 960)]
    assert shown == [10, 10, 20, 30, 30]


def test_the_first_event_after_a_moment_counts() -> None:
    assert first_after([90, 110, 120], 100) == 10
    assert first_after([90], 100) is None
