"""The virtual speaker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.clock import Clock
from hardware.errors import MisuseError
from hardware.pcm import BYTES_PER_MS, FRAME_BYTES, FRAME_SAMPLES, read_wav
from hardware.sim.clock import run_virtual
from hardware.sim.speaker import VirtualSpeaker
from tests.hardware.voices import voice

if TYPE_CHECKING:
    from pathlib import Path

    from hardware.speaker import Speaker

SILENCE = bytes(FRAME_BYTES)


class Player:
    """A source that plays a clip and then silence, and notes when it was asked."""

    def __init__(self, clock: Clock, pcm: bytes = b"") -> None:
        self._clock = clock
        self._pcm = pcm
        self.asked: list[tuple[int, int]] = []

    def __call__(self, samples: int) -> bytes:
        """Give that many samples."""
        self.asked.append((self._clock.monotonic_ms(), samples))
        piece, self._pcm = self._pcm[: samples * 2], self._pcm[samples * 2 :]
        return piece.ljust(samples * 2, b"\0")


def test_it_pulls_a_frame_every_20_ms_from_the_moment_it_opens() -> None:
    """Without drift, and only while it is open."""

    async def main() -> None:
        clock = Clock()
        player = Player(clock)
        speaker: Speaker = VirtualSpeaker(clock, player)
        await asyncio.sleep(0.007)
        speaker.open()
        await asyncio.sleep(59.99)
        speaker.close()
        await asyncio.sleep(60)
        assert player.asked == [(at_ms, FRAME_SAMPLES) for at_ms in range(7, 60_007, 20)]

    run_virtual(main())


def test_the_recording_is_what_was_played() -> None:
    """From the moment of opening, to the sample."""

    async def main() -> None:
        clock = Clock()
        clip = voice()[: 1000 * BYTES_PER_MS]
        speaker = VirtualSpeaker(clock, Player(clock, clip))
        await asyncio.sleep(1)
        speaker.open()
        await asyncio.sleep(1.5)
        assert speaker.recording() == clip + bytes(500 * BYTES_PER_MS)
        speaker.close()
        await asyncio.sleep(1)
        assert speaker.recording() == clip + bytes(500 * BYTES_PER_MS)

    run_virtual(main())


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), min_size=1, max_size=6))
def test_the_recording_is_true_to_time(turns: list[tuple[int, int]]) -> None:
    """However it is opened and closed: from first to last, gaps as silence, cut where it closed."""

    async def main() -> None:
        speaker = VirtualSpeaker(Clock(), lambda samples: b"\x01\x02" * samples)
        expected = b""
        for index, (open_ms, closed_ms) in enumerate(turns):
            speaker.open()
            await asyncio.sleep(open_ms / 1000)
            speaker.close()
            expected += b"\x01\x02" * (open_ms * 16)
            if index < len(turns) - 1:
                await asyncio.sleep(closed_ms / 1000)
                expected += bytes(closed_ms * BYTES_PER_MS)
        assert speaker.recording() == expected

    run_virtual(main())


def test_closing_cuts_in_the_middle_of_a_frame() -> None:
    """An emergency stop does not wait for 20 ms."""

    async def main() -> None:
        speaker = VirtualSpeaker(Clock(), lambda samples: b"\x01\x02" * samples)
        speaker.open()
        await asyncio.sleep(0.033)
        speaker.close()
        await asyncio.sleep(0.02)
        speaker.open()
        await asyncio.sleep(0.01)
        speaker.close()
        loud, gap, last = 33 * BYTES_PER_MS, 20 * BYTES_PER_MS, 10 * BYTES_PER_MS
        recording = speaker.recording()
        assert recording[:loud] == b"\x01\x02" * (loud // 2)
        assert recording[loud : loud + gap] == bytes(gap)
        assert recording[loud + gap :] == b"\x01\x02" * (last // 2)

    run_virtual(main())


def test_the_recording_stops_growing_at_its_limit() -> None:
    """In the middle of a frame, and in a gap, if need be."""

    async def main() -> None:
        speaker = VirtualSpeaker(
            Clock(), lambda samples: b"\x01\x02" * samples, recording_ms_max=70
        )
        speaker.open()
        await asyncio.sleep(0.05)
        speaker.close()
        assert not speaker.is_recording_full
        await asyncio.sleep(0.01)
        speaker.open()
        await asyncio.sleep(0.05)
        assert speaker.is_recording_full
        expected = b"\x01\x02" * 800 + bytes(320) + b"\x01\x02" * 160
        assert speaker.recording() == expected
        speaker.close()
        await asyncio.sleep(3600)
        speaker.open()
        await asyncio.sleep(0.05)
        assert speaker.recording() == expected
        speaker.close()

    run_virtual(main())


def test_a_gap_beyond_the_limit_ends_the_recording() -> None:
    """An hour of silence is not stored."""

    async def main() -> None:
        speaker = VirtualSpeaker(
            Clock(), lambda samples: b"\x01\x02" * samples, recording_ms_max=70
        )
        speaker.open()
        await asyncio.sleep(0.02)
        speaker.close()
        await asyncio.sleep(3600)
        speaker.open()
        await asyncio.sleep(0.02)
        speaker.close()
        assert speaker.recording() == b"\x01\x02" * 320 + bytes(50 * BYTES_PER_MS)
        assert len(speaker._tape) == 70 * BYTES_PER_MS

    run_virtual(main())


def test_nothing_is_recorded_before_it_ever_opens() -> None:
    """An empty recording, not an error."""

    async def main() -> None:
        await asyncio.sleep(1)
        assert VirtualSpeaker(Clock(), bytes).recording() == b""

    run_virtual(main())


def test_it_is_audible_only_while_something_sounds() -> None:
    """Neither while silence plays nor after it closed in the middle of a word."""

    async def main() -> None:
        clock = Clock()
        speaker = VirtualSpeaker(clock, Player(clock, voice()[: 100 * BYTES_PER_MS]))
        assert not speaker.is_audible
        speaker.open()
        assert not speaker.is_audible
        await asyncio.sleep(0.05)
        assert speaker.is_audible
        await asyncio.sleep(0.1)
        assert not speaker.is_audible
        speaker.close()

        speaker = VirtualSpeaker(clock, lambda samples: voice()[: samples * 2])
        speaker.open()
        await asyncio.sleep(0.05)
        speaker.close()
        assert not speaker.is_audible
        speaker.open()
        assert not speaker.is_audible
        speaker.close()

    run_virtual(main())


@pytest.mark.parametrize("length", [0, 638, 642])
def test_a_source_that_gives_the_wrong_amount_ends_the_stream(length: int) -> None:
    """As PortAudio does, but with an error that says so."""

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, found: reported.append(found))
        speaker = VirtualSpeaker(Clock(), lambda _: bytes(length))
        speaker.open()
        await asyncio.sleep(1)
        assert not speaker.is_open
        assert [type(found["exception"]) for found in reported] == [MisuseError]
        assert f"gave {length} bytes for 320 samples" in str(reported[0]["exception"])

    run_virtual(main())


def test_a_source_that_raises_ends_the_stream() -> None:
    """As PortAudio does; the error reaches the loop."""

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, found: reported.append(found))
        speaker = VirtualSpeaker(Clock(), lambda samples: bytes(samples // 0))
        speaker.open()
        await asyncio.sleep(1)
        assert speaker.history == [(0, "open"), (0, "closed")]
        assert [type(found["exception"]) for found in reported] == [ZeroDivisionError]

    run_virtual(main())


def test_a_source_may_close_its_own_speaker() -> None:
    """Nothing of that frame sounds."""

    async def main() -> None:
        def last_words(samples: int) -> bytes:
            speaker.close()
            return b"\x01\x02" * samples

        speaker = VirtualSpeaker(Clock(), last_words)
        speaker.open()
        await asyncio.sleep(1)
        assert speaker.recording() == b""
        assert speaker.history == [(0, "open"), (0, "closed")]

    run_virtual(main())


def test_a_frame_that_never_sounded_does_not_shift_what_follows() -> None:
    """Opened again before that frame would have ended, the recording is still true to time."""

    async def main() -> None:
        asked: list[int] = []

        def interrupted(samples: int) -> bytes:
            asked.append(samples)
            if len(asked) == 1:
                speaker.close()
            return b"\x01\x02" * samples

        speaker = VirtualSpeaker(Clock(), interrupted)
        speaker.open()
        await asyncio.sleep(0.005)
        speaker.open()
        await asyncio.sleep(0.01)
        speaker.close()
        assert speaker.recording() == bytes(5 * BYTES_PER_MS) + b"\x01\x02" * 160

    run_virtual(main())


def test_openings_and_closings_are_remembered_once() -> None:
    """Opening what is open and closing what is closed does nothing."""

    async def main() -> None:
        speaker = VirtualSpeaker(Clock(), lambda samples: bytes(samples * 2))
        speaker.close()
        speaker.open()
        await asyncio.sleep(0.03)
        speaker.open()
        await asyncio.sleep(0.03)
        speaker.close()
        speaker.close()
        assert speaker.history == [(0, "open"), (60, "closed")]

    run_virtual(main())


def test_the_recording_is_written_to_a_file(tmp_path: Path) -> None:
    """It can be heard afterwards."""

    async def main() -> None:
        clock = Clock()
        speaker = VirtualSpeaker(clock, Player(clock, voice()))
        speaker.open()
        await asyncio.sleep(1)
        speaker.close()
        speaker.write_wav(tmp_path / "reply.wav")
        assert read_wav(tmp_path / "reply.wav") == voice()[: 1000 * BYTES_PER_MS]

    run_virtual(main())
