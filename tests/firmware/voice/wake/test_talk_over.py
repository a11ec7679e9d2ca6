"""Whether somebody talks while the toy plays: not for its own echo, and soon for a person."""

from __future__ import annotations

import array
import math
import random
from typing import Final

import pytest

from firmware.voice.wake.talk_over import LEARNED_FRAMES_MIN, TalkOver, level_db
from hardware.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_MAX, from_bytes, mix
from tests.hardware.voices import frames, voice

REPLY: Final = frames(voice(8_000))
"""Some -20 dB of full scale, with syllables."""
PERSON: Final = frames(voice(1_000, seed=7))


def scaled(frame: bytes, db: float) -> bytes:
    gain = 10 ** (db / 20)
    return array.array("h", (round(gain * sample) for sample in from_bytes(frame))).tobytes()


def murmur(db: float, seed: int) -> bytes:
    """Return a frame of a room that is so loud, in dB of full scale."""
    chance = random.Random(seed)  # noqa: S311 - noise in a test
    loudness = 10 ** (db / 20) * SAMPLE_MAX
    samples = (round(chance.gauss(0, loudness)) for _ in range(FRAME_SAMPLES))
    return array.array("h", samples).tobytes()


def talked(
    way_db: float, *, late_ms: int = 0, room_db: float = -65, person_db: float | None = None
) -> list[int]:
    """Play the reply, and return when somebody was noticed, in ms since the person began.

    Args:
        way_db: How much of the playback comes back.
        late_ms: How much later than said it is heard.
        room_db: How loud the room is.
        person_db: How much louder or quieter than in the recording a person talks, after 5 s.
    """
    talk_over = TalkOver()
    person_ms = 5_000
    found = []
    for n, played in enumerate(REPLY):
        talk_over.take_played(played, 20 * n)
        echo_at = n - late_ms // 20
        heard = scaled(REPLY[echo_at], way_db) if echo_at >= 0 else bytes(FRAME_BYTES)
        heard = mix(heard, murmur(room_db, n))
        said = n - person_ms // 20
        if person_db is not None and 0 <= said < len(PERSON):
            heard = mix(heard, scaled(PERSON[said], person_db))
        if talk_over.hear(heard, 20 * n):
            found.append(20 * n - person_ms)
    return found


@pytest.mark.parametrize("way_db", [-40, -20, 0])
@pytest.mark.parametrize("late_ms", [0, 60, 200])
@pytest.mark.parametrize("room_db", [-65, -45])
def test_its_own_echo_is_nobody(way_db: float, late_ms: int, room_db: float) -> None:
    """However loud it comes back, and later than the speaker says."""
    assert talked(way_db, late_ms=late_ms, room_db=room_db) == []


@pytest.mark.parametrize("way_db", [-40, -20])
def test_a_person_is_noticed_within_a_syllable_or_two(way_db: float) -> None:
    """Who is 15 dB louder than the echo; and no longer than the person talks."""
    found = talked(way_db, person_db=way_db + 15)
    assert found
    assert 0 <= found[0] <= 400
    assert found[-1] <= 1_000 + 120


def test_nobody_is_noticed_before_the_way_is_known() -> None:
    """In the first two seconds of sound that a toy plays in its life."""
    talk_over = TalkOver()
    loud = murmur(-10, 1)
    for n, played in enumerate(REPLY[: LEARNED_FRAMES_MIN // 2]):
        talk_over.take_played(played, 20 * n)
        assert not talk_over.hear(loud, 20 * n)


def test_what_was_learned_is_kept_for_the_next_reply() -> None:
    talk_over = TalkOver()
    for n, played in enumerate(REPLY):
        talk_over.take_played(played, 20 * n)
        talk_over.hear(scaled(played, -30), 20 * n)
    talk_over.reset()
    noticed = []
    for n, played in enumerate(REPLY[:20]):
        talk_over.take_played(played, 20 * n)
        noticed.append(talk_over.hear(mix(scaled(played, -30), murmur(-20, n)), 20 * n))
    assert noticed[3:] == [True] * 17


def test_silence_has_a_level_too() -> None:
    assert level_db(bytes(FRAME_BYTES)) == -96
    full = array.array("h", [SAMPLE_MAX] * FRAME_SAMPLES).tobytes()
    assert math.isclose(level_db(full), 0, abs_tol=1e-3)
