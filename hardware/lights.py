"""The lights: whatever pattern and microphone sign they are told to show."""

from __future__ import annotations

import difflib
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gpiozero import RGBLED

from hardware.errors import MisuseError
from hardware.patterns import Colour, MicrophoneSign, Pattern, colour, is_moving
from hardware.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

    from hardware.board import BoardProfile
    from hardware.clock import Clock

LIGHT_FRAME_MS = 20
"""Time between two steps of a moving pattern: 50 a second."""

_DARK = Colour(0, 0, 0)

_Name = TypeVar("_Name", bound="StrEnum")


class Lights(Protocol):
    """Something that can show a pattern."""

    def show(self, pattern: str, microphone: str) -> None:
        """Show a `Pattern` and a `MicrophoneSign`, from now on.

        A new pattern begins at its beginning; a new sign alone leaves the pattern's rhythm as it
        is. What is already shown goes on undisturbed.

        Raises:
            MisuseError: There is no such pattern or sign, or the lights are closed.
        """

    def close(self) -> None:
        """Go dark and give the pins back. Harmless when closed."""


class RgbLed:
    """One RGB LED on three PWM pins.

    The first frame is lit before `show` returns; after it a timer runs at `LIGHT_FRAME_MS`, only
    while the pattern moves. gpiozero's own `pulse` and `blink` are not used: each is a thread with
    a clock of its own.

    Args:
        profile: Gives the three pins.
        pin_factory: The gpiozero pin factory: lgpio's on a Pi, the mock one elsewhere.
        clock: Drives the animation.
    """

    def __init__(
        self,
        profile: BoardProfile,
        pin_factory: Any,  # noqa: ANN401 - gpiozero has no type annotations
        clock: Clock,
    ) -> None:
        self._led = RGBLED(*profile.rgb_pins, pin_factory=pin_factory)
        self._clock = clock
        self._ticker = Ticker(clock, LIGHT_FRAME_MS, self._paint)
        self._pattern: Pattern | None = None
        self._colour_at: Callable[[int], Colour] = lambda _: _DARK
        self._began_ms = 0
        self._painted = _DARK

    def show(self, pattern: str, microphone: str) -> None:
        """Show a pattern and the microphone's sign; see `Lights.show`."""
        if self._led.closed:
            raise MisuseError(f"the lights are closed and cannot show {pattern!r}")
        wanted = _named(Pattern, pattern)
        sign = _named(MicrophoneSign, microphone)
        now_ms = self._clock.monotonic_ms()
        if wanted is not self._pattern:
            self._pattern = wanted
            self._began_ms = now_ms
            if is_moving(wanted):
                self._ticker.start(now_ms + LIGHT_FRAME_MS)
            else:
                self._ticker.stop()
        self._colour_at = partial(colour, wanted, sign)
        self._paint(now_ms)

    def close(self) -> None:
        """Go dark and give the pins back."""
        self._ticker.stop()
        self._led.close()

    def _paint(self, at_ms: int) -> None:
        wanted = self._colour_at(at_ms - self._began_ms)
        if wanted != self._painted:
            self._led.value = wanted.duty
            self._painted = wanted


def _named(kind: type[_Name], name: str) -> _Name:
    try:
        return kind(name)
    except ValueError:
        names = [known.value for known in kind]
        near = difflib.get_close_matches(name, names, n=1) or names
        raise MisuseError(
            f"there is no {kind.__name__} called {name!r}; did you mean one of {', '.join(near)}?"
        ) from None
