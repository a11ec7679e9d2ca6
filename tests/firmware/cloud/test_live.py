"""The parent of the live query's process, with children that do what a test tells them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from firmware.cloud.lines import LINE_BYTES_MAX
from firmware.cloud.live import STRAY_LINES_MAX, LiveQueries
from firmware.cloud.query import Query
from hardware.clock import Clock
from tests.firmware.cloud.examples import CANARIES, CONVEX_TOKEN, SECRET, settings
from tests.firmware.cloud.scripted import Fixed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LIMIT_S: Final = 10
FUNCTION: Final = "toys:getConfiguration"

# What every child of these tests begins with: it reads its job and can talk.
PREAMBLE: Final = """
import json, os, sys, threading
job = json.loads(sys.stdin.readline())
def say(**message):
    if "ready" not in message and "beat" not in message:
        message.setdefault("of", "toys:getConfiguration")
    print(json.dumps(message), flush=True)
def stay():
    threading.Event().wait()
"""


class Rig:
    """A live query, and what came of it."""

    def __init__(self, program: str, **changes: Any) -> None:  # noqa: ANN401 - any setting
        self.values: list[Any] = []
        self.failures: list[str] = []
        self.chance = Fixed(0.0)
        self._news = asyncio.Event()
        command = [sys.executable, "-S", "-c", PREAMBLE + program]
        self.query = LiveQueries(
            settings(**changes),
            "https://toy.example",
            [self.asking(FUNCTION, toyId="toy-sim-1")],
            clock=Clock(),
            random=self.chance,
            command=command,
        )

    def asking(self, function: str, **arguments: str) -> Query:
        """Return a query whose answers are remembered here."""
        return Query(function, arguments, self._value, self._failed)

    def _value(self, value: object) -> None:
        self.values.append(value)
        self._news.set()

    def _failed(self, code: str) -> None:
        self.failures.append(code)
        self._news.set()

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until something holds that values and failures bring about."""
        while not ready():
            self._news.clear()
            await self._news.wait()


def exists(pid: int) -> bool:
    """Tell whether a process is there, alive or not yet buried."""
    return Path(f"/proc/{pid}").exists()


def lived(
    program: str,
    test: Callable[[Rig], Awaitable[None]],
    **changes: Any,  # noqa: ANN401 - any setting
) -> Rig:
    """Run a test with children that run a program; then nothing may be left of them."""

    async def main() -> Rig:
        rig = Rig(program, **changes)
        async with asyncio.timeout(LIMIT_S):
            await test(rig)
            began_s = asyncio.get_running_loop().time()
            await rig.query.close()
            assert asyncio.get_running_loop().time() - began_s < 1
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return rig

    return asyncio.run(main())


def test_values_and_failures_are_handed_on() -> None:
    """In order; signs of life are not."""
    program = """
say(ready=True)
say(value={"version": 1})
say(beat=True)
say(failed="TOY_NOT_FOUND")
say(value=None)
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.until(lambda: len(rig.values) == 2)
        assert rig.values == [{"version": 1}, None]
        assert rig.failures == ["TOY_NOT_FOUND"]
        assert not rig.query.lost.is_set()

    lived(program, test)


def test_a_child_is_told_what_to_do_on_its_standard_input() -> None:
    """Token and address are in no argument and no environment, which others may read."""
    program = """
say(value={"job": job, "arguments": sys.argv, "environment": dict(os.environ)})
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.use(CONVEX_TOKEN)
        await rig.until(lambda: bool(rig.values))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POMMAI_DEVICE_SECRET", SECRET)
        (value,) = lived(program, test, ca_file="/authority.pem").values
    assert value["job"] == {
        "parent": os.getpid(),
        "url": "https://toy.example",
        "token": CONVEX_TOKEN,
        "queries": {FUNCTION: {"toyId": "toy-sim-1"}},
        "heartbeat_ms": 1_000,
        "renewal_interval_ms": 30_000,
    }
    open_to_all = repr((value["arguments"], value["environment"]))
    assert not [canary for canary in CANARIES if canary in open_to_all]
    assert value["environment"]["SSL_CERT_FILE"] == "/authority.pem"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("stay()", "silence for 300 ms"),
        ("say(ready=True)\nstay()", "silence for 300 ms"),
        ("say(value=1)\nsay(beat=True)\nstay()", "silence for 300 ms"),
        ("while True: print('log line', flush=True)", "lines meant nothing"),
        ("sys.exit(7)", "its process ended (7)"),
        ("os.kill(os.getpid(), 9)", "its process ended (-9)"),
        ("os.close(1)\nstay()", "silence for 300 ms"),
    ],
)
def test_a_child_that_does_not_live_is_replaced(
    tmp_path: Path, program: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it died of. It is logged once, and once when the next one lives."""
    once = f"""
if not os.path.exists({str(tmp_path / "died")!r}):
    open({str(tmp_path / "died")!r}, "w").close()
    {program.replace(chr(10), chr(10) + "    ")}
say(value="lives")
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.query.lost.wait()
        await rig.until(lambda: rig.values[-1:] == ["lives"])
        assert not rig.query.lost.is_set()

    with caplog.at_level(logging.INFO):
        lived(once, test, child_silence_ms_max=300, heartbeat_ms=100)
    lost, back = (record.message for record in caplog.records)
    assert lost.startswith("the live queries are lost: ")
    assert reason in lost
    assert back == "the live queries are back"


def test_a_child_that_gives_signs_of_life_stays() -> None:
    """Longer than the silence that is allowed."""
    program = """
say(value="first")
for _ in range(8):
    threading.Event().wait(0.1)
    say(beat=True)
say(value="second")
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.until(lambda: len(rig.values) == 2)
        assert rig.values == ["first", "second"]
        assert rig.chance.asked == []

    lived(program, test, child_silence_ms_max=600, heartbeat_ms=100)


def test_lines_that_mean_nothing_are_passed_over() -> None:
    """What a function logs on the server is no reason to start anew; a long line is not kept."""
    program = f"""
for text in ("[LOG] 'hello'", "", "{{", "[]", "null", "7", '{{"beat": false}}', "[" * 100_000,
             '{{"failed": 7}}', '{{"other": 1}}', '{{"of": "a:b", "value": 1}}', '{{"value": 1}}',
             '{{"of": 7, "value": 1}}', '{{"of": [], "failed": ""}}',
             "9" * 5000, "x" * {LINE_BYTES_MAX + 1}):
    print(text)
sys.stdout.buffer.write(b"\\xff\\xfe\\n")
say(value="at last")
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.until(lambda: bool(rig.values))
        assert rig.values == ["at last"]
        assert rig.failures == []
        assert rig.chance.asked == []

    lived(program, test)


def test_a_flood_of_them_does_not_hold_up_the_loop() -> None:
    """Other things happen between one line and the next."""
    program = f"print('x\\n' * {STRAY_LINES_MAX}, flush=True)\nsay(value=1)\nstay()"

    async def test(rig: Rig) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        rig.query.use("token")
        await rig.query.lost.wait()
        assert turns > STRAY_LINES_MAX
        counting.cancel()
        await asyncio.wait([counting])

    lived(program, test)


def test_a_new_token_means_a_new_child() -> None:
    """At once, and nothing that the old one still said is heard."""
    program = """
say(value=[job["token"], os.getpid()])
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.use("first")
        await rig.until(lambda: len(rig.values) == 1)
        rig.query.use("second")
        rig.query.use("third")
        await rig.until(lambda: len(rig.values) == 2)
        tokens = [token for token, _ in rig.values]
        assert tokens == ["first", "third"]
        assert not exists(rig.values[0][1])
        assert not rig.query.lost.is_set()
        assert rig.chance.asked == []

    lived(program, test)


def test_several_queries_are_each_given_their_own() -> None:
    """By the function that a line names."""
    program = """
say(of="a:b", value=1)
say(of="c:d", failed="GONE")
say(of="a:b", value=2)
stay()
"""

    async def test(rig: Rig) -> None:
        others: list[object] = []
        other = Query("c:d", {}, others.append, others.append)
        rig.query.ask([rig.asking("a:b"), other])
        rig.query.use("token")
        await rig.until(lambda: len(rig.values) == 2)
        assert rig.values == [1, 2]
        assert others == ["GONE"]

    lived(program, test)


def test_a_defect_of_who_takes_an_answer_does_not_end_the_queries(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and the same child goes on."""
    program = """
say(of="c:d", value=1)
say(of="a:b", value=2)
stay()
"""

    def defective(_: object) -> None:
        raise ZeroDivisionError

    async def test(rig: Rig) -> None:
        rig.query.ask([Query("c:d", {}, defective, defective), rig.asking("a:b")])
        rig.query.use("token")
        await rig.until(lambda: rig.values == [2])
        assert rig.chance.asked == []

    lived(program, test)
    assert caplog.messages == ["the value of c:d was not taken (ZeroDivisionError)"]


def test_other_questions_mean_a_new_child() -> None:
    """And nothing that the old one still said is heard: it was about another toy."""
    program = """
for of, arguments in job["queries"].items():
    say(of=of, value=[arguments, os.getpid()])
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.until(lambda: len(rig.values) == 1)
        rig.query.ask([rig.asking(FUNCTION, toyId="toy-2"), rig.asking("a:b")])
        assert [query.function for query in rig.query.queries] == [FUNCTION, "a:b"]
        await rig.until(lambda: len(rig.values) == 3)
        asked = [arguments for arguments, _ in rig.values]
        assert asked == [{"toyId": "toy-sim-1"}, {"toyId": "toy-2"}, {}]
        assert not exists(rig.values[0][1])
        assert not rig.query.lost.is_set()

    lived(program, test)


def test_they_are_lost_until_each_has_an_answer(tmp_path: Path) -> None:
    """A child that answers one of two and then falls silent has not brought them back."""
    program = f"""
say(of="a:b", value=os.getpid())
if os.path.exists({str(tmp_path / "second")!r}):
    say(of="c:d", value="at last")
stay()
"""

    async def test(rig: Rig) -> None:
        rig.query.ask([rig.asking("a:b"), rig.asking("c:d")])
        rig.query.use("token")
        await rig.query.lost.wait()
        await rig.until(lambda: len(rig.values) == 2)
        assert rig.query.lost.is_set()
        (tmp_path / "second").touch()
        await rig.until(lambda: rig.values[-1] == "at last")
        assert not rig.query.lost.is_set()

    lived(program, test, child_silence_ms_max=300, heartbeat_ms=100)


def test_a_new_token_ends_the_wait_for_the_next_child() -> None:
    """Perhaps it was the token."""
    program = """
if job["token"] == "bad":
    sys.exit(1)
say(value=job["token"])
stay()
"""

    async def test(rig: Rig) -> None:
        rig.chance.share = 1.0
        rig.query.use("bad")
        await rig.query.lost.wait()
        rig.query.use("good")
        await rig.until(lambda: bool(rig.values))
        assert rig.chance.asked == [(0, 60_000)]

    lived(program, test, retry_delay_ms_min=60_000)


def test_waits_grow_while_children_die_young() -> None:
    """Even if each of them got an answer first: starting one costs a toy seconds of its time."""
    program = "say(value=1)"

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.until(lambda: len(rig.values) == 5)
        assert rig.chance.asked == [(0, 1_000), (0, 2_000), (0, 4_000), (0, 8_000)]

    lived(program, test)


def test_waits_begin_anew_after_a_child_that_lived() -> None:
    """Longer than the longest wait."""
    program = "say(value=1)\nthreading.Event().wait(0.05)"

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.until(lambda: len(rig.values) == 4)
        assert rig.chance.asked == [(0, 4)] * 3

    lived(program, test, retry_delay_ms_min=4, retry_delay_ms_max=8)


def test_a_process_that_cannot_be_started_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As when memory is short."""

    async def test(rig: Rig) -> None:
        rig.query._command = ["/no/such/program"]
        rig.query.use("token")
        await rig.query.lost.wait()

    lived("", test)
    assert "its process cannot be started (No such file or directory)" in caplog.text


def test_closing_leaves_nothing_behind() -> None:
    """No process, not even a dead one; closing twice, or before the start, is harmless."""
    program = "say(value=os.getpid())\nstay()"

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.until(lambda: bool(rig.values))
        await rig.query.close()
        assert not exists(rig.values[0])
        rig.query.use("another")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    lived(program, test)

    async def not_started(_: Rig) -> None:
        pass

    lived(program, not_started)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13])
def test_closing_is_possible_at_any_moment(turns: int) -> None:
    """Also while a child is being started."""

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        for _ in range(turns):
            await asyncio.sleep(0)

    lived("stay()", test)


def test_closing_ends_the_wait_for_the_next_child() -> None:
    """However long it would have been."""

    async def test(rig: Rig) -> None:
        rig.chance.share = 1.0
        rig.query.use("token")
        await rig.query.lost.wait()

    lived("sys.exit(0)", test, retry_delay_ms_min=60_000)


def test_a_defect_of_ours_loses_one_child_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was raised: the next child is heard, and polling stands in meanwhile."""
    understand = LiveQueries._understand
    wrong = [True]

    def defective(queries: LiveQueries, text: bytes) -> bool:
        if wrong:
            wrong.clear()
            raise ValueError("canary words")
        return understand(queries, text)

    monkeypatch.setattr(LiveQueries, "_understand", defective)

    async def test(rig: Rig) -> None:
        rig.query.use("token")
        await rig.query.lost.wait()
        await rig.until(lambda: rig.values == [{"version": 1}])

    lived('say(value={"version": 1})\nstay()', test)
    assert "lost: an error that nobody expected (ValueError)" in caplog.text
    assert "canary" not in caplog.text
