"""Composition: which part is which, and who is told what. It decides nothing else.

This is the only place that chooses real or simulated parts.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from firmware import version
from firmware.backend import Backend
from firmware.body import Body, Probe
from firmware.cloud.cloud import CONFIGURATION_FILE, IN_FORCE_FILE, TOY_FILE
from firmware.cloud.reports import UntoldReports
from firmware.cloud.workers import Workers
from firmware.errors import BoardError, StoreError
from firmware.loop import Loop
from firmware.metrics import Gauge
from firmware.ports import LinkQuality, PerformEffect, Performer, SpeechFormat
from firmware.records import Records
from firmware.settings import Settings
from firmware.store.journal import JournalFile
from firmware.store.lock import LockStore
from firmware.store.outbox import URGENT_DATABASE
from firmware.unbuilt import Unbuilt
from firmware.voice.capture import Capture
from firmware.voice.cues import packaged
from firmware.voice.playback import Playback
from firmware.voice.wake.listener import WakeListener
from hardware.board import VIRTUAL_SOUND
from hardware.card_microphone import CardMicrophone
from hardware.card_speaker import CardSpeaker
from hardware.clock import Clock
from hardware.errors import MisuseError
from hardware.microphone import Microphone, OnFrame
from hardware.sim.board import SimBoard
from hardware.sim.microphone import VirtualMicrophone
from hardware.sim.speaker import VirtualSpeaker
from hardware.sound_card import SoundCard
from hardware.speaker import Source, Speaker
from hardware.vault import Vault
from states import fingerprint
from states.derive import Situation
from states.journal import FORMAT, Header
from states.machine import Core

JOURNAL: Final = "journal.jsonl"
VAULT: Final = "vault"
"""The folder of the vault's keys, in the data folder."""
SOUND_CALLS_MAX: Final = 32
"""Calls that wait for the sound card's thread. Where it hangs there are five."""
TRACES: Final = (JOURNAL, CONFIGURATION_FILE, IN_FORCE_FILE, TOY_FILE, URGENT_DATABASE)
"""Files in the data folder of a toy that has lived, of which some outlive an erase."""


class Toy:
    """A whole toy on the simulated board: the firmware, and the parts a person's hands would touch.

    Its microphone and its speaker are simulated or real, each as the section `sound` says. Make it
    on the running loop, ``start`` it, and ``await close()`` it.

    Attributes:
        loop: Drives the machine; its observers are told of every step.
        board: The button and the lights.
        listener: Hears the wake word while the microphone samples.

    Args:
        settings: The configuration.
        vault: Keeps the device's secret and its keys; None for a device without identity.
        journal_path: Where steps are recorded; in the data folder if left out.

    Raises:
        BoardError: The configuration names a board that this build cannot drive.
        AddressError: An address cannot be used (of the cloud, or of the stream).
        CredentialError: A name of the device or the toy cannot be sent.
        CodecLibraryError: Opus is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        vault: Vault | None,
        journal_path: Path | None = None,
    ) -> None:
        if settings.device.board != "sim":
            raise BoardError(
                f"device.board is {settings.device.board!r}: this build drives the simulated board "
                "only; write sim, or run with --board sim"
            )
        self.stopped = asyncio.Event()
        self._settings = settings
        self._clock = Clock()
        self._data = Path(settings.device.data_dir)
        core = Core()
        self.journal = JournalFile(
            journal_path or self._data / JOURNAL, _header(settings), lambda: core.situation
        )
        boot_id = secrets.token_hex(4) + "x"
        self.loop = Loop(core, self.journal, self._clock, boot_id)
        self.loop.observers.append(self.journal.after)
        self.board = SimBoard(self._clock)
        self._card: SoundCard | None = None
        self._probes: dict[str, Probe] = {"sounds": packaged().test}
        self._gauges: dict[str, Gauge] = {}
        self._microphone: Microphone | None = None
        self._speaker: Speaker | None = None
        self._lock = LockStore(self._data)
        self._records = Records(
            self._lock, self.loop.post_from_thread, has_identity=vault is not None
        )
        self.listener = WakeListener(self._clock, self.loop.post, self._duck)
        self.playback = Playback(
            settings.voice,
            self._clock,
            self.loop.post,
            self._make_speaker,
            on_heard=self.listener.reference,
        )
        self.backend: Backend | None = None
        if vault is not None:
            self.backend = Backend(
                settings,
                vault,
                self._data,
                clock=self._clock,
                loop=self.loop,
                playback=self.playback,
                listener=self.listener,
                erase_journal=self.journal.erase,
                keeps_time=self.board.profile.keeps_time,
            )
        self.capture = Capture(
            settings.voice,
            self._clock,
            self.loop.post,
            self.backend.uplink if self.backend else _Nowhere(),
            self._make_microphone,
            self.listener,
            quiet_from_ms=lambda: self.playback.quiet_from_ms,
        )
        self._body = Body(self.board.lights, self.loop.post, self._probes)
        if self.backend is not None:
            self.backend.watch(
                {
                    **self.capture.gauges,
                    **self.playback.gauges,
                    **self.listener.gauges,
                    **self._gauges,
                }
            )
        for performer in self._performers():
            self.loop.add(performer)
        self._button = self.board.open_button(
            lambda _ms: self.loop.post("press"), lambda _ms: self.loop.post("release")
        )

    @property
    def microphone(self) -> VirtualMicrophone:
        """Hears what is spoken into it.

        Raises:
            MisuseError: The microphone is a real one.
        """
        if not isinstance(self._microphone, VirtualMicrophone):
            raise MisuseError("the microphone is a real one: speak to it yourself")
        return self._microphone

    @property
    def speaker(self) -> VirtualSpeaker:
        """Records what it plays.

        Raises:
            MisuseError: The speaker is a real one.
        """
        if not isinstance(self._speaker, VirtualSpeaker):
            raise MisuseError("the speaker is a real one: listen to it yourself")
        return self._speaker

    def _duck(self) -> None:
        self.playback.duck()

    def _make_microphone(self, on_frame: OnFrame) -> Microphone:
        name = self._settings.sound.microphone or self.board.profile.sound_card
        if name == VIRTUAL_SOUND:
            self._microphone = VirtualMicrophone(self._clock, on_frame)
            return self._microphone
        on_failed, on_recovered = self._tell_of("microphone")
        microphone = CardMicrophone(
            self._sound_card(),
            self._clock,
            name,
            on_frame,
            on_failed=on_failed,
            on_recovered=on_recovered,
        )
        self._probes["microphone"] = microphone.test
        self._gauges |= microphone.counters.gauges("microphone")
        self._microphone = microphone
        return microphone

    def _make_speaker(self, source: Source) -> Speaker:
        name = self._settings.sound.speaker or self.board.profile.sound_card
        if name == VIRTUAL_SOUND:
            self._speaker = VirtualSpeaker(self._clock, source)
            return self._speaker
        on_failed, on_recovered = self._tell_of("speaker")
        speaker = CardSpeaker(
            self._sound_card(),
            self._clock,
            name,
            source,
            on_failed=on_failed,
            on_recovered=on_recovered,
        )
        self._probes["speaker"] = speaker.test
        self._gauges |= speaker.counters.gauges("speaker")
        self._speaker = speaker
        return speaker

    def _sound_card(self) -> SoundCard:
        if self._card is None:
            thread = Workers("sound", threads_max=1, waiting_max=SOUND_CALLS_MAX)
            self._card = SoundCard(self._clock, thread)
        return self._card

    def _tell_of(self, part: str) -> tuple[Callable[[], None], Callable[[], None]]:
        """Return what tells the machine that a part has failed, and that it works again."""
        return (
            partial(self.loop.post, "part_failed", part=part),
            partial(self.loop.post, "part_recovered", part=part),
        )

    def _performers(self) -> Iterator[Performer]:
        """Yield everybody, in the order in which effects that several share are performed."""
        acknowledge = None if self.backend is None else self.backend.cloud.commands.acknowledge
        yield self.playback
        yield self.capture
        yield self._body
        yield self._records
        if self.backend is not None:
            yield from self.backend.performers
        else:
            yield UntoldReports()
        yield Unbuilt(self.loop.post, acknowledge)
        yield _Ending(self.stopped)

    def start(self) -> None:
        """Begin: the journal, the first event, and whatever the cache still knows.

        Raises:
            StoreError: The data folder, the first lock record or the journal cannot be made.
        """
        self._take_up_data()
        self.journal.begin()
        self.loop.post("started")
        if self._button.is_pressed:
            self.loop.post("down_at_start")
        if self.backend is not None:
            self.backend.start()

    def _take_up_data(self) -> None:
        """Make the data folder where there is none; its lock record is the first thing in it."""
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            is_new = not any((self._data / name).exists() for name in TRACES)
        except OSError as error:
            raise StoreError(
                f"device.data_dir {self._data}: cannot be used: {error.strerror}; "
                "give a folder that may be written"
            ) from error
        if is_new:
            self._lock.found()

    async def close(self) -> None:
        """End everything; what was recorded is kept."""
        self.loop.close()
        self._body.close()
        self.capture.close()
        self.playback.close()
        if self._card is not None:
            await self._card.close()
        try:
            if self.backend is not None:
                await self.backend.close()
        finally:
            await self.listener.close()
            self._records.close()
            self.board.close()
            self.journal.close()


class _Nowhere:
    """The uplink of a device without identity, which no turn ever reaches."""

    speech_format: SpeechFormat = "opus"
    quality = LinkQuality(loss_percent=None, backlog_ms=0)

    def send(self, packet: bytes, captured_ms: int) -> None:
        """Drop it."""

    def finish(self) -> None:
        """Do nothing."""


class _Ending:
    """Performs ``shut_down``: lets whoever runs the toy know."""

    def __init__(self, stopped: asyncio.Event) -> None:
        self._stopped = stopped

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        return {"shut_down": self._stopped.set}


def _header(settings: Settings) -> Callable[[Situation], Header]:
    commit, table, rows = version.commit(), fingerprint.table(), dict(fingerprint.rows())
    digest = settings.digest()

    def make(situation: Situation) -> Header:
        return Header(FORMAT, commit, table, rows, digest, situation)

    return make
