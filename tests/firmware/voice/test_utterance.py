"""What is kept of one turn's speech."""

from __future__ import annotations

from firmware.voice.endpointing import Endpointing
from firmware.voice.settings import VoiceSettings
from firmware.voice.utterance import CapturedFrame, Utterance
from hardware.pcm import BYTES_PER_MS, FRAME_BYTES
from tests.firmware.voice.rig import SILENCE
from tests.firmware.voice.test_endpointing import VOICE, Obvious

SOUND = b"\x01" * FRAME_BYTES


def utterance(*, began_ms: int = 0, frames_max: int = 10, judged_from_ms: int = 0) -> Utterance:
    """Return an empty one."""
    endpointing = Endpointing(Obvious(), VoiceSettings())
    return Utterance(1, began_ms, endpointing, frames_max, judged_from_ms=judged_from_ms)


def test_frames_come_out_as_they_went_in() -> None:
    """In order, each with its time."""
    kept = utterance()
    taken = [(bytes([n]) * FRAME_BYTES, 20 * n) for n in range(5)]
    for frame, captured_ms in taken:
        kept.keep(frame, captured_ms)
    assert [kept.pop() for _ in range(len(kept))] == taken


def test_nothing_from_before_the_press_is_kept() -> None:
    """Not a frame, and not a part of one."""
    kept = utterance(began_ms=1013)
    for captured_ms in (980, 1000, 1020):
        kept.keep(SOUND, captured_ms)
    early = bytes(13 * BYTES_PER_MS)
    assert kept.pop() == CapturedFrame(early + SOUND[len(early) :], 1000)
    assert kept.pop() == CapturedFrame(SOUND, 1020)
    assert not len(kept)


def test_a_frame_that_ends_with_the_press_is_left_out() -> None:
    """There is nothing in it that was said in the turn."""
    kept = utterance(began_ms=20)
    kept.keep(SOUND, 0)
    assert not len(kept)


def test_too_many_frames_drop_the_oldest_and_are_counted() -> None:
    """What was said last is worth most."""
    kept = utterance(frames_max=3)
    for n in range(5):
        kept.keep(SILENCE, 20 * n)
    assert [kept.pop().captured_ms for _ in range(len(kept))] == [40, 60, 80]
    assert kept.frames_dropped == 2


def test_a_lower_limit_holds_at_once() -> None:
    """Frames that are there already are no exception."""
    kept = utterance()
    for n in range(5):
        kept.keep(SILENCE, 20 * n)
    kept.limit(2)
    assert (len(kept), kept.frames_dropped) == (2, 3)


def test_frames_are_judged_in_portions() -> None:
    """So many at a time, in order, up to one with which speech begins or ends."""
    kept = utterance(frames_max=100)
    for n in range(10):
        kept.keep(VOICE, 20 * n)
    assert kept.judge(3) is None
    assert kept.judge(3) == "started"
    assert kept.has_unjudged
    assert kept.judge(100) is None
    assert not kept.has_unjudged


def test_what_gave_way_is_judged_all_the_same() -> None:
    """Speech has its beginning and end however little is kept."""
    kept = utterance(frames_max=1)
    for n in range(10):
        kept.keep(VOICE, 20 * n)
    assert kept.judge(10) == "started"


def test_a_voice_that_may_be_the_toys_own_begins_nothing_and_is_kept() -> None:
    """Whole frames only: one in which the toy could still be heard does not count."""
    kept = utterance(judged_from_ms=90)
    for n in range(8):
        kept.keep(VOICE, 20 * n)
    assert kept.judge(10) is None
    kept.keep(VOICE, 160)
    assert kept.judge(10) == "started"
    assert len(kept) == 9
