"""A phrase of the family's own, heard by a watcher and a judge that were calibrated for it.

`hello_teddy_bear.json` is what the calibration of that phrase gave.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.judge import SCORE_MIN, Judge
from firmware.voice.wake.phrase import Phrase
from firmware.voice.wake.prepared import Prepared
from hardware.pcm import FRAME_BYTES, read_wav
from tests.firmware.voice.rig import CLIPS
from tests.firmware.voice.wake.speech import SECOND, heard_ms, spoken

FACTS = json.loads(Path(__file__).with_name("hello_teddy_bear.json").read_text())
PHRASE = "hello teddy bear"


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared.from_facts(FACTS)


@pytest.mark.parametrize("voice", ["en-us", "en-gb+f3", "en-us+m3"])
def test_phrase_is_heard_once_where_it_ends(prepared: Prepared, voice: str) -> None:
    pcm = spoken(PHRASE, voice)
    end_ms = len(pcm) // 32 - 1000
    [at_ms] = heard_ms(prepared.make(), pcm)
    assert end_ms - 300 < at_ms < end_ms + 500


def test_phrase_is_heard_each_time_it_is_said(prepared: Prepared) -> None:
    assert len(heard_ms(prepared.make(), spoken(PHRASE) * 3)) == 3


@pytest.mark.parametrize(
    "text",
    ["hello my dear, are you ready?", "the teddy bear is sitting over there", "hello", "teddy bear",
     "yellow belly hair", "hello, hello, hello!"],
)  # fmt: skip
def test_other_speech_is_not_the_phrase(prepared: Prepared, text: str) -> None:
    assert heard_ms(prepared.make(), spoken(text)) == []


def test_people_who_say_other_things_do_not_wake_it(prepared: Prepared) -> None:
    clips = sorted(CLIPS.glob("librivox/*.wav"))
    assert clips
    engine = prepared.make()
    assert [heard_ms(engine, read_wav(clip)) for clip in clips] == [[]] * len(clips)


def test_phrase_is_likely_before_it_is_heard(prepared: Prepared) -> None:
    engine = prepared.make()
    pcm = spoken(PHRASE)
    likely = []
    for start in range(0, len(pcm), FRAME_BYTES):
        if engine.hear(pcm[start : start + FRAME_BYTES]):
            break
        likely.append(engine.is_likely)
    assert 5 <= sum(likely) <= 30
    assert likely[-1]


def test_what_was_heard_before_a_reset_is_forgotten(prepared: Prepared) -> None:
    engine = prepared.make()
    pcm = spoken(PHRASE)
    half = len(pcm) // (2 * FRAME_BYTES) * FRAME_BYTES
    assert heard_ms(engine, pcm[:half]) == []
    engine.reset()
    assert heard_ms(engine, pcm[half:]) == []
    engine.reset()
    assert len(heard_ms(engine, pcm)) == 1
    engine.close()


def test_silence_is_nothing(prepared: Prepared) -> None:
    engine = prepared.make()
    assert heard_ms(engine, SECOND * 5) == []
    assert not engine.is_likely


def test_judge_tells_the_phrase_from_others() -> None:
    phrase = Phrase(
        ("hello", "teddy", "bear"), {"hello": "HH AH L OW", "teddy": "T EH D IY", "bear": "B EH R"}
    )
    judge = Judge(phrase)
    said = judge.score(spoken(PHRASE, "en-gb+f3"))
    other = judge.score(spoken("the weather is nice today", "en-gb+f3"))
    assert SCORE_MIN <= other < said
    assert judge.score(SECOND) == SCORE_MIN


def test_judge_remembers_nothing() -> None:
    judge = Judge(Phrase(("teddy", "bear"), {"teddy": "T EH D IY", "bear": "B EH R"}))
    sounds = (spoken("teddy bear"), spoken("the weather is nice today"), SECOND)
    first = [judge.score(sound) for sound in sounds]
    assert [judge.score(sound) for sound in reversed(sounds)] == first[::-1]


def test_what_is_kept_of_a_phrase_fits_into_a_note(prepared: Prepared) -> None:
    text = json.dumps(prepared.to_facts())
    assert len(text) < 10_000
    assert Prepared.from_facts(json.loads(text)) == prepared


@pytest.mark.parametrize(
    "change",
    [{"version": 0}, {"words": []}, {"sounds": {}}, {"network": None}, {"length": 1.0},
     {"length": 1e9}, {"threshold": "low"}, {"words": [1]}],
)  # fmt: skip
def test_damaged_facts_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(WakeWordRefusedError) as refused:
        Prepared.from_facts(FACTS | change)
    assert refused.value.reason == "outdated"


def test_phrase_is_in_no_text_of_what_was_prepared(prepared: Prepared) -> None:
    assert "teddy" not in repr(prepared) + repr(prepared.recipe)
