"""The button: clean presses and releases out of a bouncing contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpiozero import InputDevice

from hardware.errors import MisuseError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hardware.board import BoardProfile
    from hardware.clock import Clock

_PULL_UP = {"up": True, "down": False, "floating": None}


class Debouncer:
    """Decides which edges of a bouncing contact are worth reporting; pure.

    The leading edge is reported at once and opens a window in which every further edge is taken
    for bounce. At the window's end the level is read again: if it differs from what was reported,
    that is reported, and a new window opens. So reports alternate, two reports are never closer
    than the window, and what was reported agrees with the contact once it has settled, even if
    edges within a window were lost.

    The caller owes a call of `settle` at `settles_at_ms`, and times that do not run backwards by
    more than one window.

    Args:
        window_ms: Length of the window, at least 1.
        down: The level now; it is taken as reported.
    """

    def __init__(self, window_ms: int, *, down: bool) -> None:
        if window_ms < 1:
            raise MisuseError(f"a debounce window lasts at least 1 ms, not {window_ms}")
        self._window_ms = window_ms
        self._window_ends_ms: int | None = None
        self._is_window_open = False
        self.is_down = down
        """What was last reported."""

    @property
    def settles_at_ms(self) -> int | None:
        """When to call `settle`; None while no window is open."""
        return self._window_ends_ms if self._is_window_open else None

    def edge(self, at_ms: int, *, down: bool) -> bool:
        """Take an edge to `down` at `at_ms`; return whether it is to be reported."""
        if self._window_ends_ms is not None and at_ms < self._window_ends_ms:
            return False
        return self._adopt(at_ms, down=down)

    def settle(self, at_ms: int, *, down: bool) -> bool:
        """Take the level read at the window's end; return whether it is to be reported."""
        if self._window_ends_ms is None or at_ms < self._window_ends_ms:
            return False
        self._is_window_open = False
        return self._adopt(at_ms, down=down)

    def _adopt(self, at_ms: int, *, down: bool) -> bool:
        if down == self.is_down:
            return False
        self.is_down = down
        self._window_ends_ms = at_ms + self._window_ms
        self._is_window_open = True
        return True


class Button:
    """A push button on a GPIO pin, debounced, reporting the leading edge at once.

    The pin's own edge events are used rather than those of gpiozero's `DigitalInputDevice`, which
    drops an edge that repeats the last level it *saw*: after one lost edge the next press would
    go missing. On a Pi edges arrive on a thread of the GPIO library; they are stamped there and
    handed to the loop, where everything else happens.

    The caller must keep the button: gpiozero refers to it weakly, and a button that nobody keeps
    reports nothing.

    Args:
        profile: Gives the pin, its pull, its active level and the debounce window.
        pin_factory: The gpiozero pin factory: lgpio's on a Pi, the mock one elsewhere.
        clock: Stamps the edges and ends the windows.
        on_press: Called in the loop with the monotonic milliseconds of the edge.
        on_release: Likewise.
    """

    def __init__(
        self,
        profile: BoardProfile,
        pin_factory: Any,  # noqa: ANN401 - gpiozero has no type annotations
        clock: Clock,
        on_press: Callable[[int], None],
        on_release: Callable[[int], None],
    ) -> None:
        self._clock = clock
        self._on_press = on_press
        self._on_release = on_release
        self._timer: asyncio.TimerHandle | None = None
        self._debounce_ms = profile.debounce_ms
        self._active_level = profile.button_active == "high"
        pull_up = _PULL_UP[profile.button_pull]
        self._device = InputDevice(
            profile.button_pin,
            pull_up=pull_up,
            active_state=self._active_level if pull_up is None else None,
            pin_factory=pin_factory,
        )
        self._device.pin.edges = "both"
        self._device.pin.when_changed = self._on_edge
        # Read only now: an edge between the two would otherwise be neither seen nor reported.
        self._debouncer = Debouncer(self._debounce_ms, down=self._device.is_active)

    @property
    def is_pressed(self) -> bool:
        """The debounced level; at first the level that the pin had at construction."""
        return self._debouncer.is_down

    def close(self) -> None:
        """Give the pin back; nothing is reported any more. Harmless when closed."""
        if self._device.closed:
            return
        self._device.pin.when_changed = None
        self._device.close()
        if self._timer is not None:
            self._timer.cancel()

    def _on_edge(self, _ticks: float, level: int) -> None:
        """Take an edge from gpiozero, on whatever thread it comes."""
        at_ms = self._clock.monotonic_ms()
        down = bool(level) == self._active_level
        self._clock.call_soon_threadsafe(lambda: self._handle_edge(at_ms, down=down))

    def _handle_edge(self, at_ms: int, *, down: bool) -> None:
        if not self._device.closed and self._debouncer.edge(at_ms, down=down):
            self._report(at_ms)

    def _handle_settle(self) -> None:
        at_ms = self._clock.monotonic_ms()
        if self._debouncer.settle(at_ms, down=self._device.is_active):
            self._report(at_ms)

    def _report(self, at_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        passed_ms = self._clock.monotonic_ms() - at_ms
        delay_ms = max(0, self._debounce_ms - passed_ms)
        self._timer = self._clock.call_later(delay_ms, self._handle_settle)
        (self._on_press if self._debouncer.is_down else self._on_release)(at_ms)
