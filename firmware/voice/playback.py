"""The way of replies and cues to the speaker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from firmware.voice.cues import Cues, packaged
from firmware.voice.ducking import Ducking
from firmware.voice.errors import MisuseError
from firmware.voice.loudness import Leveller
from firmware.voice.output import OutputQueue
from firmware.voice.packet import Pcm, cut
from firmware.voice.reception import Reception
from firmware.voice.reply import Recording, Replay, Reply
from firmware.voice.volume import Volume
from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping, Sequence

    from firmware.metrics import Gauge
    from firmware.ports import PerformEffect, Post
    from firmware.voice.jitter import Fate
    from firmware.voice.packet import Packet
    from firmware.voice.settings import VoiceSettings
    from hardware.clock import Clock
    from hardware.speaker import Source, Speaker

READY_MS_MAX = 200
"""Decoded ahead of the speaker: as long as the loop may be busy before a gap is heard."""

URGENT_FRAMES = 1
"""Ready for the speaker when what is missing can be waited for no longer. While nothing is missing
more is made ready."""

DECODED_FRAMES_MAX = 2
"""Frames made ready in one turn of the loop: to resample one takes a desktop less than 0.1 ms, and
a Zero 2 W 1 (estimated)."""

MAKING_MS_MAX = 10
"""Time after which no further frame is made ready in this turn of the loop."""

CUES_MS_MAX = 2_000
"""Cues that wait to be played before another: one that would be heard later than that is left out,
for it would tell of something past. A sentence may be longer, and then what comes while it begins
is left out: the toy is answering already."""

LOW_VOLUME_PERCENT_MAX = 10
"""At this loudness and below, but not at none, a cue tells that it is low: 33 dB under the most."""

LINGER_MS = 200
"""Silence after which the speaker closes: longer than what a sound card holds of the last sound."""

CUT_MS = 20
"""After a stop something may be heard for so long: at a sound server it was 16 ms at most."""

OnHeard = Callable[[bytes, int], None]

_MODES: Final = ("closed", "cues", "reply", "answers", "fixed")
_REPLY_MODES: Final = ("reply", "answers")
_CUE_MODES: Final = ("cues", "fixed")


class Playback:
    """Performs what is heard, and takes what the stream brings (`firmware.ports.ReplySink`).

    Cues come before the reply, and are heard in every mode but ``closed``; a reply in ``reply``, a
    replay in ``answers`` too. A change of mode drops what was being played in the old one, a new
    turn all that was kept of the old one: when `speaker` returns, not one more sample of that
    starts. What has come of a reply before its mode is kept for it.

    The last reply of which anything was heard is kept, as packets, for `replay`.

    Posts `reply_began` for the first packet of a reply and for the first after a gap; `reply_dry`
    when the listener hears a gap; `reply_played` when the last frame has sounded; `nothing_kept`.

    Frames are decoded a little ahead on the loop; the speaker pulls them from an `OutputQueue`,
    perhaps in a thread of its own, and each pull calls the loop to make the next one ready. The
    speaker is open only while there is something to play.

    Args:
        settings: The jitter buffer, what is kept, the volume.
        clock: Whose time it is.
        post: Where events go.
        make_speaker: Makes the speaker, given where it shall pull from.
        on_heard: Told, in the speaker's thread, of each frame as it is pulled: how it sounds, and
            the monotonic ms at which it begins to be heard. It returns at once and never raises.
        cues: The toy's own sounds; those that come with the firmware if left out.

    Raises:
        CodecLibraryError: Opus is not installed.
    """

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        settings: VoiceSettings,
        clock: Clock,
        post: Post,
        make_speaker: Callable[[Source], Speaker],
        *,
        on_heard: OnHeard | None = None,
        cues: Cues | None = None,
    ) -> None:
        self.gaps_heard = 0
        """How often a reply ran dry."""
        self.cues_dropped = 0
        """Cues for which there was no room."""
        self._settings = settings
        self._clock = clock
        self._post = post
        self._volume_percent = settings.volume_percent
        self._volume_percent_max = settings.volume_percent_max
        self._volume = Volume(settings.volume_percent, settings.volume_percent_max)
        self._leveller = Leveller(dbfs_max=settings.loudness_dbfs_max)
        self._mode = "closed"
        self._turn = 0
        self._reception = Reception(settings)
        self._cue_bank = cues or packaged()
        self._cues: deque[Iterator[bytes]] = deque()
        self._cues_frames = 0
        self._reply: Reply | None = None
        self._collected: asyncio.TimerHandle | None = None
        self._kept: Recording | None = None
        self._packets_concealed = self._packets_recovered = 0
        self._is_silent = True
        self._silent_ms = 0
        self._quiet_from_ms = clock.monotonic_ms()
        self._on_heard = on_heard
        self._ducking = Ducking(clock, duck_db=settings.duck_db, duck_ms=settings.duck_ms)
        self._output = OutputQueue(
            on_frame=partial(clock.call_soon_threadsafe, self._go_on),
            on_silence=partial(clock.call_soon_threadsafe, self._note_silence),
            shape=self._shape,
        )
        self._speaker = make_speaker(self._output.pull)
        self._warm_up()

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs; `end_turn` and `purge_speech` are shared with others."""
        return {
            "speaker": self._set_mode,
            "cue": self._cue,
            "replay": self._replay,
            "end_reply": self._end_reply,
            "end_turn": self._end_turn,
            "purge_speech": self._purge_speech,
        }

    @property
    def gauges(self) -> Mapping[str, Gauge]:
        """What the metrics tell of it."""
        return {
            "replyPacketsLate": lambda: self.packets["late"],
            "replyPacketsTwice": lambda: self.packets["duplicate"],
            "replyPacketsRefused": lambda: self.packets["refused"],
            "replyPacketsConcealed": lambda: self.packets_concealed,
            "replyPacketsRecovered": lambda: self.packets_recovered,
            "replyGapsHeard": lambda: self.gaps_heard,
            "jitterTargetMs": lambda: self.jitter_target_ms,
            "cuesDropped": lambda: self.cues_dropped,
        }

    @property
    def packets(self) -> Mapping[Fate | Literal["stale"], int]:
        """What became of the packets so far; those of a turn or a reply that is over are stale."""
        return self._reception.packets

    @property
    def packets_concealed(self) -> int:
        """Packets so far in whose place something was made up."""
        reply = self._reply
        return self._packets_concealed + (0 if reply is None else reply.packets_concealed)

    @property
    def packets_recovered(self) -> int:
        """Packets so far whose place was filled from the ones after them."""
        reply = self._reply
        return self._packets_recovered + (0 if reply is None else reply.packets_recovered)

    @property
    def jitter_target_ms(self) -> float:
        """How much of a reply is held back at this moment, because its packets come unevenly."""
        return self._reception.target_ms

    @property
    def quiet_from_ms(self) -> int:
        """Monotonic ms from which nothing is heard any more of what was stopped, or ended, last."""
        return self._quiet_from_ms

    def reply_packet(
        self,
        turn: int,
        connection: int,
        packet: bytes,
        sample_rate_hz: int,  # noqa: ARG002 - Opus decodes any rate to ours
        number: int | None = None,
    ) -> None:
        """Take one Opus packet of the reply to `turn`."""
        self._take(turn, connection, [packet], number)

    def reply_pcm(
        self, turn: int, connection: int, pcm: bytes, sample_rate_hz: int, channels: int = 1
    ) -> None:
        """Take samples of the reply to `turn`, which become pieces of a frame each."""
        self._take(turn, connection, cut(Pcm(pcm, sample_rate_hz, channels)), None)

    def _take(
        self, turn: int, connection: int, packets: Sequence[Packet], number: int | None
    ) -> None:
        reception = self._reception
        is_first = reception.is_awaiting
        if not reception.take(turn, connection, packets, number, self._clock.monotonic_ms()):
            return
        if self._reply is None and reception.arrived is not None:
            self._reply = Reply(reception.arrived)
        if is_first:
            self._post("reply_began", turn=turn, connection=connection)
        self._await_collected()
        self._go_on()

    def _await_collected(self) -> None:
        """Look again once it is collected, also if nothing more comes."""
        if self._collected is not None:
            self._collected.cancel()
        in_ms = self._reception.collected_in_ms(self._clock.monotonic_ms())
        self._collected = self._clock.call_later(in_ms, self._go_on) if in_ms else None

    def reply_end(
        self,
        turn: int,
        connection: int,  # noqa: ARG002 - the turn is fence enough
        pieces: int | None = None,
    ) -> None:
        """Note that the reply to `turn` is complete, but for what its end has overtaken."""
        self._finish(turn, pieces)

    def set_volume(self, percent: int) -> None:
        """Be that loud from the next frame on, 0-100, up to what is allowed.

        Where that is hardly heard, a cue tells so, unless a reply does.
        """
        self._be_as_loud_as(percent, self._volume_percent_max)

    def limit_volume(self, percent_max: int) -> None:
        """Allow that much from the next frame on, 0-100, and never more than the settings do."""
        highest = min(percent_max, self._settings.volume_percent_max)
        self._be_as_loud_as(self._volume_percent, highest)

    def _be_as_loud_as(self, percent: int, percent_max: int) -> None:
        before = min(self._volume_percent, self._volume_percent_max)
        now = min(percent, percent_max)
        self._volume_percent, self._volume_percent_max = percent, percent_max
        self._volume = Volume(percent, percent_max)
        is_low = 0 < now <= LOW_VOLUME_PERCENT_MAX
        if is_low and now != before and self._mode in _CUE_MODES:
            self._cue("low_volume")

    def duck(self) -> None:
        """Play quieter for a while: somebody may be talking."""
        self._ducking.duck()

    def close(self) -> None:
        """Fall silent, forget everything, free the decoder. Nothing may follow."""
        self._mode = "closed"
        self._purge_speech()
        self._hush()
        self._speaker.close()

    def _set_mode(self, mode: str, turn: int) -> None:
        if mode not in _MODES:
            raise MisuseError(f"a speaker cannot be {mode!r}, only {', '.join(_MODES)}")
        if (mode, turn) == (self._mode, self._turn):
            return
        if turn != self._turn:
            self._drop_reply()
            self._reception.expect(turn)
        elif self._mode in _REPLY_MODES:
            self._reception.shut()
            self._drop_reply()
        self._mode, self._turn = mode, turn
        self._hush()
        if mode == "closed":
            self._speaker.close()
        self._go_on()

    def _cue(self, name: str) -> None:
        cue = self._cue_bank[name]
        is_full = (self._cues_frames + len(cue.earcon)) * FRAME_MS > CUES_MS_MAX
        if self._mode == "closed" or is_full:
            self.cues_dropped += 1
            return
        self._cues.append(cue.frames())
        self._cues_frames += len(cue)
        self._go_on()

    def _replay(self, turn: int) -> None:
        self._reception.shut()
        if self._kept is None:
            self._post("nothing_kept", turn=turn)
            return
        self._drop_reply()
        self._reply = Reply(Replay(self._kept.packets))
        self._go_on()

    def _end_reply(self, turn: int) -> None:
        self._finish(turn, None)
        if turn == self._turn:
            self._reception.shut()

    def _finish(self, turn: int, pieces: int | None) -> None:
        if self._reception.finish(turn, pieces):
            self._go_on()

    def _end_turn(self, turn: int, outcome: str) -> None:  # noqa: ARG002 - the effect's field
        if turn == self._turn:
            self._reception.shut()
            self._drop_reply()

    def _purge_speech(self) -> None:
        self._kept = None
        self._reception.shut()
        self._drop_reply()

    def _go_on(self) -> None:
        """Make ready what can be made ready; tell when the reply has ended or run dry."""
        now_ms = self._clock.monotonic_ms()
        made = 0
        while len(self._output) * FRAME_MS < READY_MS_MAX:
            is_late = self._clock.monotonic_ms() - now_ms >= MAKING_MS_MAX
            if made == DECODED_FRAMES_MAX or (made and is_late):
                self._clock.call_later(0, self._go_on)
                break
            frame = self._next_frame(now_ms)
            if frame is None:
                break
            self._output.put(self._leveller.applied(frame))
            self._is_silent = False
            self._silent_ms = 0
            made += 1
        if len(self._output):
            self._speaker.open()
        elif self._is_silent and self._reply is not None and self._reply.has_sounded:
            self._tell(self._reply)

    def _next_frame(self, now_ms: int) -> bytes | None:
        while self._cues:
            frame = next(self._cues[0], None)
            if frame is not None:
                self._cues_frames -= 1
                return frame
            self._cues.popleft()
        if self._reply is None or self._mode not in _REPLY_MODES:
            return None
        is_urgent = len(self._output) <= URGENT_FRAMES
        frame = self._reply.next_frame(now_ms, is_urgent=is_urgent)
        if frame is not None:
            self._kept = self._reception.recording or self._kept
        return frame

    def _tell(self, reply: Reply) -> None:
        if reply.is_over:
            self._quiet_from_ms = self._clock.monotonic_ms() + self._speaker.latency_ms
            self._drop_reply()
            self._post("reply_played", turn=self._turn)
        elif self._reception.run_dry():
            self.gaps_heard += 1
            self._post("reply_dry", turn=self._turn)

    def _note_silence(self) -> None:
        """Take note that the speaker found nothing: what was pulled before it has sounded."""
        if len(self._output):
            return
        self._is_silent = True
        self._go_on()
        if self._is_silent:
            self._silent_ms += FRAME_MS
            if self._silent_ms >= LINGER_MS:
                self._speaker.close()

    def _shape(self, frame: bytes) -> bytes:
        """Return a frame as it sounds; in the speaker's thread.

        The volume comes last, and only now: a ceiling that is lowered holds for what was made ready
        before, and nothing can be done to a frame that would lift it above.
        """
        frame = self._volume.applied(self._ducking.applied(frame))
        if self._on_heard is not None:
            self._on_heard(frame, self._clock.monotonic_ms() + self._speaker.latency_ms)
        return frame

    def _hush(self) -> None:
        """Drop what waits to be played, what is ready, and what the sound card holds.

        It is a cut, which may click. A ramp would be heard behind what the card holds already: at a
        sound server a fade of 5 ms ended 64 ms after the stop (70 at most), the cut 4 ms (10).
        """
        self._cues.clear()
        self._cues_frames = 0
        if not self._is_silent:
            self._output.clear()
            self._speaker.close()
            self._is_silent = True
            self._quiet_from_ms = self._clock.monotonic_ms() + CUT_MS

    def _drop_reply(self) -> None:
        reply, self._reply = self._reply, None
        self._reception.drop()
        if reply is not None:
            self._packets_concealed += reply.packets_concealed
            self._packets_recovered += reply.packets_recovered
            reply.close()
            if reply.has_sounded:
                self._hush()

    def _warm_up(self) -> None:
        """Do now what would take long in the middle of a turn."""
        # The first decoder loads libraries, or fails for want of them.
        Reply(Replay(())).close()
