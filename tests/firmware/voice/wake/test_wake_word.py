"""From the configuration to what listens: the new word once it is fit, the old one until then."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from firmware.cloud.configuration import ToyConfiguration, WakeWordModel
from firmware.store.note import Note
from firmware.voice.errors import WakeWordModelError, WakeWordModelFault, WakeWordRefusedError
from firmware.voice.wake.listener import WakeListener
from firmware.voice.wake.wake_word import RETRY_MS_MAX, TRIES_TOLD, WakeWord
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.examples import configuration
from tests.firmware.cloud.scripted import Fixed
from tests.firmware.outlets import KeptOutlet
from tests.firmware.voice.rig import Posted
from tests.firmware.voice.wake.scripted import ScriptedEngine, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FOX: Final = "canary phrase of a fox"
OWL: Final = "canary phrase of an owl"
ELK: Final = "canary phrase of an elk"
CANARIES: Final = ("canary", "models.example")


def sound(word: str) -> bytes:
    """Return the frame in which a word ends."""
    return hashlib.sha256(word.encode()).digest() * 20


def model(name: str) -> WakeWordModel:
    return WakeWordModel(
        f"https://models.example/{name}", hashlib.sha256(name.encode()).hexdigest()
    )


def wants(
    word: str | WakeWordModel, *, enabled: bool = True, barge_in: bool = True
) -> ToyConfiguration:
    """Return a configuration that asks for a word."""
    given = word if isinstance(word, str) else {"url": word.url, "sha256": word.sha256}
    return ToyConfiguration.parse(
        configuration(wakeWord=given, wakeWordEnabled=enabled, wakeWordBargeIn=barge_in)
    )


class Word:
    """A word that was accepted; it makes scripted engines."""

    def __init__(self, home: Home, word: str) -> None:
        self._home = home
        self._word = word

    def make(self) -> ScriptedEngine:
        """Make one, unless its word is broken."""
        if self._word in self._home.broken:
            raise WakeWordRefusedError("bad_model")
        engine = ScriptedEngine(sound(self._word))
        self._home.made.append(engine)
        return engine

    def to_facts(self) -> dict[str, object]:
        return {"word": self._word}


class ScriptedModels:
    """Models that are had as a test says."""

    def __init__(self, *outcomes: WakeWordModelError | None) -> None:
        self.asked: list[str] = []
        self.watch: Callable[[], None] | None = None
        self.kept: list[str | None] = []
        self._outcomes = list(outcomes)

    async def get(self, model: WakeWordModel) -> Path:
        """Have one, or raise what the test says."""
        self.asked.append(model.url)
        if self.watch is not None:
            self.watch()
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if outcome is not None:
            raise outcome
        return Path(model.url)

    async def keep_only(self, sha256: str | None) -> None:
        """Note it."""
        self.kept.append(sha256)

    def close(self) -> None:
        """Do nothing."""


class Home:
    """Everything around a wake word; some of it outlives a restart."""

    def __init__(self, folder: Path, *outcomes: WakeWordModelError | None) -> None:
        self.note = Note(folder / "wake-word.json")
        self.models = ScriptedModels(*outcomes)
        self.outlet = KeptOutlet()
        self.chance = Fixed()
        self.refusals: dict[str, str] = {}
        self.broken: set[str] = set()
        self.made: list[ScriptedEngine] = []
        self.prepared: list[str] = []
        self.cancelled: list[str] = []
        self.toy_id = "toy-1"
        self.is_slow = False
        self.is_done = asyncio.Event()
        self.begun = asyncio.Event()

    async def prepare(self, word: str | Path) -> Word:
        """Try a word, as the test says."""
        name = str(word)
        self.prepared.append(name)
        self.begun.set()
        if self.is_slow:
            try:
                await self.is_done.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
        if name in self.refusals:
            raise WakeWordRefusedError(self.refusals[name])  # type: ignore[arg-type]  # as the test says
        return Word(self, name)

    def recall(self, facts: Mapping[str, Any]) -> Word:
        """Make a word that was kept."""
        if "word" not in facts:
            raise WakeWordRefusedError("outdated")
        return Word(self, str(facts["word"]))

    @property
    def told(self) -> list[str]:
        """The reasons that the guardian was told."""
        reasons = []
        for put in self.outlet.puts:
            assert put.function == "guardian:reportEvent"
            assert not put.urgent
            event, details, is_urgent = put.arguments.values()
            assert (event, is_urgent) == ("wake_word_refused", False)
            assert isinstance(details, dict)
            assert details.keys() == {"reason"}
            reasons.append(details["reason"])
        return reasons


class Toy:
    """A listener and its wake word, from one start to the next."""

    def __init__(self, home: Home) -> None:
        self.posted = Posted()
        self.listener = WakeListener(Clock(), self.posted, lambda: None)
        self.wake_word = WakeWord(
            self.listener,
            home.models,  # type: ignore[arg-type]  # the same methods, without a network
            home.note,
            outlet=home.outlet,
            toy_id=lambda: home.toy_id,
            random=home.chance,
            prepare=home.prepare,
            recall=home.recall,
            may_fetch=self._may_fetch,
        )

    async def _may_fetch(self) -> None:
        """Let it."""

    async def takes_up(self, wanted: ToyConfiguration) -> None:
        """Take up a configuration, and wait until all is done that comes of it."""
        self.wake_word.take_up(wanted)
        await self.is_done()

    async def is_done(self) -> None:
        task = self.wake_word._task
        if task is not None:
            await asyncio.wait([task])

    async def hears(self, word: str) -> bool:
        """Say a word, and tell whether it wakes."""
        before = len(self.posted)
        self.listener.begin()
        self.listener.hear(sound(word), 0)
        await settle(self.listener)
        self.listener.end()
        return len(self.posted) > before


@asynccontextmanager
async def started(home: Home) -> AsyncIterator[Toy]:
    toy = Toy(home)
    try:
        yield toy
    finally:
        await toy.wake_word.close()
        await toy.listener.close()
        assert all(engine.is_closed for engine in home.made)


@pytest.fixture(autouse=True)
def _no_word_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
    assert not any(
        canary in record.getMessage() for record in caplog.records for canary in CANARIES
    )


def test_the_word_of_the_configuration_wakes(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)
            assert not await toy.hears(OWL)
            assert (home.prepared, home.told, len(home.made)) == ([FOX], [], 2)

    run_virtual(main())


def test_without_barge_in_nobody_hears_the_playback(tmp_path: Path) -> None:
    """It takes memory and time that a toy has better uses for."""

    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX, barge_in=False))
            assert await toy.hears(FOX)
            assert len(home.made) == 1
            await toy.takes_up(wants(FOX, barge_in=True))
            assert [engine.is_closed for engine in home.made] == [True, False, False]
            assert home.prepared == [FOX]

    run_virtual(main())


def test_where_the_wake_word_is_not_enabled_nothing_is_prepared(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX, enabled=False))
            assert (home.prepared, home.made) == ([], [])
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)
            await toy.takes_up(wants(FOX, enabled=False))
            assert not await toy.hears(FOX)
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)
            assert home.prepared == [FOX]

    run_virtual(main())


def test_a_configuration_that_changes_something_else_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            for name in ("Bruno", "Bella"):
                given = configuration(wakeWord=FOX, wakeWordBargeIn=True, name=name)
                await toy.takes_up(ToyConfiguration.parse(given))
            assert (home.prepared, len(home.made)) == ([FOX], 2)

    run_virtual(main())


def test_a_new_word_takes_the_place_of_the_old_one_when_it_is_ready(tmp_path: Path) -> None:
    """Until then the old one wakes; from then on the old one is only a word."""

    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            home.is_slow = True
            home.begun.clear()
            toy.wake_word.take_up(wants(OWL))
            await home.begun.wait()
            assert await toy.hears(FOX)
            home.is_done.set()
            await toy.is_done()
            assert await toy.hears(OWL)
            assert not await toy.hears(FOX)

    run_virtual(main())


def test_a_newer_word_takes_the_place_of_one_that_is_not_ready(tmp_path: Path) -> None:
    """They are prepared one at a time."""

    async def main() -> None:
        home = Home(tmp_path)
        home.is_slow = True
        async with started(home) as toy:
            toy.wake_word.take_up(wants(FOX))
            await home.begun.wait()
            toy.wake_word.take_up(wants(OWL))
            toy.wake_word.take_up(wants(ELK))
            home.is_done.set()
            await toy.is_done()
            assert home.cancelled == [FOX]
            assert home.prepared == [FOX, ELK]
            assert await toy.hears(ELK)

    run_virtual(main())


@pytest.mark.parametrize("reason", ["too_short", "too_easily_mistaken", "bad_model"])
def test_a_word_that_is_refused_leaves_the_old_one_and_is_told_once(
    tmp_path: Path, reason: str
) -> None:
    """Also across restarts, where it is not even tried again."""

    async def main() -> None:
        home = Home(tmp_path)
        home.refusals = {OWL: reason}
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            await toy.takes_up(wants(OWL))
            assert await toy.hears(FOX)
            assert home.told == [reason]
        home.outlet = KeptOutlet()
        async with started(home) as toy:
            await toy.takes_up(wants(OWL))
            await toy.takes_up(wants(OWL, barge_in=False))
            assert await toy.hears(FOX)
            assert home.told == []
            assert home.prepared == [FOX, OWL]

    run_virtual(main())


def test_a_refusal_that_says_nothing_of_the_word_is_tried_again_at_the_next_start(
    tmp_path: Path,
) -> None:
    """And told once all the same, until the word is accepted."""

    async def main() -> None:
        home = Home(tmp_path)
        home.refusals = {FOX: "timed_out"}
        for _ in range(2):
            async with started(home) as toy:
                await toy.takes_up(wants(FOX))
                assert not await toy.hears(FOX)
        assert home.told == ["timed_out"]
        home.refusals = {}
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)
        assert home.told == ["timed_out"]

    run_virtual(main())


def test_a_word_that_was_accepted_is_there_after_a_restart_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        for _ in range(2):
            async with started(home) as toy:
                await toy.takes_up(wants(FOX))
                assert await toy.hears(FOX)
        assert home.prepared == [FOX]

    run_virtual(main())


def test_after_a_restart_the_old_word_wakes_while_the_new_one_is_prepared(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
        home.is_slow = True
        home.begun.clear()
        async with started(home) as toy:
            toy.wake_word.take_up(wants(OWL))
            await home.begun.wait()
            assert await toy.hears(FOX)
        assert home.cancelled == [OWL]

    run_virtual(main())


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"[]", b'{"format": 1, "kept": {"key": 1}}', b'{"format": 9}']
)
def test_whatever_the_note_holds_the_word_is_prepared(tmp_path: Path, content: bytes) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        digest = hashlib.sha256(content).hexdigest().encode()
        (tmp_path / "wake-word.json").write_bytes(digest + b"\n" + content)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)

    run_virtual(main())


def test_a_note_of_older_firmware_is_as_good_as_none(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        home.note.store({"format": 1, "kept": {"key": "x", "word": {}}, "refused": 3})
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)

    run_virtual(main())


def test_a_card_that_takes_no_note_takes_no_word_away(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path / "missing")
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)

    run_virtual(main())


def test_a_kept_word_that_cannot_be_used_any_more_is_prepared_anew(tmp_path: Path) -> None:
    """Its model may have been lost with the card."""

    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(model("fox")))
        home.models.asked.clear()
        home.broken = {str(Path(model("fox").url))}
        async with started(home) as toy:
            await toy.takes_up(wants(model("fox")))
            assert home.models.asked == [model("fox").url]
            assert home.told == ["unavailable"]

    run_virtual(main())


def test_no_word_at_all_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        home.refusals = {FOX: "too_short", OWL: "too_long"}
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            await toy.takes_up(wants(OWL))
            assert not await toy.hears(FOX)
            assert home.told == ["too_short", "too_long"]

    run_virtual(main())
    assert caplog.messages.count("no wake word is ready: only the button wakes the toy") == 1
    assert "the wake word is refused (too_short): there is none" in caplog.messages


def test_a_model_is_fetched_tried_and_kept_alone(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(model("fox")))
            assert home.models.kept == [model("fox").sha256]
            assert home.prepared == [str(Path(model("fox").url))]
            await toy.takes_up(wants(OWL))
            assert home.models.kept == [model("fox").sha256, None]

    run_virtual(main())


@pytest.mark.parametrize(
    "reason", ["unsafe_address", "not_there", "elsewhere", "too_large", "wrong_digest"]
)
def test_a_model_that_cannot_be_had_leaves_the_old_word_and_is_told_once(
    tmp_path: Path, reason: WakeWordModelFault
) -> None:
    """The next start tries again: whoever keeps the model may have put it right."""

    async def main() -> None:
        home = Home(tmp_path, *[WakeWordModelError(reason)] * 2)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            await toy.takes_up(wants(model("owl")))
            assert await toy.hears(FOX)
        async with started(home) as toy:
            await toy.takes_up(wants(model("owl")))
            assert await toy.hears(FOX)
        async with started(home) as toy:
            await toy.takes_up(wants(model("owl")))
            assert await toy.hears(str(Path(model("owl").url)))
        assert home.told == [reason]
        assert len(home.models.asked) == 3

    run_virtual(main())


def test_a_network_that_is_away_is_tried_for_as_long_as_it_takes(tmp_path: Path) -> None:
    """With full jitter up to ten minutes; after some tries the guardian is told, once."""

    async def main() -> None:
        tries = 20
        home = Home(tmp_path, *[WakeWordModelError("unreachable")] * tries)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            told: list[int] = []
            home.models.watch = lambda: told.append(len(home.told))
            await toy.takes_up(wants(model("owl")))
            assert told == [0] * TRIES_TOLD + [1] * (tries + 1 - TRIES_TOLD)
            assert home.told == ["unreachable"]
            assert home.chance.asked[:3] == [(0, 1_000), (0, 2_000), (0, 4_000)]
            assert home.chance.asked[-1] == (0, RETRY_MS_MAX)
            assert await toy.hears(str(Path(model("owl").url)))

    run_virtual(main())


def test_another_word_ends_the_wait_for_a_model(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path, *[WakeWordModelError("unreachable")] * 100)
        async with started(home) as toy:
            toy.wake_word.take_up(wants(model("owl")))
            await asyncio.sleep(3)
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)

    run_virtual(main())


def test_another_toy_does_not_listen_to_the_name_of_the_one_before(tmp_path: Path) -> None:
    """Nor is anything of it kept; its own word comes with its configuration."""

    async def main() -> None:
        home = Home(tmp_path)
        home.refusals = {OWL: "too_short"}
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            await toy.takes_up(wants(OWL))
            home.toy_id = "toy-2"
            toy.wake_word.set_toy("toy-2")
            await toy.is_done()
            assert not await toy.hears(FOX)
            assert home.note.load() is None
            assert home.models.kept[-1] is None
            await toy.takes_up(wants(OWL))
            assert home.told == ["too_short", "too_short"]
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)

    run_virtual(main())


def test_a_configuration_right_after_a_switch_does_not_outrun_the_forgetting(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            toy.wake_word.set_toy("toy-2")
            await toy.takes_up(wants(OWL))
            assert not await toy.hears(FOX)
            assert await toy.hears(OWL)
            facts = home.note.load()
            assert facts is not None
            assert FOX not in str(facts)

    run_virtual(main())


def test_an_erase_leaves_nothing_of_the_word(tmp_path: Path) -> None:
    async def main() -> None:
        home = Home(tmp_path)
        home.is_slow = True
        home.is_done.set()
        async with started(home) as toy:
            await toy.takes_up(wants(FOX))
            home.is_done.clear()
            home.begun.clear()
            toy.wake_word.take_up(wants(OWL))
            await home.begun.wait()
            await toy.wake_word.erase()
            assert home.cancelled == [OWL]
            assert not await toy.hears(FOX)
            assert home.note.load() is None
            assert home.models.kept[-1] is None
            home.is_done.set()
            await toy.takes_up(wants(FOX))
            assert await toy.hears(FOX)
            assert home.prepared == [FOX, OWL, FOX]

    run_virtual(main())


def test_engines_that_nobody_waits_for_any_more_are_closed(tmp_path: Path) -> None:
    """They take a second to make on a Pi; within that another word may be asked for."""

    async def main() -> None:
        home = Home(tmp_path)
        async with started(home) as toy:
            made = toy.wake_word._made(Word(home, FOX), may_barge_in=True)
            task = asyncio.create_task(made)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await toy.takes_up(wants(OWL))
            assert [engine.is_closed for engine in home.made] == [True, True, False, False]

    run_virtual(main())
