from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.replies import NOTHING_HEARD, OTHERWISE, TOPICS, choose_reply


@pytest.mark.parametrize(
    ("heard", "topic"),
    [
        ("hello there", "greeting"),
        ("please tell me a bedtime story", "story"),
        ("do you know a joke", "joke"),
        ("sing something", "song"),
        ("what does an elephant eat", "animals"),
        ("seven of clubs", "cards"),
        ("eight of spades four of clubs seven of hearts", "cards"),
        ("two nine three four zero", "numbers"),
        ("go forward ten meters", "directions"),
    ],
)
def test_the_answer_is_about_what_was_said(heard: str, topic: str) -> None:
    (answer,) = [known.answer for known in TOPICS if known.name == topic]
    assert choose_reply(heard) == f"I heard you say: {heard}. {answer}"


def test_keywords_are_whole_words() -> None:
    """There is `hi` in `things`, `cat` in `catch` and `ten` in `often`."""
    assert choose_reply("things often catch fire").endswith(OTHERWISE)


@pytest.mark.parametrize("heard", ["", " ", "?!"])
def test_nothing_heard_is_asked_for_again(heard: str) -> None:
    assert choose_reply(heard) == NOTHING_HEARD


WORDS = st.lists(
    st.sampled_from(["go", "ten", "cat", "hello", "why", "blue", "seven", "sing"]), max_size=20
)


@given(WORDS, WORDS)
def test_different_words_get_different_replies(one: list[str], other: list[str]) -> None:
    same_words = one == other
    assert (choose_reply(" ".join(one)) == choose_reply(" ".join(other))) is same_words


def test_a_long_speech_is_quoted_in_part() -> None:
    assert len(choose_reply("blah " * 1000).split()) < 40


@pytest.mark.parametrize("heard", ["damn it", "what a Bastard", "go to the shithouse"])
def test_words_that_no_toy_should_say_are_not_repeated(heard: str) -> None:
    """A recogniser that has to guess may hear anything; the toy answers without quoting it."""
    reply = choose_reply(heard)
    assert "I heard you say" not in reply
    assert not any(word in reply for word in heard.split() if len(word) > len("the"))


def test_harmless_words_are_repeated_although_they_look_alike() -> None:
    """Whole words only: a class, a peacock and a shiitake are fit to be said."""
    heard = "the class saw a peacock eat a shiitake"
    assert heard in choose_reply(heard)
