"""The approved answers, and which one a child gets for what was heard.

An answer is chosen by the topic whose keywords occur most among the words heard (whole words only;
between equals, the topic that stands first). A reply begins with what was heard, so that a child
notices when it was misheard, and so that different words do not get the same reply; unless there
is a word in it that no toy should say.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

QUOTED_WORDS_MAX: Final = 20

UNSPEAKABLE: Final = re.compile(
    r"ass(hole)?s?|bastard\w*|bitch\w*|cocks?|cunt\w*|damn\w*|dicks?|\w*fuck\w*|pussy|\w*shit\w*|sluts?|whor\w+"
)
"""Words that a toy does not repeat, although a recogniser that guesses may hear them."""

NOTHING_HEARD: Final = "I did not catch that. Please say it again, a little louder."
OTHERWISE: Final = "That sounds interesting. Tell me more about it!"


class Topic(NamedTuple):
    """A topic: the words that it is recognised by, and its answer."""

    name: str
    keywords: frozenset[str]
    answer: str


def _topic(name: str, keywords: str, answer: str) -> Topic:
    return Topic(name, frozenset(keywords.split()), answer)


TOPICS: Final = (
    _topic(
        "greeting",
        "hello hi hey greetings morning goodbye bye",
        "Hello, my friend! It is lovely to hear your voice.",
    ),
    _topic(
        "story",
        "story stories tale fairy bedtime once",
        "Here is a story. Once upon a time, a small bear found a lantern in the forest. He lit the"
        " way home for all his friends, and they shared a honey cake.",
    ),
    _topic(
        "joke",
        "joke jokes funny laugh riddle",
        "Why did the teddy bear say no to cake? Because it was already stuffed!",
    ),
    _topic(
        "song",
        "song songs sing singing music",
        "Twinkle, twinkle, little star, how I wonder what you are.",
    ),
    _topic(
        "animals",
        "animal animals dog dogs cat cats bear bears bird birds fish horse lion elephant cow pig",
        "I love animals! Did you know that an elephant can hear with its feet?",
    ),
    _topic(
        "cards",
        "card cards club clubs spade spades heart hearts diamond diamonds ace king queen jack",
        "What a good hand of cards! Shall we play a round together?",
    ),
    _topic(
        "directions",
        "go going walk run turn move forward forwards backward backwards left right stop back"
        " meter meters mile miles step steps somewhere north south east west",
        "Off we go! My legs are short, so let us pretend that we are already there.",
    ),
    _topic(
        "numbers",
        "number numbers count counting zero one two three four five six seven eight nine ten eleven"
        " twelve twenty thirty forty fifty sixty seventy eighty ninety hundred thousand",
        "You know your numbers well! Let us count together: one, two, three.",
    ),
)


def choose_reply(transcript: str) -> str:
    """Choose the reply to what was heard; to nothing, a request to say it again."""
    words = re.findall(r"[\w']+", transcript)
    if not words:
        return NOTHING_HEARD
    heard = {word.casefold() for word in words}
    topic = max(TOPICS, key=lambda topic: len(topic.keywords & heard))
    answer = topic.answer if topic.keywords & heard else OTHERWISE
    if any(UNSPEAKABLE.fullmatch(word) for word in heard):
        return answer
    return f"I heard you say: {' '.join(words[:QUOTED_WORDS_MAX])}. {answer}"
