"""The way of speech from the microphone to the stream."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from firmware.voice.endpointing import Endpointing, WebRtcVoiceActivity
from firmware.voice.errors import MisuseError
from firmware.voice.utterance import Utterance
from hardware.codec import OpusEncoder
from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from firmware.ports import PerformEffect, Post, Uplink
    from firmware.voice.settings import VoiceSettings
    from firmware.voice.utterance import Fate
    from hardware.clock import Clock
    from hardware.microphone import Microphone, OnFrame

ENCODED_FRAMES_MAX = 5
"""Frames encoded in one turn of the loop: a pre-roll goes out in a burst, and on a Zero 2 W each
frame takes 1 to 2 ms (estimated from a desktop's 0.1)."""

_MODES: Final = ("closed", "sampling", "capture")


class Capture:
    """Performs what concerns the microphone and the uplink.

    `microphone` says what becomes of the sound:

    - ``closed``: there is none. The utterance stays until it has been sent or its turn ends.
    - ``sampling``: the last `preroll_ms` are kept for a wake word to be found in, nothing more; not
      one sample of that is ever sent.
    - ``capture``: it becomes the turn's utterance, from this moment on, and `speech_started` and
      `speech_ended` are posted, once each at most.

    An utterance is sent by `start_uplink` (what there is, then live) and `finish_uplink` (the rest,
    then the end), never after `abandon_stream`, and never beyond its turn: `end_turn`, a microphone
    mode of another turn, and `purge_speech` forget it.

    Posts `speech_started` and `speech_ended`. Belongs to the loop's thread.

    Args:
        settings: Lengths, limits and the encoder's figures.
        clock: Whose time the microphone's frames bear.
        post: Where events go.
        uplink: Where frames of speech go, in the format that it asks for.
        make_microphone: Makes the microphone, given what shall take its frames.

    Raises:
        CodecLibraryError: Opus is not installed.
    """

    def __init__(
        self,
        settings: VoiceSettings,
        clock: Clock,
        post: Post,
        uplink: Uplink,
        make_microphone: Callable[[OnFrame], Microphone],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._post = post
        self._uplink = uplink
        self._make_encoder = partial(
            OpusEncoder,
            bitrate_bps=settings.opus_bitrate_bps,
            complexity=settings.opus_complexity,
            expected_loss_percent=settings.opus_expected_loss_percent,
        )
        # A voice is recognised some time after it began: the pre-roll comes on top.
        self._frames_max = (settings.speech_in_ram_ms_max + settings.preroll_ms) // FRAME_MS
        self._offline_frames_max = (
            settings.offline_speech_in_ram_ms_max + settings.preroll_ms
        ) // FRAME_MS
        # Made ahead of its utterance: the very first one loads libraries, which takes its time.
        self._encoder = self._make_encoder()
        self._mode = "closed"
        self._sampled: deque[bytes] = deque(maxlen=settings.preroll_ms // FRAME_MS)
        self._utterance: Utterance | None = None
        self._burst: asyncio.TimerHandle | None = None
        self._frames_dropped = 0
        self._microphone = make_microphone(self._take_frame)

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs; it shares all but `microphone` and the uplink's with others."""
        return {
            "microphone": self._set_mode,
            "open_stream": self._expect_stream,
            "start_uplink": self._start_uplink,
            "finish_uplink": self._finish_uplink,
            "abandon_stream": self._abandon_stream,
            "end_turn": self._end_turn,
            "purge_speech": self._purge_speech,
        }

    @property
    def kept_ms(self) -> int:
        """How much sound is in memory at this moment."""
        return FRAME_MS * (len(self._sampled) + len(self._utterance or ()))

    @property
    def frames_dropped(self) -> int:
        """Frames of all utterances so far for which there was no room."""
        utterance = self._utterance
        return self._frames_dropped + (0 if utterance is None else utterance.frames_dropped)

    def close(self) -> None:
        """Close the microphone, forget everything, free the encoder. Nothing may follow."""
        self._microphone.close()
        self._purge_speech()
        self._encoder.close()

    def _set_mode(self, mode: str, turn: int) -> None:
        if mode not in _MODES:
            raise MisuseError(f"a microphone cannot be {mode!r}, only {', '.join(_MODES)}")
        if mode == "closed":
            self._microphone.close()
        self._mode = mode
        self._sampled.clear()
        if self._utterance is not None and self._utterance.turn != turn:
            self._forget_utterance()
        if mode == "capture" and self._utterance is None:
            self._utterance = self._new_utterance(turn)
        if mode != "closed":
            self._microphone.open()

    def _new_utterance(self, turn: int) -> Utterance:
        endpointing = Endpointing(
            WebRtcVoiceActivity(self._settings.vad_aggressiveness), self._settings
        )
        return Utterance(turn, self._clock.monotonic_ms(), endpointing, self._offline_frames_max)

    def _take_frame(self, frame: bytes, captured_ms: int) -> None:
        utterance = self._utterance
        if self._mode == "sampling":
            self._sampled.append(frame)
        elif self._mode == "capture" and utterance is not None:
            boundary = utterance.take(frame, captured_ms)
            if utterance.fate == "sending" and self._burst is None:
                self._send(utterance)
            if boundary is not None:
                self._post(f"speech_{boundary}", turn=utterance.turn)

    def _expect_stream(self, turn: int) -> None:
        if self._utterance is not None and self._utterance.turn == turn:
            self._utterance.limit(self._frames_max)

    def _abandon_stream(self, turn: int) -> None:
        if self._utterance is not None and self._utterance.turn == turn:
            self._stop_sending()
            self._utterance.fate = "abandoned"
            self._utterance.limit(self._offline_frames_max)

    def _start_uplink(self, turn: int) -> None:
        self._send_as(turn, "sending")

    def _finish_uplink(self, turn: int) -> None:
        self._send_as(turn, "finishing")

    def _send_as(self, turn: int, fate: Fate) -> None:
        utterance = self._utterance
        if utterance is None or utterance.turn != turn:
            raise MisuseError(f"no utterance of turn {turn} is kept: capture it first")
        if utterance.fate == "abandoned":
            raise MisuseError(f"the utterance of turn {turn} was abandoned: it is never sent")
        if utterance.fate == "undecided":
            utterance.format = self._uplink.speech_format
        utterance.fate = fate
        if self._burst is None:
            self._send(utterance)

    def _send(self, utterance: Utterance) -> None:
        """Send some frames now, and the others in the loop's next turns."""
        self._burst = None
        for _ in range(min(len(utterance), ENCODED_FRAMES_MAX)):
            pcm, captured_ms = utterance.pop()
            is_opus = utterance.format == "opus"
            self._uplink.send(self._encoder.encode(pcm) if is_opus else pcm, captured_ms)
        if len(utterance):
            self._burst = self._clock.call_later(0, partial(self._send, utterance))
        elif utterance.fate == "finishing":
            self._uplink.finish()
            self._forget_utterance()

    def _stop_sending(self) -> None:
        if self._burst is not None:
            self._burst.cancel()
            self._burst = None

    def _end_turn(self, turn: int, outcome: str) -> None:  # noqa: ARG002 - the effect's field
        if self._utterance is not None and self._utterance.turn == turn:
            self._forget_utterance()

    def _purge_speech(self) -> None:
        self._sampled.clear()
        self._forget_utterance()

    def _forget_utterance(self) -> None:
        if self._utterance is None:
            return
        self._stop_sending()
        self._frames_dropped += self._utterance.frames_dropped
        self._utterance = None
        # Its successor must not hear the end of this one in the encoder's memory.
        self._encoder.close()
        self._encoder = self._make_encoder()
