"""Replies that are cut, broken, misnumbered or never pulled: each ends, within its bounds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from firmware.voice.jitter import LOST_IN_A_ROW_MAX
from firmware.voice.playback import READY_MS_MAX, Playback
from firmware.voice.settings import VoiceSettings
from hardware.clock import Clock
from hardware.pcm import FRAME_MS, FRAME_SAMPLES
from hardware.sim.clock import run_virtual
from hardware.speaker import Source
from tests.firmware.voice.rig import PlaybackRig, Posted, reply

PACKETS = reply(500, 2_000)
COUNT = len(PACKETS)


async def pass_ms(duration_ms: int) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(duration_ms / 1000)


async def listen(rig: PlaybackRig, packets: Sequence[bytes], numbers: Sequence[int]) -> None:
    """Let a packet come every 20 ms."""
    rig.perform("speaker", mode="reply", turn=1)
    for packet, number in zip(packets, numbers, strict=True):
        rig.receive(1, [packet], numbers=[number])
        await pass_ms(FRAME_MS)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([(65_500 + n) % 2**16 for n in range(COUNT)], id="wraps at 16 bits"),
        pytest.param([(2**32 - 50 + n) % 2**32 for n in range(COUNT)], id="wraps at 32 bits"),
        pytest.param([n if n < 50 else 2**40 + n for n in range(COUNT)], id="jumps ahead"),
        pytest.param([10**6 + n if n < 50 else n for n in range(COUNT)], id="jumps back"),
        pytest.param([n if n % 2 else n + 10**5 for n in range(COUNT)], id="two at a time"),
    ],
)
def test_numbers_that_cannot_be_cost_nothing_of_a_reply(numbers: list[int]) -> None:
    """Every packet is heard, in the order in which they came, and the reply ends."""

    async def main() -> None:
        rig = PlaybackRig()
        await listen(rig, PACKETS, numbers)
        rig.end(1)
        await pass_ms(1_000)
        assert rig.sounds == rig.expected(PACKETS)
        assert rig.posted.names == ["reply_began", "reply_played"]
        rig.playback.close()

    run_virtual(main())


@pytest.mark.parametrize(
    ("numbers", "heard_max"),
    [([7] * COUNT, 1), ([COUNT - n for n in range(COUNT)], COUNT // 4)],
    ids=["always the same", "backwards"],
)
def test_a_reply_of_nothing_but_old_packets_is_one_that_stalls(
    numbers: list[int], heard_max: int
) -> None:
    """The machine is told that it ran dry, and nothing that would make it go on waiting."""

    async def main() -> None:
        rig = PlaybackRig()
        await listen(rig, PACKETS, numbers)
        assert rig.posted.names == ["reply_began", "reply_dry"]
        assert 0 < len(rig.sounds) <= heard_max
        assert sum(rig.playback.packets.values()) == COUNT
        rig.playback.close()

    run_virtual(main())


def test_a_reply_that_stalls_while_it_is_collected_is_heard_and_then_dry() -> None:
    """Its second packet is so late that more is to be collected, and there is no third."""

    async def main() -> None:
        rig = PlaybackRig()
        await listen(rig, [PACKETS[6], PACKETS[0]], [6, 0])
        await pass_ms(500)
        assert rig.posted.names == ["reply_began", "reply_dry"]
        assert len(rig.sounds) >= 2
        rig.playback.close()

    run_virtual(main())


@pytest.mark.parametrize("pieces", [0, 3, COUNT, 10**9, -1])
def test_a_count_of_pieces_that_cannot_be_ends_no_reply_early_or_late(pieces: int) -> None:
    """All that came is heard, and then it is over."""

    async def main() -> None:
        rig = PlaybackRig()
        await listen(rig, PACKETS, range(COUNT))
        rig.end(1, pieces=pieces)
        await pass_ms(1_000)
        assert rig.sounds == rig.expected(PACKETS)
        assert rig.posted.names == ["reply_began", "reply_played"]
        rig.playback.close()

    run_virtual(main())


def test_a_reply_whose_last_second_never_came_ends_soon() -> None:
    """A fifth of a second is made up; nobody waits for the rest of it."""

    async def main() -> None:
        rig = PlaybackRig()
        await listen(rig, PACKETS[:50], range(50))
        rig.end(1, pieces=COUNT)
        await pass_ms(READY_MS_MAX + LOST_IN_A_ROW_MAX * FRAME_MS + 100)
        assert rig.playback.packets_concealed == LOST_IN_A_ROW_MAX
        assert rig.posted.names == ["reply_began", "reply_played"]
        rig.playback.close()

    run_virtual(main())


@pytest.mark.parametrize("seed", range(3))
def test_a_reply_of_garbage_is_played_and_ends(seed: int) -> None:
    """What Opus can make nothing of is concealed; each packet is dealt with once."""
    chance = random.Random(seed)  # noqa: S311 - the same garbage every time
    garbage = [chance.randbytes(chance.randrange(1_300)) for _ in range(200)]

    async def main() -> None:
        rig = PlaybackRig()
        rig.perform("speaker", mode="reply", turn=1)
        rig.receive(1, garbage, numbers=range(200))
        rig.end(1, pieces=200)
        await pass_ms(60_000)
        assert rig.playback.packets == {"taken": 200}
        assert 0 < rig.playback.packets_concealed <= 200
        assert rig.posted.names == ["reply_began", "reply_played"]
        rig.playback.close()

    run_virtual(main())


def test_a_reply_with_gaps_has_the_same_gaps_when_it_is_played_again() -> None:
    """Bit for bit: recovered where it was recovered, made up where it was made up."""
    missing = {5, 20, 21, 40, 41, 42, 60}

    async def main() -> None:
        rig = PlaybackRig()
        rig.perform("speaker", mode="reply", turn=1)
        came = [number for number in range(COUNT) if number not in missing]
        rig.receive(1, [PACKETS[number] for number in came], numbers=came)
        rig.end(1, pieces=COUNT)
        await pass_ms(3_000)
        first = rig.sounds
        assert len(first) == COUNT
        assert rig.playback.packets_recovered + rig.playback.packets_concealed == len(missing)
        rig.pulled.clear()
        rig.perform("speaker", mode="reply", turn=2)
        rig.perform("replay", turn=2)
        await pass_ms(3_000)
        assert rig.sounds == first
        assert rig.posted.names == ["reply_began", "reply_played", "reply_played"]
        rig.playback.close()

    run_virtual(main())


class HungSpeaker:
    """A speaker that opens, pulls a few frames and then none, as a card whose driver hangs."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.is_open = False

    @property
    def latency_ms(self) -> int:
        """None."""
        return 0

    def open(self) -> None:
        """Be open."""
        self.is_open = True

    def close(self) -> None:
        """Be closed."""
        self.is_open = False


def test_a_speaker_that_pulls_no_more_holds_nothing_up() -> None:
    """No more is made ready than ever, nothing is claimed to have been heard, and a stop stops.

    The machine leaves after the 120 s that a reply may last; the card's own watch is sooner.
    """

    async def main() -> None:
        posted, clock = Posted(), Clock()
        speakers: list[HungSpeaker] = []

        def make_speaker(source: Source) -> HungSpeaker:
            speakers.append(HungSpeaker(source))
            return speakers[0]

        playback = Playback(VoiceSettings(), clock, posted, make_speaker)
        playback.effects["speaker"](mode="reply", turn=1)
        for number, packet in enumerate(PACKETS):
            playback.reply_packet(1, 1, packet, 16_000, number)
        playback.reply_end(1, 1, COUNT)
        await pass_ms(100)
        assert all(any(speakers[0].source(FRAME_SAMPLES)) for _ in range(3))
        await pass_ms(60_000)
        assert len(playback._output) * FRAME_MS == READY_MS_MAX
        assert posted.names == ["reply_began"]
        playback.effects["speaker"](mode="cues", turn=2)
        assert not speakers[0].is_open
        assert speakers[0].source(FRAME_SAMPLES) == bytes(2 * FRAME_SAMPLES)
        playback.close()

    run_virtual(main())
