"""Keeps what is said to the stream, while a guardian agrees to have it stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hardware.codec import OpusEncoder
from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    from firmware.ports import LinkQuality, SpeechFormat, Uplink

RECORDING_MS_MAX: Final = 35_000
"""Longest recording: the longest utterance, and what was said before the stream opened."""


class Recording(NamedTuple):
    """What was said in one turn: frames of 20 ms in one format."""

    speech_format: SpeechFormat
    frames: tuple[bytes, ...]

    def packets(self) -> list[bytes]:
        """Return it as Opus packets. What is encoded here takes its time: on a worker's thread.

        Raises:
            CodecError: Opus is not installed, or failed.
            MisuseError: A frame of samples has another length than 20 ms.
        """
        if self.speech_format == "opus":
            return list(self.frames)
        with OpusEncoder() as encoder:
            return [encoder.encode(frame) for frame in self.frames]


class Recorder:
    """An uplink that passes everything on, and keeps a copy while it may.

    It may not before it is told so. A frame is passed on first: nobody waits for the copy.
    """

    def __init__(self, uplink: Uplink) -> None:
        self.frames_left_out = 0
        """Frames beyond the longest recording."""
        self._uplink = uplink
        self._may_keep = False
        self._format: SpeechFormat = "opus"
        self._frames: list[bytes] = []

    @property
    def speech_format(self) -> SpeechFormat:
        """That of the uplink: see `firmware.ports.Uplink`."""
        return self._uplink.speech_format

    @property
    def quality(self) -> LinkQuality:
        """That of the uplink: see `firmware.ports.Uplink`."""
        return self._uplink.quality

    @property
    def kept_ms(self) -> int:
        """How much speech is kept at this moment."""
        return FRAME_MS * len(self._frames)

    def send(self, frame: bytes, captured_ms: int) -> None:
        """Pass a frame on: see `firmware.ports.Uplink`."""
        self._uplink.send(frame, captured_ms)
        if self._may_keep:
            self._keep(frame)

    def finish(self) -> None:
        """Pass the end on: see `firmware.ports.Uplink`."""
        self._uplink.finish()

    def allow(self, *, may_keep: bool) -> None:
        """Say whether speech may be kept from now on; where not, what is kept is forgotten."""
        self._may_keep = may_keep
        if not may_keep:
            self.forget()

    def forget(self) -> None:
        """Forget what is kept."""
        self._frames = []

    def take(self) -> Recording | None:
        """Return what is kept, if anything, and begin anew."""
        frames, self._frames = self._frames, []
        return Recording(self._format, tuple(frames)) if frames else None

    def _keep(self, frame: bytes) -> None:
        speech_format = self._uplink.speech_format
        if self._frames and speech_format != self._format:
            self._frames = []  # another connection: a recording is of one format, or is none
        self._format = speech_format
        if self.kept_ms < RECORDING_MS_MAX:
            self._frames.append(frame)
        else:
            self.frames_left_out += 1
