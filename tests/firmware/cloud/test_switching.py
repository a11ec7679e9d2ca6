"""Becoming another toy: only one that the cloud has, at rest, durably."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from firmware.cloud.command import Command, Stamp
from firmware.cloud.errors import ApplicationError, NetworkError, ServerError
from firmware.cloud.retrying import TRIES_MAX
from firmware.cloud.switching import Switching
from firmware.cloud.toy_choice import ToyChoice
from firmware.store.note import Note
from hardware.clock import Clock
from hardware.sim.clock import run_virtual
from tests.firmware.cloud.examples import CONVEX_TOKEN, configuration, tokens
from tests.firmware.cloud.rows import row
from tests.firmware.cloud.scripted import Fixed, ScriptedCalls, Table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Rig:
    """Switching with its neighbours."""

    def __init__(self, folder: Path, *outcomes: object) -> None:
        self.choice = ToyChoice(Note(folder / "toy.json"), "toy-sim-1")
        self.calls = ScriptedCalls(Clock(), *outcomes, takes_ms=100)
        self.table = Table(Clock())
        self.answers: list[tuple[Any, ...]] = []
        self.toys: list[str] = []
        self._news = asyncio.Event()
        self.switching = Switching(
            "dev-1",
            self.choice,
            self.calls,
            post=self.table.post,
            random=Fixed(0.5),
            tokens=tokens,
            acknowledge=self._answer,
            on_toy=lambda: self.toys.append(self.choice.id),
        )

    def _answer(self, command: str, outcome: str, details: object = None, /) -> None:
        self.answers.append((command, outcome, details))
        self._news.set()

    async def answered(self) -> tuple[Any, ...]:
        """Return the next answer, or wait for it."""
        while not self.answers:
            self._news.clear()
            await self._news.wait()
        return self.answers.pop(0)

    def look_for(self, toy_id: str, command: str = "c1", at: float = 1.0) -> None:
        """Let a guardian want another toy."""
        self.switching.look_for(Command.parse(row("switchToy", command, at, toyId=toy_id)))

    def switch(self, command: str = "c1") -> None:
        """As the table asks for it."""
        self.switching.effects["switch_toy"](command=command)


def with_rig(folder: Path, test: Callable[[Rig], Awaitable[None]], *outcomes: object) -> None:
    """Run a test on virtual time."""

    async def main() -> None:
        rig = Rig(folder, *outcomes)
        await test(rig)
        await rig.switching.close()
        rig.choice.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def started(folder: Path) -> ToyChoice:
    """Return what a start finds."""
    return ToyChoice(Note(folder / "toy.json"), "toy-sim-1")


def test_a_toy_that_the_cloud_has_is_taken_up_when_the_table_says_so(tmp_path: Path) -> None:
    """Not before; and it is answered when the next start would find it."""

    async def test(rig: Rig) -> None:
        rig.look_for("toy-2")
        assert await rig.table.until("switch_toy") == {"command": "c1"}
        (call,) = rig.calls.calls
        assert call[1:] == (
            "query",
            "toys:getConfiguration",
            {"deviceId": "dev-1", "toyId": "toy-2"},
            CONVEX_TOKEN,
        )
        assert (rig.choice.id, rig.toys, rig.answers) == ("toy-sim-1", [], [])
        rig.switch()
        assert rig.toys == ["toy-2"]
        assert await rig.answered() == ("c1", "done", None)
        assert started(tmp_path).id == "toy-2"
        assert started(tmp_path).stamp == Stamp(1.0, "c1")

    with_rig(tmp_path, test, configuration())


@pytest.mark.parametrize(
    ("outcome", "answer", "calls"),
    [
        (ApplicationError("TOY_NOT_FOUND"), "refused", 1),
        (ApplicationError(""), "failed", 1),
        ({"version": "no configuration"}, "failed", 1),
        (NetworkError("down"), "failed", TRIES_MAX),
        (ServerError(500), "failed", TRIES_MAX),
    ],
)
def test_a_toy_that_cannot_be_had_changes_nothing(
    tmp_path: Path, outcome: object, answer: str, calls: int
) -> None:
    """The old one stays, and the machine does not even hear of it."""

    async def test(rig: Rig) -> None:
        rig.look_for("toy-2")
        assert await rig.answered() == ("c1", answer, None)
        assert len(rig.calls.calls) == calls
        assert rig.table.posted == []
        assert rig.choice.id == "toy-sim-1"

    with_rig(tmp_path, test, outcome)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_comes_back_is_enough(tmp_path: Path) -> None:
    """After a wait."""

    async def test(rig: Rig) -> None:
        rig.look_for("toy-2")
        await rig.table.until("switch_toy")
        assert [call.at_ms for call in rig.calls.calls] == [0, 350, 950]

    with_rig(tmp_path, test, NetworkError("down"), ServerError(503), configuration())


def test_several_are_looked_for_one_after_the_other(tmp_path: Path) -> None:
    """And taken up in the same order."""

    async def test(rig: Rig) -> None:
        rig.look_for("toy-2", "c1", 1.0)
        rig.look_for("toy-3", "c2", 2.0)
        await rig.table.until("switch_toy", count=2)
        assert rig.calls.at_once_max == 1
        for command in ("c1", "c2"):
            rig.switch(command)
        assert rig.toys == ["toy-2", "toy-3"]
        assert {(await rig.answered())[0], (await rig.answered())[0]} == {"c1", "c2"}
        assert started(tmp_path).id == "toy-3"

    with_rig(tmp_path, test, configuration())


def test_a_toy_that_cannot_be_made_durable_is_answered_as_it_is(tmp_path: Path) -> None:
    """It is that toy, and would not be after a restart."""
    (tmp_path / "toy.json.new").mkdir()

    async def test(rig: Rig) -> None:
        rig.look_for("toy-2")
        await rig.table.until("switch_toy")
        rig.switch()
        assert await rig.answered() == ("c1", "done", {"durable": False})
        assert rig.choice.id == "toy-2"

    with_rig(tmp_path, test, configuration())


def test_closing_ends_the_search(tmp_path: Path) -> None:
    """Its command is still open at the cloud."""

    async def test(rig: Rig) -> None:
        rig.look_for("toy-2")
        await asyncio.sleep(0)

    with_rig(tmp_path, test, configuration())


def test_an_erased_choice_is_the_configured_toy_again(tmp_path: Path) -> None:
    """At once, and at the next start."""

    async def main() -> None:
        choice = started(tmp_path)
        assert (choice.id, choice.stamp) == ("toy-sim-1", None)
        choice.become("toy-2", Stamp(1.0, "c1"))
        await choice.save()
        await choice.erase()
        choice.begin_anew()
        assert (choice.id, choice.stamp) == ("toy-sim-1", None)
        choice.close()

    run_virtual(main())
    assert started(tmp_path).id == "toy-sim-1"


def test_a_damaged_choice_is_the_configured_toy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And it is said."""
    (tmp_path / "toy.json").write_bytes(b"damaged")
    assert started(tmp_path).id == "toy-sim-1"
    assert "the toy is the one in the configuration file" in caplog.text


def test_a_choice_of_another_form_is_left_alone(tmp_path: Path) -> None:
    """As one that a later version wrote."""
    Note(tmp_path / "toy.json").store(
        {"format": 2, "toyId": "toy-2", "issued_at_ms": 1, "command": "c1"}
    )
    assert started(tmp_path).id == "toy-sim-1"


def test_a_defect_of_ours_is_answered_and_the_next_toy_is_looked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was raised: nobody waits for an answer that never comes."""

    async def test(rig: Rig) -> None:
        rig.look_for("toy-2", "c1", 1.0)
        assert await rig.answered() == ("c1", "failed", None)
        rig.look_for("toy-3", "c2", 2.0)
        assert await rig.table.until("switch_toy") == {"command": "c2"}

    with_rig(tmp_path, test, ValueError("canary words"), configuration())
    assert caplog.messages == ["the toy does not become another: ValueError"]


def test_an_answer_that_cannot_be_given_does_not_end_the_search(tmp_path: Path) -> None:
    """The command is still open at the cloud; the next one is looked for."""

    async def test(rig: Rig) -> None:
        def refuse(*_: object) -> None:
            raise ValueError("no room")

        rig.switching._acknowledge = refuse
        rig.look_for("toy-2", "c1", 1.0)
        looking = rig.switching._looking
        assert looking is not None
        await asyncio.wait([looking])
        assert isinstance(looking.exception(), ValueError)
        rig.look_for("toy-3", "c2", 2.0)
        assert await rig.table.until("switch_toy") == {"command": "c2"}

    with_rig(tmp_path, test, ApplicationError("TOY_NOT_FOUND"), configuration())


def test_a_card_that_hangs_is_answered_as_it_is(tmp_path: Path) -> None:
    """It is that toy, and nobody knows whether it would be after a restart."""
    go_on = threading.Event()

    async def test(rig: Rig) -> None:
        waiting = [rig.choice._worker.submit(go_on.wait, 10) for _ in range(17)]
        rig.look_for("toy-2")
        await rig.table.until("switch_toy")
        rig.switch()
        assert await rig.answered() == ("c1", "done", {"durable": False})
        go_on.set()
        assert all(call.result(10) for call in waiting)

    with_rig(tmp_path, test, configuration())
