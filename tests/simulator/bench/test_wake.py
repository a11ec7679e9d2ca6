"""What engines have heard, and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from firmware.bench.section import Figure
from hardware.pcm import BYTES_PER_MS, FRAME_BYTES
from simulator.bench.wake import PORTION_BYTES, Heard, Word, _portions, hear
from simulator.room import Condition

HITS = {Condition.CLEAN: 14, Condition.NOISE: 11, Condition.FAR: 9}


class EveryLoudFrame:
    """An engine that takes every frame for its word in which there is anything."""

    def __init__(self) -> None:
        self.is_likely = False
        self.is_closed = False

    def hear(self, frame: bytes) -> bool:
        assert len(frame) == FRAME_BYTES
        return any(frame)

    def reset(self) -> None:
        raise AssertionError

    def close(self) -> None:
        self.is_closed = True


def _word(hits: int = 1, hours: float = 1.0) -> Word:
    background = Heard(hits=hits, cpu_s=36 * hours, sound_s=3600 * hours)
    return Word("hey you", {"kind": "phrase"}, "", dict(HITS), background)


def _missed(figures: list[Figure]) -> list[str]:
    return [figure.what for figure in figures if not figure.met]


def test_an_engine_hears_whole_frames_and_is_closed() -> None:
    engine = EveryLoudFrame()
    sound = bytes(FRAME_BYTES) + b"\1" * 2 * FRAME_BYTES + bytes(FRAME_BYTES) + b"\1" * 100
    one = hear(engine, sound)
    assert (one.hits, engine.is_closed) == (2, True)
    assert one.sound_s == pytest.approx(len(sound) / BYTES_PER_MS / 1000)


def test_what_was_heard_in_several_places_is_added() -> None:
    total = Heard()
    total.add(Heard(1, 2.0, 3.0))
    total.add(Heard(1, 2.0, 3.0))
    assert total == Heard(2, 4.0, 6.0)


def test_background_is_handed_out_in_portions_and_nothing_is_lost() -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(5):
            yield bytes([number]) * (PORTION_BYTES // 2)

    portions = list(_portions(pieces()))
    assert [len(portion) for portion in portions] == [
        PORTION_BYTES,
        PORTION_BYTES,
        PORTION_BYTES // 2,
    ]
    assert b"".join(portions) == b"".join(pieces())


def test_false_accepts_are_by_the_hour_and_more_than_one_is_too_many() -> None:
    for hits, hours, rate in ((1, 1.0, 1.0), (1, 0.5, 2.0), (3, 2.0, 1.5)):
        word = _word(hits, hours)
        told = {one.what: one for one in word.figures(shall_be_refused=False, clean_hits_min=None)}
        assert told["'hey you' (phrase): false accepts"].median == rate
        assert told["'hey you' (phrase): false accepts"].met is (rate <= 1)
        assert told["'hey you' (phrase): CPU"].median == pytest.approx(1.0)


def test_what_heard_nothing_is_not_within_its_budget() -> None:
    word = _word(0, 0)
    (missed,) = [
        one
        for one in word.figures(shall_be_refused=False, clean_hits_min=None)
        if one.what.endswith("false accepts")
    ]
    assert math.isnan(missed.median)
    assert not missed.met


def test_a_stock_word_must_be_heard_by_almost_all_who_say_it_clearly() -> None:
    assert _missed(_word().figures(shall_be_refused=False, clean_hits_min=14)) == []
    assert _missed(_word().figures(shall_be_refused=False, clean_hits_min=15)) == [
        "'hey you' (phrase): hits, clean"
    ]


def test_a_phrase_must_be_refused_or_accepted_as_it_deserves() -> None:
    refused = Word("hey", refusal="too_short")
    assert _missed(refused.figures(shall_be_refused=True, clean_hits_min=None)) == []
    assert _missed(refused.figures(shall_be_refused=False, clean_hits_min=None)) == [
        "'hey': refused, too_short"
    ]
    assert _missed(_word().figures(shall_be_refused=True, clean_hits_min=None)) == [
        "'hey you': accepted"
    ]


@pytest.mark.parametrize("reason", ["unavailable", "timed_out", "outdated"])
def test_a_phrase_that_could_not_be_tried_was_not_refused(reason: str) -> None:
    word = Word("hey", refusal=reason)
    assert len(_missed(word.figures(shall_be_refused=True, clean_hits_min=None))) == 1
