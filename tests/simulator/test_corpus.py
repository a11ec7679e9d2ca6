"""Speech to measure with: made once, the same for all, and missed when it cannot be made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hardware import pcm
from simulator import corpus, voices
from simulator.corpus import Corpus, Text
from simulator.errors import ClipsMissingError, SynthesizerError, SynthesizerMissingError
from simulator.voices import LEVEL, VOICES, Voice, from_pcm

BY_NAME = {voice.name: voice for voice in VOICES}


@pytest.fixture
def speech(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path / "corpus")


@pytest.fixture
def _no_programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PATH", "/nonexistent")
    voices.version.cache_clear()
    yield
    voices.version.cache_clear()


def test_there_are_sixteen_voices_that_all_differ() -> None:
    assert len(VOICES) == len(BY_NAME) == 16
    assert len({(voice.synthesizer, voice.model, voice.pitch) for voice in VOICES}) == 16


@pytest.mark.parametrize("name", ["slt", "american boy"])
def test_a_voice_speaks_at_the_level_of_all(name: str, speech: Corpus) -> None:
    samples = from_pcm(speech.spoken("hello", BY_NAME[name]))
    assert 0.2 < len(samples) / pcm.SAMPLE_RATE_HZ < 1.5
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(LEVEL, rel=0.05)


def test_voices_differ_in_what_they_say(speech: Corpus) -> None:
    said = speech.all_spoken([Text("hello", BY_NAME[name]) for name in ("slt", "english")])
    assert said[0] != said[1]


def test_what_was_made_is_kept(speech: Corpus, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    first = speech.all_spoken([Text("hello", VOICES[4])] * 2, lambda *done: told.append(done))
    (kept,) = (tmp_path / "corpus").iterdir()
    kept.write_bytes(b"\1\0")
    assert first[0] == first[1]
    assert speech.spoken("hello", VOICES[4]) == b"\1\0"
    assert told == [(1, 2), (2, 2)]


@pytest.mark.usefixtures("_no_programs")
@pytest.mark.parametrize("voice", [VOICES[0], VOICES[-1]])
def test_missing_synthesizer_is_named(speech: Corpus, voice: Voice) -> None:
    with pytest.raises(SynthesizerMissingError, match=f"install the package {voice.synthesizer}"):
        speech.spoken("hello", voice)


def test_a_voice_that_says_nothing_is_an_error(speech: Corpus) -> None:
    with pytest.raises(SynthesizerError, match="as american"):
        speech.spoken("", BY_NAME["american"])


def test_text_is_never_an_option(speech: Corpus) -> None:
    for name in ("slt", "american"):
        assert len(speech.spoken("--version", BY_NAME[name])) > 4_000


def test_background_is_as_long_as_wanted_and_the_same_every_time(speech: Corpus) -> None:
    told: list[tuple[int, int]] = []
    first = list(speech.background(0.5, lambda *done: told.append(done)))
    samples = sum(map(len, first)) // pcm.SAMPLE_BYTES
    assert 30 <= samples / pcm.SAMPLE_RATE_HZ < 45
    assert told[-1] == (30 * 16_000, 30 * 16_000)
    assert list(speech.background(0.5)) == first


def test_background_begins_with_recordings_and_goes_on_with_voices(
    speech: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "AHEAD", 2)
    recorded = len(corpus._recordings()) * len(corpus.PACES)
    pieces = speech.background()
    for _ in range(recorded):
        assert len(next(pieces)) > pcm.SAMPLE_RATE_HZ
    assert not (tmp_path / "corpus").exists()
    assert next(pieces)
    assert len(list((tmp_path / "corpus").glob("*.pcm"))) == 2


def test_missing_recordings_are_named(
    speech: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "RECORDINGS_DIR", tmp_path)
    corpus._recordings.cache_clear()
    try:
        with pytest.raises(ClipsMissingError, match="install the package pocketsphinx-testdata"):
            next(speech.background())
    finally:
        corpus._recordings.cache_clear()
