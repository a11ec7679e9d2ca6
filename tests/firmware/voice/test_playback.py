"""Playback, with real packets before a virtual speaker."""

from __future__ import annotations

import array
import asyncio
from typing import TYPE_CHECKING

import pytest

from firmware.voice.cues import CUE_MS_MAX, CUES
from firmware.voice.errors import MisuseError
from firmware.voice.playback import (
    CUES_MS_MAX,
    CUT_MS,
    LINGER_MS,
    READY_MS_MAX,
    Playback,
)
from firmware.voice.settings import VoiceSettings
from firmware.voice.volume import gain_of
from hardware.clock import Clock
from hardware.pcm import FRAME_MS, FRAME_SAMPLES, from_bytes
from hardware.sim.clock import run_virtual
from tests.firmware.voice.rig import (
    SILENCE,
    PlaybackRig,
    Posted,
    cue_frames,
    decoded,
    loud,
    reply,
)
from tests.hardware.voices import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hardware.speaker import Source


def virtual(
    test: Callable[[PlaybackRig], Coroutine[None, None, None]],
) -> Callable[[], None]:
    """Run a test on a virtual clock, with a rig of its own."""

    async def main() -> None:
        rig = PlaybackRig()
        await test(rig)
        rig.playback.close()
        assert not rig.speaker.is_open
        before = len(rig.pulled)
        await pass_ms(1000)
        assert len(rig.pulled) == before

    def run() -> None:
        run_virtual(main())

    run.__doc__ = test.__doc__
    return run


async def pass_ms(duration_ms: int) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(duration_ms / 1000)


def wait_for_reply(rig: PlaybackRig, turn: int) -> None:
    """Bring it to where the machine waits for a reply."""
    rig.perform("speaker", mode="cues", turn=turn)


def speak(rig: PlaybackRig, turn: int) -> None:
    """Bring it to where the machine lets the reply be heard."""
    rig.perform("speaker", mode="reply", turn=turn)


def cue_sounds(name: str) -> list[bytes]:
    """What is heard of a cue: loud as set, without the silence within it."""
    return [frame for frame in loud(list(cue_frames(name))) if frame != SILENCE]


# -- A reply --------------------------------------------------------------------------------------


@virtual
async def test_a_reply_is_heard_whole_and_in_order(rig: PlaybackRig) -> None:
    """What came before its mode is kept for it; each frame once, then its end is told."""
    packets = reply()
    wait_for_reply(rig, 1)
    rig.receive(1, packets[:7], connection=4)
    assert rig.posted == [("reply_began", {"turn": 1, "connection": 4})]
    await pass_ms(100)
    assert not rig.speaker.is_open
    speak(rig, 1)
    rig.receive(1, packets[7:], connection=4)
    rig.end(1, connection=4)
    await pass_ms(len(packets) * FRAME_MS - 1)
    assert rig.posted.names == ["reply_began"]
    await pass_ms(2)
    assert rig.sounds == rig.expected(packets)
    assert rig.posted[1:] == [("reply_played", {"turn": 1})]


@virtual
async def test_the_recording_holds_all_of_a_reply(rig: PlaybackRig) -> None:
    """The last sample has sounded when the end is told."""
    wait_for_reply(rig, 1)
    speak(rig, 1)
    rig.receive(1, reply())
    rig.end(1)
    while "reply_played" not in rig.posted.names:
        await pass_ms(FRAME_MS)
    assert rig.speaker.recording().startswith(b"".join(rig.expected(reply())))


@virtual
async def test_a_reply_begins_when_60_ms_are_there(rig: PlaybackRig) -> None:
    """Not before, and not later."""
    wait_for_reply(rig, 1)
    speak(rig, 1)
    rig.receive(1, reply()[:2])
    await pass_ms(10)
    assert not rig.speaker.is_open
    rig.receive(1, reply()[2:3])
    await pass_ms(1)
    assert len(rig.sounds) == 1


@virtual
async def test_a_single_packet_is_heard_after_60_ms(rig: PlaybackRig) -> None:
    """A reply that stalls at once is noticed as one that ran dry."""
    wait_for_reply(rig, 1)
    speak(rig, 1)
    rig.receive(1, reply()[:1])
    await pass_ms(59)
    assert rig.sounds == []
    await pass_ms(30)
    assert rig.sounds == rig.expected(reply()[:1])
    assert rig.posted.names == ["reply_began", "reply_dry"]


@virtual
async def test_a_reply_in_real_time_has_no_gap(rig: PlaybackRig) -> None:
    """Packets may come up to 60 ms late."""
    packets = reply(duration_ms=1000)
    wait_for_reply(rig, 1)
    speak(rig, 1)
    for n in range(0, len(packets), 2):
        rig.receive(1, packets[n : n + 2])
        await pass_ms(45 if n % 4 == 0 else 35)
    rig.end(1)
    await pass_ms(200)
    assert rig.posted.names == ["reply_began", "reply_played"]
    pulled = [frame for _, frame in rig.pulled]
    begin = pulled.index(rig.sounds[0])
    assert pulled[begin : begin + len(packets)] == rig.expected(packets)


@virtual
async def test_running_dry_is_told_once_and_so_is_going_on(rig: PlaybackRig) -> None:
    """The gap is heard, the reply collects anew, and nothing of it is lost."""
    packets = reply()
    wait_for_reply(rig, 1)
    speak(rig, 1)
    rig.receive(1, packets[:5])
    await pass_ms(2000)
    assert rig.posted[1:] == [("reply_dry", {"turn": 1})]
    assert not rig.speaker.is_open
    rig.receive(1, packets[5:6], connection=1)
    assert rig.posted[2:] == [("reply_began", {"turn": 1, "connection": 1})]
    await pass_ms(20)
    assert len(rig.sounds) == 5
    rig.receive(1, packets[6:])
    rig.end(1)
    await pass_ms(2000)
    assert rig.sounds == rig.expected(packets)
    assert rig.posted.names == ["reply_began", "reply_dry", "reply_began", "reply_played"]


@virtual
async def test_what_is_never_played_is_no_sign_of_a_reply_that_goes_on(rig: PlaybackRig) -> None:
    """Stragglers behind a gap do not keep the machine waiting for more than its 3 s."""
    packets = reply()
    speak(rig, 1)
    rig.receive(1, packets[:4], numbers=[0, 1, 3, 4])
    await pass_ms(1000)
    assert rig.posted.names == ["reply_began", "reply_dry"]
    rig.receive(1, [packets[2], packets[3], packets[4]], numbers=[2, 3, 4])
    await pass_ms(1000)
    assert rig.posted.names == ["reply_began", "reply_dry"]
    assert rig.playback.packets["late"] == 3
    rig.receive(1, packets[5:6], numbers=[5])
    assert rig.posted.names[2:] == ["reply_began"]


@virtual
async def test_a_gap_behind_a_straggler_is_told_as_well(rig: PlaybackRig) -> None:
    """Each gap that is heard is told once, and each time that it goes on after one."""
    packets = reply()
    speak(rig, 1)
    rig.receive(1, packets[:3], numbers=range(3))
    for number in (3, 4):
        await pass_ms(1000)
        rig.receive(1, packets[:1], numbers=[0])
        rig.receive(1, packets[number : number + 1], numbers=[number])
    await pass_ms(1000)
    assert rig.posted.names == ["reply_began", "reply_dry"] * 3


@pytest.mark.parametrize("is_dry", [False, True])
def test_a_reply_that_was_cut_plays_out(is_dry: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """`end_reply` ends it with what is there, even where nothing is there any more."""

    async def main() -> None:
        rig = PlaybackRig()
        wait_for_reply(rig, 1)
        speak(rig, 1)
        rig.receive(1, reply()[:10])
        await pass_ms(1000 if is_dry else 50)
        rig.perform("end_reply", turn=1)
        if is_dry:
            assert rig.posted.names[-1] == "reply_played"
        await pass_ms(1000)
        assert rig.sounds == rig.expected(reply()[:10])
        assert rig.posted.names.count("reply_played") == 1
        rig.receive(1, reply()[10:])
        await pass_ms(1000)
        assert len(rig.sounds) == 10
        rig.playback.close()

    run_virtual(main())


@virtual
async def test_a_broken_packet_is_concealed(rig: PlaybackRig) -> None:
    """One gap of 20 ms is filled, everything else is as it was sent."""
    packets = reply()
    packets[5] = b"\xff\xff\xff"
    wait_for_reply(rig, 1)
    speak(rig, 1)
    rig.receive(1, packets)
    assert rig.playback.packets_concealed == 1
    rig.end(1)
    await pass_ms(1000)
    assert len(rig.sounds) == len(packets)
    assert rig.playback.packets_concealed == 1
    assert rig.posted.names == ["reply_began", "reply_played"]


@virtual
async def test_an_empty_reply_is_no_reply(rig: PlaybackRig) -> None:
    """The machine's own timeout sees to it."""
    wait_for_reply(rig, 1)
    rig.end(1)
    speak(rig, 1)
    await pass_ms(1000)
    assert rig.posted == []


# -- When it is quiet -----------------------------------------------------------------------------


@virtual
async def test_it_is_quiet_at_once_after_a_stop_and_so_it_stays(rig: PlaybackRig) -> None:
    """Whoever hears something later is not hearing the toy; its next cue is none of that."""
    assert rig.playback.quiet_from_ms == 0
    speak(rig, 1)
    rig.receive(1, reply())
    await pass_ms(300)
    rig.perform("speaker", mode="cues", turn=2)
    assert rig.playback.quiet_from_ms == 300 + CUT_MS
    rig.perform("cue", name="listening")
    await pass_ms(1000)
    assert rig.playback.quiet_from_ms == 300 + CUT_MS


@virtual
async def test_after_a_reply_it_is_quiet_once_the_speaker_has_played_it(rig: PlaybackRig) -> None:
    """A sound card still holds its last words when there is nothing left to give it."""
    rig.speaker.holds_ms = 60
    speak(rig, 1)
    rig.receive(1, reply())
    rig.end(1)
    while "reply_played" not in rig.posted.names:
        await pass_ms(1)
    assert rig.playback.quiet_from_ms == rig.clock.monotonic_ms() + 60


# -- Fences ---------------------------------------------------------------------------------------


@virtual
async def test_after_a_barge_in_not_one_sample_of_the_old_reply_starts(rig: PlaybackRig) -> None:
    """Silence at once, and what still comes of the old turn is dropped."""
    wait_for_reply(rig, 1)
    speak(rig, 1)
    rig.receive(1, reply(500, 4000)[:100])
    await pass_ms(307)
    before = len(rig.sounds)
    rig.perform("speaker", mode="cues", turn=2)
    assert not rig.speaker.is_open
    rig.perform("end_turn", turn=1, outcome="interrupted")
    rig.perform("cue", name="listening")
    rig.receive(1, reply(500, 4000)[100:])
    rig.end(1)
    await pass_ms(3000)
    assert rig.sounds[before:] == cue_sounds("listening")
    assert rig.posted.names == ["reply_began"]
    assert rig.playback.packets["stale"] == 100


@virtual
async def test_the_speaker_is_cut_within_the_frame(rig: PlaybackRig) -> None:
    """What the sound card holds is dropped with what is queued."""
    wait_for_reply(rig, 1)
    speak(rig, 1)
    rig.receive(1, reply(500, 4000))
    await pass_ms(105)
    rig.perform("speaker", mode="fixed", turn=1)
    await pass_ms(1000)
    assert len(rig.speaker.recording()) == 105 * 32


@virtual
async def test_a_silence_that_is_told_late_opens_no_gap_in_the_fence(rig: PlaybackRig) -> None:
    """A sound card's thread found nothing just before there was something."""
    speak(rig, 1)
    rig.playback._output.pull(FRAME_SAMPLES)
    rig.receive(1, reply())
    await asyncio.sleep(0)
    before = len(rig.sounds)
    rig.perform("speaker", mode="cues", turn=2)
    await pass_ms(1000)
    assert len(rig.sounds) == before


@virtual
async def test_a_reply_that_waits_is_dropped_with_its_turn(rig: PlaybackRig) -> None:
    """Never heard, never replayed."""
    wait_for_reply(rig, 1)
    rig.receive(1, reply())
    rig.perform("end_turn", turn=1, outcome="no answer")
    rig.receive(1, reply())
    speak(rig, 1)
    await pass_ms(1000)
    assert rig.sounds == []
    assert rig.playback.packets["stale"] == 20
    speak(rig, 2)
    rig.perform("replay", turn=2)
    assert rig.posted[1:] == [("nothing_kept", {"turn": 2})]


@virtual
async def test_the_end_of_an_older_turn_changes_nothing(rig: PlaybackRig) -> None:
    """In a barge-in it comes after the new turn has begun."""
    wait_for_reply(rig, 2)
    rig.perform("end_turn", turn=1, outcome="interrupted")
    rig.perform("end_reply", turn=1)
    rig.receive(2, reply())
    rig.end(1)
    speak(rig, 2)
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply())
    assert rig.posted.names == ["reply_began", "reply_dry"]


@virtual
async def test_a_reply_is_heard_in_its_mode_only(rig: PlaybackRig) -> None:
    """Not among the fixed sounds of a lock, not where cues are played or the speaker is closed."""
    for mode in ("closed", "cues", "fixed"):
        rig.perform("speaker", mode=mode, turn=1)
        rig.receive(1, reply()[:5])
        await pass_ms(500)
    assert rig.pulled == []
    speak(rig, 1)
    await pass_ms(500)
    assert len(rig.sounds) == 15


@virtual
async def test_leaving_the_mode_ends_the_reply(rig: PlaybackRig) -> None:
    """Coming back does not bring it back, even if nothing of it was heard."""
    speak(rig, 1)
    rig.receive(1, reply()[:1])
    rig.perform("speaker", mode="cues", turn=1)
    rig.receive(1, reply()[1:])
    speak(rig, 1)
    await pass_ms(1000)
    assert rig.sounds == []
    assert rig.playback.packets["stale"] == 19


@virtual
async def test_the_same_mode_again_changes_nothing(rig: PlaybackRig) -> None:
    """The effect states what is to be; it need not be news."""
    speak(rig, 1)
    rig.receive(1, reply())
    rig.end(1)
    await pass_ms(100)
    speak(rig, 1)
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply())


@virtual
async def test_packets_that_come_too_far_ahead_are_refused(rig: PlaybackRig) -> None:
    """The buffer is bounded; what is inside is played."""
    wait_for_reply(rig, 1)
    rig.receive(1, reply(500, 4000) * 31)
    assert rig.playback.packets["refused"] == 200 * 31 - 6000


@virtual
async def test_an_unknown_mode_is_named(rig: PlaybackRig) -> None:
    """And changes nothing."""
    speak(rig, 1)
    with pytest.raises(MisuseError, match=r"'loud'.*closed, cues, reply, answers, fixed"):
        rig.perform("speaker", mode="loud", turn=1)
    rig.receive(1, reply())
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply())


# -- Cues -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CUES)
def test_every_cue_is_heard_whole(name: str) -> None:
    """Once, at the volume that is set; then the speaker closes."""

    async def main() -> None:
        rig = PlaybackRig()
        rig.perform("speaker", mode="cues", turn=0)
        rig.perform("cue", name=name)
        await pass_ms(CUE_MS_MAX + 1_000)
        assert rig.sounds == cue_sounds(name)
        assert not rig.speaker.is_open
        rig.playback.close()

    run_virtual(main())


@virtual
async def test_cues_are_heard_one_after_the_other_and_before_the_reply(rig: PlaybackRig) -> None:
    """Nothing is mixed."""
    rig.perform("speaker", mode="answers", turn=1)
    rig.perform("cue", name="end")
    rig.perform("cue", name="listening")
    await pass_ms(1000)
    speak(rig, 2)
    rig.perform("cue", name="denied")
    rig.receive(2, reply())
    await pass_ms(1000)
    cues = cue_sounds("end") + cue_sounds("listening") + cue_sounds("denied")
    assert rig.sounds == cues + rig.expected(reply())


@virtual
async def test_a_cue_of_another_mode_is_cut(rig: PlaybackRig) -> None:
    """The earcon stops when sending begins: the microphone shall not hear it."""
    rig.perform("speaker", mode="cues", turn=1)
    rig.perform("cue", name="listening")
    await pass_ms(50)
    rig.perform("speaker", mode="closed", turn=1)
    assert not rig.speaker.is_open
    await pass_ms(500)
    assert len(rig.sounds) == 3


@virtual
async def test_cues_that_wait_are_dropped_with_their_mode(rig: PlaybackRig) -> None:
    """They belonged to what is over."""
    rig.perform("speaker", mode="cues", turn=1)
    for _ in range(3):
        rig.perform("cue", name="end")
    rig.perform("speaker", mode="fixed", turn=1)
    rig.perform("cue", name="locked")
    await pass_ms(10_000)
    assert rig.sounds == cue_sounds("locked")


@virtual
async def test_a_cue_where_the_speaker_is_closed_is_left_out(rig: PlaybackRig) -> None:
    """Closed is closed, now and later."""
    rig.perform("speaker", mode="closed", turn=1)
    rig.perform("cue", name="end")
    rig.perform("speaker", mode="cues", turn=1)
    await pass_ms(1000)
    assert rig.pulled == []
    assert rig.playback.cues_dropped == 1


@virtual
async def test_cues_do_not_pile_up(rig: PlaybackRig) -> None:
    """A child that hammers the button hears two seconds of it, not a minute."""
    rig.perform("speaker", mode="fixed", turn=1)
    for _ in range(100):
        rig.perform("cue", name="denied")
    await pass_ms(10_000)
    assert 0 < len(rig.sounds) * FRAME_MS <= CUES_MS_MAX + 280
    assert rig.playback.cues_dropped == 100 - len(rig.sounds) // len(cue_sounds("denied"))


@virtual
async def test_a_new_turn_does_not_wait_for_a_sentence(rig: PlaybackRig) -> None:
    """It is dropped in the middle of a word, and the next sound is heard at once."""
    rig.perform("speaker", mode="cues", turn=1)
    rig.perform("cue", name="apology")
    await pass_ms(1_500)
    before = len(rig.sounds)
    assert 50 < before < len(cue_sounds("apology"))
    rig.perform("speaker", mode="cues", turn=2)
    rig.perform("cue", name="listening")
    await pass_ms(1_000)
    assert rig.sounds[before:] == cue_sounds("listening")
    assert rig.playback.cues_dropped == 0


@virtual
async def test_what_is_asked_while_a_sentence_begins_is_left_out(rig: PlaybackRig) -> None:
    """The toy is answering already; after its end whatever comes is heard at once."""
    rig.perform("speaker", mode="fixed", turn=1)
    rig.perform("cue", name="locked")
    await pass_ms(1_000)
    rig.perform("cue", name="denied")
    assert rig.playback.cues_dropped == 1
    await pass_ms(10_000)
    rig.perform("cue", name="denied")
    await pass_ms(1_000)
    assert rig.sounds == cue_sounds("locked") + cue_sounds("denied")


@virtual
async def test_the_speaker_stays_open_a_little_after_the_last_sound(rig: PlaybackRig) -> None:
    """What a sound card still holds is not cut off, and the next sound needs no opening."""
    rig.perform("speaker", mode="cues", turn=1)
    ends_ms = len(cue_frames("end")) * FRAME_MS
    for _ in range(2):
        rig.perform("cue", name="end")
        await pass_ms(ends_ms + LINGER_MS - 2 * FRAME_MS)
        assert rig.speaker.is_open
        await pass_ms(3 * FRAME_MS)
        assert not rig.speaker.is_open


# -- The last reply again -------------------------------------------------------------------------


async def converse(rig: PlaybackRig, turn: int, packets: list[bytes]) -> None:
    """Play a whole reply."""
    wait_for_reply(rig, turn)
    rig.receive(turn, packets)
    speak(rig, turn)
    rig.end(turn)
    await pass_ms(len(packets) * FRAME_MS + 100)
    rig.perform("speaker", mode="cues", turn=turn)
    rig.perform("end_turn", turn=turn, outcome="answered")
    rig.posted.clear()
    rig.pulled.clear()


@pytest.mark.parametrize("mode", ["reply", "answers"])
def test_the_last_reply_is_played_again(mode: str) -> None:
    """Whole, as often as one likes, online and offline."""

    async def main() -> None:
        rig = PlaybackRig()
        await converse(rig, 1, reply(500))
        await converse(rig, 2, reply(900))
        for turn in (3, 4):
            rig.perform("speaker", mode=mode, turn=turn)
            rig.perform("replay", turn=turn)
            await pass_ms(1000)
            assert rig.posted == [("reply_played", {"turn": turn})]
            assert rig.sounds == rig.expected(reply(900))
            rig.posted.clear()
            rig.pulled.clear()
        rig.playback.close()

    run_virtual(main())


@virtual
async def test_without_a_last_reply_that_is_said(rig: PlaybackRig) -> None:
    """At once, so that the machine can deny."""
    speak(rig, 1)
    rig.perform("replay", turn=1)
    assert rig.posted == [("nothing_kept", {"turn": 1})]


@virtual
async def test_a_reply_that_was_interrupted_is_played_again_as_far_as_it_came(
    rig: PlaybackRig,
) -> None:
    """Also what had come but was not yet heard."""
    speak(rig, 1)
    rig.receive(1, reply()[:15])
    await pass_ms(100)
    rig.perform("speaker", mode="cues", turn=2)
    rig.pulled.clear()
    speak(rig, 3)
    rig.perform("replay", turn=3)
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply()[:15])
    assert rig.posted.names == ["reply_began", "reply_played"]


@virtual
async def test_an_interrupted_replay_can_be_had_again(rig: PlaybackRig) -> None:
    """Whole."""
    await converse(rig, 1, reply())
    speak(rig, 2)
    rig.perform("replay", turn=2)
    await pass_ms(100)
    speak(rig, 3)
    rig.pulled.clear()
    rig.perform("replay", turn=3)
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply())
    assert rig.posted == [("reply_played", {"turn": 3})]


@virtual
async def test_a_reply_nobody_heard_does_not_take_the_place_of_the_last(rig: PlaybackRig) -> None:
    """The last reply is the last that was heard."""
    await converse(rig, 1, reply(500))
    wait_for_reply(rig, 2)
    rig.receive(2, reply(900))
    speak(rig, 3)
    rig.perform("replay", turn=3)
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply(500))


@virtual
async def test_a_reply_that_still_collects_does_not_take_the_place_of_the_last(
    rig: PlaybackRig,
) -> None:
    """In its mode it would have been heard 60 ms later; nothing of it was."""
    await converse(rig, 1, reply(500))
    speak(rig, 2)
    rig.receive(2, reply(900)[:1])
    speak(rig, 3)
    rig.perform("replay", turn=3)
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply(500))


@virtual
async def test_packets_that_come_during_a_replay_are_dropped(rig: PlaybackRig) -> None:
    """A turn has one reply."""
    await converse(rig, 1, reply(500))
    speak(rig, 2)
    rig.perform("replay", turn=2)
    rig.receive(2, reply(900))
    rig.perform("end_reply", turn=2)
    await pass_ms(1000)
    assert rig.sounds == rig.expected(reply(500))
    assert rig.playback.packets["stale"] == 20


@virtual
async def test_purging_forgets_the_last_reply(rig: PlaybackRig) -> None:
    """And silences the one that plays."""
    speak(rig, 1)
    rig.receive(1, reply())
    await pass_ms(100)
    heard = len(rig.sounds)
    rig.perform("purge_speech")
    await pass_ms(1000)
    assert len(rig.sounds) == heard
    speak(rig, 2)
    rig.perform("replay", turn=2)
    assert rig.posted.names == ["reply_began", "nothing_kept"]


def test_what_is_kept_is_bounded() -> None:
    """A reply is played whole and kept in part."""

    async def main() -> None:
        rig = PlaybackRig(VoiceSettings(last_reply_ms_max=200))
        await converse(rig, 1, reply())
        speak(rig, 2)
        rig.perform("replay", turn=2)
        await pass_ms(1000)
        assert rig.sounds == rig.expected(reply()[:10])
        rig.playback.close()

    run_virtual(main())


# -- Threads --------------------------------------------------------------------------------------


class ThreadedSpeaker:
    """A speaker that pulls in a thread of its own every 20 ms, as a sound card does."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pulling: asyncio.Task[None] | None = None
        self.pulled: list[bytes] = []

    @property
    def latency_ms(self) -> int:
        """None."""
        return 0

    @property
    def is_open(self) -> bool:
        """Whether it pulls."""
        return self._pulling is not None

    def open(self) -> None:
        """Begin to pull."""
        if self._pulling is None:
            self._pulling = asyncio.create_task(self._pull())

    def close(self) -> None:
        """Pull no more."""
        if self._pulling is not None:
            self._pulling.cancel()
            self._pulling = None

    async def _pull(self) -> None:
        while True:
            self.pulled.append(await asyncio.to_thread(self._source, FRAME_SAMPLES))
            await pass_ms(FRAME_MS)


def test_the_speaker_may_pull_in_a_thread_of_its_own() -> None:
    """Nothing of the loop is touched from there; the debug mode of asyncio would object."""

    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        posted, clock = Posted(), Clock()
        speakers: list[ThreadedSpeaker] = []

        def make_speaker(source: Source) -> ThreadedSpeaker:
            speakers.append(ThreadedSpeaker(source))
            return speakers[0]

        playback = Playback(VoiceSettings(), clock, posted, make_speaker)
        playback.effects["speaker"](mode="reply", turn=1)
        for packet in reply():
            playback.reply_packet(1, 1, packet, 16_000)
        playback.reply_end(1, 1)
        await pass_ms(1000)
        expected = loud(frames(decoded(reply())))
        assert [frame for frame in speakers[0].pulled if frame != SILENCE] == expected
        assert posted.names == ["reply_began", "reply_played"]
        assert not speakers[0].is_open
        playback.close()

    run_virtual(main())


# -- Volume ---------------------------------------------------------------------------------------


def test_everything_is_as_loud_as_the_settings_say() -> None:
    """Replies and cues alike, and never louder than the ceiling."""

    async def main() -> None:
        rig = PlaybackRig(VoiceSettings(volume_percent=100, volume_percent_max=30))
        speak(rig, 1)
        rig.perform("cue", name="end")
        rig.receive(1, reply())
        await pass_ms(1000)
        sounds = [*cue_frames("end"), *frames(decoded(reply()))]
        quiet = loud(sounds, VoiceSettings(volume_percent=30))
        assert rig.sounds == [frame for frame in quiet if frame != SILENCE]
        rig.playback.close()

    run_virtual(main())


def test_a_guardian_sets_the_volume() -> None:
    """From the next frame on, and never above the ceiling."""

    async def main() -> None:
        rig = PlaybackRig(VoiceSettings(volume_percent=60, volume_percent_max=40))
        speak(rig, 1)
        heard = []
        for percent in (20, 100):
            rig.playback.set_volume(percent)
            before = len(rig.sounds)
            rig.perform("cue", name="end")
            await pass_ms(1000)
            heard.append(rig.sounds[before:])
        for sounds, percent in zip(heard, (20, 40), strict=True):
            expected = loud(list(cue_frames("end")), VoiceSettings(volume_percent=percent))
            assert sounds == [frame for frame in expected if frame != SILENCE]
        rig.playback.close()

    run_virtual(main())


@virtual
async def test_a_volume_that_is_hardly_heard_is_heard_once(rig: PlaybackRig) -> None:
    """As faint as everything is from now on; a volume that stays as it was says nothing."""
    expected = loud(list(cue_frames("low_volume")), VoiceSettings(volume_percent=10))
    rig.perform("speaker", mode="cues", turn=1)
    for percent in (11, 10, 10):
        rig.playback.set_volume(percent)
        await pass_ms(1_000)
    assert rig.sounds == [frame for frame in expected if frame != SILENCE]


@virtual
async def test_a_ceiling_that_makes_it_hardly_heard_is_heard_too(rig: PlaybackRig) -> None:
    """Nobody wonders why the toy has fallen silent."""
    expected = loud(list(cue_frames("low_volume")), VoiceSettings(volume_percent=5))
    rig.perform("speaker", mode="cues", turn=1)
    rig.playback.limit_volume(5)
    rig.playback.limit_volume(5)
    await pass_ms(1_000)
    assert rig.sounds == [frame for frame in expected if frame != SILENCE]


@virtual
async def test_no_volume_and_a_closed_speaker_say_nothing(rig: PlaybackRig) -> None:
    """There is nothing to be heard, or nowhere; a reply tells by itself how loud it is."""
    rig.playback.set_volume(5)
    rig.perform("speaker", mode="reply", turn=1)
    rig.playback.set_volume(6)
    rig.perform("speaker", mode="cues", turn=2)
    rig.playback.set_volume(0)
    await pass_ms(1_000)
    assert rig.sounds == []
    assert rig.playback.cues_dropped == 0


@pytest.mark.parametrize("percent", [40, 10, 0])
def test_what_was_made_ready_before_keeps_to_a_lower_ceiling(percent: int) -> None:
    """A guardian who makes the toy quieter in mid-sentence does not wait for what is decoded."""

    async def main() -> None:
        rig = PlaybackRig(VoiceSettings(volume_percent=80))
        speak(rig, 1)
        rig.receive(1, reply(500, 2_000))
        await pass_ms(500)
        assert len(rig.playback._output) * FRAME_MS >= READY_MS_MAX - FRAME_MS
        before = len(rig.pulled)
        rig.playback.limit_volume(percent)
        await pass_ms(500)
        expected = loud(frames(decoded(reply(500, 2_000))), VoiceSettings(volume_percent=percent))
        heard = [frame for _, frame in rig.pulled[before:]]
        assert heard == expected[before : before + len(heard)]
        rig.playback.close()

    run_virtual(main())


def test_a_higher_volume_is_heard_from_the_next_frame_on() -> None:
    """Whoever turns it up hears that at once too."""

    async def main() -> None:
        rig = PlaybackRig(VoiceSettings(volume_percent=20))
        speak(rig, 1)
        rig.receive(1, reply(500, 2_000))
        await pass_ms(500)
        before = len(rig.pulled)
        rig.playback.set_volume(60)
        await pass_ms(FRAME_MS + 1)
        expected = loud(frames(decoded(reply(500, 2_000))), VoiceSettings(volume_percent=60))
        assert rig.pulled[before][1] == expected[before]
        rig.playback.close()

    run_virtual(main())


def test_nothing_that_is_done_to_a_frame_comes_after_its_ceiling() -> None:
    """What is told of the playback, and what the card is given, is below it: ducked or not."""
    told: list[bytes] = []

    async def main() -> None:
        settings = VoiceSettings(volume_percent=100, volume_percent_max=30, loudness_dbfs_max=0)
        rig = PlaybackRig(settings, on_heard=lambda frame, _: told.append(frame))
        speak(rig, 1)
        square = array.array("h", [32_767] * 40 + [-32_768] * 40)
        rig.playback.reply_pcm(1, 1, (square * 400).tobytes(), 16_000)
        await pass_ms(300)
        rig.playback.duck()
        await pass_ms(3_000)
        ceiling = round(gain_of(30) * 32_768)
        assert max(abs(sample) for frame in told for sample in from_bytes(frame)) <= ceiling
        assert [frame for frame in told if any(frame)] == rig.sounds
        rig.playback.close()

    run_virtual(main())
