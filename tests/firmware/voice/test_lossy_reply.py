"""A spoken reply over a network that loses, delays and reorders its packets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import pytest

from firmware.voice.settings import VoiceSettings
from hardware.codec import OpusEncoder
from hardware.pcm import FRAME_MS, read_wav
from hardware.sim.clock import run_virtual
from simulator.alignment import align
from tests.firmware.voice.rig import CLIPS, PlaybackRig, decoded
from tests.hardware.voices import frames

LOUD = VoiceSettings(volume_percent=100, volume_percent_max=100)
"""Nothing is made quieter: what differs from what was sent is damage."""


class Heard(NamedTuple):
    """What came of a reply: its sound, how its packets fared, and what was posted."""

    pcm: bytes
    recovered: int
    concealed: int
    fates: Mapping[str, int]
    posted: list[str]


@cache
def spoken() -> bytes:
    """Five seconds of a person reading aloud."""
    clip = CLIPS / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav"
    return read_wav(clip)[: 5 * 32_000]


@cache
def sent() -> list[bytes]:
    """The same as a gateway sends it: each packet with a coarse copy of the one before it."""
    with OpusEncoder(expected_loss_percent=10) as encoder:
        return [encoder.encode(frame) for frame in frames(spoken())]


def heard(seed: int, *, lost: float = 0.0, jitter_ms: int = 0, replies: int = 1) -> Heard:
    """Play the reply over such a network, several times on one connection; return the last."""
    return run_virtual(_heard(random.Random(seed), lost, jitter_ms, replies))  # noqa: S311 - the same network every time


async def _heard(chance: random.Random, lost: float, jitter_ms: int, replies: int) -> Heard:
    rig = PlaybackRig(LOUD)
    began = 0
    for turn in range(1, replies + 1):
        began = len(rig.pulled)
        rig.perform("speaker", mode="reply", turn=turn)
        due = [
            (FRAME_MS * number + chance.uniform(0, jitter_ms), number)
            for number in range(len(sent()))
            if chance.random() >= lost
        ]
        begun_ms = rig.clock.monotonic_ms()
        for at_ms, number in sorted(due):
            await asyncio.sleep(max(0.0, begun_ms + at_ms - rig.clock.monotonic_ms()) / 1000)
            rig.receive(turn, [sent()[number]], numbers=[number])
        rig.end(turn, pieces=len(sent()))
        await asyncio.sleep(1)
        rig.perform("end_turn", turn=turn, outcome="answered")
    pcm = b"".join(frame for _, frame in rig.pulled[began:])
    found = Heard(
        pcm,
        rig.playback.packets_recovered,
        rig.playback.packets_concealed,
        {str(fate): count for fate, count in rig.playback.packets.items()},
        rig.posted.names,
    )
    rig.playback.close()
    return found


def test_a_reply_in_time_is_heard_as_it_was_sent() -> None:
    """To the last bit: nothing on the way changes a voice."""
    found = heard(1)
    assert decoded(sent()) in found.pcm
    assert found.posted == ["reply_began", "reply_played"]


@pytest.mark.parametrize("seed", range(4))
def test_a_voice_survives_loss_jitter_and_reordering(seed: int) -> None:
    """One packet in ten lost, all of them up to 100 ms late: within 8 dB of what was sent."""
    found = heard(seed, lost=0.1, jitter_ms=100)
    assert align(decoded(sent()), found.pcm).db >= 8
    assert found.recovered > found.concealed
    assert found.posted[-1] == "reply_played"


def test_jitter_alone_loses_next_to_nothing() -> None:
    """Packets that were overtaken by up to five others find their place."""
    found = heard(1, jitter_ms=100, replies=2)
    assert found.fates["taken"] >= 0.98 * 2 * len(sent())
    assert align(decoded(sent()), found.pcm).db >= 20


def test_what_was_learnt_of_the_network_serves_the_next_reply() -> None:
    """The first reply finds out that packets come late; the second holds back enough."""
    first, both = heard(4, jitter_ms=100), heard(4, jitter_ms=100, replies=2)
    late_at_first = first.fates.get("late", 0)
    assert late_at_first > 0
    assert both.fates.get("late", 0) - late_at_first <= late_at_first
