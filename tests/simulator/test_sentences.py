"""Everyday sentences: many, all different, the same every time."""

from __future__ import annotations

from itertools import islice

from simulator.sentences import everyday


def test_sentences_are_the_same_every_time() -> None:
    assert list(islice(everyday(), 100)) == list(islice(everyday(), 100))
    assert list(islice(everyday(1), 100)) != list(islice(everyday(2), 100))


def test_no_two_sentences_are_alike_and_every_gap_is_filled() -> None:
    sentences = list(islice(everyday(), 3_000))
    assert len(set(sentences)) == 3_000
    assert not any("{" in sentence for sentence in sentences)


def test_no_wake_word_is_said() -> None:
    """What counts as a false accept must not be a right one."""
    words = ("alexa ", "jarvis", "mycroft", "nabu", "hey teddy", "hello robot", "pommai")
    said = " ".join(islice(everyday(), 3_000)).lower()
    assert not [word for word in words if word in said]
