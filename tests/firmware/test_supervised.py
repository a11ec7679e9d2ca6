"""Tasks that go on whatever they meet."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from firmware.supervised import RESTART_MS_MAX, supervised
from hardware.sim.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def failing(times: int, began_s: list[float]) -> Callable[[], Awaitable[None]]:
    """Return work that fails so often, and notes when it began."""

    async def work() -> None:
        began_s.append(asyncio.get_running_loop().time())
        if len(began_s) <= times:
            raise ValueError("canary words")

    return work


def test_work_that_fails_begins_anew_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """Each time after twice the wait, up to a minute; what it said itself is in no log."""
    began_s: list[float] = []
    run_virtual(supervised("the work", failing(9, began_s)))
    waits_s = [round(after - before) for before, after in itertools.pairwise(began_s)]
    assert waits_s == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert waits_s[-1] * 1000 == RESTART_MS_MAX
    assert set(caplog.messages) == {"the work failed (ValueError): it begins anew"}


def test_work_that_is_done_is_done() -> None:
    """It is not begun again."""
    began_s: list[float] = []
    run_virtual(supervised("the work", failing(0, began_s)))
    assert began_s == [0.0]


def test_it_is_cancelled_with_its_work() -> None:
    """While it works, and while it waits."""

    async def main() -> None:
        began_s: list[float] = []
        for work in (asyncio.Event().wait, failing(9, began_s)):
            task = asyncio.create_task(supervised("the work", work))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert len(began_s) == 1

    run_virtual(main())
