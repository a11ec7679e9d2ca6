"""Performs what the body shows, and reports what it feels."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from firmware.ports import PerformEffect, Post
from hardware.lights import Lights

Probe = Callable[[], Awaitable[bool]]
"""Tells whether a part works, within some seconds."""


class Body:
    """The lights, and the self-test of every part.

    Args:
        lights: Shows patterns.
        post: Where events go.
        probes: The parts to test at start, by name.
    """

    def __init__(self, lights: Lights, post: Post, probes: Mapping[str, Probe]) -> None:
        self._lights = lights
        self._post = post
        self._probes = probes
        self._testing: asyncio.Task[None] | None = None

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {"light": self._lights.show, "test_parts": self._test_parts}

    def close(self) -> None:
        """Test no more."""
        if self._testing is not None:
            self._testing.cancel()

    def _test_parts(self) -> None:
        self.close()
        self._testing = asyncio.create_task(self._test(), name="self-test")

    async def _test(self) -> None:
        """Test all parts at once; one whose test raises has failed it."""
        found = await asyncio.gather(
            *(works() for works in self._probes.values()), return_exceptions=True
        )
        failed = [
            name for name, result in zip(self._probes, found, strict=True) if result is not True
        ]
        self._post("parts_tested", failed=" ".join(failed))
