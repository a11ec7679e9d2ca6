"""The hand-over of sound to the sound card."""

from __future__ import annotations

import threading

from firmware.voice.output import OutputQueue
from hardware.pcm import FRAME_BYTES, FRAME_SAMPLES
from tests.firmware.voice.rig import SILENCE


class Told:
    """Counts what a queue says of its pulls."""

    def __init__(self) -> None:
        self.frames = 0
        self.silences = 0

    def frame(self) -> None:
        """Count a frame."""
        self.frames += 1

    def silence(self) -> None:
        """Count a silence."""
        self.silences += 1


def queue() -> tuple[OutputQueue, Told]:
    """An empty queue and who is told of it."""
    told = Told()
    return OutputQueue(told.frame, told.silence, bytes), told


def test_frames_are_pulled_in_order_and_then_silence() -> None:
    """Each pull is told, for what it was."""
    output, told = queue()
    sounds = [bytes([n]) * FRAME_BYTES for n in (1, 2, 3)]
    for frame in sounds:
        output.put(frame)
    assert [output.pull(FRAME_SAMPLES) for _ in range(4)] == [*sounds, SILENCE]
    assert (told.frames, told.silences) == (3, 1)


def test_nothing_is_left_after_clear() -> None:
    """The next pull is silence."""
    output, _ = queue()
    output.put(b"\x01" * FRAME_BYTES)
    output.clear()
    assert len(output) == 0
    assert output.pull(FRAME_SAMPLES) == SILENCE


def test_an_odd_length_is_answered_in_full() -> None:
    """A sound card must never be answered short, nor at length."""
    output, _ = queue()
    for _ in range(2):
        output.put(b"\x01" * FRAME_BYTES)
    assert output.pull(100) == b"\x01" * 200
    assert output.pull(400) == b"\x01" * 640 + bytes(160)
    assert output.pull(7) == bytes(14)


def test_a_thread_of_its_own_gets_every_frame_once() -> None:
    """While the loop goes on putting."""
    output, told = queue()
    numbers = range(1, 2001)
    pulled: list[int] = []

    def pull() -> None:
        while len(pulled) < len(numbers):
            frame = output.pull(FRAME_SAMPLES)
            if frame != SILENCE:
                pulled.append(int.from_bytes(frame[:4], "little"))

    thread = threading.Thread(target=pull)
    thread.start()
    for number in numbers:
        output.put(number.to_bytes(4, "little") * (FRAME_BYTES // 4))
    thread.join(timeout=10)
    assert pulled == list(numbers)
    assert told.frames == len(numbers)
