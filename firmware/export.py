"""Exporting what the toy holds about a person."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from firmware.ports import Acknowledge, PerformEffect
from firmware.store.audio import AudioStore
from firmware.store.outbox import Outbox
from firmware.store.record import CONVERSATION_FUNCTION, Record

DETAILS_BYTES_MAX: Final = 8_192
"""Longest export, as JSON, that goes with the answer to the command; longer ones are uploaded."""
EXPORT_BYTES_MAX: Final = 1_048_576
"""Longest export at all. The toy holds little: what is longer shows a defect, and is not sent."""
RECORDS_MAX: Final = 2_000
"""Most records that are looked through for conversations."""
SPEECH_MAX: Final = 12
"""Most utterances that go with an export: the longest of them come to less than it may be."""
EXPORT_MS_MAX: Final = 120_000
"""Longest time for all of it."""
EXPORTS_MAX: Final = 4
"""Exports under way; more are answered as failed."""

Tell = Callable[[], Awaitable[object]]
"""Returns one kind of what is held, as plain JSON. It raises whatever it likes."""

Upload = Callable[[bytes, str], Awaitable[str]]
"""Stores bytes of a content type at the cloud and returns the storage id. It raises whatever it
likes."""

_log = logging.getLogger(__name__)


class Export:
    """Performs ``export``: gathers what is held and sends it to the guardian, all or nothing.

    What is short goes as ``details.export`` of the answer to the command; what is longer is
    uploaded, and ``details.storageId`` says where. An export that would not be whole is not sent:
    the command is answered ``failed``, with the reason.

    Args:
        held: What tells each kind of data, by its name.
        upload: Stores what is longer.
    """

    def __init__(
        self, held: Mapping[str, Tell], *, acknowledge: Acknowledge, upload: Upload | None
    ) -> None:
        self._held = dict(held)
        self._acknowledge = acknowledge
        self._upload = upload
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs."""
        return {"export": self._export}

    async def close(self) -> None:
        """Stop; an export under way is asked for again by the cloud, which keeps its command."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _export(self, command: str) -> None:
        if len(self._tasks) >= EXPORTS_MAX:
            self._acknowledge(command, "failed", {"reason": "too many at once"})
            return
        task = asyncio.create_task(self._send(command), name="export")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, command: str) -> None:
        try:
            async with asyncio.timeout(EXPORT_MS_MAX / 1000):
                details = await self._sent()
        except _NotWholeError as error:
            self._acknowledge(command, "failed", {"reason": str(error)})
        except Exception as error:  # noqa: BLE001 - whatever it is, the guardian is told
            _log.error("the export failed (%s)", type(error).__name__)
            self._acknowledge(command, "failed", {"reason": "it could not be sent"})
        else:
            self._acknowledge(command, "done", details)

    async def _sent(self) -> Mapping[str, object]:
        """Send it, and return what the answer is to say."""
        export = {name: await _told(name, tell) for name, tell in self._held.items()}
        content = await asyncio.to_thread(_encoded, export)
        if len(content) <= DETAILS_BYTES_MAX:
            return {"export": export}
        if len(content) > EXPORT_BYTES_MAX or self._upload is None:
            raise _NotWholeError(f"it is too long: {len(content)} bytes")
        return {"storageId": await self._upload(content, "application/json")}


class _NotWholeError(Exception):
    """Something would be missing in the export; the text says what, in words for the guardian."""


def held_by(outbox: Outbox, audio: AudioStore) -> dict[str, Tell]:
    """Return what tells of the conversations that wait in an outbox, and how much else does.

    Stored speech is told with its conversation, as base64 of an Ogg Opus file.
    """

    async def waiting() -> object:
        return outbox.counts._asdict()

    async def conversations() -> object:
        count = outbox.counts.bulk_records
        if count > RECORDS_MAX:
            raise _NotWholeError(f"{count} records wait for the cloud: ask again when fewer do")
        records = await outbox.everything("bulk")
        talks = [record for record in records if record.function == CONVERSATION_FUNCTION]
        if sum(bool(record.audio) for record in talks) > SPEECH_MAX:
            raise _NotWholeError("too much speech waits for the cloud: ask again when less does")
        return await asyncio.to_thread(_conversations, talks, audio)

    return {"waiting": waiting, "conversations": conversations}


def _conversations(records: Sequence[Record], audio: AudioStore) -> object:
    return [
        {
            "recordId": record.record_id,
            "toyId": record.toy_id,
            **json.loads(record.arguments),
            **_speech(record, audio),
        }
        for record in records
    ]


def _speech(record: Record, audio: AudioStore) -> Mapping[str, object]:
    """Return the speech that belongs to a conversation, if there is any. Raises AudioStoreError."""
    stored = audio.get(record.audio)
    return {} if stored is None else {"speech": base64.b64encode(stored).decode("ascii")}


def _encoded(export: object) -> bytes:
    return json.dumps(export, separators=(",", ":"), allow_nan=False).encode()


async def _told(name: str, tell: Tell) -> object:
    try:
        return await tell()
    except _NotWholeError:
        raise
    except Exception as error:  # noqa: BLE001 - of what it holds, nothing may get into a text
        problem = f"{name} cannot be read ({type(error).__name__})"
    raise _NotWholeError(problem)
