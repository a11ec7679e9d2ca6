"""Replies that come as samples, from the stream to the ear."""

from __future__ import annotations

import array
import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import pytest

from firmware.voice.arrivals import Arrivals
from firmware.voice.jitter import JitterBuffer
from firmware.voice.packet import Pcm, cut, duration_ms, size_bytes
from firmware.voice.playback import MAKING_MS_MAX, Playback
from firmware.voice.reply import Recording, Replay, Reply
from firmware.voice.settings import VoiceSettings
from hardware.clock import Clock
from hardware.pcm import FRAME_BYTES, from_bytes
from hardware.sim.clock import run_virtual
from hardware.sim.speaker import VirtualSpeaker
from tests.firmware.voice.rig import PlaybackRig, Posted, loud, reply
from tests.hardware.voices import frames, signal_to_noise_db, tone, tone_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.voice.packet import Packet
    from hardware.speaker import Source

BLOCKED_MS_MAX = 20


def heard(packets: list[Packet]) -> bytes:
    """Return all that is heard of a reply that is complete."""
    decoding = Reply(Replay(packets))
    sounds = []
    while (frame := decoding.next_frame(0)) is not None:
        assert len(frame) == FRAME_BYTES
        sounds.append(frame)
    assert decoding.is_over
    decoding.close()
    return b"".join(sounds)


def stereo(left: array.array[int], right: array.array[int]) -> bytes:
    """Return two channels, interleaved."""
    return array.array("h", itertools.chain(*zip(left, right, strict=True))).tobytes()


# Pieces.


def test_samples_are_cut_into_frames() -> None:
    """Each as long as 20 ms at its rate; the last may be shorter, and nothing is lost."""
    pcm = Pcm(bytes(range(256)) * 10, 8_000, 2)
    pieces = cut(pcm)
    assert [size_bytes(piece) for piece in pieces] == [640] * 4
    assert [duration_ms(piece) for piece in pieces] == [20.0] * 4
    assert b"".join(piece.samples for piece in pieces) == pcm.samples
    assert [duration_ms(piece) for piece in cut(Pcm(bytes(700), 16_000, 1))] == [20.0, 1.875]
    assert cut(Pcm(b"", 16_000, 1)) == []


# Decoding.


def test_samples_at_our_rate_are_heard_as_they_are() -> None:
    """Bit for bit; silence fills up the last frame."""
    pcm = tone(500, 95).tobytes()
    assert heard(list(cut(Pcm(pcm, 16_000, 1)))) == pcm + bytes(5 * 32)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_is_heard_in_our_own(rate_hz: int, channels: int) -> None:
    """Neither pitch nor duration nor loudness change, mono or stereo."""
    mono = tone(1_000, 400, rate_hz)
    pcm = mono.tobytes() if channels == 1 else stereo(mono, mono)
    sound = heard(list(cut(Pcm(pcm, rate_hz, channels))))
    assert len(sound) / 32 == pytest.approx(400, abs=20)
    inner = sound[3_200:9_600]
    assert signal_to_noise_db(tone_within(from_bytes(inner), 1_000), inner) > 60


def test_both_channels_are_heard() -> None:
    """Half as loud each: what speaks on one side only is not lost."""
    silence = array.array("h", bytes(2 * 3_200))
    sound = heard(list(cut(Pcm(stereo(tone(500, 200), silence), 16_000, 2))))
    assert max(from_bytes(sound)) == pytest.approx(5_000, abs=2)


def test_rate_may_change_within_a_reply() -> None:
    """As with one WAV file after another: nothing of the first is lost at the seam."""
    first = cut(Pcm(tone(500, 200, 22_050).tobytes(), 22_050, 1))
    second = cut(Pcm(tone(500, 200, 48_000).tobytes(), 48_000, 1))
    third = cut(Pcm(tone(500, 200).tobytes(), 16_000, 1))
    sound = heard([*first, *second, *third])
    assert len(sound) / 32 == pytest.approx(600, abs=20)
    samples = from_bytes(sound)
    assert sum(a < 0 <= b for a, b in itertools.pairwise(samples)) == pytest.approx(300, abs=3)


def test_samples_and_packets_may_follow_each_other() -> None:
    """No gateway does; where one does, everything is heard, in order."""
    pieces = cut(Pcm(tone(500, 100, 24_000).tobytes(), 24_000, 1))
    sound = heard([*reply(), *pieces, *reply()])
    assert len(sound) == pytest.approx(900 * 32, abs=FRAME_BYTES)
    alone = heard(list(pieces))
    begins = 400 * 32
    assert sound[begins : begins + 3_200] == alone[:3_200]


class SlowingClock(Clock):
    """All the time there is for making frames passes whenever somebody looks."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_ms = 0

    def monotonic_ms(self) -> int:
        """Return the time, which has passed."""
        self.passed_ms += MAKING_MS_MAX
        return super().monotonic_ms() + self.passed_ms


def test_frame_that_takes_long_is_the_only_one_in_its_turn_of_the_loop() -> None:
    """On a slow machine others come in between; the reply is heard all the same."""

    async def main() -> None:
        clock = SlowingClock()
        pulls: list[VirtualSpeaker] = []

        def make_speaker(source: Source) -> VirtualSpeaker:
            pulls.append(VirtualSpeaker(clock, source))
            return pulls[0]

        posted = Posted()
        playback = Playback(VoiceSettings(), clock, posted, make_speaker)
        playback.effects["speaker"](mode="reply", turn=1)
        playback.reply_pcm(1, 1, tone(500, 1_000).tobytes(), 16_000)
        assert len(playback._output) == 1
        playback.reply_end(1, 1)
        await pass_ms(2_000)
        assert posted.names == ["reply_began", "reply_played"]
        playback.close()

    run_virtual(main())


def test_jitter_buffer_counts_samples_as_it_counts_packets() -> None:
    """By length and by size, whatever their rate."""
    pieces = cut(Pcm(tone(500, 1_000, 22_050).tobytes(), 22_050, 1))
    jitter = JitterBuffer(Arrivals(start_ms=60, ms_max=60), ms_max=200, bytes_max=1_000_000)
    assert [jitter.push(piece, 0) for piece in pieces[:11]] == ["taken"] * 10 + ["refused"]
    jitter = JitterBuffer(Arrivals(start_ms=60, ms_max=60), ms_max=10_000, bytes_max=5 * 882)
    assert [jitter.push(piece, 0) for piece in pieces[:6]] == ["taken"] * 5 + ["refused"]
    recording = Recording(ms_max=100, bytes_max=1_000_000)
    for piece in pieces:
        recording.keep(piece)
    assert list(recording.packets) == pieces[:5]


# Playback.


async def pass_ms(duration_ms: int) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(duration_ms / 1000)


def test_a_reply_in_samples_is_heard_whole_and_can_be_heard_again() -> None:
    """In one piece or in many; it begins, plays out and is kept like any other."""

    async def main() -> None:
        rig = PlaybackRig()
        pcm = tone(500, 1_000).tobytes()
        expected = loud(frames(pcm))
        rig.perform("speaker", mode="reply", turn=1)
        rig.playback.reply_pcm(1, 4, pcm[:20_000], 16_000)
        rig.playback.reply_pcm(1, 4, pcm[20_000:], 16_000)
        rig.end(1, connection=4)
        await pass_ms(1_500)
        assert rig.posted == [
            ("reply_began", {"turn": 1, "connection": 4}),
            ("reply_played", {"turn": 1}),
        ]
        # The second piece began in the middle of a frame, and still there is no seam.
        assert b"".join(rig.sounds) == b"".join(expected)
        rig.pulled.clear()
        rig.perform("speaker", mode="answers", turn=2)
        rig.perform("replay", turn=2)
        await pass_ms(1_500)
        assert b"".join(rig.sounds) == b"".join(expected)
        assert rig.posted.names[2:] == ["reply_played"]
        rig.playback.close()

    run_virtual(main())


def test_samples_of_another_turn_are_stale() -> None:
    """Counted by the frame, and not heard."""

    async def main() -> None:
        rig = PlaybackRig()
        rig.perform("speaker", mode="reply", turn=2)
        rig.playback.reply_pcm(1, 1, tone(500, 100).tobytes(), 16_000)
        await pass_ms(200)
        assert rig.playback.packets["stale"] == 5
        assert rig.sounds == []
        rig.playback.close()

    run_virtual(main())


def test_samples_for_which_there_is_no_room_are_refused() -> None:
    """What was taken is heard; there is no hole in it."""

    async def main() -> None:
        rig = PlaybackRig(VoiceSettings(jitter_ms_max=1_000))
        pcm = tone(500, 3_000).tobytes()
        rig.playback.effects["speaker"](mode="cues", turn=1)
        rig.playback.reply_pcm(1, 1, pcm, 16_000)
        rig.end(1)
        rig.perform("speaker", mode="reply", turn=1)
        await pass_ms(4_000)
        assert rig.playback.packets["refused"] == 100
        assert rig.sounds == loud(frames(pcm[:32_000]))
        rig.playback.close()

    run_virtual(main())


class TimedClock(Clock):
    """Keeps the longest time on the processor that something takes when the clock calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_ms = 0.0

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Do as usual, and time it."""
        return super().call_later(delay_ms, lambda: self.time(callback))

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Do as usual, and time it."""
        super().call_soon_threadsafe(lambda: self.time(callback))

    def time(self, callback: Callable[[], None]) -> None:
        """Call and time it."""
        began_ns = time.thread_time_ns()
        callback()
        self.longest_ms = max(self.longest_ms, (time.thread_time_ns() - began_ns) / 1e6)


@pytest.mark.parametrize(("rate_hz", "channels"), [(22_050, 1), (44_100, 2), (48_000, 1)])
def test_ten_seconds_at_once_do_not_hold_up_the_loop(rate_hz: int, channels: int) -> None:
    """They are mixed and resampled as they are played, some frames in each turn of the loop."""
    mono = tone(500, 10_000, rate_hz)
    pcm = mono.tobytes() if channels == 1 else stereo(mono, mono)

    async def main() -> tuple[float, int]:
        clock = TimedClock()

        def make_speaker(source: Source) -> VirtualSpeaker:
            return VirtualSpeaker(clock, source)

        posted = Posted()
        playback = Playback(VoiceSettings(), clock, posted, make_speaker)
        playback.effects["speaker"](mode="reply", turn=1)
        clock.time(lambda: playback.reply_pcm(1, 1, pcm, rate_hz, channels))
        clock.time(lambda: playback.reply_end(1, 1))
        await pass_ms(11_000)
        playback.close()
        assert playback.packets["refused"] == 0
        assert posted.names == ["reply_began", "reply_played"]
        return clock.longest_ms, len(pcm)

    longest_ms, _ = run_virtual(main())
    assert longest_ms < BLOCKED_MS_MAX
