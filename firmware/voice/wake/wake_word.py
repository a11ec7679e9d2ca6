"""The wake word of the toy's configuration, from the guardian's wish to what listens for it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from firmware.backoff import Backoff
from firmware.cloud.configuration import WakeWordModel
from firmware.cloud.errors import CloudError
from firmware.cloud.workers import Workers
from firmware.errors import NoteError
from firmware.store.record import REPORT_FUNCTION
from firmware.supervised import supervised
from firmware.voice.errors import WakeWordModelError, WakeWordRefusedError
from firmware.voice.wake.hearing import Engines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from random import Random

    from firmware.cloud.configuration import ToyConfiguration
    from firmware.ports import Outlet
    from firmware.store.note import Note
    from firmware.voice.wake.engine import Engine
    from firmware.voice.wake.listener import WakeListener
    from firmware.voice.wake.models import Models

FORMAT: Final = 1
RETRY_MS_MIN: Final = 1_000
RETRY_MS_MAX: Final = 600_000
TRIES_TOLD: Final = 5
"""Tries in vain to fetch a model, after which the guardian is told; it is tried further."""

REPORT: Final = "wake_word_refused"
PASSING_REFUSALS: Final = frozenset({"unavailable", "timed_out", "outdated"})
"""Refusals that say nothing about the word: the next start tries it again."""

_JOBS_WAITING_MAX: Final = 8

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Accepted(Protocol):
    """A wake word that was tried and found fit: see `firmware.voice.wake.prepared.Prepared`."""

    def make(self) -> Engine:
        """Return a new engine for it; may take a second."""
        ...

    def to_facts(self) -> dict[str, object]:
        """Return it as plain JSON."""
        ...


class Kept(NamedTuple):
    """The word that is in use, or would be if it were enabled."""

    key: str
    word: Accepted


class Refused(NamedTuple):
    """The word of which the guardian was told last that it is not used.

    `is_final` says that it need not be tried again.
    """

    key: str
    reason: str
    is_final: bool


class _Wanted(NamedTuple):
    word: str | WakeWordModel
    is_enabled: bool
    may_barge_in: bool


class WakeWord:
    """Gives the listener what the configuration in force asks for.

    A new word is fetched, tried and made ready in the background, one at a time; a newer one takes
    the place of one that is not ready yet. Until then, and if it is refused, the word before stays.
    What was accepted is kept in a note, so that a restart has it at once; so is what was refused,
    so that the guardian is told once. The word itself is in no log and in no report.

    Belongs to the loop's thread.

    Args:
        listener: Hears it.
        models: Has the files of words that are given as models.
        note: Where the accepted word is kept, and the refused one.
        outlet: Where the guardian is told of a refusal.
        toy_id: Gives the present toy.
        random: Draws the waits between tries to fetch a model.
        prepare: Tries a phrase, or a model in a file, and returns what hears it.
        recall: Makes an accepted word from its facts.
        may_fetch: Awaited before a model is fetched: until the clock can judge certificates.
    """

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        listener: WakeListener,
        models: Models,
        note: Note,
        *,
        outlet: Outlet,
        toy_id: Callable[[], str],
        random: Random,
        prepare: Callable[[str | Path], Awaitable[Accepted]],
        recall: Callable[[Mapping[str, Any]], Accepted],
        may_fetch: Callable[[], Awaitable[object]],
    ) -> None:
        self._listener = listener
        self._models = models
        self._note = note
        self._outlet = outlet
        self._toy_id = toy_id
        self._random = random
        self._prepare = prepare
        self._recall = recall
        self._may_fetch = may_fetch
        self._wanted: _Wanted | None = None
        self._kept: Kept | None = None
        self._refused: Refused | None = None
        self._in_use: tuple[str, bool] | None = None  # key, and whether the playback is heard
        self._is_loaded = False
        self._must_forget = False
        self._has_said_none = False
        self._task: asyncio.Task[None] | None = None
        self._worker = Workers("the wake word", threads_max=1, waiting_max=_JOBS_WAITING_MAX)

    def take_up(self, configuration: ToyConfiguration) -> None:
        """Take up a configuration that is in force from now on."""
        wanted = _Wanted(
            configuration.wake_word,
            configuration.wake_word_enabled,
            configuration.wake_word_barge_in,
        )
        if wanted != self._wanted:
            self._wanted = wanted
            self._begin()

    def set_toy(self, _: str) -> None:
        """Forget the word: it was that of another toy, whose configuration is to come."""
        self._wanted = None
        self._must_forget = True
        self._begin()

    async def erase(self) -> None:
        """Forget the word; nothing of it is on the card on return.

        Raises:
            NoteError: The note could not be removed.
            WakeWordModelError: A model could not be removed.
        """
        self._wanted = None
        await self._stop()
        self._must_forget = True
        await self._forget()

    async def close(self) -> None:
        """Stop preparing; what listens goes on until the listener is closed."""
        await self._stop()
        self._models.close()
        self._worker.shutdown(wait=False)

    def _begin(self) -> None:
        before = self._task
        if before is not None:
            before.cancel()
        self._task = asyncio.create_task(self._after(before), name="wake word")

    async def _after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        await supervised("the wake word", self._follow)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _follow(self) -> None:
        """Bring about what is wanted."""
        if self._must_forget:
            await self._forget()
        wanted = self._wanted
        if wanted is None:
            return
        if not self._is_loaded:
            await self._load()
        if not wanted.is_enabled:
            await self._use(None, None)
            return
        if self._kept is not None and not await self._listen_for(self._kept, wanted):
            self._kept = None
        key = _key(wanted.word)
        if (self._kept is None or self._kept.key != key) and not self._is_refused(key):
            await self._become(wanted, key)
        if self._in_use is None and not self._has_said_none:
            self._has_said_none = True
            _log.warning("no wake word is ready: only the button wakes the toy")

    async def _become(self, wanted: _Wanted, key: str) -> None:
        """Try a new word, and use it if it is accepted."""
        try:
            kept = Kept(key, await self._tried(wanted.word, key))
        except WakeWordModelError as error:
            self._refuse(Refused(key, error.reason, is_final=False))
        except WakeWordRefusedError as error:
            is_final = error.reason not in PASSING_REFUSALS
            self._refuse(Refused(key, error.reason, is_final=is_final))
        else:
            if not await self._listen_for(kept, wanted):
                self._refuse(Refused(key, "unavailable", is_final=False))
                return
            self._kept, self._refused = kept, None
            _log.info("the toy listens for its new wake word")
            await self._save()
            await self._tidy(wanted.word)
            return
        await self._save()

    async def _tried(self, word: str | WakeWordModel, key: str) -> Accepted:
        given = word if isinstance(word, str) else await self._fetched(word, key)
        return await self._prepare(given)

    async def _fetched(self, model: WakeWordModel, key: str) -> Path:
        """Return the file of a model, however long the network is away."""
        backoff = Backoff(RETRY_MS_MIN, RETRY_MS_MAX, self._random)
        tries = 0
        while True:
            await self._may_fetch()
            try:
                return await self._models.get(model)
            except WakeWordModelError as error:
                if not error.is_passing:
                    raise
                tries += 1
                if tries == TRIES_TOLD:
                    self._refuse(Refused(key, error.reason, is_final=False))
                    await self._save()
            await asyncio.sleep(backoff.next_delay_ms() / 1000)

    async def _listen_for(self, kept: Kept, wanted: _Wanted) -> bool:
        """Have the listener hear a word; returns False where no engine can be made for it."""
        use = (kept.key, wanted.may_barge_in)
        if use == self._in_use:
            return True
        try:
            engines = await self._made(kept.word, may_barge_in=wanted.may_barge_in)
        except Exception as error:  # noqa: BLE001 - whatever a library makes of a file that is gone
            _log.error("a wake word that was accepted cannot be used (%s)", type(error).__name__)
            return False
        await self._use(engines, use)
        return True

    async def _made(self, word: Accepted, *, may_barge_in: bool) -> Engines:
        """Make engines, off the loop; those of which nobody takes charge any more are closed."""

        def make() -> Engines:
            microphone = word.make()
            try:
                return Engines(microphone, word.make() if may_barge_in else None)
            except BaseException:
                microphone.close()
                raise

        making = asyncio.get_running_loop().run_in_executor(self._worker, make)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_close_made)
            raise

    async def _use(self, engines: Engines | None, use: tuple[str, bool] | None) -> None:
        self._in_use = use
        await self._listener.use(engines)

    def _is_refused(self, key: str) -> bool:
        return self._refused is not None and self._refused.is_final and self._refused.key == key

    def _refuse(self, refused: Refused) -> None:
        """Say that a word is not used, to the guardian once."""
        stays = "there is none" if self._in_use is None else "the one before stays"
        _log.warning("the wake word is refused (%s): %s", refused.reason, stays)
        is_told = self._refused is not None and self._refused.key == refused.key
        self._refused = refused
        if is_told:
            return
        toy_and_word = hashlib.sha256(f"{self._toy_id()} {refused.key}".encode()).hexdigest()
        self._outlet.put(
            REPORT_FUNCTION,
            {"eventType": REPORT, "details": {"reason": refused.reason}, "isUrgent": False},
            urgent=False,
            record_id=f"wake-word-{toy_and_word[:24]}",
        )

    async def _load(self) -> None:
        """Take up what the note holds, whatever it is."""
        try:
            facts = await self._on_worker(self._note.load)
        except NoteError as error:
            _log.warning("%s: the wake word is tried anew", error)
            facts = None
        self._is_loaded = True
        if facts is not None and facts.get("format") == FORMAT:
            self._kept = self._recalled(facts.get("kept"))
            self._refused = _refused(facts.get("refused"))

    def _recalled(self, fact: object) -> Kept | None:
        match fact:
            case {"key": str(key), "word": dict(word)}:
                try:
                    return Kept(key, self._recall(word))
                except Exception as error:  # noqa: BLE001 - of older firmware, perhaps
                    _log.warning("the wake word is tried anew (%s)", type(error).__name__)
        return None

    async def _save(self) -> None:
        """Keep what was accepted and what was refused; without it the next start tries anew."""
        kept, refused = self._kept, self._refused
        facts = {
            "format": FORMAT,
            "kept": kept and {"key": kept.key, "word": kept.word.to_facts()},
            "refused": refused and refused._asdict(),
        }
        try:
            await self._on_worker(lambda: self._note.store(facts))
        except NoteError as error:
            _log.warning("%s: the next start tries the wake word anew", error)

    async def _tidy(self, word: str | WakeWordModel) -> None:
        try:
            await self._models.keep_only(None if isinstance(word, str) else word.sha256)
        except WakeWordModelError:
            _log.warning("the model of a wake word before could not be removed")

    async def _forget(self) -> None:
        self._kept = self._refused = None
        self._is_loaded = True
        await self._use(None, None)
        await self._on_worker(self._note.remove)
        await self._models.keep_only(None)
        self._must_forget = False

    async def _on_worker(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except CloudError as error:  # the card has kept the thread busy for too long
            raise NoteError(str(error)) from error


def _close_made(making: asyncio.Future[Engines]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().close()


def _key(word: str | WakeWordModel) -> str:
    """Return what tells a word from others, and does not tell what it is."""
    text = f"phrase {word}" if isinstance(word, str) else f"model {word.sha256}"
    return hashlib.sha256(text.encode()).hexdigest()


def _refused(fact: object) -> Refused | None:
    match fact:
        case {"key": str(key), "reason": str(reason), "is_final": bool(is_final)}:
            return Refused(key, reason, is_final)
    return None
