"""Endpointing and the table together: when a turn begins and ends that nobody's hand ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from functools import cache

import pytest

from firmware.ports import LinkQuality, PerformEffect, SpeechFormat
from firmware.voice.capture import ROOM_MS, Capture
from firmware.voice.settings import VoiceSettings
from hardware.microphone import OnFrame
from hardware.pcm import BYTES_PER_MS, FRAME_MS, read_wav
from hardware.sim.clock import run_virtual
from hardware.sim.microphone import VirtualMicrophone
from states.derive import Situation
from tests.firmware.stage import READY, Stage
from tests.firmware.voice.noises import noise, with_noise
from tests.firmware.voice.rig import CLIPS, Whisperer

AWAKE = Situation("idle.awake", READY._replace(wake=True))


class Gateway:
    """A stream that opens at once or never, and takes all that is said."""

    speech_format: SpeechFormat = "opus"
    quality = LinkQuality(loss_percent=None, backlog_ms=0)

    def __init__(self, stage: Stage, *, opens: bool) -> None:
        self.captured_ms: list[int] = []
        self._post = stage.loop.post
        self._opens = opens
        self._turn = 0

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {"open_stream": self._open}

    def _open(self, turn: int) -> None:
        self._turn = turn
        if self._opens:
            self._post("stream_opened", turn=turn, connection=1)
        else:
            self._post("stream_failed", turn=turn)

    def send(self, frame: bytes, captured_ms: int) -> None:
        """Note when a frame was captured."""
        assert frame
        self.captured_ms.append(captured_ms)

    def finish(self) -> None:
        """Say that it has everything."""
        self._post("uplink_flushed", turn=self._turn, connection=1)


class Toy:
    """The table, the capture path, a microphone to speak into, and a stream."""

    def __init__(self, *, opens: bool = True) -> None:
        self.stage = Stage(AWAKE)
        self.gateway = Gateway(self.stage, opens=opens)
        self.ear = Whisperer()
        self.microphone: VirtualMicrophone
        self.capture = Capture(
            VoiceSettings(),
            self.stage.clock,
            self.stage.loop.post,
            self.gateway,
            self._make_microphone,
            self.ear,
            quiet_from_ms=lambda: -ROOM_MS,
        )
        self.stage.loop.add(self.gateway)
        self.stage.loop.add(self.capture)
        self.capture.effects["microphone"](mode="sampling", turn=0)

    def _make_microphone(self, on_frame: OnFrame) -> VirtualMicrophone:
        self.microphone = VirtualMicrophone(self.stage.clock, on_frame)
        return self.microphone

    def say(self, pcm: bytes) -> None:
        """Press the button and let it go, and speak."""
        self.stage.loop.post("press")
        self.stage.loop.post("release")
        self.microphone.speak(pcm)

    def came_to(self, leaf: str) -> int | None:
        """When it came there for the first time."""
        return next((s.event.at_ms for s in self.stage.steps if s.to == leaf), None)

    @property
    def rows(self) -> list[str]:
        """What fired so far."""
        return [step.row for step in self.stage.steps]


def virtual(
    test: Callable[[Toy], Coroutine[None, None, None]], *, opens: bool = True
) -> Callable[[], None]:
    """Run a test on a virtual clock, with a toy of its own."""

    async def main() -> None:
        toy = Toy(opens=opens)
        await test(toy)
        assert not toy.stage.loop.failures
        toy.stage.loop.close()
        toy.capture.close()

    def run() -> None:
        run_virtual(main())

    run.__doc__ = test.__doc__
    return run


def out_of_reach(test: Callable[[Toy], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test likewise, with a stream that never opens."""
    return virtual(test, opens=False)


@cache
def monologue(duration_ms: int) -> bytes:
    """Somebody who reads aloud and never pauses for long."""
    read = b"".join(
        read_wav(CLIPS / f"librivox/sense_and_sensibility_01_austen_64kb-{part}.wav")
        for part in ("0870", "0890", "0920")
    )
    whole = read * (1 + duration_ms * BYTES_PER_MS // len(read))
    return whole[: duration_ms * BYTES_PER_MS]


def go_forward(noise_kind: str | None = None) -> bytes:
    """Somebody who says something, with 3 s of quiet after it, or 5 dB above a noise."""
    pcm = read_wav(CLIPS / "goforward.raw") + bytes(3000 * BYTES_PER_MS)
    return pcm if noise_kind is None else with_noise(pcm, noise_kind, below_db=5)


@virtual
async def test_silence_ends_a_turn_that_was_begun_with_a_tap(toy: Toy) -> None:
    """700 ms of it, by the clip's own 200 ms of quiet sooner; all that was said has gone out."""
    toy.say(go_forward())
    await asyncio.sleep(5)
    assert toy.stage.leaf == "streaming.waiting"
    assert "speech.over_sending" in toy.rows
    flushed = toy.came_to("streaming.flushing")
    assert flushed is not None
    assert 3_000 <= flushed <= 3_500
    assert toy.gateway.captured_ms == list(range(0, flushed - FRAME_MS + 1, FRAME_MS))


@pytest.mark.parametrize("kind", ["white", "pink", "fan", "music"])
def test_silence_ends_a_turn_in_steady_noise_5_db_below_the_voice(kind: str) -> None:
    """A turn in a noisy room is not longer than in a quiet one."""

    @virtual
    async def turn(toy: Toy) -> None:
        toy.say(go_forward(kind))
        await asyncio.sleep(5)
        flushed = toy.came_to("streaming.flushing")
        assert flushed is not None
        assert 2_800 <= flushed <= 4_000

    turn()


@virtual
async def test_five_seconds_of_silence_are_nothing_said(toy: Toy) -> None:
    """The toy goes home, and nothing has left it."""
    toy.say(bytes(BYTES_PER_MS))
    await asyncio.sleep(6)
    assert toy.stage.leaf == "idle.awake"
    assert "hearing.nothing" in toy.rows
    assert toy.came_to("idle.awake") == 5_000
    assert toy.gateway.captured_ms == []


@virtual
async def test_noise_at_full_scale_is_nothing_said(toy: Toy) -> None:
    """However loud it is: it is not sent, and the turn ends as in silence."""
    chance = random.Random(3)  # noqa: S311 - noise, not a secret
    toy.say(chance.randbytes(40_000 * BYTES_PER_MS))
    await asyncio.sleep(6)
    assert "hearing.nothing" in toy.rows
    assert toy.gateway.captured_ms == []


@virtual
async def test_a_monologue_ends_at_30_s(toy: Toy) -> None:
    """What was said until then is answered."""
    toy.say(monologue(40_000))
    await asyncio.sleep(35)
    assert toy.stage.leaf == "streaming.waiting"
    assert "sending.too_long" in toy.rows
    sending, flushing = toy.came_to("streaming.sending"), toy.came_to("streaming.flushing")
    assert sending is not None
    assert sending < 500
    assert flushing == sending + 30_000
    assert len(toy.gateway.captured_ms) == flushing // FRAME_MS
    assert not toy.microphone.is_open


@out_of_reach
async def test_a_monologue_without_a_gateway_ends_at_30_s_too(toy: Toy) -> None:
    """It is kept, and not sent."""
    toy.say(monologue(40_000))
    await asyncio.sleep(29)
    assert toy.stage.leaf == "offline.listening"
    await asyncio.sleep(6)
    assert "offline.too_long" in toy.rows
    assert toy.gateway.captured_ms == []
    assert not toy.microphone.is_open


@virtual
async def test_a_voice_over_endless_noise_ends_with_the_voice(toy: Toy) -> None:
    """A vacuum cleaner does not keep a turn open for its 30 s."""
    toy.say(with_noise(go_forward() + bytes(25_000 * BYTES_PER_MS), "pink", below_db=5))
    await asyncio.sleep(8)
    assert toy.stage.leaf == "streaming.waiting"


@virtual
async def test_a_turn_that_was_begun_by_the_wake_word_has_all_that_followed_it(toy: Toy) -> None:
    """Though the word was recognised half a second after it had ended; and silence ends it."""
    toy.microphone.speak(bytes(700 * BYTES_PER_MS) + go_forward())
    await asyncio.sleep(1.5)
    toy.ear.heard_ms = 1000
    toy.stage.loop.post("wake_heard")
    await asyncio.sleep(4)
    assert "speech.over_sending" in toy.rows
    sending, flushing = toy.came_to("streaming.sending"), toy.came_to("streaming.flushing")
    assert sending == 1500
    assert flushing is not None
    assert toy.gateway.captured_ms == list(range(1000, flushing - FRAME_MS + 1, FRAME_MS))


@virtual
async def test_music_alone_is_nothing_said(toy: Toy) -> None:
    """As loud as a person."""
    toy.say(noise("music", 8_000, 3_000))
    await asyncio.sleep(6)
    assert "hearing.nothing" in toy.rows
