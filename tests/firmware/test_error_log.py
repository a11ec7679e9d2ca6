"""What the cloud learns of troubles, and what it never learns."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.error_log import OWN_LOGGERS, TEMPLATE_CHARS_MAX, TEMPLATES_MAX, ErrorLog
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.outlets import KeptOutlet, Put

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-words-of-a-child"
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}

log = logging.getLogger("firmware.tests")


class Logged:
    """``async with Logged() as logged``: what logging brings about, once handed over."""

    def __init__(self, outbox: KeptOutlet | None = None) -> None:
        self.outbox = outbox or KeptOutlet()
        self.error_log = ErrorLog(Clock(), self.outbox)

    async def __aenter__(self) -> Self:
        self._uninstall = self.error_log.install()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._uninstall()

    async def puts(self) -> list[Put]:
        """Return what was put by now, with everything that was on its way."""
        arrived = asyncio.Event()
        asyncio.get_running_loop().call_soon_threadsafe(arrived.set)
        await arrived.wait()
        return self.outbox.puts


def contexts(puts: list[Put]) -> list[object]:
    """Return the contexts of records."""
    return [put.arguments["context"] for put in puts]


def test_a_warning_is_told_by_its_template() -> None:
    """Level, place and template; never the arguments."""

    async def main() -> list[Put]:
        async with Logged() as logged:
            log.warning("the toy heard %s at %d", CANARY, 7)
            return await logged.puts()

    (put,) = run_virtual(main())
    assert put.function == "logs:create"
    assert not put.urgent
    assert put.arguments["level"] == "warning"
    assert str(put.arguments["code"]).startswith("firmware.tests:")
    assert put.arguments["context"] == {"template": "the toy heard %s at %d", "count": 1}


def test_an_exception_is_told_by_its_class_and_place() -> None:
    """Its text may quote anything."""

    def fail() -> None:
        raise ValueError(CANARY)

    async def main() -> list[Put]:
        async with Logged() as logged:
            try:
                fail()
            except ValueError:
                log.exception("it failed")
            return await logged.puts()

    (put,) = run_virtual(main())
    assert put.arguments["context"] == {
        "template": "it failed",
        "count": 1,
        "error": "ValueError",
        "raisedAt": "",  # this test is none of our own packages
    }


def test_the_place_is_that_in_our_own_code() -> None:
    """Where to look, without the words of whoever raised."""

    async def main() -> list[Put]:
        async with Logged() as logged:
            try:
                Clock().call_later(-1, lambda: None)
            except Exception:
                log.exception("a timer failed")
            return await logged.puts()

    (put,) = run_virtual(main())
    context = put.arguments["context"]
    assert isinstance(context, dict)
    assert str(context["raisedAt"]).startswith("hardware.clock:call_later:")


def test_an_object_is_told_by_its_class() -> None:
    """`log.error(error)` would tell the error's words."""

    async def main() -> list[Put]:
        async with Logged() as logged:
            log.error(ValueError(CANARY))
            return await logged.puts()

    assert contexts(run_virtual(main())) == [{"template": "ValueError", "count": 1}]


@given(st.lists(st.one_of(st.text(min_size=1), st.integers(), st.binary()), max_size=5))
def test_no_argument_is_ever_told(arguments: list[object]) -> None:
    """Whatever they are, and whatever number of them."""
    template = "heard" + " %r" * len(arguments)

    async def main() -> list[Put]:
        async with Logged() as logged:
            log.error(template, *(f"{CANARY}{one!r}" for one in arguments))
            return await logged.puts()

    assert CANARY not in json.dumps([put.arguments for put in run_virtual(main())])


def test_repeats_are_counted_and_told_later() -> None:
    """A thousand of the same are two records."""

    async def main() -> list[Put]:
        async with Logged() as logged:
            for number in range(1_000):
                log.warning("again: %d", number)
            await logged.puts()
            logged.error_log.tell_repeats()
            logged.error_log.tell_repeats()
            return await logged.puts()

    told = run_virtual(main())
    assert contexts(told) == [
        {"template": "again: %d", "count": 1},
        {"template": "again: %d", "count": 999},
    ]


def test_many_troubles_at_once_are_limited_and_the_rest_is_counted() -> None:
    """However many templates there are, and however long."""

    async def main() -> tuple[list[Put], int]:
        async with Logged() as logged:
            for number in range(TEMPLATES_MAX + 10):
                log.warning(f"{number} " + "x" * 999)  # noqa: G003 - many templates
            logged.error_log.tell_repeats()
            return await logged.puts(), logged.error_log.suppressed

    told, suppressed = run_virtual(main())
    assert len(told) == TEMPLATES_MAX + 1
    assert suppressed == 10
    assert {"template": "further troubles were too many to tell", "count": 10} in contexts(told)
    assert len(json.dumps(told[-1].arguments)) < TEMPLATE_CHARS_MAX + 200


def test_only_what_is_ours_and_is_a_trouble_is_told() -> None:
    """Templates of others may be put together from anything; what is normal is nobody's concern."""

    async def main() -> list[Put]:
        async with Logged() as logged:
            logging.getLogger("urllib3.connectionpool").warning("Retrying %s", CANARY)
            log.info("all is well")
            logged.error_log.handle(logging.makeLogRecord({"name": "others", "levelno": 40}))
            return await logged.puts()

    assert run_virtual(main()) == []


class Complaining(KeptOutlet):
    """An outbox that logs while it stores."""

    def put(self, *args: object, **kwargs: object) -> None:
        """Complain, and keep the record."""
        log.error("the outbox complains too")
        super().put(*args, **kwargs)  # type: ignore[arg-type]


class Broken(KeptOutlet):
    """An outbox that raises."""

    def put(self, *_: object, **__: object) -> None:
        """Fail."""
        raise RuntimeError(CANARY)


def test_what_is_logged_while_a_record_is_put_is_not_told() -> None:
    """Or each record would bring about another."""

    async def main() -> list[Put]:
        async with Logged(Complaining()) as logged:
            log.error("once")
            await logged.puts()
            logged.error_log.tell_repeats()
            return await logged.puts()

    assert contexts(run_virtual(main())) == [{"template": "once", "count": 1}]


def test_its_own_failures_are_swallowed_and_counted() -> None:
    """A log call never raises because of the cloud."""

    async def main() -> int:
        async with Logged(Broken()) as logged:
            log.error("once")
            await logged.puts()
            logged.error_log.handle(logging.makeLogRecord({"name": None, "levelno": 40}))
            return logged.error_log.failures

    assert run_virtual(main()) == 2


def test_it_can_be_called_from_any_thread() -> None:
    """Records are put on the loop's thread; none of the calls is lost or counted twice."""

    async def main() -> list[Put]:
        async with Logged() as logged:

            def many() -> None:
                for _ in range(200):
                    log.error("from a thread")

            threads = [threading.Thread(target=many) for _ in range(4)]
            for thread in threads:
                thread.start()
            await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
            await logged.puts()
            logged.error_log.tell_repeats()
            return await logged.puts()

    told = run_virtual(main())
    assert [put.arguments["context"]["count"] for put in told] == [1, 799]  # type: ignore[index]


def test_a_log_call_after_the_loops_end_is_harmless() -> None:
    """Threads may report late."""

    async def main() -> ErrorLog:
        return ErrorLog(Clock(), KeptOutlet())

    error_log = run_virtual(main())
    error_log.handle(logging.makeLogRecord({"name": "firmware", "levelno": 40, "msg": "late"}))
    assert error_log.failures == 0


def log_calls(source: str) -> Iterator[ast.Call]:
    """Yield every log call in a source file."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="_log" | "log"), attr=attr)) if (
                attr in LOG_METHODS
            ):
                yield node


def is_template(call: ast.Call) -> bool:
    """Whether what a log call says is written in the source."""
    message = call.args[0]
    return isinstance(message, ast.Constant) and isinstance(message.value, str)


def test_every_log_call_of_ours_has_a_template_of_our_own() -> None:
    """A text that is put together is a text that may hold anything."""
    wrong = [
        f"{path.relative_to(ROOT)} line {call.lineno}"
        for package in OWN_LOGGERS
        for path in sorted((ROOT / package).rglob("*.py"))
        for call in log_calls(path.read_text(encoding="utf-8"))
        if not is_template(call)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "call", ["_log.error(error)", "_log.warning(f'{x}')", "_log.info('a' + b)"]
)
def test_a_text_that_is_put_together_is_found(call: str) -> None:
    """The check above can fail."""
    (found,) = log_calls(call)
    assert not is_template(found)
