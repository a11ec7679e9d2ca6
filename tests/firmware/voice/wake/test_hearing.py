"""Which words count: those that a person says, and not those that the toy says itself."""

from __future__ import annotations

from itertools import count
from typing import Final

import pytest

from firmware.voice.wake.hearing import ECHO_MS_MAX, Engines, Finding, Hearing
from firmware.voice.wake.played import TAIL_MS
from tests.firmware.voice.wake.scripted import ALMOST, SILENCE, SPEECH, WORD, ScriptedEngine

STEP_MS: Final = 20


class Room:
    """A hearing, and a time line on which the toy plays and the microphone hears.

    Args:
        ahead_ms: How long before it is heard a frame is pulled.
        has_reference: Whether there is an engine for what is played.
    """

    def __init__(self, *, ahead_ms: int = 0, has_reference: bool = True) -> None:
        self.microphone = ScriptedEngine()
        self.playback = ScriptedEngine()
        self.hearing = Hearing(Engines(self.microphone, self.playback if has_reference else None))
        self._ahead_ms = ahead_ms

    def live(
        self, heard: dict[int, bytes], played: dict[int, bytes], *, until_ms: int
    ) -> dict[int, Finding]:
        """Let frames be heard and played at their times, and return what was found, and when.

        What is not given is silence at the microphone, and nothing at the speaker.
        """
        found = {}
        for now_ms in range(0, until_ms, STEP_MS):
            if (frame := played.get(now_ms + self._ahead_ms)) is not None:
                self.hearing.take_played(frame, now_ms + self._ahead_ms)
            finding = self.hearing.hear(heard.get(now_ms, SILENCE), now_ms)
            if finding != Finding():
                found[now_ms + STEP_MS] = finding
        return found

    def words(
        self, heard: dict[int, bytes], played: dict[int, bytes], *, until_ms: int = 3_000
    ) -> dict[int, int]:
        """Return the words that counted, by the time at which they were told."""
        found = self.live(heard, played, until_ms=until_ms)
        return {at: f.word_ms for at, f in found.items() if f.word_ms is not None}


def reply(until_ms: int, **words_ms: int) -> dict[int, bytes]:
    """Return a reply that begins at once, with words of it at some times."""
    frames = dict.fromkeys(range(0, until_ms, STEP_MS), SPEECH)
    return frames | dict.fromkeys(words_ms.values(), WORD)


def test_a_word_in_a_quiet_room_counts_at_once() -> None:
    """There is nothing that it could be an echo of, so nothing is waited for."""
    assert Room().words({1_000: WORD}, {}) == {1_020: 1_020}


def test_without_a_reference_nothing_is_waited_for() -> None:
    room = Room(has_reference=False)
    assert room.words({1_000: WORD}, reply(2_000)) == {1_020: 1_020}
    room.hearing.reset()
    room.hearing.close()
    assert (room.microphone.is_closed, room.playback.is_closed) == (True, False)


@pytest.mark.parametrize("ahead_ms", [0, 60, 200])
@pytest.mark.parametrize("late_ms", [-300, -100, 0, 20, 100, 300])
def test_a_reply_that_contains_the_word_does_not_wake(ahead_ms: int, late_ms: int) -> None:
    """Whether the microphone has it sooner than the playback, or later, by up to 300 ms."""
    room = Room(ahead_ms=ahead_ms)
    found = room.live({1_000 + late_ms: WORD}, reply(2_000, at=1_000), until_ms=3_000)
    assert [f.is_echo for f in found.values() if f.is_echo] == [True]
    assert all(f.word_ms is None for f in found.values())


@pytest.mark.parametrize("late_ms", [-500, -320, 320, 500])
def test_a_word_of_a_person_counts_though_the_reply_has_it_too(late_ms: int) -> None:
    """Further away than 300 ms it is another one."""
    room = Room()
    spoken_ms = 1_000 + late_ms
    heard = {1_000: WORD, spoken_ms: WORD}
    assert list(room.words(heard, reply(2_000, at=1_000)).values()) == [spoken_ms + STEP_MS]


@pytest.mark.parametrize(("ahead_ms", "waited_ms"), [(0, 300), (60, 240), (200, 100), (400, 0)])
def test_a_word_over_playback_is_held_back_until_the_playback_is_known(
    ahead_ms: int, waited_ms: int
) -> None:
    """As far as 300 ms after it, and no longer."""
    ((told_ms, word_ms),) = Room(ahead_ms=ahead_ms).words({1_000: WORD}, reply(2_000)).items()
    assert word_ms == 1_020
    assert told_ms - word_ms == waited_ms


def test_playback_that_stalls_does_not_hold_a_word_back_for_longer() -> None:
    """It is silence by then, of which 300 ms are heard."""
    assert Room().words({1_000: WORD}, reply(1_000)) == {1_020 + ECHO_MS_MAX: 1_020}


def test_a_word_at_the_very_end_of_a_reply_is_found_in_it() -> None:
    """Its engine is given the silence after it, in which it may tell of the word."""
    room = Room()
    room.live({}, reply(1_000), until_ms=1_000 + TAIL_MS)
    assert room.playback.heard[50:] == [SILENCE] * (len(room.playback.heard) - 50)
    assert len(room.playback.heard) > 60


@pytest.mark.parametrize("late_ms", [0, 100, 280])
def test_a_word_after_the_last_sound_of_a_reply_is_found_in_time(late_ms: int) -> None:
    """An engine may tell of a word in the silence after it, which is not waited for too long."""
    room = Room()
    told = count()
    ears = room.playback.hear
    room.playback.hear = lambda frame: ears(frame) or next(told) == 55  # type: ignore[method-assign]  # 100 ms after the last sound
    found = room.live({1_100 + late_ms: WORD}, reply(1_000), until_ms=2_000)
    assert [(f.word_ms, f.is_echo) for f in found.values() if f.word_ms or f.is_echo] == [
        (None, True)
    ]


def test_a_speaker_that_is_late_tears_no_hole_into_a_word() -> None:
    """Frames that come 120 ms late are still the next ones."""
    room = Room()
    for now_ms in range(0, 2_000, STEP_MS):
        if now_ms < 600 or now_ms >= 720:
            room.hearing.take_played(SPEECH, now_ms)
        room.hearing.hear(SILENCE, now_ms)
    assert SILENCE not in room.playback.heard


def test_after_the_reply_a_word_counts_at_once_again() -> None:
    told = Room().words({2_000: WORD}, reply(1_000))
    assert told == {2_020: 2_020}


def test_pauses_of_a_reply_are_heard_as_pauses() -> None:
    """Two halves of the word with silence between them are no word."""
    room = Room()
    played = reply(400) | {at + 800: frame for at, frame in reply(400).items()}
    room.live({}, played, until_ms=1_100)
    assert room.playback.heard == [SPEECH] * 20 + [SILENCE] * 19 + [SPEECH] * 15


def test_a_speaker_that_pulls_several_frames_at_once_leaves_no_gap() -> None:
    """Three frames every 60 ms are one piece of sound."""
    room = Room()
    for now_ms in range(0, 1_200, STEP_MS):
        if now_ms % 60 == 0:
            for _ in range(3):
                room.hearing.take_played(SPEECH, now_ms)
        room.hearing.hear(SILENCE, now_ms)
    assert room.playback.heard == [SPEECH] * 60


def test_what_sounds_like_the_word_makes_the_toy_quieter() -> None:
    found = Room().live({1_000: ALMOST, 1_020: ALMOST}, reply(2_000), until_ms=2_000)
    assert {at: f.is_over_playback for at, f in found.items()} == {1_020: True, 1_040: True}


def test_a_word_that_is_held_back_makes_the_toy_quieter() -> None:
    found = Room().live({1_000: WORD}, reply(2_000), until_ms=2_000)
    assert {at for at, f in found.items() if f.is_over_playback} == set(range(1_020, 1_320, 20))


def test_the_toy_is_not_quieter_for_what_it_says_itself() -> None:
    """What sounds like the word in the reply does so in the room as well."""
    room = Room(ahead_ms=20)
    played = reply(2_000) | {1_000: ALMOST, 1_400: WORD}
    heard = {1_040: ALMOST, 1_060: ALMOST, 1_440: WORD}
    found = room.live(heard, played, until_ms=2_000)
    assert not any(f.is_over_playback for f in found.values())


def test_nobody_is_quieter_while_nothing_plays() -> None:
    assert Room().live({1_000: ALMOST, 1_020: SPEECH}, {}, until_ms=2_000) == {}


def test_a_new_piece_of_sound_knows_nothing_of_the_one_before() -> None:
    """Neither a word that was held back, nor what was played."""
    room = Room()
    room.live({1_000: WORD}, reply(1_100), until_ms=1_100)
    room.hearing.reset()
    assert (room.microphone.resets, room.playback.resets) == (1, 1)
    assert room.words({500: WORD}, {}) == {520: 520}


def test_both_engines_are_closed() -> None:
    room = Room()
    room.hearing.close()
    assert (room.microphone.is_closed, room.playback.is_closed) == (True, True)
