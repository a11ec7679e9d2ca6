"""What each light looks like: pure functions of time, as one table.

How to read the table: a pattern is a loop of segments, each leading from one colour to another in
so many milliseconds. `_hold` keeps a colour, `_ramp` fades. A pattern of one held colour is still.

Colours are as the eye sees them, 0..1 for each of red, green and blue; `Colour.duty` makes light of
them. No pattern flashes more than three times within any second (WCAG 2.3.1: more can set off a
seizure), and every one differs from every other in rhythm or brightness, not in hue alone, so that
they can be told apart by those who see no red or no green.

How the microphone is shown on a single LED: two colours are set apart for it and mixed into
whatever else is shown, without ever moving:

* closed: nothing is mixed in. Patterns by themselves keep off white and cyan: the lesser of green
  and blue never rises above `INK_FLOOR_MAX`.
* sampling: a steady **cyan** glow. Green and blue never fall below `SAMPLING_FLOOR`.
* capture: a steady **white** glow. No channel ever falls below `CAPTURE_FLOOR`.

So a dark gap means closed, a cyan one sampling, a white one capture; and any single instant of any
pattern tells which of the three it is, without knowing the pattern. A test holds this for every
pattern, also at the 1 % steps of lgpio's PWM.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

GAMMA = 2.2
"""Exponent from perceived brightness to duty cycle (that of sRGB, roughly)."""

INK_FLOOR_MAX = 0.30
SAMPLING_FLOOR = 0.40
CAPTURE_FLOOR = 0.55


class Pattern(StrEnum):
    """Every light, by the name under which the table of states asks for it."""

    WHITE_SWEEP = "white-sweep"
    """Starting up."""
    YELLOW_BLINK = "yellow-blink"
    """Not set up yet, or being set up."""
    OFFER_SETUP = "offer-setup"
    """Held at start-up: let go now for set-up. Long-short."""
    OFFER_ERASE = "offer-erase"
    """Held at start-up: let go now to erase. Three red flashes."""
    YELLOW_PULSE = "yellow-pulse"
    """Authenticating."""
    BLUE_BREATHING = "blue-breathing"
    """Idle and awake."""
    DIM = "dim"
    """Asleep."""
    RED_DOT = "red-dot"
    """Muted."""
    BLUE_DOUBLE_PULSE = "blue-double-pulse"
    """Listening."""
    BLUE_SOLID = "blue-solid"
    """Sending."""
    RAINBOW_SWIRL = "rainbow-swirl"
    """Waiting for the reply."""
    GREEN = "green"
    """Speaking."""
    AMBER_PULSE = "amber-pulse"
    """Offline and ready."""
    AMBER_DOUBLE_PULSE = "amber-double-pulse"
    """Offline and listening."""
    AMBER_GREEN = "amber-green"
    """Answering from the device."""
    RED_AMBER = "red-amber"
    """Locked for safety."""
    RED_AMBER_ALARM = "red-amber-alarm"
    """Locked for safety, and the lock's record could not be written."""


class MicrophoneSign(StrEnum):
    """What the light says about the microphone."""

    CLOSED = "closed"
    SAMPLING = "sampling"
    CAPTURE = "capture"


class Colour(NamedTuple):
    """Red, green and blue, 0..1, as the eye sees them."""

    red: float
    green: float
    blue: float

    @property
    def duty(self) -> tuple[float, float, float]:
        """The duty cycles, 0..1, that look like this colour."""
        return (self.red**GAMMA, self.green**GAMMA, self.blue**GAMMA)


class _Segment(NamedTuple):
    duration_ms: int
    start: Colour
    end: Colour


def _hold(duration_ms: int, colour: Colour) -> _Segment:
    return _Segment(duration_ms, colour, colour)


def _ramp(duration_ms: int, start: Colour, end: Colour) -> _Segment:
    return _Segment(duration_ms, start, end)


def _dimmed(colour: Colour, level: float) -> Colour:
    return Colour(colour.red * level, colour.green * level, colour.blue * level)


_BLACK = Colour(0, 0, 0)
_RED = Colour(1, 0, 0)
_AMBER = Colour(1, 0.5, 0)
_YELLOW = Colour(1, 0.8, 0)
_GREEN = Colour(0, 1, 0)
_BLUE = Colour(0, 0, 1)
_MAGENTA = Colour(1, 0, 1)
# White and cyan are the microphone's; these are as much of them as a pattern may show.
_WHITE = Colour(INK_FLOOR_MAX, INK_FLOOR_MAX, INK_FLOOR_MAX)
_CYAN = Colour(0, INK_FLOOR_MAX, INK_FLOOR_MAX)

_STILL_MS = 1000

_SEGMENTS: Mapping[Pattern, tuple[_Segment, ...]] = MappingProxyType(
    {
        Pattern.WHITE_SWEEP: (_ramp(1000, _BLACK, _WHITE), _hold(200, _BLACK)),
        Pattern.YELLOW_BLINK: (_hold(500, _YELLOW), _hold(500, _BLACK)),
        Pattern.OFFER_SETUP: (
            *(_hold(600, _YELLOW), _hold(200, _BLACK)),
            *(_hold(200, _YELLOW), _hold(500, _BLACK)),
        ),
        Pattern.OFFER_ERASE: (
            *(_hold(150, _RED), _hold(150, _BLACK)),
            *(_hold(150, _RED), _hold(150, _BLACK)),
            *(_hold(150, _RED), _hold(750, _BLACK)),
        ),
        Pattern.YELLOW_PULSE: (_ramp(750, _BLACK, _YELLOW), _ramp(750, _YELLOW, _BLACK)),
        Pattern.BLUE_BREATHING: (
            _ramp(1700, _dimmed(_BLUE, 0.15), _dimmed(_BLUE, 0.7)),
            _ramp(2300, _dimmed(_BLUE, 0.7), _dimmed(_BLUE, 0.15)),
        ),
        Pattern.DIM: (_hold(_STILL_MS, _dimmed(_BLUE, 0.2)),),
        Pattern.RED_DOT: (_hold(_STILL_MS, _dimmed(_RED, 0.45)),),
        Pattern.BLUE_DOUBLE_PULSE: (
            *(_ramp(120, _BLACK, _BLUE), _ramp(180, _BLUE, _BLACK)),
            *(_ramp(120, _BLACK, _BLUE), _ramp(180, _BLUE, _BLACK)),
            _hold(600, _BLACK),
        ),
        Pattern.BLUE_SOLID: (_hold(_STILL_MS, _BLUE),),
        Pattern.RAINBOW_SWIRL: (
            *(_ramp(500, _RED, _YELLOW), _ramp(500, _YELLOW, _GREEN)),
            *(_ramp(250, _GREEN, _CYAN), _ramp(250, _CYAN, _BLUE)),
            *(_ramp(500, _BLUE, _MAGENTA), _ramp(500, _MAGENTA, _RED)),
        ),
        Pattern.GREEN: (_hold(_STILL_MS, _GREEN),),
        Pattern.AMBER_PULSE: (
            _ramp(1500, _dimmed(_AMBER, 0.1), _AMBER),
            _ramp(1500, _AMBER, _dimmed(_AMBER, 0.1)),
        ),
        Pattern.AMBER_DOUBLE_PULSE: (
            *(_ramp(160, _BLACK, _AMBER), _ramp(240, _AMBER, _BLACK)),
            *(_ramp(160, _BLACK, _AMBER), _ramp(240, _AMBER, _BLACK)),
            _hold(1200, _BLACK),
        ),
        Pattern.AMBER_GREEN: (_ramp(1000, _AMBER, _GREEN), _ramp(1000, _GREEN, _AMBER)),
        Pattern.RED_AMBER: (_hold(1000, _RED), _hold(1000, _AMBER)),
        Pattern.RED_AMBER_ALARM: (
            *(_hold(300, _RED), _hold(100, _BLACK)),
            *(_hold(300, _AMBER), _hold(100, _BLACK)),
        ),
    }
)

# For each pattern, when each of its segments ends; the last of these is its period.
_ENDS_MS: Mapping[Pattern, tuple[int, ...]] = MappingProxyType(
    {
        pattern: tuple(accumulate(segment.duration_ms for segment in segments))
        for pattern, segments in _SEGMENTS.items()
    }
)


def period_ms(pattern: Pattern) -> int:
    """Return after how long the pattern repeats."""
    return _ENDS_MS[pattern][-1]


def is_moving(pattern: Pattern) -> bool:
    """Return whether the pattern's colour ever changes."""
    return len({colour for segment in _SEGMENTS[pattern] for colour in segment[1:]}) > 1


def colour(pattern: Pattern, microphone: MicrophoneSign, t_ms: int) -> Colour:
    """Return what to show `t_ms` after the pattern began, with the microphone's sign mixed in."""
    ink = _ink(pattern, t_ms)
    if microphone is MicrophoneSign.CLOSED:
        return ink
    if microphone is MicrophoneSign.SAMPLING:
        return Colour(
            ink.red,
            _lifted(ink.green, SAMPLING_FLOOR),
            _lifted(ink.blue, SAMPLING_FLOOR),
        )
    return Colour(*(_lifted(channel, CAPTURE_FLOOR) for channel in ink))


def _ink(pattern: Pattern, t_ms: int) -> Colour:
    ends_ms = _ENDS_MS[pattern]
    phase_ms = t_ms % ends_ms[-1]
    index = bisect_right(ends_ms, phase_ms)
    duration_ms, start, end = _SEGMENTS[pattern][index]
    if start == end:
        return start
    share = 1 - (ends_ms[index] - phase_ms) / duration_ms
    return Colour(
        start.red + (end.red - start.red) * share,
        start.green + (end.green - start.green) * share,
        start.blue + (end.blue - start.blue) * share,
    )


def _lifted(channel: float, floor: float) -> float:
    return floor + (1 - floor) * channel
