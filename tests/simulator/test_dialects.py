"""A toy and the development cloud in every dialect: two builders of one contract."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.app import Toy
from firmware.stream.counters import Counters
from firmware.voice.cues import packaged
from hardware.pcm import BYTES_PER_MS, FRAME_MS, rms
from hardware.sim.speaker import AUDIBLE_RMS, VirtualSpeaker
from hardware.sim.vault import VirtualVault
from simulator.cloud_process import CloudProcess
from simulator.conversation import Clip, Conversation
from simulator.demo import CLIPS, CLIPS_DIR, _settings
from simulator.watch import arrives_at
from states.machine import Step
from tests.hardware.voices import frames


class Held(NamedTuple):
    """A conversation that is over: what came of its turns, and what the stream counted.

    `audible_ms` is how long the speaker was heard from the interruption of the first reply to the
    beginning of the second, and `opened_late` whether it opened for what came after that.
    """

    outcomes: list[str]
    heard: list[str]
    counters: Counters
    stale: int
    audible_ms: int
    opened_late: bool


async def hold(dialect: str, folder: Path) -> Held:
    """Interrupt a reply, whose rest then comes late; and let some of it come once more at the end.

    The first turn begins with a press, and the second interrupts its reply.
    """
    secret = secrets.token_hex(8)
    clips = [Clip.read(CLIPS_DIR / name) for name in CLIPS[:2]]
    async with CloudProcess(secret) as cloud:
        toy = Toy(_settings(cloud, str(folder), dialect), VirtualVault(secret))
        conversation = Conversation(toy, Clip("", b""), clips, lambda _: None)
        toy.start()
        try:
            await conversation.get_ready()
            late = {"lateAudio": {"afterCancel": True}}
            await cloud.post("stream", late)
            await conversation.hold()
            over_ms = conversation.steps[-1].event.at_ms
            late = {"lateAudio": {"afterCancel": False}}
            sent = await cloud.post("stream", late)
            assert sent == {"connections": 1}
            # What was sent before the lock has been dealt with when the toy is locked.
            lock = {"message": {"type": "command", "command": "lock"}}
            await cloud.post("stream", lock)
            locked = await conversation._watch.first(arrives_at("safety_lockout.lock"), 5, since=0)
            turns = await cloud.turns()
        finally:
            await toy.close()
    assert toy.backend is not None
    return Held(
        [turn.outcome for turn in conversation.turns],
        [str(turn["transcript"]) for turn in turns],
        toy.backend.stream.counters,
        toy.playback.packets["stale"],
        audible_ms(toy.speaker, *between_replies(conversation.steps)),
        any(
            change == "open" and over_ms < at_ms < locked.event.at_ms
            for at_ms, change in toy.speaker.history
        ),
    )


def between_replies(steps: Sequence[Step]) -> tuple[int, int]:
    """Return when the first reply was interrupted, and when the second began to sound."""
    (interrupted_ms,) = [
        step.event.at_ms
        for step in steps
        if any(effect.fields.get("outcome") == "interrupted" for effect in step.effects)
    ]
    begun_ms = [step.event.at_ms for step in steps if step.row == "reply.begins"]
    return interrupted_ms, begun_ms[-1]


def audible_ms(speaker: VirtualSpeaker, from_ms: int, to_ms: int) -> int:
    """Return how long something could be heard from one time to another."""
    tape, begins_ms = speaker.recording(), speaker._tape_begins_ms
    assert begins_ms is not None
    part = tape[(from_ms - begins_ms) * BYTES_PER_MS : (to_ms - begins_ms) * BYTES_PER_MS]
    return sum(rms(frame) >= AUDIBLE_RMS for frame in frames(part)) * FRAME_MS


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Held]:
    """One in each dialect, beside each other: they consist of waiting, mostly.

    Left to choose, the two speak the binary dialect.
    """

    async def hold_all() -> list[Held]:
        return await asyncio.gather(*(hold(name, tmp_path_factory.mktemp(name)) for name in names))

    names = ("seed", "gateway", "auto")
    return dict(zip(names, asyncio.run(hold_all()), strict=True))


@pytest.mark.parametrize("dialect", ["seed", "gateway", "auto"])
def test_interrupted_turn_and_the_next_are_understood(
    conversations: dict[str, Held], dialect: str
) -> None:
    """And the second is answered."""
    held = conversations[dialect]
    assert held.outcomes == ["interrupted", "answered"]
    assert held.heard[0] == "go forward ten meters"
    assert held.counters.messages_dropped == held.counters.reply_pieces_unplayable == 0


@pytest.mark.parametrize(
    ("dialect", "connections", "cancelled"), [("seed", 2, 0), ("gateway", 2, 0), ("auto", 1, 1)]
)
def test_late_audio_of_an_interrupted_reply_is_never_heard(
    conversations: dict[str, Held], dialect: str, connections: int, cancelled: int
) -> None:
    """What comes late ends in a count, behind a new connection or a cancelled turn's number."""
    counters = conversations[dialect].counters
    assert (counters.connections, counters.turns_cancelled) == (connections, cancelled)
    assert counters.connections_fenced == connections - 1
    assert counters.reply_packets_dropped > 0
    assert conversations[dialect].stale == 0
    # The two sounds at the beginning and at the end of listening, and no more.
    cues_ms = sum(len(packaged()[name]) for name in ("listening", "end")) * FRAME_MS
    assert conversations[dialect].audible_ms <= cues_ms + 2 * FRAME_MS
    assert not conversations[dialect].opened_late
