"""Watches a toy's steps, so that a script can wait for what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from states.machine import Step

Predicate = Callable[[Step], bool]


class Watch:
    """Keeps every step it is told of and lets one wait for one that fits."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._waiting: list[tuple[Predicate, asyncio.Future[Step]]] = []

    def __call__(self, step: Step) -> None:
        """Take a step; an observer of the loop."""
        self.steps.append(step)
        for waiting in list(self._waiting):
            predicate, future = waiting
            if predicate(step):
                self._waiting.remove(waiting)
                if not future.done():
                    future.set_result(step)

    async def first(self, predicate: Predicate, timeout_s: float, *, since: int) -> Step:
        """Return the first step that fits, from the one at ``since`` on, past or to come.

        Raises TimeoutError when none comes in time.
        """
        for step in self.steps[since:]:
            if predicate(step):
                return step
        future: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        waiting = (predicate, future)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)


def arrives_at(*leaves: str) -> Predicate:
    """Return what fits a step to one of ``leaves`` from elsewhere."""
    return lambda step: step.to in leaves and step.source != step.to
