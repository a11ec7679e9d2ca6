"""A phrase of the family's own: whether it can be a wake word, and how it sounds.

Sounds are those of the CMU dictionary (ARPAbet without stress), which PocketSphinx's model of
English knows. Words that the dictionary lacks are pronounced as espeak-ng would say them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from firmware.voice.errors import WakeWordRefusedError

SYLLABLES_MIN: Final = 3
"""Of shorter ones everyday speech is full."""
SYLLABLES_MAX: Final = 10
WORDS_MAX: Final = 6
LETTERS_MAX: Final = 60

VOWELS: Final = frozenset(
    ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
)

ESPEAK: Final = "espeak-ng"
ESPEAK_TIMEOUT_S: Final = 30.0

_NOT_SPOKEN: Final = re.compile(r"[\s,.!?_-]+")
_WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)*")

# ruff: noqa: RUF001 - the International Phonetic Alphabet looks like others
_SOUNDS: Final[Mapping[str, str]] = {
    "aɪɚ": "AY ER", "aɪə": "AY AH", "aʊɚ": "AW ER", "aʊə": "AW AH",
    "tʃ": "CH", "dʒ": "JH", "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "ɔɪ": "OY", "oʊ": "OW",
    "iə": "IY AH", "ɪə": "IH R", "eə": "EH R", "ʊə": "UH R",
    "ɑ": "AA", "ɐ": "AH", "ə": "AH", "ʌ": "AH", "æ": "AE", "a": "AA", "ɒ": "AA", "ɔ": "AO",
    "ɛ": "EH", "e": "EH", "ɜ": "ER", "ɚ": "ER", "ɝ": "ER", "ɪ": "IH", "ᵻ": "IH", "i": "IY",
    "o": "OW", "ʊ": "UH", "u": "UW",
    "b": "B", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "h": "HH", "j": "Y", "k": "K", "l": "L",
    "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "r": "R", "s": "S", "ʃ": "SH",
    "t": "T", "ɾ": "D", "ʔ": "T", "θ": "TH", "v": "V", "w": "W", "ʍ": "W", "x": "K", "z": "Z",
    "ʒ": "ZH",
}  # fmt: skip
"""espeak-ng's sounds (IPA) as the dictionary's; where one begins another, the longer counts."""
_SOUND: Final = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)))
_MARKS: Final = str.maketrans("", "", "\u02c8\u02cc\u02d0\u200d\u0329 \n")
"""Stress, length, ties, syllables."""


@dataclass(frozen=True)
class Phrase:
    """A phrase that can be said. Its text does not show it.

    Attributes:
        words: In order, in small letters.
        sounds: How each of them sounds, by word: "HH EH L OW".
    """

    words: tuple[str, ...] = field(repr=False)
    sounds: Mapping[str, str] = field(repr=False)

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(self.words)

    @property
    def syllables(self) -> int:
        """How many there are: each has one vowel."""
        return sum(_syllables(self.sounds[word]) for word in self.words)


def parse(text: str, dictionary: Path) -> Phrase:
    """Return the phrase that a text is. Blocks for up to some seconds on a Pi.

    Args:
        text: As somebody typed it: case, punctuation between words and doubled spaces do not count.
        dictionary: PocketSphinx's: a line a word, with its sounds.

    Raises:
        WakeWordRefusedError: `unspeakable`, `too_short` or `too_long`; `unavailable`: a word is not
            in the dictionary, and there is no espeak-ng.
    """
    words = tuple(_NOT_SPOKEN.sub(" ", text.casefold()).split())
    if not all(_WORD.fullmatch(word) for word in words):
        raise WakeWordRefusedError("unspeakable")
    if len(words) > WORDS_MAX or sum(map(len, words)) > LETTERS_MAX:
        raise WakeWordRefusedError("too_long")
    known = look_up(frozenset(words), dictionary)
    phrase = Phrase(words, {word: known.get(word) or _pronounced(word) for word in words})
    if phrase.syllables < SYLLABLES_MIN:
        raise WakeWordRefusedError("too_short")
    if phrase.syllables > SYLLABLES_MAX:
        raise WakeWordRefusedError("too_long")
    return phrase


def look_up(words: Collection[str], dictionary: Path) -> dict[str, str]:
    """Return the first pronunciation of those words that the dictionary has.

    Raises:
        WakeWordRefusedError: `unavailable`: the dictionary cannot be read.
    """
    return {word: sounds for word, sounds in entries(dictionary) if word in words}


def entries(dictionary: Path) -> Iterator[tuple[str, str]]:
    """Give every word and its first pronunciation; others are written `word(2)`.

    Raises:
        WakeWordRefusedError: `unavailable`: the dictionary cannot be read.
    """
    try:
        with dictionary.open(encoding="utf-8") as lines:
            for line in lines:
                word, _, sounds = line.rstrip("\n").partition(" ")
                yield word, sounds
    except OSError as error:
        raise WakeWordRefusedError("unavailable") from error


def sounds_of(ipa: str) -> str:
    """Return sounds as the dictionary writes them.

    Raises:
        WakeWordRefusedError: `unspeakable`: one of them is not among English ones.
    """
    rest = ipa.translate(_MARKS)
    found = []
    while rest:
        match = _SOUND.match(rest)
        if match is None:
            raise WakeWordRefusedError("unspeakable")
        found.append(_SOUNDS[match[0]])
        rest = rest[match.end() :]
    return " ".join(found)


def _pronounced(word: str) -> str:
    """Return how espeak-ng would say a word, which it is given where nobody can list it."""
    try:
        said = subprocess.run(  # noqa: S603 - fixed words
            (ESPEAK, "-v", "en-us", "-q", "--ipa", "-b", "1", "--stdin"),
            input=word.encode(),
            capture_output=True,
            timeout=ESPEAK_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise WakeWordRefusedError("unavailable") from error
    sounds = sounds_of(said.stdout.decode(errors="replace"))
    if not _syllables(sounds):
        raise WakeWordRefusedError("unspeakable")
    return sounds


def _syllables(sounds: str) -> int:
    return sum(sound in VOWELS for sound in sounds.split())
