"""Composition of what reaches beyond the device: the cloud, the stream, and what waits for them.

Like ``firmware.app`` it decides nothing; a toy without an identity has none of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from firmware.boot import boot_id
from firmware.cloud.cloud import TOY_FILE, Cloud
from firmware.cloud.conversations import Conversations, Side
from firmware.cloud.credentials import Identity
from firmware.cloud.delivery import Delivery
from firmware.cloud.reports import Reports
from firmware.cloud.retrying import with_retries
from firmware.cloud.toy_choice import ToyChoice
from firmware.cloud.uploads import Uploader
from firmware.error_log import ErrorLog
from firmware.export import held_by
from firmware.metrics import Gauge, Metrics
from firmware.schedule import Schedule
from firmware.store.audio import AudioStore
from firmware.store.note import Note
from firmware.store.outbox import Outbox
from firmware.store.record import REPORT_FUNCTION
from firmware.stream.stream import Stream
from firmware.supervised import supervised
from firmware.turn_times import TurnTimes
from firmware.voice.recorder import Recorder
from firmware.voice.wake.models import Models
from firmware.voice.wake.prepared import Prepared
from firmware.voice.wake.preparing import prepare
from firmware.voice.wake.wake_word import WakeWord
from firmware.wall_clock import WallClock
from hardware.sensors import SystemSensors

if TYPE_CHECKING:
    from firmware.cloud.credentials import Tokens
    from firmware.loop import Loop
    from firmware.ports import Performer
    from firmware.settings import Settings
    from firmware.voice.playback import Playback
    from firmware.voice.wake.listener import WakeListener
    from hardware.clock import Clock
    from hardware.vault import Vault
    from states.machine import Step

CLOSE_TIMEOUT_S: Final = 0.7
"""How long closing waits for what is far away, before it saves what is kept."""
UPLOAD_MS_MAX: Final = 100_000
"""Longest time for the upload of an export, all tries together."""
AUDIO_FOLDER: Final = "audio"
WAKE_WORD_FILE: Final = "wake-word.json"
WAKE_WORD_FOLDER: Final = "wake-words"
"""The folder of wake words that are given as models, in the data folder."""
AUDIO_KEY: Final = "audio"
"""Of the vault: encrypts stored speech."""

_log = logging.getLogger(__name__)


class Backend:
    """Everything that an identity brings: make it, let the loop have its performers, `start` it.

    Attributes:
        stream: The audio stream.
        cloud: Tokens, configuration and commands.
        outbox: What the cloud is yet to be told.
        uplink: Where speech goes: the stream, by way of the recorder.

    Args:
        settings: The configuration.
        vault: The device's secret and its keys.
        data: The data folder; it must exist by the time of `start`.
        loop: Whose steps are observed, and to which events are posted.
        playback: Where replies go.
        listener: Is given what hears the wake word of the configuration.
        erase_journal: Removes the journal's files.
        keeps_time: Whether the board's clock can be believed as it is: see `WallClock.of_board`.

    Raises:
        AddressError: An address cannot be used (of the cloud, or of the stream).
        CredentialError: A name of the device or the toy cannot be sent.
    """

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        settings: Settings,
        vault: Vault,
        data: Path,
        *,
        clock: Clock,
        loop: Loop,
        playback: Playback,
        listener: WakeListener,
        erase_journal: Callable[[], Awaitable[None]],
        keeps_time: bool,
    ) -> None:
        device_id = settings.identity.device_id
        toy = ToyChoice(Note(data / TOY_FILE), settings.identity.toy_id)
        chance = Random()  # noqa: S311 - spreads retries; nothing is kept secret by it
        self._chance = chance
        self._vault = vault
        self._boot_id = boot_id()
        self._is_open = asyncio.Event()
        self._wall = WallClock.of_board(clock, keeps_time=keeps_time)
        self._opening: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._uninstall: Callable[[], None] = _nothing
        self.outbox = Outbox(
            settings.store,
            data,
            toy_id=lambda: toy.id,
            clock=clock,
            post=loop.post,
            is_clock_set=self._wall.is_set,
            boot_id=self._boot_id,
            random=chance,
        )
        self.stream = Stream(
            settings.stream,
            device_id,
            toy.id,
            clock,
            loop.post,
            playback,
            chance,
            lambda _: self.cloud.hint(),
            on_words=self._take_words,
        )
        self._audio = AudioStore(data / AUDIO_FOLDER, lambda: vault.key(AUDIO_KEY), settings.audio)
        self.uplink = Recorder(self.stream)
        self._conversations = Conversations(
            self.outbox,
            self.uplink,
            self._audio,
            toy_id=lambda: toy.id,
            clock=clock,
            forget_words=self._forget_words,
            forget_speech=self._forget_speech,
        )
        self._wake_word = WakeWord(
            listener,
            Models(data / WAKE_WORD_FOLDER, settings.cloud),
            Note(data / WAKE_WORD_FILE),
            outlet=self.outbox,
            toy_id=lambda: toy.id,
            random=chance,
            prepare=prepare,
            recall=Prepared.from_facts,
            may_fetch=self._wall.wait_until_set,
        )
        self.cloud = Cloud(
            settings.cloud,
            Identity(device_id, toy.id, vault.secret),
            data,
            toy=toy,
            clock=clock,
            post=loop.post,
            outlet=self.outbox,
            random=chance,
            guardian_key=settings.identity.guardian_key,
            set_volume=playback.set_volume,
            on_tokens=[self._take_up_tokens],
            on_configuration=[
                self._conversations.take_up,
                lambda new: playback.limit_volume(round(new.volume_limit_percent)),
                self._wake_word.take_up,
            ],
            on_toy=[self.stream.set_toy, self._wake_word.set_toy],
            erasable={
                "the wake word": self._wake_word.erase,
                "stored speech": self._conversations.erase,
                "what is said and done": self._erase_outbox,
                "the key of stored speech": self._forget_key,
                "the journal": erase_journal,
            },
            held=held_by(self.outbox, self._audio),
            upload=self._upload,
            may_connect=self._may_connect,
        )
        self._uploader = Uploader(
            self.cloud.calls,
            self.cloud.calls,
            self._audio,
            device_id=device_id,
            token=lambda: self.cloud.tokens.convex if self.cloud.tokens else None,
            clock=clock,
            random=chance,
        )
        self._delivery = Delivery(
            settings.cloud,
            self.outbox,
            self.cloud.calls,
            device_id=device_id,
            tokens=lambda: self.cloud.tokens,
            on_rejected=self.cloud.reject,
            uploader=self._uploader,
            random=chance,
        )
        turns = TurnTimes()
        self._error_log = ErrorLog(clock, self.outbox)
        self._metrics = Metrics(
            self.outbox,
            SystemSensors(data, lambda: self.cloud.child_pid),
            (turns.take, *(durations.take for durations in self.cloud.calls.durations)),
            self._gauges(loop),
            lambda: self.stream.counters,
        )
        self._schedule = Schedule(clock)
        self._metrics.schedule(self._schedule, settings.metrics)
        self._schedule.every(
            settings.metrics.log_interval_ms, self._error_log.tell_repeats, "error log"
        )
        loop.observers.extend((self._conversations, self.cloud.commands.after, turns, self._after))

    @property
    def performers(self) -> Iterator[Performer]:
        """Everybody here who performs, in the order in which shared effects are performed."""
        yield self.stream
        yield self._conversations
        yield self.cloud
        yield Reports(self.outbox)

    def _gauges(self, loop: Loop) -> Mapping[str, Gauge]:
        return {
            "urgentRecords": lambda: self.outbox.counts.urgent_records,
            "bulkRecords": lambda: self.outbox.counts.bulk_records,
            "bulkBytes": lambda: self.outbox.counts.bulk_bytes,
            "recordsDelivered": lambda: self._delivery.delivered,
            "recordsGaveWay": lambda: self.outbox.counts.gave_way,
            "recordsRefused": lambda: self.outbox.counts.refused,
            "recordsSetAside": lambda: self.outbox.counts.set_aside,
            "deliveriesFailed": lambda: self._delivery.failures,
            "streamLossPercent": lambda: self.stream.quality.loss_percent,
            "conversationsLost": lambda: self._conversations.records_lost,
            "speechLost": lambda: self._conversations.speech_lost,
            "speechGaveWay": lambda: self._audio.gave_way,
            "speechDamaged": lambda: self._audio.damaged,
            "speechFramesLeftOut": lambda: self.uplink.frames_left_out,
            "commandsMalformed": lambda: self.cloud.commands.malformed,
            "configurationsMalformed": lambda: self.cloud.configurations_malformed,
            "troublesUntold": lambda: self._error_log.suppressed,
            "troublesFailed": lambda: self._error_log.failures,
            "eventsDropped": loop.dropped.total,
            "effectsFailed": loop.failures.total,
            "loopDelayMsMax": loop.take_delay_ms_max,
        }

    def watch(self, gauges: Mapping[str, Gauge]) -> None:
        """Let the metrics tell figures of parts that are not here."""
        self._metrics.watch(gauges)

    def start(self) -> None:
        """Open what is kept, then take up what it says; nothing connects earlier."""
        self._uninstall = self._error_log.install()
        self._opening = asyncio.create_task(self._open(), name="backend")
        self._tidying = asyncio.create_task(
            supervised("tidying of stored speech", self._tidy), name="tidying"
        )

    async def close(self) -> None:
        """End everything that is far away, then save what is kept for it."""
        self._uninstall()
        self._schedule.close()
        self._metrics.close()
        for task in (self._opening, self._tidying):
            if task is not None:
                task.cancel()
        await self._delivery.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.gather(
                    self.stream.close(),
                    self.cloud.close(),
                    self._conversations.close(),
                    self._wake_word.close(),
                )
        self._uploader.close()
        await self.outbox.close()

    async def _open(self) -> None:
        """Begin; whatever fails of it, the toy connects, since a locked one is to be released."""
        try:
            await self._begin("the outbox", self.outbox.open)
            await self._begin("the cloud", self.cloud.start)
            self._delivery.start()
            self._schedule.start()
        finally:
            self._is_open.set()
        if not self._vault.is_sealed:
            self.outbox.put(
                REPORT_FUNCTION,
                {"eventType": "vault_degraded", "details": {}, "isUrgent": False},
                urgent=False,
                record_id=f"vault-degraded-{self._boot_id}",
            )

    async def _begin(self, name: str, begin: Callable[[], Awaitable[None]]) -> None:
        try:
            await begin()
        except Exception as error:  # noqa: BLE001 - what comes after it begins all the same
            _log.error("%s cannot begin (%s)", name, type(error).__name__)

    async def _tidy(self) -> None:
        """Remove speech that nothing refers to any more, as soon as the card tells what does."""
        await self._is_open.wait()
        waiting = await self.outbox.audio_names()
        await asyncio.to_thread(self._audio.keep_only, waiting)

    async def _may_connect(self) -> None:
        """Wait until what was kept is known, and the wall clock can judge certificates."""
        await self._is_open.wait()
        if self.cloud.is_encrypted:
            await self._wall.wait_until_set()

    def _take_up_tokens(self, tokens: Tokens) -> None:
        self.stream.set_token(tokens.websocket)
        self._delivery.wake()

    def _take_words(self, turn: int, side: Side, text: str) -> None:
        self._conversations.take_words(turn, side, text)

    def _after(self, step: Step) -> None:
        if step.event.name == "link_up":
            self._delivery.wake()

    async def _upload(self, content: bytes, content_type: str) -> str:
        return await with_retries(
            "an upload",
            lambda: self._uploader.upload_bytes(content, content_type),
            random=self._chance,
            deadline_ms=UPLOAD_MS_MAX,
        )

    def _forget_words(self) -> None:
        self.outbox.forget_words()
        self._delivery.recall_bulk()

    def _forget_speech(self) -> None:
        self.outbox.forget_speech()
        self._delivery.recall_bulk()

    async def _erase_outbox(self) -> None:
        """Forget what waits for the cloud; after the speech, which is put there from the card."""
        self._delivery.recall_bulk()
        await self.outbox.erase()

    async def _forget_key(self) -> None:
        """Make unreadable for ever what the card may still hold of deleted speech."""
        await asyncio.to_thread(self._vault.rotate_key, AUDIO_KEY)


def _nothing() -> None:
    """Do nothing: the error log is not installed."""
