"""Delivers what the outbox holds: in order, each record until the cloud has it.

What follows a failure
    ==========================================  ==================================================
    not reached, late, HTTP 5xx, too many calls  the same again, later; for ever
    the token is not taken                       the tokens are given back; again with new ones
    refused, with a code                         bulk: set aside; urgent: after `URGENT_TRIES_MAX`
    anything else                                set aside after as many tries as there are for it
    ==========================================  ==================================================

    The waits have full jitter, and so has what follows a `wake`: toys that lost the same cloud do
    not come back in step.

A record that is sent and whose answer is lost is sent again; its id tells the cloud that it is the
same. It leaves the disk after the cloud's answer, so no power cut loses it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from firmware.backoff import Backoff
from firmware.cloud.errors import ApplicationError, CloudFaultError
from firmware.cloud.mutations import BATCH_RECORDS_MAX, joined, mutation
from firmware.cloud.retrying import Follows, what_follows
from firmware.store.record import METRICS_FUNCTION

if TYPE_CHECKING:
    from firmware.cloud.caller import Calls
    from firmware.cloud.credentials import Tokens
    from firmware.cloud.settings import CloudSettings
    from firmware.store.outbox import Class, Outbox
    from firmware.store.record import Record

BULK_TRIES_MAX: Final = 5
URGENT_TRIES_MAX: Final = 20
"""With waits of up to a minute: longer than a cloud needs to be mended after a bad deployment."""
WAKE_SPREAD_MS: Final = 1_000
"""Within which time those that are woken together try again."""

_log = logging.getLogger(__name__)


class Uploader(Protocol):
    """Takes stored audio to the cloud."""

    async def upload(self, name: str) -> str | None:
        """Upload the audio and return what the cloud calls it; None if there is none to upload.

        Raises:
            CloudFaultError: It was not uploaded; the class says why.
        """
        ...

    async def stored(self, name: str) -> None:
        """Take note that the cloud has the record which names the audio. Raises nothing."""
        ...


class Delivery:
    """Drains an outbox, both classes at once, with one call at a time for each.

    Bulk begins no call while anything urgent waits. Call `start` when the outbox is open.

    Attributes:
        delivered: Records that the cloud took since the start.
        failures: Calls that brought no result.

    Args:
        settings: How patiently.
        device_id: Who we are.
        tokens: Gives the tokens that are held, if any.
        on_rejected: Takes tokens that the cloud does not take.
        uploader: For records that have audio.
        random: Draws the waits.
    """

    def __init__(  # noqa: PLR0913 - its parts, each named where it is made
        self,
        settings: CloudSettings,
        outbox: Outbox,
        calls: Calls,
        *,
        device_id: str,
        tokens: Callable[[], Tokens | None],
        on_rejected: Callable[[Tokens], None],
        uploader: Uploader,
        random: Random,
    ) -> None:
        self.delivered = 0
        self.failures = 0
        self._outbox = outbox
        self._calls = calls
        self._device_id = device_id
        self._tokens = tokens
        self._on_rejected = on_rejected
        self._uploader = uploader
        self._random = random
        self._retry_ms = (settings.retry_delay_ms_min, settings.retry_delay_ms_max)
        self._woken = asyncio.Event()
        self._wakes = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to deliver, as soon as there are tokens."""
        self._outbox.on_lock_report = self.wake
        for line in (_Line("urgent", URGENT_TRIES_MAX), _Line("bulk", BULK_TRIES_MAX)):
            backoff = Backoff(*self._retry_ms, self._random)
            self._tasks.append(
                asyncio.create_task(self._drain(line, backoff), name=f"delivery of {line.of}")
            )

    def wake(self) -> None:
        """Try again soon: there is a network, there are tokens, or the toy has locked."""
        self._wakes += 1
        self._woken.set()

    async def close(self) -> None:
        """Stop at once. A call that is under way may be carried out, and is then made again."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _drain(self, line: _Line, backoff: Backoff) -> None:
        while True:
            await self._outbox.filled(line.of)
            if line.of == "bulk":
                await self._outbox.emptied("urgent")
            tokens = await self._granted()
            if line.of == "bulk" and not self._outbox.is_empty("urgent"):
                continue
            wakes = self._wakes
            records = await self._next(line)
            if records and await self._deliver(line, records, tokens):
                backoff.reset()
            elif not self._outbox.is_empty(line.of):
                await self._wait(backoff.next_delay_ms(), wakes)

    async def _next(self, line: _Line) -> Sequence[Record]:
        """Return what goes in the next call; nothing if the disk fails."""
        records = await self._outbox.head(line.of, 1)
        if records and records[0].function == METRICS_FUNCTION and line.batch_max > 1:
            records = await self._outbox.head(line.of, line.batch_max)
        return joined(records) if records else records

    async def _granted(self) -> Tokens:
        """Return tokens, as soon as there are any."""
        tokens = self._tokens()
        while tokens is None:
            self._woken.clear()
            await self._woken.wait()
            await self._spread()
            tokens = self._tokens()
        return tokens

    async def _wait(self, delay_ms: int, wakes: int) -> None:
        """Wait until a delay is over or there is news; ``wakes`` is what there was of it before."""
        try:
            async with asyncio.timeout(delay_ms / 1000):
                while self._wakes == wakes:
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return
        await self._spread()

    async def _spread(self) -> None:
        await asyncio.sleep(self._random.randint(0, WAKE_SPREAD_MS) / 1000)

    async def _deliver(self, line: _Line, records: Sequence[Record], tokens: Tokens) -> bool:
        """Make one call, do what follows, and tell whether the next may be made at once."""
        try:
            if records[0].audio and not records[0].storage_id:
                records = [await self._with_audio(line, records[0])]
            made = mutation(records, self._device_id, self._outbox.now())
            await self._calls.call(
                "mutation", made.function, lambda: made.arguments, _anything, token=tokens.convex
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, one record must not end delivery
            return self._fail(line, records, tokens, error)
        self._outbox.finish(line.of, *(record.record_id for record in records))
        self.delivered += len(records)
        line.note("they are taken")
        line.move_on(len(records))
        if records[0].audio:
            await self._uploader.stored(records[0].audio)
        return True

    async def _with_audio(self, line: _Line, record: Record) -> Record:
        """Upload a record's audio, and keep its name before anything refers to it."""
        try:
            storage_id = await self._uploader.upload(record.audio)
        except Exception as error:
            follows = what_follows(error)
            is_lasting = follows == "refused" or (follows == "doubtful" and line.is_last_try)
            if not is_lasting:
                raise
            _log.error("the audio of %s goes unsent: %s", record.record_id, _named(error))
            storage_id = None
        if storage_id is None:
            return record
        self._outbox.store_audio(line.of, record.record_id, storage_id)
        await self._outbox.save()
        return record.with_storage_id(storage_id)

    def _fail(
        self, line: _Line, records: Sequence[Record], tokens: Tokens, error: Exception
    ) -> bool:
        """Do what follows an error; tell whether the next call may be made at once."""
        self.failures += 1
        line.note(f"{records[0].function}: {_named(error)}")
        follows = what_follows(error)
        if follows == "authentication":
            self._on_rejected(tokens)
        if follows in {"wait", "authentication"} or line.tries_again(records[0].record_id, follows):
            line.batch_max = len(records)  # the same records, so that it is the same call
            return False
        if len(records) > 1:
            line.send_alone(len(records))
        else:
            self._outbox.set_aside(line.of, records[0], _code(error))
            line.move_on(1)
        return True


class _Line:
    """What is remembered of one class between two calls.

    Attributes:
        of: Which class.
        batch_max: How many records may go in the next call.
    """

    def __init__(self, of: Class, tries_max: int) -> None:
        self.of = of
        self.batch_max = BATCH_RECORDS_MAX
        self._tries_max = tries_max
        self._first = ""
        self._tries = 0
        self._alone = 0
        self._outcome = ""

    @property
    def is_last_try(self) -> bool:
        """Whether the next try in vain is the last for these records."""
        return self._tries + 1 >= self._tries_max

    def tries_again(self, record_id: str, follows: Follows) -> bool:
        """Count a try in vain of what begins with a record; tell whether there is another one."""
        if record_id != self._first:  # the one before gave way, or was erased
            self._first, self._tries = record_id, 0
        if self.is_last_try or (follows == "refused" and self.of == "bulk"):
            return False
        self._tries += 1
        return True

    def send_alone(self, count: int) -> None:
        """Have the next records go one by one: that tells which of them is to blame."""
        self._tries, self._alone, self.batch_max = 0, count, 1

    def move_on(self, count: int) -> None:
        """Note that the present records are done with."""
        self._tries = 0
        self._alone = max(0, self._alone - count)
        self.batch_max = 1 if self._alone else BATCH_RECORDS_MAX

    def note(self, outcome: str) -> None:
        """Log what delivery brings, when it is not what it brought before."""
        if outcome != self._outcome:
            self._outcome = outcome
            _log.info("%s records: %s", self.of, outcome)


def _code(error: Exception) -> str:
    return (error.code if isinstance(error, ApplicationError) else "") or type(error).__name__


def _named(error: Exception) -> str:
    """Return what may be logged of an error: only our own texts are known to hold nothing."""
    return str(error) if isinstance(error, CloudFaultError) else type(error).__name__


def _anything(value: object) -> object:
    return value
