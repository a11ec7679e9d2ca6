"""The virtual microphone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.clock import Clock
from hardware.errors import ClipUnreadableError, MisuseError
from hardware.pcm import BYTES_PER_MS, FRAME_BYTES, mix, write_wav
from hardware.sim.clock import run_virtual
from hardware.sim.microphone import VOICES_MAX, VirtualMicrophone
from tests.hardware.voices import voice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from hardware.microphone import Microphone

SILENCE = bytes(FRAME_BYTES)


def _frames_of(
    play: Callable[[VirtualMicrophone], Awaitable[None]],
) -> list[tuple[bytes, int]]:
    """Let `play` use a microphone; return what it delivered."""
    frames: list[tuple[bytes, int]] = []

    async def main() -> None:
        microphone = VirtualMicrophone(Clock(), lambda pcm, at_ms: frames.append((pcm, at_ms)))
        await play(microphone)
        microphone.close()

    run_virtual(main())
    return frames


def test_it_is_a_microphone() -> None:
    """The real one will have the same interface."""

    async def main() -> None:
        microphone: Microphone = VirtualMicrophone(Clock(), lambda _pcm, _at_ms: None)
        assert not microphone.is_open

    run_virtual(main())


def test_two_minutes_of_frames_do_not_drift() -> None:
    """One frame of 640 bytes for every 20 ms, each with the time of its first sample."""

    async def play(microphone: VirtualMicrophone) -> None:
        await asyncio.sleep(0.013)
        microphone.open()
        await asyncio.sleep(120)

    frames = _frames_of(play)
    assert [at_ms for _, at_ms in frames] == list(range(13, 120_013, 20))
    assert {len(pcm) for pcm, _ in frames} == {FRAME_BYTES}


def test_a_frame_is_delivered_when_it_is_full() -> None:
    """Not before its last sample was spoken."""

    async def main() -> None:
        clock = Clock()
        delays_ms: list[int] = []
        microphone = VirtualMicrophone(
            clock, lambda _, at_ms: delays_ms.append(clock.monotonic_ms() - at_ms)
        )
        microphone.open()
        await asyncio.sleep(1)
        microphone.close()
        assert set(delays_ms) == {20}

    run_virtual(main())


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 200))
def test_speech_is_heard_exactly_when_it_is_spoken(
    open_ms: int, speak_ms: int, voice_ms: int
) -> None:
    """Whatever the times, the frames are a window onto the time line."""
    said = voice()[: voice_ms * BYTES_PER_MS + 2]

    async def play(microphone: VirtualMicrophone) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(open_ms / 1000, microphone.open)
        loop.call_later(speak_ms / 1000, microphone.speak, said)
        await asyncio.sleep(0.5)

    heard = b"".join(pcm for pcm, _ in _frames_of(play))
    time_line = (bytes(speak_ms * BYTES_PER_MS) + said).ljust(600 * BYTES_PER_MS, b"\0")
    begin = open_ms * BYTES_PER_MS
    assert heard == time_line[begin : begin + len(heard)]
    assert len(heard) == (500 - open_ms) // 20 * FRAME_BYTES


def test_what_is_said_while_it_is_closed_is_not_heard() -> None:
    """A person does not wait for the microphone."""
    said = voice()[: 300 * BYTES_PER_MS]

    async def play(microphone: VirtualMicrophone) -> None:
        microphone.speak(said)
        await asyncio.sleep(0.1)
        microphone.open()
        await asyncio.sleep(0.05)
        microphone.close()
        await asyncio.sleep(0.1)
        microphone.open()
        await asyncio.sleep(0.1)

    frames = _frames_of(play)
    assert [at_ms for _, at_ms in frames] == [100, 120, 250, 270, 290, 310, 330]
    for pcm, at_ms in frames:
        begin = at_ms * BYTES_PER_MS
        assert pcm == said[begin : begin + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def test_not_one_frame_comes_after_closing() -> None:
    """Not even the one that was nearly full."""

    async def play(microphone: VirtualMicrophone) -> None:
        microphone.open()
        await asyncio.sleep(0.0199)
        microphone.close()
        await asyncio.sleep(1)

    assert _frames_of(play) == []


def test_it_may_be_closed_from_within_a_frame() -> None:
    """As the end of a turn does."""
    frames: list[int] = []

    async def main() -> None:
        def hear(_: bytes, at_ms: int) -> None:
            frames.append(at_ms)
            if len(frames) == 3:
                microphone.close()

        microphone = VirtualMicrophone(Clock(), hear)
        microphone.open()
        await asyncio.sleep(1)

    run_virtual(main())
    assert frames == [0, 20, 40]


def test_two_voices_are_heard_at_once() -> None:
    """They add up."""
    one, other = voice()[:FRAME_BYTES], voice(seed=2)[:FRAME_BYTES]

    async def play(microphone: VirtualMicrophone) -> None:
        microphone.open()
        microphone.speak(one)
        microphone.speak(other)
        await asyncio.sleep(0.05)

    assert [pcm for pcm, _ in _frames_of(play)] == [mix(one, other), SILENCE]


def test_what_was_said_in_the_frame_under_way_is_not_forgotten() -> None:
    """A word that is over when the next one begins still belongs to its frame."""
    word = voice()[: 10 * BYTES_PER_MS]

    async def play(microphone: VirtualMicrophone) -> None:
        microphone.open()
        microphone.speak(word)
        await asyncio.sleep(0.015)
        microphone.speak(word)
        await asyncio.sleep(0.01)

    said = word + bytes(5 * BYTES_PER_MS) + word[: 5 * BYTES_PER_MS]
    assert _frames_of(play) == [(said, 0)]


def test_too_many_voices_are_refused() -> None:
    """There is a limit, and it frees itself."""

    async def play(microphone: VirtualMicrophone) -> None:
        for _ in range(VOICES_MAX):
            microphone.speak(SILENCE)
        with pytest.raises(MisuseError, match="8 voices speak already"):
            microphone.speak(SILENCE)
        await asyncio.sleep(1)
        microphone.speak(SILENCE)

    _frames_of(play)


def test_it_says_until_when_somebody_speaks() -> None:
    """Rounded up to whole milliseconds, the latest of all voices."""

    async def play(microphone: VirtualMicrophone) -> None:
        assert microphone.speaking_until_ms == 0
        await asyncio.sleep(0.5)
        microphone.speak(voice()[: 100 * BYTES_PER_MS + 2])
        microphone.speak(voice()[: 10 * BYTES_PER_MS])
        assert microphone.speaking_until_ms == 601

    _frames_of(play)


def test_a_clip_is_spoken_from_a_file(tmp_path: Path) -> None:
    """The same as its PCM."""
    write_wav(tmp_path / "clip.wav", voice()[:FRAME_BYTES])

    async def play(microphone: VirtualMicrophone) -> None:
        microphone.open()
        microphone.speak_clip(tmp_path / "clip.wav")
        await asyncio.sleep(0.02)
        await asyncio.sleep(0)
        with pytest.raises(ClipUnreadableError):
            microphone.speak_clip(tmp_path / "no.wav")

    assert [pcm for pcm, _ in _frames_of(play)] == [voice()[:FRAME_BYTES]]


def test_half_a_sample_cannot_be_spoken() -> None:
    """That is the caller's mistake."""

    async def play(microphone: VirtualMicrophone) -> None:
        with pytest.raises(MisuseError, match="1 bytes are not whole"):
            microphone.speak(b"a")

    _frames_of(play)


def test_openings_and_closings_are_remembered_once() -> None:
    """Opening what is open and closing what is closed does nothing."""

    async def main() -> None:
        microphone = VirtualMicrophone(Clock(), lambda _pcm, _at_ms: None)
        microphone.close()
        microphone.open()
        await asyncio.sleep(0.03)
        microphone.open()
        assert microphone.is_open
        await asyncio.sleep(0.03)
        microphone.close()
        microphone.close()
        assert not microphone.is_open
        assert microphone.history == [(0, "open"), (60, "closed")]
        assert microphone.frames_lost == 0

    run_virtual(main())
