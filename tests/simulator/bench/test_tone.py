"""The measuring tools show what is there: beginnings, ends and tears where they were put."""

from __future__ import annotations

import numpy as np
import pytest

from firmware.voice.earcons import Note, synthesise
from hardware import pcm
from hardware.codec import OpusDecoder, OpusEncoder
from hardware.pcm import BYTES_PER_MS, FRAME_BYTES
from simulator.bench import tone

SILENCE = bytes(200 * BYTES_PER_MS)
MS = pcm.SAMPLES_PER_MS
NOTES = b"".join(synthesise((Note(660, 150), Note(880, 250))))


def _coded(sound: bytes) -> bytes:
    with OpusEncoder(bitrate_bps=24_000, complexity=5, expected_loss_percent=10) as encoder:
        packets = [
            encoder.encode(sound[at : at + FRAME_BYTES])
            for at in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES)
        ]
    with OpusDecoder() as decoder:
        return b"".join(map(decoder.decode, packets))


@pytest.mark.parametrize("lead_ms", [50, 77, 133.5])
def test_a_tone_begins_and_ends_where_it_was_put(lead_ms: float) -> None:
    lead = round(lead_ms * MS)
    sound = bytes(2 * lead) + tone.make(300) + SILENCE
    (begin,), (end,) = tone.begins(sound), tone.ends(sound)
    assert begin == pytest.approx(lead, abs=2 * MS)
    assert end == pytest.approx(lead + 300 * MS, abs=2 * MS)


def test_each_burst_is_found() -> None:
    sound = SILENCE + (tone.make(60) + bytes(250 * BYTES_PER_MS)) * 5
    assert np.diff(tone.begins(sound)) == pytest.approx([310 * MS] * 4, abs=MS)


def test_nothing_is_found_where_nothing_is() -> None:
    for sound in (b"", bytes(10), SILENCE, NOTES):
        assert tone.begins(sound) == tone.ends(sound) == tone.tears(sound) == []


def test_a_tone_that_gives_way_to_notes_ends_there() -> None:
    """The toy plays a cue as soon as it has stopped a reply."""
    sound = tone.make(300) + NOTES
    assert tone.ends(sound) == [pytest.approx(300 * MS, abs=4 * MS)]


def test_a_whole_tone_has_no_tears_even_out_of_a_codec() -> None:
    assert tone.tears(SILENCE + tone.make(3_000) + SILENCE) == []
    assert tone.tears(_coded(SILENCE + tone.make(3_000) + SILENCE)) == []


@pytest.mark.parametrize("missing_ms", [1, 5, 10, 20, 40, 60, 80, 100, 120])
def test_what_is_missing_is_a_tear_where_it_is_missing(missing_ms: int) -> None:
    """Cut out, or silent."""
    sound, at = tone.make(2_000), 800 * BYTES_PER_MS
    behind = sound[at + missing_ms * BYTES_PER_MS :]
    assert tone.tears(sound[:at] + behind) == [pytest.approx(800 * MS, abs=12 * MS)]
    if missing_ms >= 10:
        silent = sound[:at] + bytes(missing_ms * BYTES_PER_MS) + behind
        assert tone.tears(silent)[0] == pytest.approx(800 * MS, abs=12 * MS)


def test_what_is_too_much_is_a_tear_and_each_is_counted() -> None:
    sound, at = tone.make(900), 300 * BYTES_PER_MS
    twice = sound[:at] + sound[at - FRAME_BYTES : 2 * at] + sound[2 * at - FRAME_BYTES :]
    assert len(tone.tears(twice)) == 2


def test_a_lost_packet_is_a_tear_although_the_codec_conceals_it() -> None:
    sound = SILENCE + tone.make(1_000)
    frames = [sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES)]
    with OpusEncoder(bitrate_bps=24_000, complexity=5, expected_loss_percent=0) as encoder:
        packets = [encoder.encode(frame) for frame in frames]
    del packets[30]
    with OpusDecoder() as decoder:
        assert len(tone.tears(b"".join(map(decoder.decode, packets)))) == 1
