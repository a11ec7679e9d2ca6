"""A board without a Pi: gpiozero's own mock pins under the very classes that run on one."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from gpiozero.pins.mock import MockFactory, MockPWMPin

from hardware.board import PROFILES, BoardProfile
from hardware.button import Button
from hardware.errors import MisuseError
from hardware.lights import Lights, RgbLed
from hardware.patterns import GAMMA, Colour

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hardware.clock import Clock

PIN_CHANGES_MAX = 10_000
"""Changes remembered of each pin, the newest: a breathing light makes 50 a second."""

LIGHTS_SHOWN_MAX = 10_000
"""Calls of `show` remembered, the newest."""

BOUNCE_MS = 1
"""Time between two edges of a bouncing contact."""

_ZERO_2_W = "902120"


class PinChange(NamedTuple):
    """A pin's new level or duty cycle, 0..1, and since when."""

    monotonic_ms: int
    level: float


class LightShown(NamedTuple):
    """What the lights were told to show, and when."""

    monotonic_ms: int
    pattern: str
    microphone: str


class _SimPin(MockPWMPin):  # type: ignore[misc]  # gpiozero has no type annotations
    """A mock pin that keeps our time, remembers a bounded past, and may have a switch on it."""

    def __init__(self, factory: _SimFactory, info: Any) -> None:  # noqa: ANN401 - as above
        self.changes: deque[PinChange] = deque(maxlen=PIN_CHANGES_MAX)
        self._clock = factory.clock
        self._wired_level: bool | None = None
        super().__init__(factory, info)

    def wire(self, *, level: bool) -> None:
        """Force the pin to a level, as a switch does: stronger than any pull resistor."""
        self._wired_level = level
        if level:
            self.drive_high()
        else:
            self.drive_low()

    def clear_states(self) -> None:
        """Forget the mock's own record of states, which would otherwise grow for ever."""
        super().clear_states()
        self.states: deque[Any] = deque(self.states, maxlen=1)

    def _change_state(self, value: float) -> bool:
        level = value if self._wired_level is None else self._wired_level
        if not super()._change_state(level):
            return False
        self.changes.append(PinChange(self._clock.monotonic_ms(), float(level)))
        return True


class _SimFactory(MockFactory):  # type: ignore[misc]  # gpiozero has no type annotations
    """Mock pins of a Zero 2 W that know the clock; no environment variable changes that."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(revision=_ZERO_2_W, pin_class=_SimPin)
        self.clock = clock


class _RecordedLights:
    """Lights that note what they were told."""

    def __init__(self, lights: Lights, clock: Clock) -> None:
        self.shown: deque[LightShown] = deque(maxlen=LIGHTS_SHOWN_MAX)
        self._lights = lights
        self._clock = clock

    def show(self, pattern: str, microphone: str) -> None:
        """Show it, and note it if that worked."""
        self._lights.show(pattern, microphone)
        self.shown.append(LightShown(self._clock.monotonic_ms(), pattern, microphone))

    def close(self) -> None:
        """Close the lights."""
        self._lights.close()


class SimBoard:
    """A board whose button is pressed by calling `press`, and whose LED is read as `colour`.

    Its button and lights are `hardware.button.Button` and `hardware.lights.RgbLed`. Nothing in it
    starts a thread; every time it records is the clock's.

    Args:
        clock: Whose time.
        profile: The wiring to imitate.
    """

    def __init__(self, clock: Clock, profile: BoardProfile = PROFILES["sim"]) -> None:
        self.profile = profile
        self._clock = clock
        self._factory = _SimFactory(clock)
        self._pins: dict[int, _SimPin] = {
            pin: self._factory.pin(pin) for pin in (profile.button_pin, *profile.rgb_pins)
        }
        self._button: Button | None = None
        self._gesture: list[asyncio.TimerHandle] = []
        self._is_down = False
        self._touch(down=False)
        self._lights = _RecordedLights(RgbLed(profile, self._factory, clock), clock)

    def open_button(
        self, on_press: Callable[[int], None], on_release: Callable[[int], None]
    ) -> Button:
        """Return the board's button, connected to two callbacks; one at a time.

        A board that was pressed before has a button that is down at start.
        """
        self._button = Button(self.profile, self._factory, self._clock, on_press, on_release)
        return self._button

    @property
    def lights(self) -> Lights:
        """The board's lights."""
        return self._lights

    @property
    def is_down(self) -> bool:
        """Whether somebody holds the button down; bounce does not count."""
        return self._is_down

    @property
    def colour(self) -> Colour:
        """What the LED looks like now, read back from its three pins."""
        duties = (self._pins[pin].state for pin in self.profile.rgb_pins)
        return Colour(*(duty ** (1 / GAMMA) for duty in duties))

    @property
    def light_history(self) -> list[LightShown]:
        """What the lights were told, oldest first; `LIGHTS_SHOWN_MAX` at most."""
        return list(self._lights.shown)

    def pin_history(self, pin: int) -> list[PinChange]:
        """Every change of a pin (BCM number), oldest first; `PIN_CHANGES_MAX` at most.

        Raises:
            MisuseError: Nothing hangs on that pin.
        """
        if pin not in self._pins:
            raise MisuseError(f"nothing hangs on pin {pin}, only on {sorted(self._pins)}")
        return list(self._pins[pin].changes)

    def press(self, *, bounces: int = 0) -> None:
        """Press the button and hold it; ends any gesture under way.

        Args:
            bounces: How often the contact opens again, for `BOUNCE_MS`, before it stays closed.
        """
        self._move(bounces, down=True)

    def release(self, *, bounces: int = 0) -> None:
        """Let go of the button, with as many `bounces`; ends any gesture under way."""
        self._move(bounces, down=False)

    def tap(self, hold_ms: int, *, bounces: int = 0) -> None:
        """Press the button now and let go `hold_ms` later.

        Raises:
            MisuseError: `hold_ms` is shorter than the bouncing.
        """
        if hold_ms <= 2 * bounces * BOUNCE_MS:
            raise MisuseError(f"{bounces} bounces do not fit into a tap of {hold_ms} ms")
        self.press(bounces=bounces)
        letting_go = partial(self.release, bounces=bounces)
        self._gesture.append(self._clock.call_later(hold_ms, letting_go))

    def close(self) -> None:
        """Stop all gestures, go dark, give the pins back. Harmless when closed."""
        self._stop_gesture()
        if self._button is not None:
            self._button.close()
        self._lights.close()
        self._factory.close()

    def _move(self, bounces: int, *, down: bool) -> None:
        self._stop_gesture()
        self._is_down = down
        self._touch(down=down)
        for edge in range(1, 2 * bounces + 1):
            level = down if edge % 2 == 0 else not down
            bounce = partial(self._touch, down=level)
            self._gesture.append(self._clock.call_later(edge * BOUNCE_MS, bounce))

    def _stop_gesture(self) -> None:
        for timer in self._gesture:
            timer.cancel()
        self._gesture.clear()

    def _touch(self, *, down: bool) -> None:
        level = down == (self.profile.button_active == "high")
        self._pins[self.profile.button_pin].wire(level=level)
