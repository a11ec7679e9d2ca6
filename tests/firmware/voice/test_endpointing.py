"""Endpointing, on made-up frames and on recorded people."""

from __future__ import annotations

import array
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.voice.activity import GatedVoiceActivity, SileroModel
from firmware.voice.endpointing import Endpointing
from firmware.voice.settings import VoiceSettings
from hardware.pcm import BYTES_PER_MS, FRAME_MS, SAMPLE_RATE_HZ, read_wav, rms
from tests.firmware.voice.noises import NOISES, noise, with_noise
from tests.firmware.voice.rig import CLIPS, SILENCE
from tests.hardware.voices import frames

if TYPE_CHECKING:
    from firmware.voice.activity import VoiceActivity
    from firmware.voice.endpointing import Boundary

VOICE = b"voice"


class Obvious:
    """A voice activity detector for frames that say what they are."""

    def is_voice(self, frame: bytes) -> bool:
        """Say whether it says so."""
        return frame == VOICE


def boundaries(pcm: list[bytes], activity: VoiceActivity) -> list[tuple[Boundary, int]]:
    """What is found, and the milliseconds at which it is known."""
    endpointing = Endpointing(activity, VoiceSettings())
    judged = [(endpointing.take(frame), (n + 1) * FRAME_MS) for n, frame in enumerate(pcm)]
    return [(boundary, at_ms) for boundary, at_ms in judged if boundary is not None]


def test_speech_starts_after_80_ms_of_voice_and_ends_after_700_ms_without() -> None:
    """To the frame."""
    pcm = [SILENCE] * 10 + [VOICE] * 20 + [SILENCE] * 50
    assert boundaries(pcm, Obvious()) == [("started", 280), ("ended", 1300)]


def test_a_cough_is_no_speech() -> None:
    """60 ms of voice within any 200 ms are too little, however often they come."""
    cough = [VOICE] * 3 + [SILENCE] * 7
    assert boundaries(cough * 20, Obvious()) == []


def test_a_short_gap_within_the_first_word_does_no_harm() -> None:
    """A stop consonant has no voice in it."""
    pcm = [VOICE] * 2 + [SILENCE] * 6 + [VOICE] * 2
    assert boundaries(pcm, Obvious()) == [("started", 200)]


def test_a_pause_for_breath_does_not_end_speech() -> None:
    """680 ms are no end, 700 ms are."""
    pcm = [VOICE] * 6 + [SILENCE] * 34 + [VOICE] + [SILENCE] * 35
    assert boundaries(pcm, Obvious()) == [("started", 80), ("ended", 1520)]


def test_each_boundary_is_found_once_an_utterance() -> None:
    """Who speaks again after the end is not heard until the next utterance."""
    pcm = ([VOICE] * 10 + [SILENCE] * 40) * 3
    assert [boundary for boundary, _ in boundaries(pcm, Obvious())] == ["started", "ended"]


@given(st.lists(st.sampled_from([VOICE, SILENCE]), max_size=300))
def test_an_end_follows_a_start_and_nothing_follows_an_end(pcm: list[bytes]) -> None:
    """Whatever is heard."""
    found = [boundary for boundary, _ in boundaries(pcm, Obvious())]
    assert found in ([], ["started"], ["started", "ended"])


PEOPLE = (
    "goforward.raw",
    "numbers.raw",
    "something.raw",
    *(f"cards/00{number}.wav" for number in range(1, 6)),
)


def heard(pcm: bytes, settings: VoiceSettings | None = None) -> list[tuple[Boundary, int]]:
    """What is found by the detector that is built in."""
    activity = GatedVoiceActivity(SileroModel(), settings or VoiceSettings())
    return boundaries(frames(pcm), activity)


def said(clip: str) -> tuple[bytes, int, int]:
    """A clip between 1 s and 2 s of silence; and when the first and the last loud sound begin."""
    pcm = bytes(1000 * BYTES_PER_MS) + read_wav(CLIPS / clip) + bytes(2000 * BYTES_PER_MS)
    loudness = [rms(frame) for frame in frames(pcm)]
    loud_ms = [n * FRAME_MS for n, value in enumerate(loudness) if value > 0.1 * max(loudness)]
    return pcm, loud_ms[0], loud_ms[-1]


@pytest.mark.parametrize("clip", PEOPLE)
def test_a_person_is_heard_from_beginning_to_end(clip: str) -> None:
    """The start is noticed soon after the first loud sound, the end soon after 700 ms of quiet."""
    pcm, first_ms, last_ms = said(clip)
    (started, started_ms), (ended, ended_ms) = heard(pcm)
    assert (started, ended) == ("started", "ended")
    assert 0 <= started_ms - first_ms <= 300
    assert 600 <= ended_ms - last_ms <= 1000


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("clip", PEOPLE)
def test_noise_5_db_below_a_person_neither_begins_speech_nor_keeps_it_from_ending(
    clip: str, kind: str
) -> None:
    """A radiator, a fan and music are not voices, and a voice is one all the same."""
    pcm, first_ms, last_ms = said(clip)
    (started, started_ms), (ended, ended_ms) = heard(with_noise(pcm, kind, below_db=5))
    assert (started, ended) == ("started", "ended")
    assert -100 <= started_ms - first_ms <= 500
    assert 500 <= ended_ms - last_ms <= 1500


@pytest.mark.parametrize("loudness", [0, 30, 300, 3_000])
@pytest.mark.parametrize("kind", NOISES)
def test_a_room_without_a_person_is_silent(kind: str, loudness: int) -> None:
    """From digital silence to noise as loud as a person."""
    assert heard(noise(kind, 10_000, loudness)) == []


def test_noise_at_full_scale_is_no_speech() -> None:
    """However long it lasts."""
    chance = random.Random(7)  # noqa: S311 - noise, not a secret
    pcm = array.array("h", (chance.randint(-32_768, 32_767) for _ in range(30 * SAMPLE_RATE_HZ)))
    assert heard(pcm.tobytes()) == []


@pytest.mark.parametrize("strictness", [0, 1, 2, 3])
def test_every_strictness_of_the_gate_hears_a_person(strictness: int) -> None:
    """The whole range of the setting is usable."""
    found = heard(said("goforward.raw")[0], VoiceSettings(gate_strictness=strictness))
    assert [boundary for boundary, _ in found] == ["started", "ended"]
