"""The live query, in a process of its own: ``python -m firmware.cloud.child``.

The official client holds the interpreter lock while it waits for a connection, and has no timeout;
here that stops a process which can be killed. It does nothing but ask one query and tell its parent
what comes: ``firmware.cloud.lines`` says how.

At every renewal it gives the subscription up and subscribes anew, with the same arguments. The
cloud must answer that over the very connection, which so proves that it carries. (A second
subscription beside the first would be answered from the client's memory.) The answers are taken
from ``watch_all``, which stays the same throughout: to iterate over the subscription itself is to
hand it to a future, which would let go of it some time after the renewal.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from firmware.cloud.errors import MalformedError
from firmware.cloud.lines import LINE_BYTES_MAX, Job, line
from firmware.cloud.values import plain, refusal_code

if TYPE_CHECKING:
    from convex import ConvexClient, QuerySetSubscription, QuerySubscription

EXIT_ORPHAN: Final = 3
"""The parent was gone before this process could tie itself to it."""

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


class Watch:
    """One query of one client, told line by line.

    Its value must be an object or a list: the client gives failures of a query as text, and as a
    pair of text and data, in the place of values.

    Args:
        out: Where the lines go.
    """

    def __init__(self, client: ConvexClient, job: Job, out: BinaryIO) -> None:
        self._client = client
        self._job = job
        self._out = out
        self._subscription: QuerySubscription | None = None
        self._answer_is_owed = True
        self._told = b""

    async def run(self) -> None:
        """Ask and tell, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(self._client.watch_all()))
            tasks.create_task(self._renew())
            tasks.create_task(self._beat())

    async def _renew(self) -> None:
        while True:
            if self._subscription is not None:
                self._subscription.unsubscribe()
            self._answer_is_owed = True
            self._subscription = self._client.subscribe(
                self._job.function, dict(self._job.arguments)
            )
            await asyncio.sleep(self._job.renewal_interval_ms / 1000)

    async def _beat(self) -> None:
        while True:
            if not self._answer_is_owed:
                tell(self._out, line({"beat": True}))
            await asyncio.sleep(self._job.heartbeat_ms / 1000)

    async def _listen(self, answers: QuerySetSubscription) -> None:
        async for by_subscription in answers:
            mine = None if self._subscription is None else self._subscription.id
            if by_subscription is not None and mine in by_subscription:
                self._answer_is_owed = False
                self._tell_if_new(message_of(by_subscription[mine]))

    def _tell_if_new(self, text: bytes) -> None:
        """Tell an answer once: the client repeats it at unrelated changes and at each renewal."""
        if text != self._told:
            self._told = text
            tell(self._out, text)


def message_of(answer: object) -> bytes:
    """Return the line that tells an answer of ``watch_all``."""
    if isinstance(answer, tuple):
        _, data = answer
        return line({"failed": refusal_code(data)})
    if not isinstance(answer, dict | list):
        return line({"failed": ""})
    try:
        text = line({"value": plain(answer)})
    except MalformedError:
        text = b""
    return text if 0 < len(text) <= LINE_BYTES_MAX else line({"failed": "UNREADABLE"})


def main() -> int:
    """Take the job from standard input and do it until killed."""
    out = _claim_stdout()
    _die_with_parent()
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


def _claim_stdout() -> BinaryIO:
    """Take standard output for ourselves: what anything else prints goes nowhere.

    The client's native code prints what the cloud's functions log, straight to file descriptor 1.
    """
    ours = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return open(ours, "wb")  # noqa: PTH123 - for as long as the process lives


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends: prctl(2).

    The parent is the thread that started it: the one on which the loop runs.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
