"""One record a turn: how it went and how long, and what was said if a guardian agreed to that.

Consent is asked at every step of the way, as it is at that moment: when a frame or a word is kept,
when the turn is over, and when its speech lies on the card. What was agreed to and is no more is
forgotten at once, here and wherever it waits.
"""

from __future__ import annotations

import asyncio
import bisect
import json
import logging
import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from firmware.cloud.configuration import Consent
from firmware.cloud.errors import CloudError
from firmware.cloud.workers import Workers
from firmware.errors import AudioStoreError
from firmware.store.record import CONVERSATION_FUNCTION
from hardware import ogg
from hardware.errors import HardwareError
from states import table

if TYPE_CHECKING:
    from firmware.cloud.configuration import ToyConfiguration
    from firmware.ports import Outlet, PerformEffect
    from firmware.store.audio import AudioStore
    from firmware.voice.recorder import Recorder, Recording
    from hardware.clock import Clock
    from states.events import FieldValue
    from states.machine import Step

TEXT_BYTES_MAX: Final = 6_000
"""Most words kept of either side of a turn, as JSON: a record has room for both."""
WAITING_MAX: Final = 16
"""Turns whose speech is on its way to the card; of further ones there is no record."""
ERASE_RETRY_MS: Final = 60_000
CLOSE_MS_MAX: Final = 500
"""Longest that closing waits for the card."""

Side: TypeAlias = Literal["transcript", "reply"]
"""Whose words: the child's, or the toy's."""

NO_CONSENT: Final = Consent(listen=False, store_audio=False, store_transcripts=False)

_PHASES: Final[Mapping[str, str]] = {
    **dict.fromkeys((*table.HEARING, *table.OFFLINE_HEARING, "listening.connecting"), "listening"),
    **dict.fromkeys((*table.SENDING, "streaming.flushing"), "sending"),
    **dict.fromkeys(table.WAITING, "waiting"),
    **dict.fromkeys((*table.SPEAKING, *table.ANSWERING), "speaking"),
}
"""Under which name the time in a state is told."""
_OFFLINE: Final = frozenset(table.OFFLINE_TURN)

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(slots=True)
class _Guardian:
    """Who agrees, for the toy that the device is or was; None: nothing is known of it yet."""

    consent: Consent | None = None

    @property
    def agreed(self) -> Consent:
        """What counts as agreed to."""
        return self.consent or NO_CONSENT


@dataclass(slots=True)
class _Turn:
    """A turn, of the toy that the device was when it began."""

    number: int
    since_ms: int
    toy_id: str
    guardian: _Guardian
    durations_ms: Counter[str] = field(default_factory=Counter)
    was_offline: bool = False
    words: dict[Side, str] = field(default_factory=dict, repr=False)

    def pass_time(self, leaf: str, now_ms: int) -> None:
        """Add the time since the last step, which was spent in `leaf`."""
        if leaf in _PHASES:
            self.durations_ms[_PHASES[leaf]] += now_ms - self.since_ms
        self.since_ms = now_ms


@dataclass(frozen=True, slots=True)
class _Ended:
    """A turn that is over, and its speech if that may be stored."""

    turn: _Turn
    outcome: FieldValue
    recording: Recording | None = field(repr=False)


class Conversations:
    """Makes the records of turns in which the microphone was open.

    An observer of the loop's steps and of the configuration in force (`take_up`), and where the
    stream takes a turn's words (`take_words`). Performs ``purge_speech`` and ``switch_toy`` beside
    others: speech is forgotten; and of the turns of a toy counts what its own guardian agrees to,
    also if the device has become another toy since.

    Records are in the order in which turns ended. Loop thread only; what touches the card runs on
    a thread of its own.

    Args:
        outlet: Where records go.
        toy_id: Gives the toy that the device is now.
        recorder: Keeps the present turn's speech.
        store: Keeps speech until the cloud has it.
        clock: Whose time.
        forget_words: Takes the words out of conversations that still wait for the cloud.
        forget_speech: Takes out of them what refers to speech, on the card or at the cloud.
    """

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        outlet: Outlet,
        recorder: Recorder,
        store: AudioStore,
        *,
        toy_id: Callable[[], str],
        clock: Clock,
        forget_words: Callable[[], None],
        forget_speech: Callable[[], None],
    ) -> None:
        self.speech_lost = 0
        """Recordings that could not be stored; their conversations went without."""
        self.records_lost = 0
        """Conversations of which there is no record: too many waited for the card."""
        self._outlet = outlet
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._forget_words = forget_words
        self._forget_speech = forget_speech
        self._toy_id = toy_id
        self._guardian = _Guardian()
        self._turn: _Turn | None = None
        self._erasures = 0
        self._waiting: deque[_Ended] = deque()
        self._must_erase = False
        self._working: asyncio.Task[None] | None = None
        self._is_closed = False
        self._workers = Workers("speech to be stored", threads_max=1, waiting_max=1)

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs, beside others."""
        return {"purge_speech": self.forget, "switch_toy": self._switch_toy}

    def __call__(self, step: Step) -> None:
        """Take a step; an observer of the loop."""
        now_ms = step.event.at_ms
        if self._turn is not None:
            self._turn.pass_time(step.source, now_ms)
        for effect in step.effects:
            if effect.name == "end_turn":
                self._end(effect.fields["turn"], effect.fields["outcome"])
            elif effect.name == "microphone" and effect.fields["mode"] == "capture":
                self._begin(effect.fields["turn"], now_ms)
        if self._turn is not None and step.to in _OFFLINE:
            self._turn.was_offline = True

    def take_words(self, turn: int, side: Side, text: str) -> None:
        """Keep words of the present turn, if that is agreed to."""
        present = self._turn
        if present is None or present.number != turn:
            return
        if not present.guardian.agreed.store_transcripts:
            return
        said = present.words.get(side, "")
        present.words[side] = _cut(f"{said} {text}".strip())

    def take_up(self, configuration: ToyConfiguration) -> None:
        """Go by what the guardian agrees to from now on, and forget what that is no more."""
        before, now = self._guardian.consent, configuration.consent
        self._guardian.consent = now
        self._recorder.allow(may_keep=now.store_audio)
        # The first configuration after a start may be the one that a power cut kept from acting.
        if not now.store_audio and (before is None or before.store_audio):
            self._forget_speech()
            self._must_erase = True
            self._work()
        if not now.store_transcripts and (before is None or before.store_transcripts):
            if self._turn is not None:
                self._turn.words.clear()
            self._forget_words()

    def forget(self) -> None:
        """Forget the present turn's speech and words; performs ``purge_speech``."""
        self._recorder.forget()
        if self._turn is not None:
            self._turn.words.clear()

    async def erase(self) -> None:
        """Forget everything that was said, here and on the card.

        What was on its way there is dropped, so that nothing follows once this has returned.

        Raises:
            AudioStoreError: The card does not forget; another attempt is made by itself.
        """
        self.forget()
        self._turn = None
        self._erasures += 1
        self._waiting.clear()
        self._forget_words()
        self._forget_speech()
        self._must_erase = True
        self._work()
        if self._working is not None:
            await asyncio.wait([self._working])
        if self._must_erase:
            raise AudioStoreError("stored speech cannot be erased now")

    async def close(self) -> None:
        """Finish what is under way, within `CLOSE_MS_MAX`; what was stored is kept."""
        self._is_closed = True
        if self._working is not None:
            _, late = await asyncio.wait([self._working], timeout=CLOSE_MS_MAX / 1000)
            for task in late:
                task.cancel()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _switch_toy(self, command: FieldValue) -> None:  # noqa: ARG002 - the effect's field
        self.forget()
        self._recorder.allow(may_keep=False)
        self._guardian = _Guardian(NO_CONSENT)

    def _begin(self, turn: FieldValue, now_ms: int) -> None:
        assert isinstance(turn, int)  # noqa: S101 - by the vocabulary
        if self._turn is None or self._turn.number != turn:
            self._recorder.forget()
            self._turn = _Turn(turn, now_ms, self._toy_id(), self._guardian)

    def _end(self, turn: FieldValue, outcome: FieldValue) -> None:
        present = self._turn
        if present is None or present.number != turn:
            return
        self._turn = None
        ended = _Ended(present, outcome, self._recorder.take())
        if ended.recording is None and self._working is None:
            self._put(ended, "")
        elif len(self._waiting) < WAITING_MAX:
            self._waiting.append(ended)
            self._work()
        else:
            self.records_lost += 1

    def _put(self, ended: _Ended, audio: str) -> None:
        words = ended.turn.words if ended.turn.guardian.agreed.store_transcripts else {}
        self._outlet.put(
            CONVERSATION_FUNCTION,
            {
                "audioStorageId": None,
                "transcript": words.get("transcript"),
                "replyText": words.get("reply"),
                "wasOffline": ended.turn.was_offline,
                "outcome": ended.outcome,
                "durations": dict(ended.turn.durations_ms),
            },
            urgent=False,
            audio=audio,
            toy_id=ended.turn.toy_id,
        )

    def _work(self) -> None:
        if self._working is None and not self._is_closed:
            self._working = asyncio.create_task(self._work_off(), name="conversations")

    async def _work_off(self) -> None:
        is_failing = False
        try:
            while self._waiting or (self._must_erase and not is_failing):
                if self._must_erase and not is_failing:
                    is_failing = not await self._erased()
                if self._waiting:
                    ended, erasures = self._waiting.popleft(), self._erasures
                    audio = await self._stored(ended)
                    if erasures == self._erasures:
                        self._put(ended, audio)
        finally:
            self._working = None

    async def _erased(self) -> bool:
        """Erase the card; where that fails, see to it that it is tried again."""
        self._must_erase = False
        try:
            await self._on_card(self._store.erase)
        except (AudioStoreError, CloudError) as error:
            _log.error("%s: it is tried again", error)
            self._must_erase = True
            self._clock.call_later(ERASE_RETRY_MS, self._work)
            return False
        return True

    async def _stored(self, ended: _Ended) -> str:
        """Store speech, if that is still agreed to, and return its name; else an empty text."""
        recording, guardian = ended.recording, ended.turn.guardian
        if recording is None or not guardian.agreed.store_audio:
            return ""
        try:
            name = await self._on_card(lambda: self._written(recording))
            if guardian.agreed.store_audio:
                return name
            await self._on_card(lambda: self._store.remove(name))
        except (AudioStoreError, CloudError, HardwareError) as error:
            self.speech_lost += 1
            _log.warning("a conversation goes without its speech: %s", error)
        return ""

    def _written(self, recording: Recording) -> str:
        """Write speech to the card, as a file of its own; on the worker's thread."""
        serial = secrets.randbits(ogg.SERIAL_BITS)
        return self._store.put(ogg.pack(recording.packets(), serial))

    async def _on_card(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)


def _cut(text: str) -> str:
    """Return as much of a text as may be kept, without what no record could hold."""
    sound = text.encode(errors="replace").decode()
    if len(json.dumps(sound)) <= TEXT_BYTES_MAX:
        return sound
    lengths = range(len(sound))
    fits = bisect.bisect_right(lengths, TEXT_BYTES_MAX, key=lambda n: len(json.dumps(sound[:n])))
    return sound[: fits - 1]
