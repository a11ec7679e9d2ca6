"""Learning a phrase, and finding out whether it can be told from everything else."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pocketsphinx
import pymicro_wakeword
import pytest

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake import calibration, model_trial, synthesis
from firmware.voice.wake.background import near_misses, sentences, vocabulary
from firmware.voice.wake.calibration import Effort, calibrate
from firmware.voice.wake.model_trial import try_model
from firmware.voice.wake.phrase import Phrase, parse
from firmware.voice.wake.phrase_engine import PhraseRecipe
from firmware.voice.wake.surroundings import SURROUNDINGS, Surroundings, heard, pink
from firmware.voice.wake.synthesis import EXAMINERS, TEACHERS, Voice, say
from hardware.pcm import SAMPLE_RATE_HZ
from tests.firmware.voice.wake.speech import heard_ms, spoken

DICTIONARY = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
LITTLE = Effort(TEACHERS[:2], EXAMINERS[:1], 10, 5, 10)
SEED = 1
PHRASE = "hello teddy bear"


def seeded() -> Random:
    """Chance that repeats itself."""
    return Random(SEED)  # noqa: S311 - repeatable, not secret


@pytest.fixture(scope="module")
def phrase() -> Phrase:
    return parse(PHRASE, DICTIONARY)


@pytest.fixture(scope="module")
def recipe(phrase: Phrase) -> PhraseRecipe:
    return calibrate(phrase, DICTIONARY, LITTLE)


def test_phrase_that_was_learnt_is_heard(recipe: PhraseRecipe) -> None:
    assert len(heard_ms(recipe.make(), spoken(PHRASE, "en-us+m1"))) == 1


def test_threshold_is_clear_of_what_was_mistaken(recipe: PhraseRecipe) -> None:
    assert recipe.threshold >= calibration.THRESHOLD_MIN


def trial(recipe: PhraseRecipe, monkeypatch: pytest.MonkeyPatch, mistaken: list[float]) -> float:
    monkeypatch.setattr(calibration, "_scores_of_background", lambda *_: mistaken)
    return calibration._tried(recipe, (), LITTLE, np.random.default_rng(1))


def test_nothing_mistaken_makes_the_lowest_threshold(
    recipe: PhraseRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trial(recipe, monkeypatch, []) == calibration.THRESHOLD_MIN


def test_phrase_that_examiners_say_in_vain_is_not_heard(
    recipe: PhraseRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "THRESHOLD_MIN", 100.0)
    with pytest.raises(WakeWordRefusedError) as refused:
        trial(recipe, monkeypatch, [])
    assert refused.value.reason == "not_heard"


def test_phrase_of_which_everyday_speech_is_full_is_too_easily_mistaken(
    recipe: PhraseRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WakeWordRefusedError) as refused:
        trial(recipe, monkeypatch, [1.0, 50.0, 2.0])
    assert refused.value.reason == "too_easily_mistaken"


def test_no_voice_both_teaches_and_examines() -> None:
    names = [voice.name for voice in (*TEACHERS, *EXAMINERS)]
    assert len(set(names)) == len(names)


def test_background_is_everyday_sentences_and_words_of_the_dictionary() -> None:
    texts = list(islice(sentences(("zebra", "quartz"), seeded()), 40))
    assert len(set(texts)) > 30
    assert all("{" not in text for text in texts)
    assert all(set(text[:-1].split()) <= {"zebra", "quartz"} for text in texts[3::4])
    assert texts == list(islice(sentences(("zebra", "quartz"), seeded()), 40))


def test_near_misses_are_like_the_phrase_and_never_the_phrase(phrase: Phrase) -> None:
    misses = near_misses(phrase, vocabulary(DICTIONARY), seeded())
    assert {"hello", "hello teddy", "teddy bear", "bear teddy hello"} <= set(misses)
    assert PHRASE not in misses
    assert len(misses) > 30


def test_voices_say_the_same_each_time_and_each_otherwise() -> None:
    said = [say([PHRASE], voice) for voice in TEACHERS[:3]]
    assert [len(sound) for sound in said] == [len(say([PHRASE], voice)) for voice in TEACHERS[:3]]
    assert len({sound.tobytes() for sound in said}) == 3
    assert all(0.5 < len(sound) / SAMPLE_RATE_HZ < 3 for sound in said)


def test_text_without_sound_is_unspeakable() -> None:
    with pytest.raises(WakeWordRefusedError) as refused:
        say([" "], TEACHERS[0])
    assert refused.value.reason == "unspeakable"


def test_without_a_synthesizer_nothing_can_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "ESPEAK", "no-such-program")
    with pytest.raises(WakeWordRefusedError) as refused:
        say([PHRASE], Voice("en-us"))
    assert refused.value.reason == "unavailable"


@pytest.mark.parametrize("where", SURROUNDINGS)
def test_speech_is_heard_between_pauses(where: Surroundings) -> None:
    speech = say([PHRASE], TEACHERS[0])
    sound = heard(speech, where, np.random.default_rng(1)).astype(np.float64)
    assert len(sound) == len(speech) + 2 * SAMPLE_RATE_HZ
    before = np.sqrt(np.mean(sound[: SAMPLE_RATE_HZ // 2] ** 2))
    within = np.sqrt(np.mean(sound[SAMPLE_RATE_HZ:-SAMPLE_RATE_HZ] ** 2))
    assert 0 < before < within / 2


@pytest.mark.parametrize("size", [1, 16_001, 200_000])
def test_noise_is_as_long_as_wanted(size: int) -> None:
    assert len(pink(size, np.random.default_rng(1))) == size


def model(word: str) -> Path:
    return Path(pymicro_wakeword.__file__).parent / "models" / f"{word}.tflite"


@pytest.fixture
def _short_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_trial, "EXAMINERS", EXAMINERS[:1])
    monkeypatch.setattr(model_trial, "SENTENCES_EACH", 10)


@pytest.mark.usefixtures("_short_trial")
def test_model_that_is_not_mistaken_is_accepted() -> None:
    assert try_model(model("alexa"), DICTIONARY).cutoff == 0.7


@pytest.mark.usefixtures("_short_trial")
def test_model_that_hears_its_word_in_everyday_speech_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_trial, "EXAMINERS", (Voice("en-us", 175),))
    monkeypatch.setattr(model_trial, "sentences", lambda *_: iter(["Alexa!"] * 100))
    with pytest.raises(WakeWordRefusedError) as refused:
        try_model(model("alexa"), DICTIONARY)
    assert refused.value.reason == "too_easily_mistaken"


@pytest.mark.usefixtures("_short_trial")
def test_model_that_this_machine_cannot_carry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_trial, "TIME_SHARE_MAX", 0.0)
    with pytest.raises(WakeWordRefusedError) as refused:
        try_model(model("alexa"), DICTIONARY)
    assert refused.value.reason == "bad_model"
