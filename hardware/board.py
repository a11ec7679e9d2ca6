"""Boards that the firmware knows: which device hangs on which pin."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from hardware.errors import MisuseError, UnknownBoardError

if TYPE_CHECKING:
    from collections.abc import Mapping

GPIO_MAX = 27
"""Highest BCM number on the 40-pin header; the lowest is 0."""

DEBOUNCE_MS_MAX = 200
"""A longer window would swallow the presses of a quick triple."""

VIRTUAL_SOUND = "virtual"
"""The name of the microphone and the speaker that are simulated."""

_ACTIVE_LEVEL_OF_PULL = {"up": "low", "down": "high"}


@dataclass(frozen=True, kw_only=True)
class BoardProfile:
    """One board's wiring. Pins are BCM numbers.

    Attributes:
        name: What the configuration calls it.
        button_pin: Where the button is.
        button_pull: The Pi's internal resistor; "floating" where the board has its own.
        button_active: The level that means pressed. A pull-up implies "low", a pull-down "high".
        rgb_pins: Red, green and blue of the LED, common cathode, each driven by PWM.
        debounce_ms: For how long after a reported edge further edges are taken for bounce.
        sound_card: Part of the name of its microphone and speaker; `VIRTUAL_SOUND` for none but
            the simulated ones.
        keeps_time: Whether the system's clock runs while the device is off, and is somebody else's
            to set. A Pi has no clock battery: it starts with the time of its last shutdown.

    Raises:
        MisuseError: The values contradict each other or name pins that do not exist.
    """

    name: str
    button_pin: int
    button_pull: Literal["up", "down", "floating"] = "up"
    button_active: Literal["low", "high"] = "low"
    rgb_pins: tuple[int, int, int]
    debounce_ms: int = 50
    sound_card: str
    keeps_time: bool = False

    def __post_init__(self) -> None:
        """Refuse wiring that cannot be."""
        pins = (self.button_pin, *self.rgb_pins)
        if any(not 0 <= pin <= GPIO_MAX for pin in pins) or len(set(pins)) < len(pins):
            raise MisuseError(
                f"board {self.name!r}: pins {pins} must be different BCM numbers of 0-{GPIO_MAX}"
            )
        if _ACTIVE_LEVEL_OF_PULL.get(self.button_pull, self.button_active) != self.button_active:
            raise MisuseError(
                f"board {self.name!r}: a button pulled {self.button_pull} cannot be active "
                f"{self.button_active}: it would read pressed while nobody touches it"
            )
        if not 1 <= self.debounce_ms <= DEBOUNCE_MS_MAX:
            raise MisuseError(
                f"board {self.name!r}: debounce_ms is {self.debounce_ms}, "
                f"must be 1-{DEBOUNCE_MS_MAX}"
            )


PROFILES: Mapping[str, BoardProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            BoardProfile(
                name="sim",
                button_pin=17,
                rgb_pins=(5, 6, 13),
                sound_card=VIRTUAL_SOUND,
                keeps_time=True,
            ),
            BoardProfile(name="rgb-pwm", button_pin=17, rgb_pins=(5, 6, 13), sound_card="default"),
        )
    }
)
"""Every known board by its name."""


def find_profile(name: str) -> BoardProfile:
    """Return the profile called `name`.

    Raises:
        UnknownBoardError: There is none; the message gives the nearest name, or all of them.
    """
    if name in PROFILES:
        return PROFILES[name]
    near = difflib.get_close_matches(name, PROFILES, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"known boards: {', '.join(PROFILES)}"
    raise UnknownBoardError(f"no board is called {name!r}; {advice}")
