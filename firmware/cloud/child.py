"""The live queries, in a process of its own: ``python -m firmware.cloud.child``.

The official client holds the interpreter lock while it waits for a connection, and has no timeout;
here that stops a process which can be killed. It does nothing but ask its queries and tell its
parent what comes: ``firmware.cloud.lines`` says how.

At every renewal it gives the subscriptions up and subscribes anew, with the same arguments. The
cloud must answer that over the very connection, which so proves that it carries. (A second
subscription beside the first would be answered from the client's memory.) The answers are taken
from ``watch_all``, which stays the same throughout: to iterate over a subscription itself is to
hand it to a future, which would let go of it some time after the renewal.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from firmware.child_process import bound_memory, claim_stdout, die_with_parent
from firmware.cloud.errors import MalformedError
from firmware.cloud.lines import LINE_BYTES_MAX, Job, line, read
from firmware.cloud.values import ANSWER_LIMITS, plain, refusal_code
from firmware.errors import JsonError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convex import ConvexClient, QuerySetSubscription, QuerySubscription

EXIT_ORPHAN: Final = 3
"""The parent was gone before this process could tie itself to it."""

MEMORY_BYTES_MAX: Final = 268_435_456
"""What this process may take: thirteen times what it does. The client reads messages of any length,
and unfolds them before anybody could look at them."""


class Watch:
    """The queries of one client, told line by line.

    Their values must be objects or lists: the client gives failures of a query as text, and as a
    pair of text and data, in the place of values.

    Args:
        out: Where the lines go.
    """

    def __init__(self, client: ConvexClient, job: Job, out: BinaryIO) -> None:
        self._client = client
        self._job = job
        self._out = out
        self._subscriptions: dict[str, QuerySubscription] = {}
        self._owed = set(job.queries)
        self._told: dict[str, bytes] = {}

    async def run(self) -> None:
        """Ask and tell, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(self._client.watch_all()))
            tasks.create_task(self._renew())
            tasks.create_task(self._beat())

    async def _renew(self) -> None:
        while True:
            for subscription in self._subscriptions.values():
                subscription.unsubscribe()
            self._owed = set(self._job.queries)
            self._subscriptions = {
                function: self._client.subscribe(function, dict(arguments))
                for function, arguments in self._job.queries.items()
            }
            await asyncio.sleep(self._job.renewal_interval_ms / 1000)

    async def _beat(self) -> None:
        while True:
            if not self._owed:
                tell(self._out, line({"beat": True}))
            await asyncio.sleep(self._job.heartbeat_ms / 1000)

    async def _listen(self, answers: QuerySetSubscription) -> None:
        async for by_subscription in answers:
            if by_subscription is None:
                continue
            # Those that were not answered yet are not in it, and those given up are nobody's.
            for function, subscription in self._subscriptions.items():
                if subscription.id in by_subscription:
                    self._owed.discard(function)
                    answer = by_subscription[subscription.id]
                    self._tell_if_new(function, message_of(function, answer))

    def _tell_if_new(self, function: str, text: bytes) -> None:
        """Tell an answer once: the client repeats it at unrelated changes and at each renewal."""
        if text != self._told.get(function):
            self._told[function] = text
            tell(self._out, text)


def message_of(function: str, answer: object) -> bytes:
    """Return the line that tells an answer of ``watch_all`` to the query of this function."""
    if isinstance(answer, tuple):
        _, data = answer
        return line({"of": function, "failed": refusal_code(data)})
    if not isinstance(answer, dict | list):
        return line({"of": function, "failed": ""})
    if _is_modest(answer):
        try:
            text = line({"of": function, "value": plain(answer)})
            read(text)
        except (MalformedError, ValueError, JsonError):
            pass  # not plain, or half a character, or more than the parent takes
        else:
            return text
    return line({"of": function, "failed": "UNREADABLE"})


def _is_modest(answer: object) -> bool:
    """Tell whether an answer has not too many parts, nor too deep, to be written and read again."""
    parts, level = 0, [answer]
    for _ in range(ANSWER_LIMITS.depth_max):
        parts += len(level)
        if parts > ANSWER_LIMITS.values_max:
            return False
        level = [part for whole in level for part in _parts_of(whole)]
        if not level:
            return True
    return False


def _parts_of(answer: object) -> Iterable[object]:
    if isinstance(answer, dict):
        return answer.values()
    return answer if isinstance(answer, list) else ()


def main() -> int:
    """Take the job from standard input and do it until killed."""
    out = claim_stdout()
    die_with_parent()
    bound_memory(MEMORY_BYTES_MAX)
    job = Job.parse(sys.stdin.buffer.readline(LINE_BYTES_MAX))
    if os.getppid() != job.parent:
        return EXIT_ORPHAN
    asyncio.run(_run(job, out))
    return 0


async def _run(job: Job, out: BinaryIO) -> None:
    from convex import ConvexClient  # noqa: PLC0415 - once standard output is out of its reach

    tell(out, line({"ready": True}))
    client = ConvexClient(job.url)
    client.set_auth(job.token)
    await Watch(client, job, out).run()


def tell(out: BinaryIO, text: bytes) -> None:
    """Write one line, at once."""
    out.write(text)
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
