"""What a child says stays where its guardian agreed to have it, and nowhere else.

The whole firmware against a cloud that takes no conversations, so that they wait on the device.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from firmware.app import Toy
from hardware.clock import Clock
from hardware.pcm import BYTES_PER_MS, read_wav
from hardware.sim.vault import VirtualVault
from simulator.cloud_process import CloudProcess
from simulator.watch import Watch, arrives_at
from states.machine import Step
from tests.faults.trial import BREATH_MS, CLIP, quick

LIMIT_S: Final = 30
REFUSED: Final = {"http_status": {"status": 503, "function": "conversations:create"}}


class Spoken:
    """A toy that is spoken to, and everything that it leaves behind.

    Attributes:
        words: What the cloud understood, and what it answered.
    """

    def __init__(self, toy: Toy, cloud: CloudProcess, data: Path) -> None:
        self.words: set[bytes] = set()
        self._toy = toy
        self._cloud = cloud
        self._data = data
        self._watch = Watch()
        toy.loop.observers.append(self._watch)
        assert toy.backend is not None
        self._backend = toy.backend

    async def agree(self, *, is_agreed: bool) -> None:
        """Let the guardian agree to everything, or to nothing but listening."""
        since = len(self._watch.steps)
        consent = {"listen": True, "storeAudio": is_agreed, "storeTranscripts": is_agreed}
        await self._cloud.put("configuration", {"consent": consent})
        await self._first(lambda step: step.event.name == "configured", since)

    async def converse(self) -> None:
        """Hold a turn, and keep what was said in it."""
        since = len(self._watch.steps)
        self._toy.board.press()
        await self._first(arrives_at("listening.hearing"), since)
        self._toy.microphone.speak(bytes(BREATH_MS * BYTES_PER_MS) + read_wav(CLIP))
        clock = Clock()
        spoken_ms = self._toy.microphone.speaking_until_ms - clock.monotonic_ms()
        clock.call_later(spoken_ms + BREATH_MS, self._toy.board.release)
        await self._first(arrives_at("idle.awake"), since)
        turn = (await self._cloud.turns())[-1]
        assert turn["transcript"], "the cloud understood nothing"
        self.words |= {str(turn[side]).encode() for side in ("transcript", "reply")}

    async def is_awake(self) -> None:
        """Wait until it is."""
        await self._first(arrives_at("idle.awake"), 0)

    async def waits(self, *, with_words: bool) -> None:
        """Wait until the words are in the files, or in none of them any more."""
        await self.until(lambda: bool(self.found()) is with_words)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that nobody tells of."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                await self._backend.outbox.save()
                passed = asyncio.Event()
                asyncio.get_running_loop().call_later(0.05, passed.set)
                await passed.wait()

    def found(self) -> list[str]:
        """Return the files that hold any of the words, whatever they are for."""
        found = []
        for path in self._data.rglob("*"):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # or it is gone by now
                content = path.read_bytes()
                found += [path.name for word in self.words if word in content]
        return found

    def speech(self) -> list[str]:
        """Return the stored speech."""
        return [path.name for path in (self._data / "audio").iterdir()]

    async def command(self, kind: str) -> str:
        """Let the guardian command something, and return what became of it."""
        told = await self._cloud.post("commands", {"kind": kind})
        answers: list[Mapping[str, Any]] = []
        async with asyncio.timeout(LIMIT_S):
            while not answers:
                rows = [row["arguments"] for row in await self._cloud.table("acks")]
                answers = [row for row in rows if row["commandId"] == told["commandId"]]
        return str(answers[0]["outcome"])

    async def _first(self, predicate: Callable[[Step], bool], since: int) -> Step:
        return await self._watch.first(predicate, LIMIT_S, since=since)


def test_a_childs_words_are_nowhere_without_consent_and_nowhere_after_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Files of every kind, the journal, and logs at their most talkative; and the cloud's table."""

    async def main() -> None:
        secret = secrets.token_hex(8)
        async with CloudProcess(secret) as cloud:
            toy = Toy(quick(cloud, tmp_path), VirtualVault(secret))
            spoken = Spoken(toy, cloud, tmp_path)
            await cloud.set_faults(REFUSED)
            toy.start()
            try:
                await spoken.is_awake()
                await through(spoken)
            finally:
                await toy.close()
            assert spoken.found() == []
            await cloud.set_faults({"http_status": None})
            toy = Toy(quick(cloud, tmp_path), VirtualVault(secret))
            again = Spoken(toy, cloud, tmp_path)
            again.words = spoken.words
            toy.start()
            try:
                assert toy.backend is not None
                backend = toy.backend
                await again.until(lambda: backend.outbox.is_empty("bulk"))
            finally:
                await toy.close()
            said = str(await cloud.table("conversations")).encode()
            assert not any(word in said for word in spoken.words)
            assert all(word.decode() not in caplog.text for word in spoken.words)

    async def through(spoken: Spoken) -> None:
        await spoken.agree(is_agreed=False)
        await spoken.converse()
        assert spoken.found() == []
        await spoken.agree(is_agreed=True)
        await spoken.converse()
        await spoken.until(lambda: "bulk.log" in spoken.found())  # so it is found where it is
        await spoken.until(lambda: bool(spoken.speech()))
        await spoken.agree(is_agreed=False)
        await spoken.waits(with_words=False)
        await spoken.until(lambda: not spoken.speech())
        await spoken.agree(is_agreed=True)
        await spoken.converse()
        await spoken.waits(with_words=True)
        assert await spoken.command("erase") == "done"
        assert spoken.found() == []
        assert spoken.speech() == []

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
