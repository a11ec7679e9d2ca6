"""What is said in a house where nobody means the toy.

Sentences are made of patterns and words, so that no two are the same; between them stand words of
the dictionary at random, for the sounds that no sentence happens to have, and words that sound much
like those of the phrase itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

from firmware.voice.wake.phrase import Phrase, entries

PATTERNS: Final = (
    "{person} put the {object} {place}, and now it is gone.",
    "hey, that is not your {object}, give it back to {person}.",
    "okay, five more minutes, and then we {action}.",
    "hello, is {person} at home? I have brought the {object}.",
    "I would like {food} and a glass of {drink}, please.",
    "did you hear what happened to {person} {place}?",
    "the {animal} ran away, because {person} left the door open.",
    "can we {action} after dinner, please, please, please?",
    "when I was little, we had a {animal} that liked {food}.",
    "good morning {person}, did you sleep well?",
    "there is still some {food} {place}, if you are hungry.",
    "I told you to {action} an hour ago.",
    "look at the {animal}, it is sitting {place} again.",
    "{person} can't come today, because the {object} is broken.",
    "we are going to {action} with {person} on {day}.",
    "on {day} it is going to rain, so bring your {object}.",
    "once there was a {animal} that wanted to {action}.",
    "who wants the last piece of {food}? not me.",
    "wait for {person}, we are not ready to {action} yet.",
    "that {object} costs {number} dollars, which is far too much.",
    "{number}, {number}, {number}, here I come, ready or not!",
    "thank you for the {object}, it is just what I wanted.",
    "turn off the {object}, it is time to {action}.",
    "my {animal} is bigger than {person}'s {animal}.",
    "what is the capital of the country where {food} comes from?",
    "the train leaves at {number} past {number}, don't be late.",
    "please say sorry to {person}, and then you may {action}.",
    "I think I left my {object} {place} on {day}.",
    "no, I don't want to {action}, I want {food}.",
    "in the evening news: {number} people were seen {place}.",
    "wake up, {person}, the {drink} is getting cold.",
    "let me show you how to {action} with a {object}.",
)
WORDS: Final = {
    "person": (
        "mother", "father", "Granny", "Peter", "Susan", "the doctor", "little Ben", "Maria",
        "your cousin", "Mister Baker", "Andrew", "Lucy", "our neighbour", "Teddy", "Barbara",
        "the captain", "Elizabeth", "Johnny", "Aunt Polly", "Alexandra", "Jeremy", "Mike",
    ),
    "object": (
        "bicycle", "wooden spoon", "radio", "raincoat", "red balloon", "toy box", "ladder",
        "camera", "blue bucket", "hammer", "story book", "piano", "paper bag", "helmet", "bed",
        "television", "watering can", "basket", "slipper", "telescope", "drum", "letter",
    ),
    "place": (
        "under the stairs", "in the garden", "behind the sofa", "on top of the cupboard",
        "at the playground", "next to the bakery", "in the bathroom", "by the river",
        "at grandfather's house", "outside the station", "over there", "in the washing machine",
    ),
    "action": (
        "brush our teeth", "read another chapter", "build a castle", "go swimming", "clean the car",
        "learn a song", "bake a cake", "feed the chickens", "play hide and seek", "ride home",
        "make a phone call", "draw a dinosaur", "tidy up", "buy new shoes", "climb that tree",
    ),
    "food": (
        "strawberry jam", "noodles", "chocolate pudding", "cheese", "potato soup", "banana bread",
        "cucumber", "roast chicken", "yellow apples", "biscuits", "rice with beans", "an omelette",
    ),
    "drink": ("milk", "water", "orange juice", "hot cocoa", "peppermint tea", "lemonade"),
    "animal": (
        "hedgehog", "black cat", "pony", "goldfish", "parrot", "puppy", "rabbit", "turtle",
        "squirrel", "baby elephant", "spider", "crocodile",
    ),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "number": ("two", "three", "five", "seven", "ten", "eleven", "fourteen", "twenty", "ninety"),
}  # fmt: skip

DICTIONARY_WORDS_IN_A_ROW: Final = 6
SENTENCES_TO_A_ROW: Final = 3
"""How many sentences stand between rows of words."""

LIKENESS_MIN: Final = 0.4
"""Share of its sounds in which a word of the dictionary must be like a word of the phrase."""
LIKENESS_MAX: Final = 0.75
"""Beyond it, even people take one for the other."""
LIKE_WORDS_MAX: Final = 40

_BLANK: Final = re.compile(r"{(\w+)}")
_SPOKEN: Final = re.compile(r"[a-z]{2,14}")


def sentences(words: Sequence[str], chance: Random) -> Iterator[str]:
    """Give sentences without end, and now and then a row of such words."""
    while True:
        for _ in range(SENTENCES_TO_A_ROW):
            pattern = chance.choice(PATTERNS)
            yield _BLANK.sub(lambda blank: chance.choice(WORDS[blank[1]]), pattern)
        yield " ".join(chance.choices(words, k=DICTIONARY_WORDS_IN_A_ROW)) + "."


def vocabulary(dictionary: Path) -> dict[str, str]:
    """Return the words of a dictionary that are written as one, with their sounds."""
    return {word: sounds for word, sounds in entries(dictionary) if _SPOKEN.fullmatch(word)}


def near_misses(phrase: Phrase, words: dict[str, str], chance: Random) -> list[str]:
    """Return what sounds somewhat like a phrase and is none.

    Parts of it, its words in another order, and each word of it in turn replaced by like ones.
    """
    missed = [" ".join(phrase.words[:end]) for end in range(1, len(phrase.words))]
    missed += [" ".join(phrase.words[start:]) for start in range(1, len(phrase.words))]
    if len(phrase.words) > 1:
        missed.append(" ".join(reversed(phrase.words)))
    for place, word in enumerate(phrase.words):
        like = _like(phrase.sounds[word], words)
        for other in chance.sample(like, min(len(like), LIKE_WORDS_MAX // len(phrase.words))):
            missed.append(" ".join((*phrase.words[:place], other, *phrase.words[place + 1 :])))
    return [text for text in missed if text != phrase.text]


def _like(sounds: str, words: dict[str, str]) -> list[str]:
    """Return the words that have sounds in common, in pairs of neighbours, but not too many."""
    pairs = _pairs(sounds)
    return [
        word
        for word, others in words.items()
        if LIKENESS_MIN <= _likeness(pairs, _pairs(others)) <= LIKENESS_MAX
    ]


def _pairs(sounds: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(("", *sounds.split(), "")))


def _likeness(some: frozenset[tuple[str, str]], others: frozenset[tuple[str, str]]) -> float:
    return 2 * len(some & others) / (len(some) + len(others))
