"""Which phrases can be wake words, and how they sound."""

from __future__ import annotations

# ruff: noqa: RUF001 - the International Phonetic Alphabet looks like others
from pathlib import Path

import pytest

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake import phrase as module
from firmware.voice.wake.phrase import parse, sounds_of

DICTIONARY = """\
a AH
a(2) EY
bear B EH R
hello HH AH L OW
hello(2) HH EH L OW
hey HH EY
let's L EH T S
teddy T EH D IY
"""


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    path = tmp_path / "words.dict"
    path.write_text(DICTIONARY)
    return path


def refusal(text: str, dictionary: Path) -> str:
    with pytest.raises(WakeWordRefusedError) as refused:
        parse(text, dictionary)
    return refused.value.reason


@pytest.mark.parametrize(
    "text", ["hello teddy", "  Hello,   TEDDY!", "hello-teddy", "hello_teddy?"]
)
def test_case_spaces_and_punctuation_do_not_count(text: str, dictionary: Path) -> None:
    phrase = parse(text, dictionary)
    assert phrase.words == ("hello", "teddy")
    assert phrase.text == "hello teddy"
    assert phrase.sounds == {"hello": "HH AH L OW", "teddy": "T EH D IY"}


def test_syllables_are_the_vowels_of_the_dictionary(dictionary: Path) -> None:
    assert parse("hello teddy bear", dictionary).syllables == 5


@pytest.mark.parametrize("text", ["", " ", "bear", "hey bear", "hello", "teddy", "!?"])
def test_fewer_than_three_syllables_are_too_short(text: str, dictionary: Path) -> None:
    assert refusal(text, dictionary) == "too_short"


@pytest.mark.parametrize(
    "text", ["hello " * 7, "hello teddy hello teddy hello teddy", "a" * 61, "teddy" * 13]
)
def test_what_nobody_says_to_wake_a_toy_is_too_long(text: str, dictionary: Path) -> None:
    assert refusal(text, dictionary) == "too_long"


@pytest.mark.parametrize(
    "text",
    [
        "hello teddy 2",
        "hallo bärchen",
        "привет мишка",
        "hello\0teddy",
        "hello; teddy",
        "hello <teddy>",
    ],
)
def test_anything_but_english_letters_is_unspeakable(text: str, dictionary: Path) -> None:
    assert refusal(text, dictionary) == "unspeakable"


def test_word_that_the_dictionary_lacks_sounds_as_the_synthesizer_says_it(dictionary: Path) -> None:
    phrase = parse("hello pommai", dictionary)
    assert phrase.sounds["pommai"].split()[0] == "P"
    assert phrase.syllables == 4


def test_without_a_synthesizer_a_word_that_the_dictionary_lacks_is_refused(
    dictionary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ESPEAK", "no-such-program")
    assert parse("hello teddy", dictionary).syllables == 4
    assert refusal("hello pommai", dictionary) == "unavailable"


def test_without_a_dictionary_no_phrase_can_be_had(tmp_path: Path) -> None:
    assert refusal("hello teddy", tmp_path / "none") == "unavailable"


@pytest.mark.parametrize(
    ("ipa", "sounds"),
    [
        ("həlˈoʊ", "HH AH L OW"),
        ("tʃˈɜːtʃ", "CH ER CH"),
        ("pˈɑːma‍ɪ", "P AA M AY"),
        ("fˈaɪɚɹ", "F AY ER R"),
        (" θˈɪŋ\n", "TH IH NG"),
        ("kjˈuːt", "K Y UW T"),
    ],
)
def test_sounds_are_written_as_the_dictionary_writes_them(ipa: str, sounds: str) -> None:
    assert sounds_of(ipa) == sounds


def test_sound_that_english_lacks_is_unspeakable() -> None:
    with pytest.raises(WakeWordRefusedError) as refused:
        sounds_of("ɮa")
    assert refused.value.reason == "unspeakable"


def test_phrase_is_in_no_text_of_it(dictionary: Path) -> None:
    assert "teddy" not in repr(parse("hello teddy", dictionary))
