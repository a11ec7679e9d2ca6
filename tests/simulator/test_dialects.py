"""A toy and the development cloud in every dialect: two builders of one contract."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.app import Toy
from firmware.stream.counters import Counters
from hardware.sim.vault import VirtualVault
from simulator.cloud_process import CloudProcess
from simulator.conversation import Clip, Conversation
from simulator.demo import CLIPS, CLIPS_DIR, _settings
from simulator.watch import arrives_at


class Held(NamedTuple):
    """A conversation that is over: what came of its turns, and what the stream counted."""

    outcomes: list[str]
    heard: list[str]
    counters: Counters
    stale: int


async def hold(dialect: str, folder: Path) -> Held:
    """Interrupt a reply, whose rest then comes late; and let some of it come once more at the end.

    The first turn begins with a press, and the second interrupts its reply.
    """
    secret = secrets.token_hex(8)
    clips = [Clip.read(CLIPS_DIR / name) for name in CLIPS[:2]]
    async with CloudProcess(secret) as cloud:
        toy = Toy(_settings(cloud, str(folder), dialect), VirtualVault(secret))
        conversation = Conversation(toy, clips, lambda _: None)
        toy.start()
        try:
            await conversation.get_ready()
            late = {"lateAudio": {"afterCancel": True}}
            await cloud.post("stream", late)
            await conversation.hold()
            late = {"lateAudio": {"afterCancel": False}}
            sent = await cloud.post("stream", late)
            assert sent == {"connections": 1}
            # What was sent before the lock has been dealt with when the toy is locked.
            lock = {"message": {"type": "command", "command": "lock"}}
            await cloud.post("stream", lock)
            await conversation._watch.first(arrives_at("safety_lockout.lock"), 5, since=0)
            turns = await cloud.turns()
        finally:
            await toy.close()
    assert toy.backend is not None
    return Held(
        [turn.outcome for turn in conversation.turns],
        [str(turn["transcript"]) for turn in turns],
        toy.backend.stream.counters,
        toy.playback.packets_stale,
    )


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
