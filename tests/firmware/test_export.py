"""Exporting what the toy holds about a person: whole, bounded, or not at all."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from firmware.errors import RecordStoreError
from firmware.export import (
    DETAILS_BYTES_MAX,
    EXPORT_BYTES_MAX,
    EXPORT_MS_MAX,
    EXPORTS_MAX,
    RECORDS_MAX,
    SPEECH_MAX,
    Export,
    held_by,
)
from firmware.store.audio import AudioSettings, AudioStore
from firmware.store.bulk import BulkStore
from hardware.sim.clock import run_virtual
from tests.firmware.store.shelf import opened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Rig:
    """An export of two kinds of data, and what came of it."""

    def __init__(self, *, can_upload: bool = True) -> None:
        self.held: dict[str, object] = {"configuration": {"name": "Bruno"}, "waiting": 3}
        self.uploaded: list[tuple[bytes, str]] = []
        self.fault: Exception | None = None
        self.answers: list[tuple[Any, ...]] = []
        self._news = asyncio.Event()
        self.export = Export(
            {name: self._telling(name) for name in self.held},
            acknowledge=self._answer,
            upload=self._upload if can_upload else None,
        )

    def _answer(self, *answer: object) -> None:
        self.answers.append(answer)
        self._news.set()

    def _telling(self, name: str) -> Callable[[], Awaitable[object]]:
        async def tell() -> object:
            told = self.held[name]
            if isinstance(told, Exception):
                raise told
            return told

        return tell

    async def _upload(self, content: bytes, content_type: str) -> str:
        self.uploaded.append((content, content_type))
        await asyncio.sleep(10)
        if self.fault is not None:
            raise self.fault
        return "storage-1"

    async def asked(self, *, command: str = "c1") -> tuple[Any, ...]:
        """Ask for an export, and return the answer."""
        self.export.effects["export"](command=command)
        while not self.answers:
            self._news.clear()
            await self._news.wait()
        return self.answers.pop(0)


def with_rig(test: Callable[[Rig], Awaitable[None]], *, can_upload: bool = True) -> None:
    """Run a test on virtual time."""

    async def main() -> None:
        rig = Rig(can_upload=can_upload)
        await test(rig)
        await rig.export.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def test_what_is_short_goes_with_the_answer() -> None:
    """All that is held, by its kind."""

    async def test(rig: Rig) -> None:
        assert await rig.asked() == ("c1", "done", {"export": rig.held})
        assert rig.uploaded == []

    with_rig(test)


def test_what_is_long_is_uploaded() -> None:
    """And the answer says where it is."""

    async def test(rig: Rig) -> None:
        rig.held["waiting"] = ["words"] * DETAILS_BYTES_MAX
        assert await rig.asked() == ("c1", "done", {"storageId": "storage-1"})
        ((content, content_type),) = rig.uploaded
        assert content_type == "application/json"
        assert json.loads(content) == rig.held

    with_rig(test)


def test_what_would_not_be_whole_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    """The guardian is told why; what was held is in no text."""

    async def test(rig: Rig) -> None:
        rig.held["waiting"] = ValueError("canary words")
        assert await rig.asked() == (
            *("c1", "failed"),
            {"reason": "waiting cannot be read (ValueError)"},
        )
        rig.held["waiting"] = float("nan")
        assert await rig.asked() == ("c1", "failed", {"reason": "it could not be sent"})
        rig.held["waiting"] = "x" * EXPORT_BYTES_MAX
        command, outcome, details = await rig.asked()
        assert (command, outcome) == ("c1", "failed")
        assert details["reason"].startswith("it is too long: ")
        rig.held["waiting"] = "x" * DETAILS_BYTES_MAX
        rig.fault = OSError("canary words")
        assert await rig.asked() == ("c1", "failed", {"reason": "it could not be sent"})

    with_rig(test)
    assert caplog.messages == ["the export failed (ValueError)", "the export failed (OSError)"]


def test_without_an_upload_only_what_is_short_can_be_sent() -> None:
    """Nothing is cut off."""

    async def test(rig: Rig) -> None:
        rig.held["waiting"] = "x" * DETAILS_BYTES_MAX
        _, outcome, details = await rig.asked()
        assert (outcome, set(details)) == ("failed", {"reason"})

    with_rig(test, can_upload=False)


def test_an_upload_that_hangs_is_given_up() -> None:
    """Within the time for all of it."""

    async def test(rig: Rig) -> None:
        rig.held["waiting"] = "x" * DETAILS_BYTES_MAX

        async def hang(_content: bytes, _type: str) -> str:
            await asyncio.Event().wait()
            raise AssertionError

        rig.export._upload = hang
        began_s = asyncio.get_running_loop().time()
        assert await rig.asked() == ("c1", "failed", {"reason": "it could not be sent"})
        assert asyncio.get_running_loop().time() - began_s == EXPORT_MS_MAX / 1000

    with_rig(test)


def test_only_a_few_are_made_at_once() -> None:
    """And those that are under way end when it closes."""

    async def test(rig: Rig) -> None:
        rig.held["waiting"] = "x" * DETAILS_BYTES_MAX
        for number in range(EXPORTS_MAX):
            rig.export.effects["export"](command=f"c{number}")
        assert await rig.asked(command="one more") == (
            *("one more", "failed"),
            {"reason": "too many at once"},
        )

    with_rig(test)


def test_the_conversations_that_wait_are_told_with_how_much_else_does(tmp_path: Path) -> None:
    """From the outbox: whole, or with the reason why not."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            spoken = {
                "transcript": "Why is the sky blue?",
                "replyText": None,
                "outcome": "answered",
            }
            outbox.put("conversations:create", spoken, urgent=False, record_id="r1")
            outbox.put("metrics:record", {"metrics": {}}, urgent=False)
            held = held_by(outbox, audio(tmp_path))
            assert await held["conversations"]() == [{"recordId": "r1", "toyId": "toy-1", **spoken}]
            counts = await held["waiting"]()
            assert isinstance(counts, dict)
            assert counts["bulk_records"] == 2

    run_virtual(main())


def audio(folder: Path) -> AudioStore:
    """Return a store of speech."""
    return AudioStore(folder / "audio", lambda: bytes(32), AudioSettings())


def test_speech_that_waits_is_exported_with_its_conversation(tmp_path: Path) -> None:
    """As it was stored; too much of it is not, and that is said."""

    async def main() -> None:
        store = audio(tmp_path)
        async with opened(tmp_path) as outbox:
            name = store.put(b"OggS canary")
            outbox.put("conversations:create", {}, urgent=False, record_id="r", audio=name)
            held = held_by(outbox, store)
            speech = base64.b64encode(b"OggS canary").decode()
            assert await held["conversations"]() == [
                {"recordId": "r", "toyId": "toy-1", "speech": speech}
            ]
            for _ in range(SPEECH_MAX):
                outbox.put("conversations:create", {}, urgent=False, audio=name)
            with pytest.raises(Exception, match="too much speech"):
                await held["conversations"]()

    run_virtual(main())


def test_an_export_from_a_disk_that_fails_is_not_taken_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory is not all there is."""

    def fail(*_: object) -> object:
        raise RecordStoreError("the card does not answer")

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            outbox.put("conversations:create", {}, urgent=False, record_id="on-disk")
            await outbox.settle("bulk")
            monkeypatch.setattr(BulkStore, "read", fail)
            outbox.put("conversations:create", {}, urgent=False, record_id="in-memory")
            answers: list[tuple[Any, ...]] = []
            answered = asyncio.Event()

            def answer(*told: object) -> None:
                answers.append(told)
                answered.set()

            export = Export(held_by(outbox, audio(tmp_path)), acknowledge=answer, upload=None)
            export.effects["export"](command="c1")
            await answered.wait()
            reason = {"reason": "conversations cannot be read (RecordStoreError)"}
            assert answers == [("c1", "failed", reason)]
            await export.close()

    run_virtual(main())


def test_more_than_can_be_looked_through_is_not_exported(tmp_path: Path) -> None:
    """The guardian is told to ask again."""

    async def main() -> None:
        async with opened(tmp_path) as outbox:
            for number in range(RECORDS_MAX + 1):
                outbox.put("metrics:record", {}, urgent=False, record_id=f"r{number}")
            answers: list[tuple[Any, ...]] = []
            answered = asyncio.Event()

            def answer(*told: object) -> None:
                answers.append(told)
                answered.set()

            export = Export(held_by(outbox, audio(tmp_path)), acknowledge=answer, upload=None)
            export.effects["export"](command="c1")
            await answered.wait()
            ((_, outcome, details),) = answers
            assert (outcome, details["reason"][:12]) == ("failed", "2001 records")
            await export.close()

    run_virtual(main())
