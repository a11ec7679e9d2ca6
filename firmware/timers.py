"""Performs ``arm`` and ``disarm``: timers on the clock, whose firing is an event."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from firmware.ports import PerformEffect, Post
from hardware.clock import Clock


class Timers:
    """The machine's timers, one of each name; arming one anew voids the arming before.

    A firing carries its arming, so that one that was already on its way when it was disarmed is
    held back by the fence.
    """

    def __init__(self, clock: Clock, post: Post) -> None:
        self._clock = clock
        self._post = post
        self._armed: dict[str, asyncio.TimerHandle] = {}

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {"arm": self._arm, "disarm": self._disarm}

    def _arm(self, timer: str, arming: int, ms: int, event: str) -> None:
        self._disarm(timer)

        def fire() -> None:
            del self._armed[timer]
            self._post(event, timer=timer, arming=arming)

        self._armed[timer] = self._clock.call_later(ms, fire)

    def _disarm(self, timer: str) -> None:
        handle = self._armed.pop(timer, None)
        if handle is not None:
            handle.cancel()
