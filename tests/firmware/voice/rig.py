"""Real parts of the firmware around virtual parts of the body, and lists that remember."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from firmware.ports import LinkQuality
from firmware.voice.capture import ROOM_MS, Capture
from firmware.voice.cues import packaged
from firmware.voice.playback import OnHeard, Playback
from firmware.voice.settings import VoiceSettings
from firmware.voice.volume import Volume
from hardware.clock import Clock
from hardware.codec import OpusDecoder, OpusEncoder
from hardware.pcm import FRAME_BYTES
from hardware.sim.microphone import VirtualMicrophone
from hardware.sim.speaker import VirtualSpeaker
from tests.hardware.voices import frames, tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware.ports import SpeechFormat
    from hardware.microphone import OnFrame
    from hardware.speaker import Source
    from states.events import FieldValue

CLIPS = Path("/usr/share/pocketsphinx/test/data")
"""Recorded human speech: the Debian package pocketsphinx-testdata."""

SILENCE = bytes(FRAME_BYTES)


class Posted(list[tuple[str, dict[str, Any]]]):
    """A `firmware.ports.Post` that remembers."""

    def __call__(self, name: str, /, **fields: FieldValue) -> None:
        """Remember an event."""
        self.append((name, fields))

    @property
    def names(self) -> list[str]:
        """The events, without their fields."""
        return [name for name, _ in self]


class Sent(NamedTuple):
    """A packet, when it was captured and when it was sent."""

    packet: bytes
    captured_ms: int
    sent_ms: int


class Wire:
    """A `firmware.ports.Uplink` that remembers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.speech_format: SpeechFormat = "opus"
        self.quality = LinkQuality(loss_percent=None, backlog_ms=0)
        self.sent: list[Sent] = []
        self.finished = 0

    def send(self, packet: bytes, captured_ms: int) -> None:
        """Remember a packet."""
        self.sent.append(Sent(packet, captured_ms, self._clock.monotonic_ms()))

    def finish(self) -> None:
        """Count the final marker."""
        self.finished += 1

    @property
    def pcm(self) -> bytes:
        """What the other end hears."""
        return decoded([sent.packet for sent in self.sent])


class Whisperer:
    """A `firmware.ports.Ear` that is told what it has heard, and remembers what it was given."""

    def __init__(self) -> None:
        self.heard_ms: int | None = None
        self.diary: list[str] = []

    def begin(self) -> None:
        """Note that a piece begins."""
        self.diary.append("begin")

    def hear(self, frame: bytes, captured_ms: int) -> None:
        """Note when a frame was captured."""
        assert len(frame) == FRAME_BYTES
        self.diary.append(f"hear {captured_ms}")

    def end(self) -> None:
        """Forget what was heard."""
        self.diary.append("end")
        self.heard_ms = None


class CaptureRig:
    """Capture between a virtual microphone and a wire; inside a running loop."""

    def __init__(self, settings: VoiceSettings | None = None) -> None:
        self.clock = Clock()
        self.posted = Posted()
        self.wire = Wire(self.clock)
        self.ear = Whisperer()
        self.quiet_from_ms = -ROOM_MS
        """When the toy itself fell silent."""
        self.microphone: VirtualMicrophone
        self.capture = Capture(
            settings or VoiceSettings(),
            self.clock,
            self.posted,
            self.wire,
            self._make_microphone,
            self.ear,
            quiet_from_ms=lambda: self.quiet_from_ms,
        )

    def _make_microphone(self, on_frame: OnFrame) -> VirtualMicrophone:
        self.microphone = VirtualMicrophone(self.clock, on_frame)
        return self.microphone

    def perform(self, effect: str, **fields: FieldValue) -> None:
        """Perform one of its effects."""
        self.capture.effects[effect](**fields)


class HoldingSpeaker(VirtualSpeaker):
    """A virtual speaker that says that it holds sound back, as a card does."""

    holds_ms = 0

    @property
    def latency_ms(self) -> int:
        """How long it says so."""
        return self.holds_ms


class PlaybackRig:
    """Playback before a virtual speaker; inside a running loop."""

    def __init__(
        self, settings: VoiceSettings | None = None, on_heard: OnHeard | None = None
    ) -> None:
        self.clock = Clock()
        self.posted = Posted()
        self.pulled: list[tuple[int, bytes]] = []
        self.speaker: HoldingSpeaker
        self.settings = settings or VoiceSettings()
        self.playback = Playback(
            self.settings, self.clock, self.posted, self._make_speaker, on_heard=on_heard
        )

    def _make_speaker(self, source: Source) -> HoldingSpeaker:
        def tapped(samples: int) -> bytes:
            frame = source(samples)
            self.pulled.append((self.clock.monotonic_ms(), frame))
            return frame

        self.speaker = HoldingSpeaker(self.clock, tapped)
        return self.speaker

    def perform(self, effect: str, **fields: FieldValue) -> None:
        """Perform one of its effects."""
        self.playback.effects[effect](**fields)

    def receive(
        self,
        turn: int,
        packets: list[bytes],
        *,
        connection: int = 1,
        numbers: Iterable[int] | None = None,
    ) -> None:
        """Let packets of a reply arrive, all at once, with numbers or without."""
        without: list[None] = [None] * len(packets)
        for packet, number in zip(packets, numbers or without, strict=True):
            self.playback.reply_packet(turn, connection, packet, 16_000, number)

    def end(self, turn: int, *, connection: int = 1, pieces: int | None = None) -> None:
        """Let the end of a reply arrive."""
        self.playback.reply_end(turn, connection, pieces)

    @property
    def sounds(self) -> list[bytes]:
        """The frames that were pulled, without silence."""
        return [frame for _, frame in self.pulled if frame != SILENCE]

    def expected(self, packets: list[bytes]) -> list[bytes]:
        """What shall be heard of a reply."""
        return loud(frames(decoded(packets)), self.settings)


@cache
def cue_frames(name: str) -> tuple[bytes, ...]:
    """The whole of a sound of the toy's own."""
    return tuple(packaged()[name].frames())


def loud(sounds: list[bytes], settings: VoiceSettings | None = None) -> list[bytes]:
    """Frames as loud as the settings make them."""
    settings = settings or VoiceSettings()
    volume = Volume(settings.volume_percent, settings.volume_percent_max)
    return [volume.applied(frame) for frame in sounds]


def decoded(packets: list[bytes]) -> bytes:
    """PCM of packets, by a decoder of their own."""
    with OpusDecoder() as decoder:
        return b"".join(decoder.decode(packet) for packet in packets)


def encoded(pcm: bytes) -> list[bytes]:
    """Packets of PCM, as a gateway would send them: every frame one packet."""
    with OpusEncoder(dtx=False) as encoder:
        return [encoder.encode(frame) for frame in frames(pcm)]


@cache
def _tone_packets(frequency_hz: int, duration_ms: int) -> tuple[bytes, ...]:
    return tuple(encoded(tone(frequency_hz, duration_ms).tobytes()))


def reply(frequency_hz: int = 500, duration_ms: int = 400) -> list[bytes]:
    """Packets of a reply that no frame of another frequency can be mistaken for."""
    return list(_tone_packets(frequency_hz, duration_ms))


def packed(packets: list[bytes]) -> bytes:
    """One packet that holds several of 20 ms each (RFC 6716, section 3.2.5: VBR, no padding)."""
    head = bytes([packets[0][0] | 3, 0x80 | len(packets)])
    bodies = [packet[1:] for packet in packets]
    assert all(len(body) < 252 for body in bodies)
    return head + bytes(len(body) for body in bodies[:-1]) + b"".join(bodies)
