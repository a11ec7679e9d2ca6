"""Performs what the body shows, and reports what it feels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from firmware.ports import PerformEffect, Post
from hardware.lights import Lights

Probe = Callable[[], bool]
"""Tells quickly whether a part works."""


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

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """What it performs."""
        return {"light": self._lights.show, "test_parts": self._test_parts}

    def _test_parts(self) -> None:
        failed = [name for name, works in self._probes.items() if not works()]
        self._post("parts_tested", failed=" ".join(failed))
