"""Delivers what the outbox holds: in order, each record until the cloud has it.

What follows a failure
    ===========================================  ==================================================
    not reached, late, HTTP 5xx, too many calls  the same again, later; for ever, but see below
    the token is not taken                       the tokens are given back; again with new ones
    refused, with a code                         bulk: set aside; urgent: after `URGENT_TRIES_MAX`
    anything else                                set aside after as many tries as there are for it
    ===========================================  ==================================================

    The waits have full jitter, and so has what follows a `wake`: toys that lost the same cloud do
    not come back in step.

What keeps one record from holding up all others
    An outage and a cloud that cannot digest one record look alike from here. So after each
    `HELD_TRIES` failures of the first two kinds the cloud is asked something else: to take a log
    which says that a record is held up. If it takes that, and then, at once, fails over the record
    again, it is the record: it is put off, behind all others of its class, and after so many times
    (`BULK_PUT_OFF_MAX`, `URGENT_PUT_OFF_MAX`) it is set aside. In an outage the log is not taken
    either, and the order stays. Bulk does not wait for urgent records that were put off.

    Reports of locks and answers to commands go past a record that has failed once, in their own
    order. Otherwise each class keeps its order.

A record that is sent and whose answer is lost is sent again; its id tells the cloud that it is the
same. It leaves the disk after the cloud's answer, so no power cut loses it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from firmware.backoff import Backoff
from firmware.cloud.errors import ApplicationError, CloudFaultError
from firmware.cloud.mutations import BATCH_RECORDS_MAX, held_up_log, joined, mutation
from firmware.cloud.retrying import Follows, what_follows
from firmware.store.record import METRICS_FUNCTION
from firmware.supervised import supervised

if TYPE_CHECKING:
    from firmware.cloud.caller import Calls
    from firmware.cloud.credentials import Tokens
    from firmware.cloud.settings import CloudSettings
    from firmware.store.outbox import Class, Outbox
    from firmware.store.record import Record

BULK_TRIES_MAX: Final = 5
URGENT_TRIES_MAX: Final = 20
"""With waits of up to a minute: longer than a cloud needs to be mended after a bad deployment."""
HELD_TRIES: Final = 10
"""After how many failures it is asked whether they are the record's or the cloud's."""
BULK_PUT_OFF_MAX: Final = 3
URGENT_PUT_OFF_MAX: Final = 24
"""With `HELD_TRIES` waits of up to a minute each: two hours or more."""
FAILED_MAX: Final = 1_000
"""Records of a class whose failures are counted at once; beyond that, all begin anew."""
NEVER_TAKEN: Final = "NEVER_TAKEN"
"""Code for which a record is set aside that the cloud fails over, and over nothing else."""
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
        self._lines = (
            _Line("urgent", URGENT_TRIES_MAX, URGENT_PUT_OFF_MAX),
            _Line("bulk", BULK_TRIES_MAX, BULK_PUT_OFF_MAX),
        )
        self._tasks: dict[Class, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to deliver, as soon as there are tokens."""
        self._outbox.on_lock_report = self.wake
        for line in self._lines:
            self._begin(line)

    def wake(self) -> None:
        """Try again soon: there is a network, there are tokens, or the toy has locked."""
        self._wakes += 1
        self._woken.set()

    def recall_bulk(self) -> None:
        """Give up a call under way that carries bulk, and begin with what now waits.

        For the moment in which what was said is forgotten: nothing is sent of it from here on but
        what the network has already.
        """
        task = self._tasks.pop("bulk", None)
        if task is None:  # not started yet, or closed
            return
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        for line in self._lines:
            if line.of == "bulk":
                self._begin(line)

    async def close(self) -> None:
        """Stop at once. A call that is under way may be carried out, and is then made again."""
        tasks = [*self._tasks.values(), *self._ending]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, line: _Line) -> None:
        name = f"delivery of {line.of} records"
        self._tasks[line.of] = asyncio.create_task(
            supervised(name, lambda: self._drain(line)), name=name
        )

    async def _drain(self, line: _Line) -> None:
        backoff = Backoff(*self._retry_ms, self._random)
        while True:
            await self._outbox.filled(line.of)
            if line.of == "bulk":
                await self._outbox.cleared("urgent")
            tokens = await self._granted()
            if line.of == "bulk" and not self._outbox.is_clear("urgent"):
                continue
            wakes = self._wakes
            records = await self._next(line)
            is_to_blame = bool(records) and await self._takes_another(line, records[0], tokens)
            if records and await self._deliver(line, records, tokens):
                backoff.reset()
            elif is_to_blame:
                self._put_off(line, records)
            elif not self._outbox.is_empty(line.of):
                await self._wait(backoff.next_delay_ms(), wakes)

    async def _next(self, line: _Line) -> Sequence[Record]:
        """Return what goes in the next call; nothing if the disk fails."""
        records = await self._outbox.head(line.of, 1)
        if records and line.has_failed(records[0].record_id):
            records = await self._outbox.head(line.of, 1, going_past=True) or records
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
            if line.is_to_upload(records[0]):
                await self._send_audio(line, records[0])
                return True
            made = mutation(records, self._device_id, self._outbox.now())
            await self._calls.call(
                "mutation", made.function, lambda: made.arguments, _anything, token=tokens.convex
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, one record must not end delivery
            return self._fail(line, records, tokens, error)
        self._outbox.finish(line.of, *(record.record_id for record in records))
        self.delivered += len(records)
        line.note("they are taken")
        line.move_on(records)
        if records[0].audio:
            await self._uploader.stored(records[0].audio)
        return True

    async def _send_audio(self, line: _Line, record: Record) -> None:
        """Upload a record's audio, and keep its name before anything refers to it.

        That takes minutes, in which a guardian may withdraw consent or have the toy erased. So the
        record is not made use of any more afterwards: what then waits is read anew.
        """
        try:
            storage_id = await self._uploader.upload(record.audio)
        except Exception as error:
            follows = what_follows(error)
            is_last = line.is_last_try(record.record_id)
            is_lasting = follows == "refused" or (follows == "doubtful" and is_last)
            if not is_lasting:
                raise
            _log.error("the audio of %s goes unsent: %s", record.record_id, _named(error))
            storage_id = None
        present = await self._outbox.head(line.of, 1)
        if not present or (present[0].record_id, present[0].audio) != (
            record.record_id,
            record.audio,
        ):
            return
        if storage_id is None:
            line.go_without_audio(record.record_id)
        else:
            self._outbox.store_audio(line.of, record.record_id, storage_id)
            await self._outbox.save()

    async def _takes_another(self, line: _Line, held: Record, tokens: Tokens) -> bool:
        """Tell whether the cloud takes something else than a record that it fails over.

        That is only asked after every `HELD_TRIES` failures; else the answer is no.
        """
        if not line.is_in_doubt(held.record_id):
            return False
        now = self._outbox.now()
        made = mutation([held_up_log(held, now)], self._device_id, now)
        try:
            await self._calls.call(
                "mutation", made.function, lambda: made.arguments, _anything, token=tokens.convex
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the record is tried again
            return what_follows(error) == "refused"  # it was understood, by somebody who knows us
        return True

    def _put_off(self, line: _Line, records: Sequence[Record]) -> None:
        """Have a record that alone is to blame hold up nothing any more."""
        first = records[0]
        if len(records) > 1:
            line.send_alone(records)
        elif self._outbox.put_off(line.of, first) < line.put_off_max:
            line.forget(first.record_id)
        elif line.is_to_upload(first):
            _log.error("the audio of %s goes unsent: it is never taken", first.record_id)
            line.go_without_audio(first.record_id)
        else:
            self._outbox.set_aside(line.of, first, NEVER_TAKEN)
            line.move_on(records)

    def _fail(
        self, line: _Line, records: Sequence[Record], tokens: Tokens, error: Exception
    ) -> bool:
        """Do what follows an error; tell whether the next call may be made at once."""
        self.failures += 1
        line.note(f"{records[0].function}: {_named(error)}")
        follows = what_follows(error)
        if follows == "authentication":
            self._on_rejected(tokens)
        if line.tries_again(records[0].record_id, follows):
            line.batch_max = len(records)  # the same records, so that it is the same call
            return False
        if len(records) > 1:
            line.send_alone(records)
        else:
            self._outbox.set_aside(line.of, records[0], _code(error))
            line.move_on(records)
        return True


class _Line:
    """What is remembered of one class between two calls.

    Attributes:
        of: Which class.
        batch_max: How many records may go in the next call.
        put_off_max: How often a record is put off before it is set aside.
    """

    def __init__(self, of: Class, tries_max: int, put_off_max: int) -> None:
        self.of = of
        self.batch_max = BATCH_RECORDS_MAX
        self.put_off_max = put_off_max
        self._tries_max = tries_max
        # By the id of the first record of a call, until it is done with.
        self._tries: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._without_audio = ""
        self._alone = 0
        self._outcome = ""

    def has_failed(self, record_id: str) -> bool:
        """Whether what begins with a record was tried in vain."""
        return record_id in self._tries or record_id in self._held

    def is_last_try(self, record_id: str) -> bool:
        """Whether the next try in vain is the last for what begins with a record."""
        return self._tries[record_id] + 1 >= self._tries_max

    def is_in_doubt(self, record_id: str) -> bool:
        """Whether it is time to ask if a record or the cloud is to blame."""
        held = self._held.get(record_id, 0)
        return held > 0 and held % HELD_TRIES == 0

    def is_to_upload(self, record: Record) -> bool:
        """Whether a record's audio goes first."""
        is_awaited = bool(record.audio) and not record.storage_id
        return is_awaited and record.record_id != self._without_audio

    def tries_again(self, record_id: str, follows: Follows) -> bool:
        """Count a try in vain of what begins with a record; tell whether there is another one."""
        if len(self._tries) + len(self._held) > FAILED_MAX:  # most of them gave way, or were erased
            self._tries.clear()
            self._held.clear()
        if follows in {"wait", "authentication"}:
            self._held[record_id] += 1
            return True
        if self.is_last_try(record_id) or (follows == "refused" and self.of == "bulk"):
            return False
        self._tries[record_id] += 1
        return True

    def go_without_audio(self, record_id: str) -> None:
        """Have a record go as it is; it is tried as often as if it had never had audio."""
        self._without_audio = record_id
        self.forget(record_id)

    def send_alone(self, records: Sequence[Record]) -> None:
        """Have these records go one by one: that tells which of them is to blame."""
        self.forget(records[0].record_id)
        self._alone, self.batch_max = len(records), 1

    def move_on(self, records: Sequence[Record]) -> None:
        """Note that these records are done with."""
        self.forget(records[0].record_id)
        self._alone = max(0, self._alone - len(records))
        self.batch_max = 1 if self._alone else BATCH_RECORDS_MAX

    def forget(self, record_id: str) -> None:
        """Begin to count anew for a record."""
        self._tries.pop(record_id, None)
        self._held.pop(record_id, None)

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
