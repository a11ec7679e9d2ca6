"""A composed toy that listens for its wake word: when it does, and what it does with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from firmware.voice.wake.hearing import Engines
from hardware.pcm import from_bytes
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.examples import configuration
from tests.firmware.composed import Composed
from tests.firmware.voice.wake.scripted import ALMOST, WORD, ScriptedEngine, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONSENT: Final = {"listen": True, "storeAudio": False, "storeTranscripts": False}


class Listening:
    """A toy at home, without a network, whose stock word was replaced by a scripted one."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self.toy = composed.toy
        self.engine = ScriptedEngine()
        self.reference = ScriptedEngine()
        assert composed.toy.backend is not None
        self.backend = composed.toy.backend

    def configure(self, version: int, **changes: Any) -> None:  # noqa: ANN401 - any JSON
        """Let a configuration arrive."""
        value = configuration(version=float(version), wakeWord="alexa", **changes)
        self.backend.cloud._versions.receive(value)

    async def begin(self, **changes: Any) -> None:  # noqa: ANN401 - any JSON
        """Be ready, and hear the scripted word."""
        await self.composed.arrives_at("offline.ready")
        self.configure(1, **changes)
        await self.goes_on(20)
        task = self.backend._wake_word._task
        assert task is not None
        await asyncio.wait([task])
        await self.toy.listener.use(Engines(self.engine, self.reference))

    async def goes_on(self, duration_ms: int) -> None:
        """Let time pass, and let everything be heard in time."""
        for _ in range(duration_ms // 20):
            await asyncio.sleep(0.02)
            await settle(self.toy.listener)

    async def frames_heard(self) -> int:
        """Count the frames of the next second that the engine hears."""
        await self.goes_on(100)
        before = len(self.engine.heard)
        await self.goes_on(1_000)
        return len(self.engine.heard) - before

    async def loudness_of_a_cue(self) -> int:
        """Play one, and tell how loud it was."""
        await self.goes_on(1_000)
        before = len(self.toy.speaker.recording())
        self.toy.playback.effects["cue"](name="denied")
        await self.goes_on(1_000)
        return sum(map(abs, from_bytes(self.toy.speaker.recording()[before:])))


@asynccontextmanager
async def listening(folder: Path, **changes: Any) -> AsyncIterator[Listening]:  # noqa: ANN401 - any JSON
    async with Composed(folder) as composed:
        made = Listening(composed)
        await made.begin(**changes)
        yield made


def test_the_word_begins_a_turn_where_it_ended(tmp_path: Path) -> None:
    """What follows it is the utterance's beginning; the word itself is no part of it."""

    async def main() -> None:
        async with listening(tmp_path) as home:
            assert home.toy.board.light_history[-1].microphone == "sampling"
            home.toy.microphone.speak(WORD * 3)
            await home.goes_on(100)
            assert "turn.wake_offline" in home.composed.rows
            assert home.toy.board.light_history[-1].microphone == "capture"
            utterance = home.toy.capture._utterance
            assert utterance is not None
            assert utterance._began_ms == home.toy.listener.heard_ms

    run_virtual(main())


def test_a_stock_word_of_the_configuration_is_listened_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with Composed(tmp_path) as composed:
            home = Listening(composed)
            await composed.arrives_at("offline.ready")
            home.configure(1)
            await home.goes_on(20)
            task = home.backend._wake_word._task
            assert task is not None
            await asyncio.wait([task])
            assert home.toy.listener._hearing is not None
            await home.goes_on(200)
            assert home.toy.listener.failures == 0
            assert (tmp_path / "wake-word.json").exists()

    run_virtual(main())


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("mute", {"command": "c-1"}),
        ("privacy_switch", {"on": True}),
        ("bedtime", {"asleep": True}),
    ],
)
def test_who_is_asleep_or_muted_hears_nothing(
    tmp_path: Path, event: str, fields: dict[str, Any]
) -> None:
    """Not one frame reaches the engine."""

    async def main() -> None:
        async with listening(tmp_path) as home:
            assert await home.frames_heard() == 50
            home.toy.loop.post(event, **fields)
            assert await home.frames_heard() == 0
            assert not home.toy.microphone.is_open

    run_virtual(main())


@pytest.mark.parametrize(
    "changes", [{"consent": {**CONSENT, "listen": False}}, {"wakeWordEnabled": False}]
)
def test_without_consent_nothing_is_heard(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Nor where the wake word is not wanted."""

    async def main() -> None:
        async with listening(tmp_path) as home:
            assert await home.frames_heard() == 50
            home.configure(2, **changes)
            assert await home.frames_heard() == 0
            assert not home.toy.microphone.is_open

    run_virtual(main())


def test_a_toy_that_was_stopped_hears_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as home:
            home.toy.loop.post("emergency_stop", command=None)
            assert await home.frames_heard() == 0
            assert home.composed.leaf == "safety_lockout.lock"

    run_virtual(main())


def test_what_is_played_while_it_listens_is_heard_as_well(tmp_path: Path) -> None:
    """The cue of a refused gesture, for one: nothing of it could be taken for a person."""

    async def main() -> None:
        async with listening(tmp_path) as home:
            home.toy.playback.effects["cue"](name="denied")
            await home.goes_on(300)
            assert any(frame.strip(b"\0") for frame in home.reference.heard)

    run_virtual(main())


def test_a_toy_that_is_talked_over_gives_way(tmp_path: Path) -> None:
    """It plays the same sound, after a ramp far quieter, where somebody begins to say the word."""

    async def main() -> None:
        async with listening(tmp_path) as home:
            usual = await home.loudness_of_a_cue()
            home.toy.microphone.speak(ALMOST * 150)
            assert await home.loudness_of_a_cue() < 0.7 * usual

    run_virtual(main())


def test_an_erase_leaves_nothing_of_the_word(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as home:
            assert (tmp_path / "wake-word.json").exists()
            await home.backend._wake_word.erase()
            assert not (tmp_path / "wake-word.json").exists()
            assert home.engine.is_closed

    run_virtual(main())


def test_what_is_heard_is_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as home:
            home.toy.microphone.speak(WORD * 3)
            await home.goes_on(100)
            told = {name: gauge() for name, gauge in home.backend._metrics._gauges.items()}
            assert told["wakeWordsHeard"] == 1
            assert told["wakeDiscardedAsEcho"] == 0
            assert told["wakeFramesDropped"] == 0

    run_virtual(main())
