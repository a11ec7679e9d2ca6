"""The way of speech from the microphone to the stream."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from firmware.voice.activity import GatedVoiceActivity, SileroModel
from firmware.voice.endpointing import Endpointing
from firmware.voice.errors import MisuseError
from firmware.voice.level import Level
from firmware.voice.tuning import BitrateControl
from firmware.voice.utterance import CapturedFrame, Utterance
from hardware.codec import OpusEncoder
from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from firmware.ports import Ear, PerformEffect, Post, Uplink
    from firmware.voice.settings import VoiceSettings
    from firmware.voice.utterance import Fate
    from hardware.clock import Clock
    from hardware.microphone import Microphone, OnFrame

ENCODED_FRAMES_MAX = 5
"""Frames encoded in one turn of the loop: a pre-roll goes out in a burst, and on a Zero 2 W each
frame takes 1 to 2 ms (estimated from a desktop's 0.1)."""

JUDGED_FRAMES_MAX = 5
"""Frames judged in one turn of the loop, likewise: each takes about 1 ms there while somebody
speaks."""

HEARD_MS_MAX = 1_000
"""A turn that begins so long after the end of the wake word at most begins with that end: so long
it may take to be recognised. So much is kept while the microphone samples."""

ROOM_MS = 100
"""So long after the toy has fallen silent the room may still sound of it. With an echo at -9 dB its
own words were sent as somebody's in 4 of 5 barge-ins by name alone, in none with this. By button,
the end of a word that it broke off began speech in 27 of 240 simulated rooms (0.2 to 1.2 s of
reverberation), with 50 ms of this in 4, with 100 in none. The earcon needs none: in 1,535 rooms 2
made a voice of it."""

LOOK_INTERVAL_MS = 1_000
"""Time between two looks at how the network does, while speech is sent."""

_MODES: Final = ("closed", "sampling", "capture")


class Capture:
    """Performs what concerns the microphone and the uplink.

    `microphone` says what becomes of the sound:

    - ``closed``: there is none. The utterance stays until it has been sent or its turn ends.
    - ``sampling``: the ear hears it, and the last `HEARD_MS_MAX` are kept, nothing more. Not one
      sample is sent of what came before the end of a wake word.
    - ``capture``: it becomes the turn's utterance, from the end of the wake word on if the ear has
      just heard one, else from this moment on, and `speech_started` and `speech_ended` are posted,
      once each at most. What was captured while the toy itself could be heard is kept, and no
      voice in it begins speech: it may be the toy's.

    An utterance is sent by `start_uplink` (what there is, then live) and `finish_uplink` (the rest,
    then the end), never after `abandon_stream`, and never beyond its turn: `end_turn`, a microphone
    mode of another turn, and `purge_speech` forget it. While it is sent, bit rate and error
    correction follow what the network takes and loses.

    Posts `speech_started` and `speech_ended`. Belongs to the loop's thread.

    Args:
        settings: Lengths, limits and the encoder's figures.
        clock: Whose time the microphone's frames bear.
        post: Where events go.
        uplink: Where frames of speech go, in the format that it asks for.
        make_microphone: Makes the microphone, given what shall take its frames.
        ear: Listens for the wake word.
        quiet_from_ms: Tells from when on nothing is heard any more of what the toy said last.

    Raises:
        CodecLibraryError: Opus is not installed.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts it is composed of
        self,
        settings: VoiceSettings,
        clock: Clock,
        post: Post,
        uplink: Uplink,
        make_microphone: Callable[[OnFrame], Microphone],
        ear: Ear,
        *,
        quiet_from_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._post = post
        self._uplink = uplink
        # A voice is recognised some time after it began: the pre-roll comes on top.
        self._frames_max = (settings.speech_in_ram_ms_max + settings.preroll_ms) // FRAME_MS
        self._offline_frames_max = (
            settings.offline_speech_in_ram_ms_max + settings.preroll_ms
        ) // FRAME_MS
        # Made ahead of their utterance: the very first ones load libraries, which takes its time.
        self._model = SileroModel()
        self._control = BitrateControl(settings)
        self._look_due_ms = clock.monotonic_ms()
        self._encoder = self._make_encoder()
        self._ear = ear
        self._quiet_from_ms = quiet_from_ms
        self._mode = "closed"
        self._latest: bytes | None = None
        self._sampled: deque[CapturedFrame] = deque(maxlen=HEARD_MS_MAX // FRAME_MS)
        self._utterance: Utterance | None = None
        self._burst: asyncio.TimerHandle | None = None
        self._judging: asyncio.TimerHandle | None = None
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

    @property
    def gauges(self) -> Mapping[str, Callable[[], float | None]]:
        """Its figures for the metrics, by the names they have at the cloud."""
        return {
            "microphoneRmsDbfs": lambda: self.level.rms_dbfs if self.level else None,
            "microphonePeakDbfs": lambda: self.level.peak_dbfs if self.level else None,
            "speechBitrateBps": lambda: self._control.tuning.bitrate_bps,
            "speechFramesDropped": lambda: self.frames_dropped,
        }

    @property
    def level(self) -> Level | None:
        """How loud it is before the microphone at this moment; None while that is closed."""
        return None if self._latest is None else Level.of(self._latest)

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
            self._latest = None
        heard_ms = self._heard_ms()
        sampled = tuple(self._sampled)
        self._set_sampling(goes_on=mode == "sampling")
        self._mode = mode
        self._stop_judging()
        if self._utterance is not None and self._utterance.turn != turn:
            self._forget_utterance()
        if mode == "capture":
            self._begin_utterance(turn, heard_ms, sampled)
        if mode != "closed":
            self._microphone.open()

    def _heard_ms(self) -> int | None:
        """Return when the wake word ended with which a turn begins that begins now."""
        if self._mode != "sampling":
            return None
        heard_ms = self._ear.heard_ms
        if heard_ms is None or self._clock.monotonic_ms() - heard_ms > HEARD_MS_MAX:
            return None
        return heard_ms

    def _set_sampling(self, *, goes_on: bool) -> None:
        """Begin to sample, or forget what was sampled; what goes on begins anew."""
        self._sampled.clear()
        if self._mode == "sampling":
            self._ear.end()
        if goes_on:
            self._ear.begin()

    def _begin_utterance(
        self, turn: int, heard_ms: int | None, sampled: tuple[CapturedFrame, ...]
    ) -> None:
        if self._utterance is not None:
            return
        began_ms = self._clock.monotonic_ms() if heard_ms is None else heard_ms
        activity = GatedVoiceActivity(self._model, self._settings)
        endpointing = Endpointing(activity, self._settings)
        self._utterance = Utterance(
            turn,
            began_ms,
            endpointing,
            self._offline_frames_max,
            judged_from_ms=self._quiet_from_ms() + ROOM_MS,
        )
        for frame, captured_ms in sampled:
            self._utterance.keep(frame, captured_ms)
        self._judge(self._utterance)

    def _take_frame(self, frame: bytes, captured_ms: int) -> None:
        self._latest = frame
        utterance = self._utterance
        if self._mode == "sampling":
            self._sampled.append(CapturedFrame(frame, captured_ms))
            self._ear.hear(frame, captured_ms)
        elif self._mode == "capture" and utterance is not None:
            utterance.keep(frame, captured_ms)
            if utterance.fate == "sending" and self._burst is None:
                self._send(utterance)
            if self._judging is None:
                self._judge(utterance)

    def _judge(self, utterance: Utterance) -> None:
        """Judge some frames now, and the others in the loop's next turns."""
        self._judging = None
        boundary = utterance.judge(JUDGED_FRAMES_MAX)
        if utterance.has_unjudged:
            self._judging = self._clock.call_later(0, partial(self._judge, utterance))
        if boundary is not None:
            self._post(f"speech_{boundary}", turn=utterance.turn)

    def _stop_judging(self) -> None:
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None

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
        if utterance.format == "opus":
            self._adapt()
        for _ in range(min(len(utterance), ENCODED_FRAMES_MAX)):
            pcm, captured_ms = utterance.pop()
            is_opus = utterance.format == "opus"
            # Packets of silence (of one byte) go too: without them a tenth of an utterance's bytes
            # would be saved, and nobody could tell a pause from a loss.
            self._uplink.send(self._encoder.encode(pcm) if is_opus else pcm, captured_ms)
        if len(utterance):
            self._burst = self._clock.call_later(0, partial(self._send, utterance))
        elif utterance.fate == "finishing":
            self._uplink.finish()
            self._forget_utterance()

    def _adapt(self) -> None:
        """Look at the network, if it is time, and encode accordingly."""
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._look_due_ms:
            return
        self._look_due_ms = now_ms + LOOK_INTERVAL_MS
        before = self._control.tuning
        tuning = self._control.look(self._uplink.quality)
        if tuning != before:
            self._encoder.adapt(tuning.bitrate_bps, tuning.expected_loss_percent)

    def _make_encoder(self) -> OpusEncoder:
        tuning = self._control.tuning
        return OpusEncoder(
            bitrate_bps=tuning.bitrate_bps,
            complexity=self._settings.opus_complexity,
            expected_loss_percent=tuning.expected_loss_percent,
        )

    def _stop_sending(self) -> None:
        if self._burst is not None:
            self._burst.cancel()
            self._burst = None

    def _end_turn(self, turn: int, outcome: str) -> None:  # noqa: ARG002 - the effect's field
        if self._utterance is not None and self._utterance.turn == turn:
            self._forget_utterance()

    def _purge_speech(self) -> None:
        self._set_sampling(goes_on=self._mode == "sampling")
        self._forget_utterance()

    def _forget_utterance(self) -> None:
        if self._utterance is None:
            return
        self._stop_sending()
        self._stop_judging()
        self._frames_dropped += self._utterance.frames_dropped
        self._utterance = None
        # Its successor must not hear the end of this one in the encoder's memory.
        self._encoder.close()
        self._encoder = self._make_encoder()
