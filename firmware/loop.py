"""The loop: event → step → journal → perform. The only place where the machine is driven.

Everything that happens anywhere becomes an event in one bounded queue; each is stepped, its record
is appended to the journal, and only then are its effects performed, in order. What comes of them
are events again. Nothing here decides anything.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from firmware.ports import PerformEffect, Performer
from firmware.timers import Timers
from hardware.clock import Clock
from states.effects import EFFECTS, Effect
from states.errors import StatesError
from states.events import EVENTS, Event, FieldValue
from states.machine import Core, Step

EVENTS_MAX: Final = 1_024
"""Events that wait. A hundred times what the busiest second of a turn brings."""
DEFERRED_MAX: Final = 32
"""Events kept for the next idle moment, and one configuration besides."""
BURST_MAX: Final = 16
"""Events taken before other tasks of the loop have their turn."""
NEVER_DROPPED: Final = frozenset(
    (
        *("press", "release", "privacy_switch", "mute", "shutdown"),
        *("safety_override", "pause", "lock", "emergency_stop", "violation", "unlock"),
        *("urgent_full", "urgent_low", "lock_unreadable"),
        *("records_read", "lock_written", "lock_write_failed"),
        "configured",  # consent may be withdrawn by it
        *(name for name, kind in EVENTS.items() if kind.origin == "timer"),
    )
)
"""Events that are taken even when the queue is full: safety does not wait behind anything. Nor does
a timer, which fires once: without it a microphone would stay open. There are few of each."""

_log = logging.getLogger(__name__)

Observer = Callable[[Step], None]
"""Is told of each step after its effects were performed; for the desk and for tests."""


class Recording(Protocol):
    """Where steps are recorded before they are acted on."""

    def record(self, step: Step) -> None:
        """Append ``step``. Raises nothing: a toy whose journal fails must still stop on demand."""
        ...


class Loop:
    """Drives the machine. All of it runs on one asyncio loop.

    Args:
        core: The machine.
        recording: The journal.
        clock: Time and timers.
        boot_id: Letters and digits that no other start of this toy has: it makes event ids unique.
    """

    def __init__(self, core: Core, recording: Recording, clock: Clock, boot_id: str) -> None:
        self.observers: list[Observer] = []
        self.dropped: Counter[str] = Counter()
        """Events, by name, for which there was no room or which the machine could not take."""
        self.failures: Counter[str] = Counter()
        """Effects, by name, whose performer raised; and ``observer``."""
        self._core = core
        self._recording = recording
        self._clock = clock
        self._boot_id = boot_id
        self._posted = 0
        self._queue: deque[Event] = deque()
        self._deferred: dict[tuple[str, FieldValue], Event] = {}
        self._is_draining = False
        self._is_closed = False
        self._woken_ms = 0
        self._delay_ms_max = 0
        self._performs: dict[str, list[PerformEffect]] = {
            "recall": [self._recall],
            "forget": [self._forget],
        }
        self.add(Timers(clock, self.post))

    @property
    def core(self) -> Core:
        """The machine that is driven."""
        return self._core

    def add(self, performer: Performer) -> None:
        """Let ``performer`` perform its effects, after those that were added before it."""
        for name, perform in performer.effects.items():
            if name not in EFFECTS:
                raise ValueError(
                    f"{type(performer).__name__} performs {name!r}, which is no effect"
                )
            self._performs.setdefault(name, []).append(perform)

    def unperformed(self) -> tuple[str, ...]:
        """Return the effects that nobody performs; a composed app has none."""
        return tuple(name for name in EFFECTS if name not in {*self._performs, "defer"})

    def post(self, name: str, /, **fields: FieldValue) -> None:
        """Queue an event; on the loop's thread only. Once closed, it is ignored."""
        if self._is_closed:
            return
        if len(self._queue) >= EVENTS_MAX and name not in NEVER_DROPPED:
            self.dropped[name] += 1
            return
        self._posted += 1
        event_id = f"{self._boot_id}{self._posted:x}"
        self._queue.append(Event(name, fields, event_id, self._clock.monotonic_ms()))
        self._wake()

    def post_from_thread(self, name: str, /, **fields: FieldValue) -> None:
        """Queue an event from any thread."""
        self._clock.call_soon_threadsafe(partial(self.post, name, **fields))

    def take_delay_ms_max(self) -> int:
        """Return how long an event waited at most for the asyncio loop, since the last call."""
        delay_ms, self._delay_ms_max = self._delay_ms_max, 0
        return delay_ms

    def close(self) -> None:
        """Take no more events: those who would perform what comes of them are about to close."""
        self._is_closed = True
        self._queue.clear()

    def _wake(self) -> None:
        if not self._is_draining:
            self._is_draining = True
            self._woken_ms = self._clock.monotonic_ms()
            self._clock.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        delay_ms = self._clock.monotonic_ms() - self._woken_ms
        self._delay_ms_max = max(self._delay_ms_max, delay_ms)
        try:
            for _ in range(BURST_MAX):
                if not self._queue:
                    break
                self._take(self._queue.popleft())
        finally:  # whatever one event led to, the next may be the one that stops the toy
            self._is_draining = False
            if self._queue:
                self._wake()

    def _take(self, event: Event) -> None:
        try:
            step = self._core.step(event)
        except StatesError:  # nothing has moved
            self.dropped[event.name] += 1
            _log.exception("the event %s was dropped", event.name)
            return
        self._recording.record(step)
        for effect in step.effects:
            if effect.name == "defer":
                self._defer(event)
            else:
                self._perform(effect)
        for observer in self.observers:
            try:
                observer(step)
            except Exception:  # noqa: BLE001 - the others are to know of the step all the same
                self.failures["observer"] += 1
                _log.exception("an observer of the event %s failed", event.name)

    def _perform(self, effect: Effect) -> None:
        for perform in self._performs.get(effect.name, ()):
            try:
                perform(**effect.fields)
            except Exception:  # noqa: BLE001 - whatever it is
                # One part's defect must not keep the rest from being performed: the microphone
                # closes even if the light fails.
                self.failures[effect.name] += 1
                _log.exception("the effect %s failed", effect.name)

    def _defer(self, event: Event) -> None:
        """Keep ``event``; a configuration takes the place of the one before it."""
        key = (event.name, event.fields.get("command"))
        self._deferred.pop(key, None)
        if len(self._deferred) >= DEFERRED_MAX and event.name not in NEVER_DROPPED:
            self.dropped[event.name] += 1
            return
        self._deferred[key] = event

    def _forget(self) -> None:
        self._deferred.clear()

    def _recall(self) -> None:
        """Put what was deferred before everything that waits, in its own order."""
        deferred, self._deferred = list(self._deferred.values()), {}
        self._queue.extendleft(reversed(deferred))
        if self._queue:
            self._wake()
