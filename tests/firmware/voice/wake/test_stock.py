"""Stock words, heard by the networks that come with the library."""

from __future__ import annotations

import asyncio
import json

import pytest

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.micro import STOCK_WORDS, StockRecipe, StockWord, stock_word
from firmware.voice.wake.prepared import Prepared
from firmware.voice.wake.preparing import prepare
from tests.firmware.voice.wake.speech import heard_ms, spoken

SPEAKABLE = {"alexa": "Alexa!", "hey_mycroft": "Hey Mycroft!", "okay_nabu": "Okay nah boo!"}


@pytest.mark.parametrize("word", STOCK_WORDS)
def test_word_is_heard_once_where_it_ends(word: StockWord) -> None:
    engine = StockRecipe(word).make()
    pcm = spoken(SPEAKABLE[word])
    end_ms = len(pcm) // 32 - 1000
    [at_ms] = heard_ms(engine, pcm)
    assert end_ms - 400 < at_ms < end_ms + 300
    engine.close()


@pytest.mark.parametrize("word", STOCK_WORDS)
def test_other_speech_is_not_the_word(word: StockWord) -> None:
    engine = StockRecipe(word).make()
    assert heard_ms(engine, spoken("Once upon a time there was a little bear in the woods.")) == []
    assert not engine.is_likely
    engine.close()


def test_word_is_likely_before_it_is_heard() -> None:
    engine = StockRecipe("alexa").make()
    pcm = spoken(SPEAKABLE["alexa"])
    likely = []
    for start in range(0, len(pcm) - 640, 640):
        if engine.hear(pcm[start : start + 640]):
            break
        likely.append(engine.is_likely)
    assert any(likely)
    engine.close()


def test_what_was_heard_before_a_reset_is_forgotten() -> None:
    engine = StockRecipe("alexa").make()
    pcm = spoken(SPEAKABLE["alexa"])
    half = len(pcm) // 1280 * 640
    assert heard_ms(engine, pcm[:half]) == []
    engine.reset()
    assert heard_ms(engine, pcm[half:]) == []
    engine.reset()
    assert len(heard_ms(engine, pcm)) == 1
    engine.close()


@pytest.mark.parametrize("phrase", ["Alexa", " ALEXA ", "alexa!", "al exa"])
def test_stock_word_is_known_however_it_is_written(phrase: str) -> None:
    assert stock_word(phrase) == "alexa"


@pytest.mark.parametrize("phrase", ["", "alex", "alexa please", "hello teddy bear", "hey jarvis"])
def test_other_phrases_are_no_stock_word(phrase: str) -> None:
    assert stock_word(phrase) is None


def test_stock_word_needs_no_trial() -> None:
    prepared = asyncio.run(prepare("Alexa"))
    assert prepared == Prepared(StockRecipe("alexa"))


def test_prepared_word_outlives_a_restart() -> None:
    prepared = Prepared(StockRecipe("alexa"))
    facts = json.loads(json.dumps(prepared.to_facts()))
    assert Prepared.from_facts(facts) == prepared


@pytest.mark.parametrize("facts", [{}, {"kind": "stock"}, {"kind": "stock", "word": "computer"}])
def test_facts_of_another_firmware_are_refused(facts: dict[str, object]) -> None:
    with pytest.raises(WakeWordRefusedError) as refusal:
        Prepared.from_facts(facts)
    assert refusal.value.reason == "outdated"


def test_word_is_in_no_text_of_what_was_prepared() -> None:
    prepared = Prepared(StockRecipe("alexa"))
    assert "alexa" not in repr(prepared) + str(prepared) + repr(prepared.recipe)
