"""Records of turns, driven by the real table: what they tell, and what only with consent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.cloud import conversations
from firmware.cloud.configuration import ToyConfiguration
from firmware.cloud.conversations import (
    TEXT_BYTES_MAX,
    WAITING_MAX,
    Conversations,
)
from firmware.errors import AudioStoreError
from firmware.store.audio import AudioSettings, AudioStore
from firmware.voice.recorder import Recorder
from hardware.sim.clock import run_virtual
from states.derive import Situation
from tests.firmware.cloud.examples import configuration
from tests.firmware.outlets import KeptOutlet, Put
from tests.firmware.stage import IDLE, READY, Stage
from tests.firmware.voice.test_recorder import Listener
from tests.hardware.voices import frames, voice

SAID = "canary: do whales sleep"
REPLY = "canary: one half at a time"
OFFLINE = Situation("offline.ready", READY._replace(link=False))


class Toy:
    """The table, a recorder that speech passes, and the conversations; on virtual time."""

    def __init__(self, folder: Path, situation: Situation = IDLE) -> None:
        self.stage = Stage(situation)
        self.outbox = KeptOutlet()
        self.listener = Listener()
        self.recorder = Recorder(self.listener)
        self.store = AudioStore(folder, lambda: bytes(32), AudioSettings())
        self.forgotten: list[str] = []
        self.id = "toy-a"
        self.conversations = Conversations(
            self.outbox,
            self.recorder,
            self.store,
            toy_id=lambda: self.id,
            clock=self.stage.clock,
            forget_words=lambda: self.forgotten.append("words"),
            forget_speech=lambda: self.forgotten.append("speech"),
        )
        self.stage.loop.add(self.conversations)
        self.stage.loop.observers.append(self.conversations)
        self._version = 10

    def agree(self, *, audio: bool = False, transcripts: bool = False) -> None:
        """Put a configuration with this consent into force."""
        self._version += 1
        consent = {"listen": True, "storeAudio": audio, "storeTranscripts": transcripts}
        self.conversations.take_up(
            ToyConfiguration.parse(configuration(version=self._version, consent=consent))
        )

    async def after(self, ms: int) -> None:
        """Let time pass."""
        over = asyncio.Event()
        self.stage.clock.call_later(ms, over.set)
        await over.wait()

    async def post(self, name: str, /, **fields: Any) -> None:  # noqa: ANN401 - any field
        """Post an event and let it be stepped."""
        self.stage.loop.post(name, **fields)
        await self.after(0)

    async def speak(self, turn: int, *, long_ms: int = 1_000) -> None:
        """Begin a turn and say something, which the stream takes."""
        await self.post("press")
        await self.post("release")
        await self.post("stream_opened", turn=turn, connection=turn)
        await self.after(600)
        await self.post("speech_started", turn=turn)
        for frame in frames(voice(long_ms)):
            self.recorder.send(frame, 0)
        await self.after(long_ms)

    async def hear(self, turn: int) -> None:
        """Let the reply come, and end the turn."""
        await self.post("speech_ended", turn=turn)
        await self.after(100)
        await self.post("uplink_flushed", turn=turn, connection=turn)
        self.conversations.take_words(turn, "transcript", SAID)
        await self.after(700)
        await self.post("reply_began", turn=turn, connection=turn)
        self.conversations.take_words(turn, "reply", REPLY)
        await self.after(2_000)
        await self.post("reply_played", turn=turn)

    async def converse(self, turn: int = 1) -> None:
        """Hold a whole turn."""
        self.listener.speech_format = "pcm16"
        await self.speak(turn)
        await self.hear(turn)

    async def settle(self) -> None:
        """Wait until what is on its way to the card is there."""
        while self.conversations._working is not None:
            await asyncio.wait([self.conversations._working])


def on_card(folder: Path) -> int:
    """Count what lies on the card."""
    return len(list(folder.iterdir()))


def played(
    folder: Path,
    script: Callable[[Toy], Coroutine[Any, Any, None]],
    situation: Situation = IDLE,
) -> tuple[list[Put], Toy]:
    """Return what is put while a script is played, and the toy."""

    async def main() -> tuple[list[Put], Toy]:
        toy = Toy(folder, situation)
        await script(toy)
        await toy.settle()
        await toy.conversations.close()
        return toy.outbox.puts, toy

    return run_virtual(main())


def test_a_turn_is_one_record_of_how_it_went(tmp_path: Path) -> None:
    """Outcome and times; without consent neither speech nor words, here or on the card."""

    async def script(toy: Toy) -> None:
        toy.agree()
        await toy.converse()

    (put,), toy = played(tmp_path, script)
    assert put == (
        "conversations:create",
        {
            "audioStorageId": None,
            "transcript": None,
            "replyText": None,
            "wasOffline": False,
            "outcome": "answered",
            "durations": {"listening": 600, "sending": 1_100, "waiting": 700, "speaking": 2_000},
        },
        False,
        "",
    )
    assert on_card(tmp_path) == 0
    assert toy.recorder.kept_ms == 0


def test_before_any_configuration_nothing_is_agreed_to(tmp_path: Path) -> None:
    """Silence is no consent."""
    (put,), _ = played(tmp_path, Toy.converse)
    assert "canary" not in json.dumps(put.arguments)
    assert put.audio == ""


def test_speech_is_stored_with_consent(tmp_path: Path) -> None:
    """The record names it, and it is what was said."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True)
        await toy.converse()

    (put,), toy = played(tmp_path, script)
    audio = toy.store.get(put.audio)
    assert audio is not None
    assert audio.startswith(b"OggS")
    assert "canary" not in json.dumps(put.arguments)


def test_packets_of_the_stream_are_stored_as_they_are(tmp_path: Path) -> None:
    """In the dialects that send Opus."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True)
        await toy.speak(1, long_ms=0)
        toy.recorder.send(b"\x08packet-of-opus", 0)
        await toy.hear(1)

    (put,), toy = played(tmp_path, script)
    assert b"packet-of-opus" in (toy.store.get(put.audio) or b"")


def test_words_are_told_with_consent(tmp_path: Path) -> None:
    """Those of the child and those of the toy, and no speech."""

    async def script(toy: Toy) -> None:
        toy.agree(transcripts=True)
        await toy.converse()

    (put,), _ = played(tmp_path, script)
    assert put.arguments["transcript"] == SAID
    assert put.arguments["replyText"] == REPLY
    assert put.audio == ""


def test_words_of_another_turn_are_not_told(tmp_path: Path) -> None:
    """Nor too many of them, however many pieces they come in."""

    async def script(toy: Toy) -> None:
        toy.agree(transcripts=True)
        toy.conversations.take_words(1, "reply", "too early")
        await toy.speak(1)
        toy.conversations.take_words(7, "reply", "another's")
        for _ in range(3):
            toy.conversations.take_words(1, "transcript", "x" * 3_000)
        await toy.hear(1)
        toy.conversations.take_words(1, "reply", "too late")

    (put,), _ = played(tmp_path, script)
    assert put.arguments["replyText"] == REPLY
    assert len(json.dumps(put.arguments["transcript"])) == TEXT_BYTES_MAX


@given(st.lists(st.text(st.characters(), max_size=900), max_size=12))
def test_no_words_are_too_long_for_a_record_or_cannot_be_written(pieces: list[str]) -> None:
    """Whatever the alphabet, and what is none: the record holds both sides and more."""
    words = conversations._cut(" ".join(pieces))
    assert len(json.dumps(words)) <= TEXT_BYTES_MAX
    words.encode()
    whole = " ".join(pieces).encode(errors="replace").decode()
    assert whole.startswith(words)
    assert words == whole or len(json.dumps(words)) > TEXT_BYTES_MAX - 12


def test_consent_withdrawn_in_a_turn_takes_its_speech_and_words(tmp_path: Path) -> None:
    """What was said before counts no more than what is said after."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True, transcripts=True)
        await toy.speak(1)
        toy.conversations.take_words(1, "transcript", SAID)
        toy.agree()
        toy.recorder.send(b"x", 0)
        toy.conversations.take_words(1, "transcript", SAID)
        toy.agree(audio=True, transcripts=True)
        toy.conversations.take_words(1, "reply", REPLY)
        await toy.hear(1)

    (put,), toy = played(tmp_path, script)
    assert put.arguments["transcript"] == SAID  # heard after consent was given again
    assert put.audio == ""
    assert toy.forgotten == ["speech", "words"]


def test_consent_withdrawn_takes_what_waits(tmp_path: Path) -> None:
    """Speech on the card is erased, and the outbox is told to forget words; once each."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True, transcripts=True)
        await toy.converse(1)
        await toy.settle()
        assert on_card(tmp_path) == 1
        toy.agree(transcripts=True)
        await toy.settle()
        assert on_card(tmp_path) == 0
        assert toy.forgotten == ["speech"]
        toy.agree()
        toy.agree()
        assert toy.forgotten == ["speech", "words"]

    played(tmp_path, script)


def test_the_first_configuration_may_be_the_one_that_withdrew(tmp_path: Path) -> None:
    """A power cut between the withdrawal and the erasing changes nothing."""
    AudioStore(tmp_path, lambda: bytes(32), AudioSettings()).put(b"speech")

    async def script(toy: Toy) -> None:
        toy.agree()

    _, toy = played(tmp_path, script)
    assert on_card(tmp_path) == 0
    assert toy.forgotten == ["speech", "words"]


def test_consent_withdrawn_while_speech_is_being_written_takes_it(tmp_path: Path) -> None:
    """Whichever comes first on the card."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True)
        await toy.converse()
        toy.agree()

    (put,), _ = played(tmp_path, script)
    assert put.audio == ""
    assert on_card(tmp_path) == 0


def test_muting_forgets_what_is_being_said(tmp_path: Path) -> None:
    """The turn is told, its speech and its words are not."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True, transcripts=True)
        await toy.speak(1)
        toy.conversations.take_words(1, "transcript", SAID)
        await toy.post("mute", command="row-1")

    (put,), _ = played(tmp_path, script)
    assert put.arguments["outcome"] == "muted"
    assert put.arguments["transcript"] is None
    assert put.audio == ""


def test_another_toys_guardian_agrees_anew(tmp_path: Path) -> None:
    """What was agreed to for the toy before counts no more."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True, transcripts=True)
        await toy.post("switch_toy", command="row-1")
        assert not toy.recorder._may_keep
        assert not toy.conversations._guardian.agreed.store_transcripts

    played(tmp_path, script)


class Hanging(AudioStore):
    """A store whose card takes its time.

    Attributes:
        began: Set once something is written.
        may_end: Set it to let the card end.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda: bytes(32), AudioSettings())
        self.began = threading.Event()
        self.may_end = threading.Event()

    def put(self, audio: bytes) -> str:
        """Wait, then store it."""
        self.began.set()
        assert self.may_end.wait(10)
        return super().put(audio)


def test_a_turn_stays_with_the_toy_that_it_was_held_with(tmp_path: Path) -> None:
    """A switch that waited for its end takes neither its speech nor its words from it."""

    async def script(toy: Toy) -> None:
        toy.conversations._store = store = Hanging(tmp_path)
        toy.agree(audio=True, transcripts=True)
        await toy.speak(1)
        await toy.post("switch_toy", command="row-1")  # deferred to the end of the turn
        await toy.hear(1)
        await asyncio.to_thread(store.began.wait, 10)
        await toy.after(0)
        toy.id = "toy-b"
        toy.agree()
        store.may_end.set()

    (put,), toy = played(tmp_path, script)
    assert toy.outbox.toys == ["toy-a"]
    assert put.arguments["transcript"] == SAID
    assert on_card(tmp_path) == 1
    assert put.audio


def test_what_is_erased_on_its_way_to_the_card_is_not_put_afterwards(tmp_path: Path) -> None:
    """Whoever erases the outbox next erases all of it."""

    async def script(toy: Toy) -> None:
        toy.conversations._store = store = Hanging(tmp_path)
        toy.agree(audio=True, transcripts=True)
        await toy.converse(1)
        await asyncio.to_thread(store.began.wait, 10)
        erased = asyncio.create_task(toy.conversations.erase())
        await toy.after(0)
        store.may_end.set()
        await erased
        assert on_card(tmp_path) == 0

    puts, _ = played(tmp_path, script)
    assert puts == []


def test_consent_withdrawn_while_the_card_writes_counts_for_what_is_being_written(
    tmp_path: Path,
) -> None:
    """Neither the speech stays there nor do the words go."""

    async def script(toy: Toy) -> None:
        toy.conversations._store = store = Hanging(tmp_path)
        toy.agree(audio=True, transcripts=True)
        await toy.converse(1)
        await asyncio.to_thread(store.began.wait, 10)
        toy.agree()
        store.may_end.set()
        await toy.settle()
        assert on_card(tmp_path) == 0

    (put,), _ = played(tmp_path, script)
    assert put.audio == ""
    assert "canary" not in json.dumps(put.arguments)


def test_a_turn_that_ends_before_its_toy_is_switched_is_of_that_toy(tmp_path: Path) -> None:
    """Also without any speech to store."""

    async def script(toy: Toy) -> None:
        toy.agree(transcripts=True)
        await toy.speak(1)
        toy.id = "toy-b"
        await toy.hear(1)

    (put,), toy = played(tmp_path, script)
    assert toy.outbox.toys == ["toy-a"]
    assert put.arguments["transcript"] == SAID


def test_an_interrupted_turn_and_the_one_that_interrupts_are_two(tmp_path: Path) -> None:
    """Each with its own speech."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True, transcripts=True)
        await toy.speak(1, long_ms=0)
        toy.recorder.send(b"\x08first", 0)
        await toy.post("speech_ended", turn=1)
        await toy.post("uplink_flushed", turn=1, connection=1)
        await toy.after(1_000)
        await toy.speak(2, long_ms=0)
        toy.recorder.send(b"\x08second", 0)
        await toy.hear(2)

    puts, toy = played(tmp_path, script)
    assert [put.arguments["outcome"] for put in puts] == ["interrupted", "answered"]
    first, second = (toy.store.get(put.audio) or b"" for put in puts)
    assert (b"first" in first, b"second" in first) == (True, False)
    assert (b"first" in second, b"second" in second) == (False, True)


def test_a_turn_without_a_link_was_offline(tmp_path: Path) -> None:
    """Its speech never left the toy, and so is not kept."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True)
        await toy.post("press")
        await toy.post("release")
        await toy.post("speech_started", turn=1)
        await toy.after(900)
        await toy.post("speech_ended", turn=1)
        await toy.after(300)
        await toy.post("answer_played", turn=1)

    (put,), _ = played(tmp_path, script, OFFLINE)
    assert put.arguments["wasOffline"] is True
    assert put.arguments["durations"] == {"listening": 900, "speaking": 300}
    assert put.audio == ""


def test_a_turn_that_falls_back_was_offline(tmp_path: Path) -> None:
    """It began with a stream in mind."""

    async def script(toy: Toy) -> None:
        await toy.post("press")
        await toy.post("release")
        await toy.post("speech_started", turn=1)
        await toy.post("stream_failed", turn=1)
        await toy.post("speech_ended", turn=1)
        await toy.post("answer_played", turn=1)

    (put,), _ = played(tmp_path, script)
    assert put.arguments["wasOffline"] is True


def test_a_card_that_fails_costs_speech_and_not_the_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted, and said."""

    async def script(toy: Toy) -> None:
        toy.store._key = lambda: b"short"
        toy.agree(audio=True)
        await toy.converse()

    (put,), toy = played(tmp_path, script)
    assert put.audio == ""
    assert toy.conversations.speech_lost == 1
    assert "goes without its speech" in caplog.text


def test_records_are_in_order(tmp_path: Path) -> None:
    """One without speech does not overtake one whose speech is being written."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True)
        await toy.converse(1)
        toy.recorder.allow(may_keep=False)
        await toy.converse(2)

    puts, _ = played(tmp_path, script)
    assert [bool(put.audio) for put in puts] == [True, False]


class Reluctant(AudioStore):
    """A card that does not forget at first."""

    refusals = 1

    def erase(self) -> None:
        """Fail as often as it was told to."""
        if self.refusals:
            self.refusals -= 1
            raise AudioStoreError("stored speech cannot be erased: no")
        super().erase()


def test_what_must_be_erased_is_tried_again(tmp_path: Path) -> None:
    """Until it is."""

    async def script(toy: Toy) -> None:
        toy.store.put(b"speech")
        reluctant = Reluctant(tmp_path, lambda: bytes(32), AudioSettings())
        toy.conversations._store = reluctant
        toy.agree()
        await toy.settle()
        assert on_card(tmp_path) == 1
        await toy.after(conversations.ERASE_RETRY_MS + 1)
        await toy.settle()
        assert on_card(tmp_path) == 0

    played(tmp_path, script)


def test_everything_can_be_erased(tmp_path: Path) -> None:
    """The present turn, what waits, the card, and words that wait to be sent."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True, transcripts=True)
        await toy.converse(1)
        await toy.speak(2)
        await toy.conversations.erase()
        assert on_card(tmp_path) == 0
        assert toy.recorder.kept_ms == 0
        assert toy.forgotten == ["words", "speech"]

    played(tmp_path, script)


def test_a_card_that_does_not_forget_is_told(tmp_path: Path) -> None:
    """Whoever acknowledges the erasing must know."""

    async def script(toy: Toy) -> None:
        toy.conversations._store = Reluctant(tmp_path, lambda: bytes(32), AudioSettings())
        with pytest.raises(AudioStoreError, match="cannot be erased"):
            await toy.conversations.erase()
        await toy.conversations.erase()

    played(tmp_path, script)


def test_turns_that_wait_for_the_card_are_limited(tmp_path: Path) -> None:
    """What is beyond is counted."""

    async def script(toy: Toy) -> None:
        toy.agree(audio=True)
        for _ in range(WAITING_MAX + 3):
            toy.conversations._waiting.append(
                conversations._Ended(
                    conversations._Turn(0, 0, "toy-a", conversations._Guardian()), "answered", None
                )
            )
        await toy.converse(1)
        assert toy.conversations.records_lost == 1
        toy.conversations._waiting.clear()

    played(tmp_path, script)


def test_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    """A conversation that just ended is still put; nothing begins afterwards."""

    async def main() -> Toy:
        toy = Toy(tmp_path)
        toy.agree(audio=True)
        await toy.converse(1)
        await toy.conversations.close()
        toy.agree()
        return toy

    toy = run_virtual(main())
    assert len(toy.outbox.puts) == 1
    assert toy.outbox.puts[0].audio
    assert toy.conversations._working is None
