"""Everyday sentences, as they are said in a house where a toy listens and is not meant.

Made of patterns and words: many, all different, and the same for the same seed. They hold what
wake words are made of (hey, okay, hello, teddy, robot), but none whole.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Final

SEED: Final = 4

PATTERNS: Final = (
    "hey {who}, have you seen my {thing} {where}?",
    "okay, but after that we {do} {when}.",
    "hello {who}, how was {place} today?",
    "{who} said that {animal} can't {do} {when}.",
    "can you please {do} before we go to {place}?",
    "I put the {thing} {where}, next to the {thing}.",
    "no, that's my {colour} {thing}, yours is {where}.",
    "we have to {do} {when}, and then you may {do}.",
    "why does {animal} always hide {where}?",
    "there were {number} {colour} birds at {place} {when}.",
    "do you want {food} or {food} with that?",
    "I don't like {food}, can I have some {food}?",
    "look, {animal} is eating the {food}!",
    "{who} is going to {place} with {who} {when}.",
    "please don't {do} while {who} is sleeping.",
    "the {thing} is broken again, ask {who} to fix it.",
    "once upon a time {animal} lived {where} and wanted to {do}.",
    "it's {number} o'clock already, time to {do}.",
    "the weather {when} will be {weather}, so take your {thing}.",
    "did {who} really {do}, or did you make that up?",
    "let's count the {thing}s: {number}, {number} and {number}.",
    "what would you do if {animal} came to {place}?",
    "my favourite colour is {colour}, and {who}'s is {colour}.",
    "turn the music down, I can't hear what {who} is saying.",
    "in the news: {weather} near the coast, trains to {place} are late.",
    "if you {do} now, we can still get {food} {when}.",
    "where did {who} leave the {colour} {thing}?",
    "that was {number} minutes ago, and I'm still waiting for {food}.",
    "good night {who}, don't forget to {do}.",
    "yes, yes, I heard you, the {thing} is {where}.",
)
WORDS: Final = {
    "who": (
        "mum", "dad", "grandma", "grandpa", "Alex", "Alexander", "Lexi", "Marcus", "Jarred",
        "Michael", "Eddie", "Tommy", "Emma", "Oliver", "Sophie", "Benjamin", "Charlotte",
        "Mister Nobu", "uncle Joe", "aunt Alice", "the teacher", "Ella", "Robin",
        "your sister", "his brother",
    ),
    "thing": (
        "robot", "teddy bear", "blanket", "backpack", "football", "jacket", "picture book",
        "umbrella", "telephone", "toothbrush", "puzzle", "pencil", "scooter", "lamp", "computer",
        "key", "pillow", "guitar", "bottle", "rocket", "necklace", "box of bricks", "sock", "kite",
    ),
    "where": (
        "under the bed", "in the kitchen", "behind the sofa", "on the shelf", "in the garden",
        "upstairs", "in the car", "by the window", "on the washing machine", "in your room",
        "at the bus stop", "in the bathroom", "between the cushions", "on the top of the wardrobe",
    ),
    "do": (
        "brush our teeth", "tidy up", "wash our hands", "read a story", "build a castle",
        "feed the cat", "write a letter", "practise the piano", "bake some biscuits", "go home",
        "play outside", "draw a picture", "call the doctor", "water the plants", "sing that song",
        "take a bath", "do the homework", "watch the cartoon", "jump on the trampoline", "swim",
    ),
    "when": (
        "tomorrow", "this afternoon", "after lunch", "on Saturday", "next week", "tonight",
        "every morning", "in a moment", "before dinner", "in the holidays", "yesterday",
    ),
    "place": (
        "school", "the playground", "the supermarket", "the zoo", "the library", "the beach",
        "the station", "nursery", "the dentist", "grandma's house", "the museum", "the farm",
    ),
    "animal": (
        "the dog", "a dragon", "the little rabbit", "an elephant", "our cat", "the hamster",
        "a tiny mouse", "the big bad wolf", "a penguin", "that spider", "the tortoise", "a pony",
    ),
    "colour": ("red", "blue", "green", "yellow", "purple", "orange", "silver", "brown", "pink"),
    "number": (
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "eleven", "twelve",
        "fifteen", "twenty", "thirty", "forty two",
    ),
    "food": (
        "pancakes", "spaghetti", "an apple", "chocolate", "soup", "carrots", "cereal", "bananas",
        "sandwiches", "rice", "cucumber", "ice cream", "potatoes", "yoghurt", "cheese", "berries",
    ),
    "weather": (
        "sunny and warm", "cloudy with some rain", "windy", "very cold", "foggy at first",
        "stormy in the evening", "mostly dry",
    ),
}  # fmt: skip

_GAP: Final = re.compile(r"\{(\w+)\}")


def everyday(seed: int = SEED) -> Iterator[str]:
    """Give sentences, no two alike, for as long as one takes them."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    given: set[str] = set()
    while True:
        for pattern in chance.sample(PATTERNS, len(PATTERNS)):
            sentence = _GAP.sub(lambda gap: chance.choice(WORDS[gap[1]]), pattern)
            if sentence not in given:
                given.add(sentence)
                yield sentence
