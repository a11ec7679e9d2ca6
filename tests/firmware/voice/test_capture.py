"""Capture, with recorded and made-up voices before a virtual microphone."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from firmware.ports import LinkQuality
from firmware.voice.capture import ENCODED_FRAMES_MAX
from firmware.voice.errors import MisuseError
from firmware.voice.settings import VoiceSettings
from hardware.codec import OpusEncoder
from hardware.pcm import BYTES_PER_MS, FRAME_MS, read_wav, rms
from hardware.sim.clock import run_virtual
from tests.firmware.voice.rig import CLIPS, SILENCE, CaptureRig
from tests.hardware.voices import frames, signal_to_noise_db, voice

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

GO_FORWARD = CLIPS / "goforward.raw"


def virtual(test: Callable[[CaptureRig], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test on a virtual clock, with a rig of its own."""

    async def main() -> None:
        rig = CaptureRig()
        await test(rig)
        rig.capture.close()
        assert not rig.microphone.is_open
        assert rig.capture.kept_ms == 0

    def run() -> None:
        run_virtual(main())

    run.__doc__ = test.__doc__
    return run


async def pass_ms(duration_ms: int) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(duration_ms / 1000)


def as_encoded(pcm: list[bytes]) -> list[bytes]:
    """The packets that a fresh encoder makes of these frames."""
    with OpusEncoder() as encoder:
        return [encoder.encode(frame) for frame in pcm]


def captured_grid(rig: CaptureRig) -> list[int]:
    """The capture times of what was sent."""
    return [sent.captured_ms for sent in rig.wire.sent]


@virtual
async def test_an_utterance_is_sent_whole_from_the_press_to_the_end_of_speech(
    rig: CaptureRig,
) -> None:
    """Every frame once, in order, none missing; the other end hears what was said."""
    await pass_ms(7)
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("open_stream", turn=1)
    rig.microphone.speak_clip(GO_FORWARD)
    await pass_ms(900)
    assert rig.posted == [("speech_started", {"turn": 1})]
    assert rig.wire.sent == []
    rig.perform("start_uplink", turn=1)
    await pass_ms(2500)
    assert rig.posted[1:] == [("speech_ended", {"turn": 1})]
    rig.perform("microphone", mode="closed", turn=1)
    rig.perform("finish_uplink", turn=1)
    assert captured_grid(rig) == list(range(7, 3407, FRAME_MS))
    assert rig.wire.finished == 1
    clip = read_wav(GO_FORWARD)
    assert [s.packet for s in rig.wire.sent] == as_encoded(frames(clip.ljust(170 * 640, b"\0")))
    # The codec's own delay: 2.5 ms of overlap and 4 ms of look-ahead, 104 samples.
    assert signal_to_noise_db(clip, rig.wire.pcm[104 * 2 :]) > 3


@virtual
async def test_live_frames_leave_as_soon_as_they_are_full(rig: CaptureRig) -> None:
    """20 ms after their first sample, in the same turn of the loop."""
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("start_uplink", turn=1)
    await pass_ms(500)
    assert len(rig.wire.sent) == 25
    assert {sent.sent_ms - sent.captured_ms for sent in rig.wire.sent} == {FRAME_MS}


@virtual
async def test_the_preroll_goes_first_and_leaves_the_loop_its_turns(rig: CaptureRig) -> None:
    """A few frames a turn, in order, and live frames queue behind."""
    rig.perform("microphone", mode="capture", turn=1)
    await pass_ms(2000)
    rig.perform("start_uplink", turn=1)
    lengths = [len(rig.wire.sent)]
    while lengths[-1] < 100:
        await asyncio.sleep(0)
        lengths.append(len(rig.wire.sent))
    bursts = {later - earlier for earlier, later in itertools.pairwise(lengths)}
    assert lengths[0] == max(bursts) == ENCODED_FRAMES_MAX
    await pass_ms(100)
    assert captured_grid(rig) == list(range(0, 2100, FRAME_MS))


@virtual
async def test_a_frame_that_comes_within_the_burst_waits_its_turn(rig: CaptureRig) -> None:
    """Order holds while the pre-roll is still going out."""
    rig.perform("microphone", mode="capture", turn=1)
    await pass_ms(199)
    rig.perform("start_uplink", turn=1)
    rig.capture._take_frame(SILENCE, 180)
    assert len(rig.wire.sent) == ENCODED_FRAMES_MAX
    await pass_ms(0)
    await pass_ms(0)
    assert captured_grid(rig) == list(range(0, 200, FRAME_MS))


@virtual
async def test_an_utterance_that_ended_before_the_stream_opened_is_flushed(
    rig: CaptureRig,
) -> None:
    """The finished utterance waits with a closed microphone, then goes out in one burst."""
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("open_stream", turn=1)
    rig.microphone.speak(voice(1000))
    await pass_ms(1500)
    rig.perform("microphone", mode="closed", turn=1)
    await pass_ms(2000)
    assert (rig.wire.sent, rig.wire.finished, rig.capture.kept_ms) == ([], 0, 1500)
    rig.perform("finish_uplink", turn=1)
    assert rig.wire.finished == 0
    await pass_ms(1)
    assert captured_grid(rig) == list(range(0, 1500, FRAME_MS))
    assert rig.wire.finished == 1
    assert rig.capture.kept_ms == 0
    with pytest.raises(MisuseError, match="no utterance of turn 1"):
        rig.perform("finish_uplink", turn=1)
    assert rig.wire.finished == 1


@virtual
async def test_an_empty_utterance_ends_with_the_marker_alone(rig: CaptureRig) -> None:
    """Whatever waits for the flush is not kept waiting."""
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("microphone", mode="closed", turn=1)
    rig.perform("finish_uplink", turn=1)
    assert (rig.wire.sent, rig.wire.finished) == ([], 1)


@virtual
async def test_sampled_sound_is_kept_for_a_second_and_never_sent(rig: CaptureRig) -> None:
    """What is said before the press stays in the toy, down to the sample."""
    rig.perform("microphone", mode="sampling", turn=0)
    rig.microphone.speak(voice(3000))
    await pass_ms(2011)
    assert rig.capture.kept_ms == 1000
    rig.perform("microphone", mode="capture", turn=1)
    assert rig.capture.kept_ms == 0
    rig.perform("start_uplink", turn=1)
    await pass_ms(500)
    assert captured_grid(rig) == list(range(2000, 2500, FRAME_MS))
    said = frames(voice(3000)[: 2500 * 32])[100:]
    said[0] = bytes(11 * 32) + said[0][11 * 32 :]
    assert [sent.packet for sent in rig.wire.sent] == as_encoded(said)
    assert rig.posted.names == ["speech_started"]


@virtual
async def test_sampling_posts_nothing(rig: CaptureRig) -> None:
    """Speech outside a turn is nobody's business."""
    rig.perform("microphone", mode="sampling", turn=0)
    rig.microphone.speak_clip(GO_FORWARD)
    await pass_ms(5000)
    assert rig.posted == []


@virtual
async def test_closed_is_closed_at_once(rig: CaptureRig) -> None:
    """No frame, no memory of what was sampled."""
    rig.perform("microphone", mode="sampling", turn=0)
    await pass_ms(1000)
    rig.perform("microphone", mode="closed", turn=0)
    assert not rig.microphone.is_open
    assert rig.capture.kept_ms == 0
    await pass_ms(1000)
    assert rig.capture.kept_ms == 0


@virtual
async def test_an_abandoned_utterance_is_kept_for_30_s_and_never_sent(rig: CaptureRig) -> None:
    """Nor can a confused caller have it sent."""
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("open_stream", turn=1)
    await pass_ms(3000)
    rig.perform("abandon_stream", turn=1)
    await pass_ms(37_000)
    assert rig.capture.kept_ms == 30_500
    with pytest.raises(MisuseError, match="never sent"):
        rig.perform("start_uplink", turn=1)
    with pytest.raises(MisuseError, match="never sent"):
        rig.perform("finish_uplink", turn=1)
    assert (rig.wire.sent, rig.wire.finished) == ([], 0)


@virtual
async def test_five_seconds_of_speech_wait_for_the_stream(rig: CaptureRig) -> None:
    """And what was before it was recognised; beyond that the oldest is dropped, and counted."""
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("open_stream", turn=1)
    await pass_ms(6000)
    assert rig.capture.kept_ms == 5500
    assert rig.capture.frames_dropped == 25
    rig.perform("start_uplink", turn=1)
    await pass_ms(1)
    assert captured_grid(rig) == list(range(500, 6000, FRAME_MS))
    rig.perform("end_turn", turn=1, outcome="interrupted")
    assert rig.capture.frames_dropped == 25


@pytest.mark.parametrize(
    ("effect", "fields"),
    [
        ("end_turn", {"turn": 1, "outcome": "interrupted"}),
        ("purge_speech", {}),
        ("abandon_stream", {"turn": 1}),
        ("microphone", {"mode": "capture", "turn": 2}),
        ("microphone", {"mode": "closed", "turn": 2}),
    ],
)
def test_nothing_is_sent_of_an_utterance_that_is_over(
    effect: str, fields: dict[str, str | int]
) -> None:
    """Not even the rest of a burst under way, nor its final marker."""

    async def main() -> None:
        rig = CaptureRig()
        rig.perform("microphone", mode="capture", turn=1)
        await pass_ms(1000)
        rig.perform("start_uplink", turn=1)
        rig.perform("finish_uplink", turn=1)
        rig.perform(effect, **fields)
        await pass_ms(1000)
        assert len(rig.wire.sent) == ENCODED_FRAMES_MAX
        assert rig.wire.finished == 0
        rig.capture.close()

    run_virtual(main())


@virtual
async def test_the_end_of_another_turn_changes_nothing(rig: CaptureRig) -> None:
    """A fence is exact: an old turn's end does not end the new one."""
    rig.perform("microphone", mode="capture", turn=2)
    await pass_ms(6000)
    rig.perform("end_turn", turn=1, outcome="interrupted")
    rig.perform("abandon_stream", turn=1)
    rig.perform("open_stream", turn=1)
    rig.perform("finish_uplink", turn=2)
    await pass_ms(1)
    assert (len(rig.wire.sent), rig.wire.finished) == (300, 1)


@virtual
async def test_each_turn_has_its_own_boundaries_and_its_own_encoder(rig: CaptureRig) -> None:
    """Two turns with the same words give the same events and the same packets."""
    sent = []
    for turn in (1, 2):
        rig.perform("microphone", mode="capture", turn=turn)
        rig.perform("start_uplink", turn=turn)
        rig.microphone.speak_clip(GO_FORWARD)
        await pass_ms(3600)
        rig.perform("microphone", mode="closed", turn=turn)
        rig.perform("finish_uplink", turn=turn)
        rig.perform("end_turn", turn=turn, outcome="answered")
        sent.append([packet for packet, _, _ in rig.wire.sent])
        rig.wire.sent.clear()
    assert sent[0] == sent[1]
    assert [(name, fields["turn"]) for name, fields in rig.posted] == [
        ("speech_started", 1),
        ("speech_ended", 1),
        ("speech_started", 2),
        ("speech_ended", 2),
    ]


@virtual
async def test_speech_is_noticed_whether_or_not_it_is_sent(rig: CaptureRig) -> None:
    """Endpointing goes on when a turn continues without its stream."""
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("open_stream", turn=1)
    rig.microphone.speak_clip(GO_FORWARD)
    await pass_ms(1000)
    rig.perform("abandon_stream", turn=1)
    await pass_ms(3000)
    assert rig.posted.names == ["speech_started", "speech_ended"]


@virtual
async def test_purged_speech_is_gone(rig: CaptureRig) -> None:
    """From sampling and from capture alike; frames that still come are not kept."""
    rig.perform("microphone", mode="sampling", turn=0)
    await pass_ms(500)
    rig.perform("purge_speech")
    assert rig.capture.kept_ms == 0
    rig.perform("microphone", mode="capture", turn=1)
    await pass_ms(500)
    rig.perform("purge_speech")
    assert rig.capture.kept_ms == 0
    await pass_ms(500)
    assert rig.capture.kept_ms == 0
    with pytest.raises(MisuseError, match="no utterance of turn 1"):
        rig.perform("start_uplink", turn=1)


@virtual
async def test_the_same_mode_again_changes_nothing(rig: CaptureRig) -> None:
    """The effect states what is to be; it need not be news."""
    rig.perform("microphone", mode="capture", turn=1)
    await pass_ms(500)
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("finish_uplink", turn=1)
    await pass_ms(1)
    assert captured_grid(rig) == list(range(0, 500, FRAME_MS))


@virtual
async def test_misuse_is_named(rig: CaptureRig) -> None:
    """An unknown mode changes nothing; a turn without an utterance cannot be sent."""
    with pytest.raises(MisuseError, match=r"'ajar'.*closed, sampling, capture"):
        rig.perform("microphone", mode="ajar", turn=1)
    for effect in ("start_uplink", "finish_uplink"):
        with pytest.raises(MisuseError, match="no utterance of turn 3"):
            rig.perform(effect, turn=3)
    assert rig.wire.finished == 0


def test_the_encoder_follows_the_settings() -> None:
    """Half the bit rate makes smaller packets."""

    def sent_bytes(settings: VoiceSettings) -> int:
        async def main() -> int:
            rig = CaptureRig(settings)
            rig.perform("microphone", mode="capture", turn=1)
            rig.perform("start_uplink", turn=1)
            rig.microphone.speak(voice(2000))
            await pass_ms(2000)
            rig.capture.close()
            return sum(len(sent.packet) for sent in rig.wire.sent)

        return run_virtual(main())

    assert sent_bytes(VoiceSettings(opus_bitrate_bps=12_000)) < 0.75 * sent_bytes(VoiceSettings())


def test_the_voice_that_is_sent_is_a_voice() -> None:
    """The arithmetic voice of these tests is loud enough to mean something."""
    assert rms(voice(3000)) > 1000


# -- The format -----------------------------------------------------------------------------------


@virtual
async def test_speech_is_sent_as_samples_where_the_uplink_takes_those(rig: CaptureRig) -> None:
    """Frame by frame as they were captured."""
    rig.wire.speech_format = "pcm16"
    rig.perform("microphone", mode="capture", turn=1)
    rig.microphone.speak(voice(400))
    await pass_ms(200)
    rig.perform("start_uplink", turn=1)
    await pass_ms(200)
    rig.perform("finish_uplink", turn=1)
    assert [sent.packet for sent in rig.wire.sent] == frames(voice(400))
    assert rig.wire.finished == 1


@virtual
async def test_format_is_settled_when_an_utterance_begins_to_be_sent(rig: CaptureRig) -> None:
    """Not when it is captured, and not again before it ends; the next one asks anew."""
    rig.perform("microphone", mode="capture", turn=1)
    await pass_ms(100)
    rig.wire.speech_format = "pcm16"
    rig.perform("start_uplink", turn=1)
    rig.wire.speech_format = "opus"
    await pass_ms(100)
    rig.perform("finish_uplink", turn=1)
    await pass_ms(0)
    assert {len(sent.packet) for sent in rig.wire.sent} == {640}
    rig.wire.sent.clear()
    rig.perform("microphone", mode="capture", turn=2)
    await pass_ms(100)
    rig.perform("finish_uplink", turn=2)
    await pass_ms(0)
    assert rig.wire.sent
    assert all(len(sent.packet) < 640 for sent in rig.wire.sent)


# -- The wake word --------------------------------------------------------------------------------


@virtual
async def test_the_ear_hears_what_is_sampled_and_nothing_else(rig: CaptureRig) -> None:
    """Each stretch of sampling is a piece of its own."""
    await pass_ms(5)
    rig.perform("microphone", mode="sampling", turn=0)
    await pass_ms(40)
    rig.perform("microphone", mode="capture", turn=1)
    await pass_ms(40)
    rig.perform("microphone", mode="closed", turn=1)
    rig.perform("microphone", mode="sampling", turn=1)
    await pass_ms(20)
    rig.perform("microphone", mode="closed", turn=0)
    assert rig.ear.diary == ["begin", "hear 5", "hear 25", "end", "begin", "hear 85", "end"]


@virtual
async def test_after_a_wake_word_the_utterance_begins_where_the_word_ended(
    rig: CaptureRig,
) -> None:
    """To the sample: what follows it at once is sent, the word itself is not."""
    rig.perform("microphone", mode="sampling", turn=0)
    rig.microphone.speak(voice(3000))
    await pass_ms(1500)
    rig.ear.heard_ms = 1207
    await pass_ms(11)
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("start_uplink", turn=1)
    await pass_ms(489)
    assert captured_grid(rig) == list(range(1200, 2000, FRAME_MS))
    said = frames(voice(3000)[: 2000 * 32])[60:]
    said[0] = bytes(7 * 32) + said[0][7 * 32 :]
    assert [sent.packet for sent in rig.wire.sent] == as_encoded(said)


@virtual
async def test_a_wake_word_of_a_second_ago_has_nothing_to_do_with_a_press(rig: CaptureRig) -> None:
    """Then the utterance begins with the press, as without a wake word."""
    rig.perform("microphone", mode="sampling", turn=0)
    await pass_ms(2000)
    rig.ear.heard_ms = 999
    rig.perform("microphone", mode="capture", turn=1)
    assert rig.capture.kept_ms == 0


@virtual
async def test_what_the_ear_heard_does_not_outlive_the_sampling(rig: CaptureRig) -> None:
    """A microphone that was closed in between has forgotten it."""
    rig.perform("microphone", mode="sampling", turn=0)
    await pass_ms(500)
    rig.ear.heard_ms = 400
    rig.perform("microphone", mode="closed", turn=0)
    rig.ear.heard_ms = 400
    rig.perform("microphone", mode="capture", turn=1)
    assert rig.capture.kept_ms == 0


@virtual
async def test_purged_speech_is_forgotten_by_the_ear_too(rig: CaptureRig) -> None:
    """And it goes on listening."""
    rig.perform("microphone", mode="sampling", turn=0)
    await pass_ms(20)
    rig.perform("purge_speech")
    await pass_ms(20)
    assert rig.ear.diary == ["begin", "hear 0", "end", "begin", "hear 20"]


@virtual
async def test_what_was_said_since_the_wake_word_is_judged_in_portions(rig: CaptureRig) -> None:
    """Speech is noticed at once, and the loop has its turns in between."""
    rig.perform("microphone", mode="sampling", turn=0)
    rig.microphone.speak_clip(GO_FORWARD)
    await pass_ms(1000)
    rig.ear.heard_ms = 0
    rig.perform("microphone", mode="capture", turn=1)
    turns = 0
    while not rig.posted:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 5
    assert rig.clock.monotonic_ms() == 1000
    assert rig.posted == [("speech_started", {"turn": 1})]


@virtual
async def test_nothing_is_judged_once_the_microphone_is_closed(rig: CaptureRig) -> None:
    """Whatever of it had not been judged yet."""
    rig.perform("microphone", mode="sampling", turn=0)
    rig.microphone.speak_clip(GO_FORWARD)
    await pass_ms(1000)
    rig.ear.heard_ms = 0
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("microphone", mode="closed", turn=1)
    await pass_ms(1000)
    assert rig.posted == []
    assert rig.capture.kept_ms == 1000


# -- The toy's own voice --------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [True, False])
def test_the_end_of_the_toys_own_voice_is_nobody_who_speaks(is_known: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A reply is interrupted in the middle of a word; nobody says anything after that."""

    async def main() -> None:
        rig = CaptureRig()
        rig.microphone.speak(read_wav(GO_FORWARD)[: 1_120 * BYTES_PER_MS])
        await pass_ms(1_000)
        if is_known:
            rig.quiet_from_ms = 1_040
        rig.perform("microphone", mode="capture", turn=1)
        await pass_ms(2_000)
        assert rig.posted.names == ([] if is_known else ["speech_started", "speech_ended"])
        rig.capture.close()

    run_virtual(main())


@virtual
async def test_who_talks_over_the_toy_is_heard_and_sent_from_the_first_word_on(
    rig: CaptureRig,
) -> None:
    rig.microphone.speak_clip(GO_FORWARD)
    await pass_ms(500)
    rig.quiet_from_ms = 500 + 20
    rig.perform("microphone", mode="capture", turn=1)
    await pass_ms(500)
    assert rig.posted == [("speech_started", {"turn": 1})]
    rig.perform("start_uplink", turn=1)
    assert captured_grid(rig)[0] == 500


# -- Level ----------------------------------------------------------------------------------------


@virtual
async def test_the_level_is_that_of_this_moment(rig: CaptureRig) -> None:
    """Whether it is sampled or captured; a closed microphone has none."""
    assert rig.capture.level is None
    rig.perform("microphone", mode="sampling", turn=0)
    rig.microphone.speak(voice(100))
    await pass_ms(60)
    assert rig.capture.level is not None
    assert -30 < rig.capture.level.rms_dbfs < rig.capture.level.peak_dbfs < 0
    await pass_ms(100)
    assert rig.capture.level == (-96, -96)
    rig.perform("microphone", mode="closed", turn=0)
    assert rig.capture.level is None


# -- The network ----------------------------------------------------------------------------------


async def sent_bytes_per_s(rig: CaptureRig) -> list[int]:
    """How much was sent of a long utterance, second by second."""
    rig.perform("microphone", mode="capture", turn=1)
    rig.perform("start_uplink", turn=1)
    rig.microphone.speak(voice(6000))
    await pass_ms(6000)
    sizes = [len(sent.packet) for sent in rig.wire.sent]
    return [sum(sizes[at : at + 50]) for at in range(0, 300, 50)]


@virtual
async def test_less_is_spent_on_speech_once_it_waits_for_the_network(rig: CaptureRig) -> None:
    """From the next second on, in the middle of an utterance."""
    whole = await sent_bytes_per_s(rig)
    rig.perform("end_turn", turn=1, outcome="answered")
    rig.perform("microphone", mode="closed", turn=1)
    rig.wire.sent.clear()
    rig.wire.quality = LinkQuality(loss_percent=None, backlog_ms=400)
    jammed = await sent_bytes_per_s(rig)
    assert sum(jammed[3:]) < 0.6 * sum(whole[3:])
    assert jammed[0] > 1.2 * jammed[3]


@virtual
async def test_the_next_utterance_begins_as_the_last_one_ended(rig: CaptureRig) -> None:
    """The network is the same; and a loss is provided for from the first packet on."""
    rig.wire.quality = LinkQuality(loss_percent=10, backlog_ms=0)
    first = await sent_bytes_per_s(rig)
    rig.perform("end_turn", turn=1, outcome="answered")
    rig.perform("microphone", mode="closed", turn=1)
    rig.wire.sent.clear()
    second = await sent_bytes_per_s(rig)
    assert second[0] > 1.2 * first[0]


@virtual
async def test_nobody_looks_at_the_network_for_speech_that_is_not_encoded(rig: CaptureRig) -> None:
    """Samples have one rate."""
    rig.wire.speech_format = "pcm16"
    rig.wire.quality = LinkQuality(loss_percent=None, backlog_ms=400)
    assert set(await sent_bytes_per_s(rig)) == {32_000}
    assert rig.capture._control.tuning.bitrate_bps == 24_000


@virtual
async def test_its_figures_are_told_to_the_metrics(rig: CaptureRig) -> None:
    """A closed microphone has no level, and a level is no sound."""
    gauges = rig.capture.gauges
    assert {name: gauge() for name, gauge in gauges.items()} == {
        "microphoneRmsDbfs": None,
        "microphonePeakDbfs": None,
        "speechBitrateBps": 24_000,
        "speechFramesDropped": 0,
    }
    rig.perform("microphone", mode="sampling", turn=0)
    await pass_ms(20)
    assert gauges["microphoneRmsDbfs"]() == gauges["microphonePeakDbfs"]() == -96
