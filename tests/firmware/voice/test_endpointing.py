"""Endpointing, on made-up frames and on recorded people."""

from __future__ import annotations

import array
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.voice.endpointing import Endpointing, WebRtcVoiceActivity
from firmware.voice.settings import VoiceSettings
from hardware.pcm import BYTES_PER_MS, FRAME_MS, SAMPLE_RATE_HZ, read_wav, rms
from tests.firmware.voice.rig import CLIPS, SILENCE
from tests.hardware.voices import frames

if TYPE_CHECKING:
    from firmware.voice.endpointing import Boundary

VOICE = b"voice"


class Obvious:
    """A voice activity detector for frames that say what they are."""

    def is_voice(self, frame: bytes) -> bool:
        """Say whether it says so."""
        return frame == VOICE


def boundaries(
    pcm: list[bytes], activity: Obvious | WebRtcVoiceActivity
) -> list[tuple[Boundary, int]]:
    """What is found, and the milliseconds at which it is known."""
    endpointing = Endpointing(activity, VoiceSettings())
    judged = [(endpointing.take(frame), (n + 1) * FRAME_MS) for n, frame in enumerate(pcm)]
    return [(boundary, at_ms) for boundary, at_ms in judged if boundary is not None]


def test_speech_starts_after_120_ms_of_voice_and_ends_after_700_ms_without() -> None:
    """To the frame."""
    pcm = [SILENCE] * 10 + [VOICE] * 20 + [SILENCE] * 50
    assert boundaries(pcm, Obvious()) == [("started", 320), ("ended", 1300)]


def test_a_cough_is_no_speech() -> None:
    """100 ms of voice within any 200 ms are too little, however often they come."""
    cough = [VOICE] * 5 + [SILENCE] * 5
    assert boundaries(cough * 20, Obvious()) == []


def test_a_short_gap_within_the_first_word_does_no_harm() -> None:
    """A stop consonant has no voice in it."""
    pcm = [VOICE] * 3 + [SILENCE] * 4 + [VOICE] * 3
    assert boundaries(pcm, Obvious()) == [("started", 200)]


def test_a_pause_for_breath_does_not_end_speech() -> None:
    """680 ms are no end, 700 ms are."""
    pcm = [VOICE] * 6 + [SILENCE] * 34 + [VOICE] + [SILENCE] * 35
    assert boundaries(pcm, Obvious()) == [("started", 120), ("ended", 1520)]


def test_each_boundary_is_found_once_an_utterance() -> None:
    """Who speaks again after the end is not heard until the next utterance."""
    pcm = ([VOICE] * 10 + [SILENCE] * 40) * 3
    assert [boundary for boundary, _ in boundaries(pcm, Obvious())] == ["started", "ended"]


@given(st.lists(st.sampled_from([VOICE, SILENCE]), max_size=300))
def test_an_end_follows_a_start_and_nothing_follows_an_end(pcm: list[bytes]) -> None:
    """Whatever is heard."""
    found = [boundary for boundary, _ in boundaries(pcm, Obvious())]
    assert found in ([], ["started"], ["started", "ended"])


@pytest.mark.parametrize(
    "clip",
    [
        "goforward.raw",
        "numbers.raw",
        "something.raw",
        "cards/001.wav",
        "cards/002.wav",
        "cards/003.wav",
        "cards/004.wav",
        "cards/005.wav",
    ],
)
def test_a_person_is_heard_from_beginning_to_end(clip: str) -> None:
    """The start is noticed soon after the first loud sound, the end soon after 700 ms of quiet."""
    pcm = read_wav(CLIPS / clip)
    loudness = [rms(frame) for frame in frames(pcm)]
    loud_ms = [n * FRAME_MS for n, value in enumerate(loudness) if value > 0.1 * max(loudness)]
    found = boundaries(frames(pcm + bytes(1500 * BYTES_PER_MS)), WebRtcVoiceActivity(2))
    (started, started_ms), (ended, ended_ms) = found
    assert (started, ended) == ("started", "ended")
    assert 0 <= started_ms - loud_ms[0] <= 200
    assert 600 <= ended_ms - loud_ms[-1] <= 1200


@pytest.mark.parametrize("loudness", [0, 30, 300])
def test_a_room_without_a_person_is_silent(loudness: int) -> None:
    """Nothing is heard in digital silence, in faint and in clearly audible noise (-40 dBFS)."""
    chance = random.Random(7)  # noqa: S311 - noise, not a secret
    pcm = array.array("h", (int(chance.gauss(0, loudness)) for _ in range(5 * SAMPLE_RATE_HZ)))
    assert boundaries(frames(pcm.tobytes()), WebRtcVoiceActivity(2)) == []


@pytest.mark.parametrize("aggressiveness", [0, 1, 2, 3])
def test_every_aggressiveness_hears_a_person(aggressiveness: int) -> None:
    """The whole range of the setting is usable."""
    pcm = frames(read_wav(CLIPS / "goforward.raw") + bytes(1500 * BYTES_PER_MS))
    found = [boundary for boundary, _ in boundaries(pcm, WebRtcVoiceActivity(aggressiveness))]
    assert found == ["started", "ended"]
