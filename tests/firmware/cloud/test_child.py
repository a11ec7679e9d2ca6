"""The live query's process: what it asks, what it tells, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import select
import signal
import subprocess
import sys
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, cast

import pytest
from convex import ConvexInt64

from firmware.cloud.child import EXIT_ORPHAN, Watch, message_of
from firmware.cloud.lines import LINE_BYTES_MAX, Job, read
from firmware.cloud.values import ANSWER_LIMITS
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.examples import CONVEX_TOKEN, SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from convex import ConvexClient

LIMIT_S = 10
CHILD = [sys.executable, "-m", "firmware.cloud.child"]


CONFIGURATION = "toys:getConfiguration"
COMMANDS = "devices:commands"
QUERIES = {
    CONFIGURATION: {"deviceId": "dev-sim-1", "toyId": "toy-sim-1"},
    COMMANDS: {"deviceId": "dev-sim-1"},
}


def job(*functions: str, parent: int = 1) -> Job:
    """Return a job with the settings as delivered: one query, unless several are named."""
    queries = {function: QUERIES[function] for function in functions or [CONFIGURATION]}
    return Job(
        parent=parent,
        url="http://127.0.0.1:9",
        token=CONVEX_TOKEN,
        queries=queries,
        heartbeat_ms=1_000,
        renewal_interval_ms=30_000,
    )


DEPTH_MAX, VALUES_MAX, _ = astuple(ANSWER_LIMITS)


def nested(depth: int) -> list[Any]:
    """Return lists within lists."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


class ScriptedClient:
    """The parts of the official client that the child uses; a test plays the cloud."""

    def __init__(self) -> None:
        self.open: list[int] = []
        self.asked = 0
        self._answers: asyncio.Queue[dict[int, object]] = asyncio.Queue()

    def subscribe(self, name: str, args: dict[str, str]) -> ScriptedSubscription:
        """Open a subscription, numbered from 1."""
        assert args == QUERIES[name]
        self.asked += 1
        self.open.append(self.asked)
        return ScriptedSubscription(self, self.asked)

    async def watch_all(self) -> AsyncIterator[dict[int, object]]:
        """Yield what `answer` was given, of the subscriptions that are open."""
        while True:
            answers = await self._answers.get()
            yield {number: value for number, value in answers.items() if number in self.open}

    def answer(self, value: object, *, to: int | None = None) -> None:
        """Answer a subscription; the present one, if none is named."""
        self.answer_all({self.asked if to is None else to: value})

    def answer_all(self, values: dict[int, object]) -> None:
        """Answer several subscriptions in one."""
        self._answers.put_nowait(values)


class ScriptedSubscription:
    """A subscription of `ScriptedClient`."""

    def __init__(self, client: ScriptedClient, number: int) -> None:
        self.id = number
        self._client = client

    def unsubscribe(self) -> None:
        """Close it."""
        self._client.open.remove(self.id)


def watched(
    test: Callable[[ScriptedClient, Callable[[], list[Any]]], Awaitable[None]], *functions: str
) -> None:
    """Run a test on virtual time with a client and a way to read what was told since."""

    async def main() -> None:
        client = ScriptedClient()
        out = io.BytesIO()

        def told() -> list[Any]:
            lines = out.getvalue().splitlines()
            out.seek(0)
            out.truncate()
            return [json.loads(line) for line in lines]

        watch = asyncio.create_task(Watch(cast("ConvexClient", client), job(*functions), out).run())
        await asyncio.sleep(0.1)
        await test(client, told)
        watch.cancel()
        await asyncio.wait([watch])

    run_virtual(main())


def test_while_an_answer_is_owed_there_is_no_beat() -> None:
    """So silence says that the connection does not carry."""

    async def test(client: ScriptedClient, told: Callable[[], list[Any]]) -> None:
        await asyncio.sleep(20)
        assert told() == []
        client.answer({"version": 1.0})
        await asyncio.sleep(3)
        assert told() == [{"of": CONFIGURATION, "value": {"version": 1.0}}, *[{"beat": True}] * 3]

    watched(test)


def test_the_subscription_is_renewed_and_beats_wait_for_the_answer() -> None:
    """One is given up before the next is made: the client would answer a second one itself."""

    async def test(client: ScriptedClient, told: Callable[[], list[Any]]) -> None:
        client.answer({"version": 1.0})
        await asyncio.sleep(29.5)
        assert (client.asked, client.open) == (1, [1])
        await asyncio.sleep(1)
        assert (client.asked, client.open) == (2, [2])
        told()
        await asyncio.sleep(10)
        assert told() == []
        client.answer({"version": 1.0})
        await asyncio.sleep(2)
        assert told() == [{"beat": True}] * 2

    watched(test)


def test_a_late_answer_to_the_subscription_before_proves_nothing() -> None:
    """It may have come over a connection that is dead by now."""

    async def test(client: ScriptedClient, told: Callable[[], list[Any]]) -> None:
        client.answer({"version": 1.0})
        await asyncio.sleep(30)
        told()
        client.answer({"version": 2.0}, to=1)
        await asyncio.sleep(5)
        assert told() == []

    watched(test)


def test_several_queries_are_asked_and_renewed_together() -> None:
    """Beats wait for the answers to all of them; each answer says whose it is."""

    async def test(client: ScriptedClient, told: Callable[[], list[Any]]) -> None:
        client.answer([], to=2)
        await asyncio.sleep(3)
        assert told() == [{"of": COMMANDS, "value": []}]
        client.answer_all({1: {"version": 1.0}, 2: []})
        await asyncio.sleep(1)
        assert told() == [{"of": CONFIGURATION, "value": {"version": 1.0}}, {"beat": True}]
        await asyncio.sleep(27)
        told()
        assert client.open == [3, 4]
        await asyncio.sleep(5)
        assert told() == []

    watched(test, CONFIGURATION, COMMANDS)


def test_a_query_that_fails_keeps_no_other_from_being_heard() -> None:
    """A locked toy that its cloud has forgotten must still hear its release."""

    async def test(client: ScriptedClient, told: Callable[[], list[Any]]) -> None:
        gone = ("Uncaught …", {"code": "TOY_NOT_FOUND"})
        client.answer_all({1: gone, 2: []})
        client.answer_all({1: gone, 2: [{"commandId": "c1"}]})
        await asyncio.sleep(1.5)
        assert told() == [
            {"of": CONFIGURATION, "failed": "TOY_NOT_FOUND"},
            {"of": COMMANDS, "value": []},
            {"of": COMMANDS, "value": [{"commandId": "c1"}]},
            {"beat": True},
        ]

    watched(test, CONFIGURATION, COMMANDS)


def test_a_value_is_told_once() -> None:
    """Repetitions are not; the same value after another one is."""

    async def test(client: ScriptedClient, told: Callable[[], list[Any]]) -> None:
        for version in (1.0, 1.0, 2.0, 2.0, 1.0):
            client.answer({"version": version})
        await asyncio.sleep(0.1)
        assert [line["value"]["version"] for line in told()] == [1, 2, 1]

    watched(test)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"a": ConvexInt64(2**60)}, {"value": {"a": 2**60}}),
        ([{"a": None}], {"value": [{"a": None}]}),
        (["TEXT", {"code": "NOT_A_FAILURE"}], {"value": ["TEXT", {"code": "NOT_A_FAILURE"}]}),
        (("Uncaught …", {"code": "TOY_NOT_FOUND"}), {"failed": "TOY_NOT_FOUND"}),
        (("Uncaught …", {"code": SECRET}), {"failed": ""}),
        (f"Server Error: {SECRET}", {"failed": ""}),
        (None, {"failed": ""}),
        ({"a": b"x"}, {"failed": "UNREADABLE"}),
        ({"a": "x" * LINE_BYTES_MAX}, {"failed": "UNREADABLE"}),
        ([0.5] * VALUES_MAX, {"failed": "UNREADABLE"}),
        ([[]] * (VALUES_MAX // 2), {"failed": "UNREADABLE"}),
        ([0.5] * (VALUES_MAX - 2), {"value": [0.5] * (VALUES_MAX - 2)}),
        (nested(DEPTH_MAX), {"failed": "UNREADABLE"}),
        (nested(100_000), {"failed": "UNREADABLE"}),
        (nested(DEPTH_MAX - 1), {"value": nested(DEPTH_MAX - 1)}),
        ({"a": "\ud800"}, {"failed": "UNREADABLE"}),
        ({"a": "x" * LINE_BYTES_MAX + "🎈"}, {"failed": "UNREADABLE"}),
        ({"a": "x" * (LINE_BYTES_MAX // 4) + "🎈"}, {"failed": "UNREADABLE"}),
        ({"a": "Wörter und 🎈"}, {"value": {"a": "Wörter und 🎈"}}),
        ({"a": math.inf}, {"value": {"a": math.inf}}),
    ],
)
def test_an_answer_becomes_a_line(answer: object, message: dict[str, object]) -> None:
    """A value that the parent takes, or the code of a failure; never a failure's text."""
    text = message_of(CONFIGURATION, answer)
    assert read(text) == {"of": CONFIGURATION} | message
    assert text.count(b"\n") == 1
    assert len(text) <= LINE_BYTES_MAX


def test_a_job_survives_the_way_and_hides_its_token() -> None:
    """Line and back; a representation shows no secret."""
    assert Job.parse(job().line()) == job()
    assert job().line().count(b"\n") == 1
    assert CONVEX_TOKEN not in repr(job())


def test_nothing_else_that_is_printed_gets_between_the_lines() -> None:
    """Neither from Python nor from native code, which the client's log lines come from."""
    program = (
        "import os\n"
        "from firmware.cloud import child\n"
        "out = child.claim_stdout()\n"
        "print('python', flush=True)\n"
        "os.write(1, b'native\\n')\n"
        "os.system('echo program')\n"
        "child.tell(out, b'ours\\n')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=LIMIT_S, check=True
    )
    assert ended.stdout == b"ours\n"


def test_the_process_takes_no_more_memory_than_it_may() -> None:
    """Whatever the cloud sends: the toy's own memory stays."""
    program = (
        "from firmware.cloud import child\n"
        "child.bound_memory(child.MEMORY_BYTES_MAX)\n"
        "bytearray(child.MEMORY_BYTES_MAX // 2)\n"
        "try:\n"
        "    bytearray(child.MEMORY_BYTES_MAX)\n"
        "except MemoryError:\n"
        "    print('no more')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=LIMIT_S, check=True
    )
    assert ended.stdout == b"no more\n"


def test_a_process_whose_parent_is_gone_does_nothing() -> None:
    """It asks again after the kernel was told to end it with its parent."""
    ended = subprocess.run(
        CHILD, input=job(parent=1).line(), capture_output=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == EXIT_ORPHAN
    assert ended.stdout == b""


def test_a_process_without_a_job_ends() -> None:
    """As when the parent dies before it wrote one."""
    ended = subprocess.run(CHILD, input=b"", capture_output=True, timeout=LIMIT_S, check=False)
    assert ended.returncode != 0
    assert ended.stdout == b""


def test_the_process_dies_with_its_parent() -> None:
    """However that ends; even where the client holds the interpreter lock for ever."""
    program = (
        "import os, subprocess, sys\n"
        "from firmware.cloud.lines import Job\n"
        "job = Job(os.getpid(), 'http://127.0.0.1:9', 'token', {'a:b': {}}, 1000, 1000)\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdin.write(job.line())\n"
        "child.stdin.close()\n"
        "print(child.pid, child.stdout.readline().decode(), flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, *CHILD], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid, ready = parent.stdout.readline().split(maxsplit=1)
        assert json.loads(ready) == {"ready": True}
        child = os.pidfd_open(int(pid))
        try:
            parent.send_signal(signal.SIGKILL)
            ended, _, _ = select.select([child], [], [], LIMIT_S)
            assert ended
        finally:
            os.close(child)
