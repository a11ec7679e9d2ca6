"""What is kept of speech on its way to the stream."""

from __future__ import annotations

import pytest

from firmware.ports import LinkQuality, SpeechFormat
from firmware.voice.recorder import RECORDING_MS_MAX, Recorder, Recording
from hardware.codec import OpusDecoder
from hardware.errors import MisuseError
from hardware.pcm import FRAME_BYTES
from tests.hardware.voices import frames, voice


class Listener:
    """An uplink that remembers what it was given."""

    def __init__(self, speech_format: SpeechFormat = "opus") -> None:
        self.speech_format: SpeechFormat = speech_format
        self.quality = LinkQuality(loss_percent=1.5, backlog_ms=40)
        self.sent: list[tuple[bytes, int]] = []
        self.finished = 0

    def send(self, frame: bytes, captured_ms: int) -> None:
        """Remember a frame."""
        self.sent.append((frame, captured_ms))

    def finish(self) -> None:
        """Count an end."""
        self.finished += 1


def recorder(speech_format: SpeechFormat = "opus", *, may_keep: bool = True) -> Recorder:
    """Return a recorder that was told whether it may keep."""
    made = Recorder(Listener(speech_format))
    made.allow(may_keep=may_keep)
    return made


def test_everything_is_passed_on() -> None:
    """Whether it is kept or not; format and end as well."""
    for may_keep in (False, True):
        listener = Listener("pcm16")
        made = Recorder(listener)
        made.allow(may_keep=may_keep)
        made.send(b"a", 1)
        made.send(b"b", 21)
        made.finish()
        assert listener.sent == [(b"a", 1), (b"b", 21)]
        assert listener.finished == 1
        assert made.speech_format == "pcm16"


def test_nothing_is_kept_before_it_may() -> None:
    """Silence is no consent."""
    made = Recorder(Listener())
    made.send(b"a", 1)
    assert made.take() is None
    assert made.kept_ms == 0


def test_what_was_said_is_taken_once() -> None:
    """And the next turn begins with nothing."""
    made = recorder()
    made.send(b"a", 1)
    made.send(b"b", 21)
    assert made.kept_ms == 40
    assert made.take() == Recording("opus", (b"a", b"b"))
    assert made.take() is None


def test_what_may_not_be_kept_any_more_is_forgotten_at_once() -> None:
    """In the middle of a word."""
    made = recorder()
    made.send(b"a", 1)
    made.allow(may_keep=False)
    made.send(b"b", 21)
    made.allow(may_keep=True)
    made.send(b"c", 41)
    assert made.take() == Recording("opus", (b"c",))


def test_a_recording_is_limited() -> None:
    """Its beginning is kept; the rest is passed on, and counted."""
    made = recorder()
    for number in range(RECORDING_MS_MAX // 20 + 5):
        made.send(b"%d" % number, 20 * number)
    recording = made.take()
    assert recording is not None
    assert len(recording.frames) == RECORDING_MS_MAX // 20
    assert recording.frames[0] == b"0"
    assert made.frames_left_out == 5


def test_a_recording_is_of_one_format() -> None:
    """What another connection took in another format is no part of it."""
    listener = Listener("opus")
    made = Recorder(listener)
    made.allow(may_keep=True)
    made.send(b"a", 1)
    listener.speech_format = "pcm16"
    made.send(b"b", 21)
    assert made.take() == Recording("pcm16", (b"b",))


def test_samples_are_encoded_for_storage() -> None:
    """As Opus packets of 20 ms each."""
    made = recorder("pcm16")
    sound = frames(voice(200))
    for frame in sound:
        made.send(frame, 0)
    recording = made.take()
    assert recording is not None
    packets = recording.packets()
    with OpusDecoder() as decoder:
        assert [len(decoder.decode(packet)) for packet in packets] == [FRAME_BYTES] * len(sound)


def test_packets_are_stored_as_they_were_sent() -> None:
    """Encoding twice would only make them worse."""
    assert Recording("opus", (b"a", b"b")).packets() == [b"a", b"b"]


def test_samples_of_another_length_are_refused() -> None:
    """Whoever stores the recording goes without."""
    with pytest.raises(MisuseError):
        Recording("pcm16", (b"xx",)).packets()
