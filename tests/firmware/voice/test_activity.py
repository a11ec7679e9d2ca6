"""Whether somebody speaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.voice import activity
from firmware.voice.activity import CHUNK_BYTES, GatedVoiceActivity, SileroModel
from firmware.voice.settings import VoiceSettings
from hardware.pcm import read_wav
from tests.firmware.voice.noises import noise
from tests.firmware.voice.rig import CLIPS, SILENCE
from tests.hardware.voices import frames, voice

ROOT = Path(__file__).parents[3]


class Scripted:
    """A model that says what it is told to say, and remembers what it was asked."""

    def __init__(self, *likelihoods: float) -> None:
        self.chunks: list[bytes] = []
        self.resets = 0
        self._likelihoods = list(likelihoods)

    def reset(self) -> None:
        """Count it."""
        self.resets += 1

    def probability(self, chunk: bytes) -> float:
        """Say the next likelihood, and the last one for ever."""
        self.chunks.append(chunk)
        return self._likelihoods.pop(0) if len(self._likelihoods) > 1 else self._likelihoods[0]


def judged(model: Scripted, pcm: list[bytes]) -> list[bool]:
    """What is said of each frame."""
    gated = GatedVoiceActivity(model, VoiceSettings())
    return [gated.is_voice(frame) for frame in pcm]


def test_the_model_is_given_everything_once_and_in_its_own_measure() -> None:
    """Five chunks for eight frames, none with a gap, each utterance anew."""
    model, said = Scripted(0.9), frames(voice(800))
    judged(model, said)
    assert {len(chunk) for chunk in model.chunks} == {CHUNK_BYTES}
    assert b"".join(model.chunks) == b"".join(said)
    judged(model, said)
    assert model.resets == 2


def test_nobody_is_asked_in_a_silent_room() -> None:
    """The gate stays closed."""
    model = Scripted(0.9)
    assert not any(judged(model, [SILENCE] * 100))
    assert model.chunks == []


def test_the_gate_stays_open_for_300_ms_after_what_might_be_a_voice() -> None:
    """A word may begin softly."""
    model = Scripted(0.1)
    judged(model, frames(voice(200)) + [SILENCE] * 100)
    assert 500 <= len(b"".join(model.chunks)) / 32 <= 800


def test_the_gate_stays_open_as_long_as_speech_goes_on() -> None:
    """Whatever the gate thinks of it."""
    model = Scripted(0.9)
    assert judged(model, frames(voice(200)) + [SILENCE] * 100)[-1]


def test_a_voice_begins_at_50_and_ends_below_35_percent() -> None:
    """What hovers in between changes nothing."""
    model = Scripted(0.49, 0.4, 0.5, 0.36, 0.49, 0.34, 0.4, 0.49)
    said = judged(model, frames(voice(8 * 32 + 4)))
    chunk_ends = [n for n in range(len(said)) if (n + 1) * 20 // 32 > n * 20 // 32]
    assert [said[n] for n in chunk_ends] == [False, False, True, True, True, False, False, False]


def test_the_model_knows_a_person_from_noise() -> None:
    """By a wide margin."""
    model = SileroModel()

    def most_likely(pcm: bytes) -> float:
        model.reset()
        return max(
            model.probability(pcm[at : at + CHUNK_BYTES])
            for at in range(0, len(pcm) - CHUNK_BYTES + 1, CHUNK_BYTES)
        )

    assert most_likely(read_wav(CLIPS / "goforward.raw")) > 0.95
    assert most_likely(noise("pink", 3_000, 3_000)) < 0.2


def test_the_model_forgets_when_it_is_told_to() -> None:
    """Two utterances do not hear each other."""
    model, said = SileroModel(), read_wav(CLIPS / "goforward.raw")[CHUNK_BYTES * 20 :]
    chunks = [said[at : at + CHUNK_BYTES] for at in range(0, 10 * CHUNK_BYTES, CHUNK_BYTES)]
    first = [model.probability(chunk) for chunk in chunks]
    model.reset()
    assert [model.probability(chunk) for chunk in chunks] == first


def test_the_model_works_on_the_thread_that_asks_it() -> None:
    """Helpers for so little work would cost ten times as much; the environment stays as it was."""
    code = (
        "import os\n"
        "from firmware.voice.activity import CHUNK_BYTES, SileroModel\n"
        "before = len(os.listdir('/proc/self/task'))  # numpy has some of its own\n"
        "SileroModel().probability(bytes(CHUNK_BYTES))\n"
        "print(len(os.listdir('/proc/self/task')) - before, os.environ.get('OMP_THREAD_LIMIT'))\n"
    )
    for limit in ({}, {"OMP_THREAD_LIMIT": "3"}):
        environment = {
            name: value for name, value in os.environ.items() if name != "OMP_THREAD_LIMIT"
        }
        finished = subprocess.run(
            [sys.executable, "-c", code],
            env=environment | limit,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert finished.stdout.split() == ["0", limit.get("OMP_THREAD_LIMIT", "None")]


def test_a_variable_that_was_set_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading changes nothing for others."""
    monkeypatch.setenv("OMP_THREAD_LIMIT", "7")
    with activity._one_thread():
        assert os.environ["OMP_THREAD_LIMIT"] == "1"
    assert os.environ["OMP_THREAD_LIMIT"] == "7"
