"""The RGB LED on mock pins."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from gpiozero.pins.mock import MockPWMPin

from hardware.clock import Clock
from hardware.errors import MisuseError
from hardware.patterns import MicrophoneSign, Pattern, colour, is_moving
from hardware.sim.board import SimBoard
from hardware.sim.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable


class CountingClock(Clock):
    """A clock that counts the timers it was asked for."""

    timers = 0

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Count, then arm."""
        self.timers += 1
        return super().call_later(delay_ms, callback)


@pytest.mark.parametrize("pattern", Pattern)
def test_the_pins_follow_the_pattern(pattern: Pattern) -> None:
    """What the LED looks like is the pattern's colour, frame by frame."""

    async def main() -> None:
        clock = Clock()
        board = SimBoard(clock)
        await asyncio.sleep(1.234)
        began_ms = clock.monotonic_ms()
        board.lights.show(pattern, "sampling")
        for _ in range(120):
            t_ms = clock.monotonic_ms() - began_ms
            assert board.colour == pytest.approx(colour(pattern, MicrophoneSign.SAMPLING, t_ms))
            await asyncio.sleep(0.02)
        board.close()

    run_virtual(main())


@pytest.mark.parametrize("pattern", Pattern)
def test_a_timer_runs_only_while_the_pattern_moves(pattern: Pattern) -> None:
    """Fifty a second, or none."""

    async def main() -> None:
        clock = CountingClock()
        board = SimBoard(clock)
        board.lights.show(Pattern.RAINBOW_SWIRL, "closed")
        board.lights.show(pattern, "closed")
        clock.timers = 0
        await asyncio.sleep(10.01)
        assert clock.timers == (500 if is_moving(pattern) else 0)
        board.close()

    run_virtual(main())


def test_the_light_is_on_before_show_returns() -> None:
    """No frame is waited for."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.lights.show("blue-solid", "capture")
        assert board.colour == pytest.approx((0.55, 0.55, 1))
        board.close()

    run_virtual(main())


def test_a_new_sign_alone_keeps_the_rhythm() -> None:
    """The microphone opening does not make the breathing stumble."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.lights.show("blue-breathing", "closed")
        await asyncio.sleep(1.01)
        board.lights.show("blue-breathing", "sampling")
        seen = colour(Pattern.BLUE_BREATHING, MicrophoneSign.SAMPLING, 1010)
        assert board.colour == pytest.approx(seen)
        await asyncio.sleep(0.01)
        seen = colour(Pattern.BLUE_BREATHING, MicrophoneSign.SAMPLING, 1020)
        assert board.colour == pytest.approx(seen)
        board.close()

    run_virtual(main())


def test_a_new_pattern_begins_at_its_beginning() -> None:
    """Whatever was shown before."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.lights.show("blue-breathing", "closed")
        await asyncio.sleep(0.777)
        board.lights.show("yellow-blink", "closed")
        assert board.colour == pytest.approx((1, 0.8, 0))
        await asyncio.sleep(0.499)
        assert board.colour == pytest.approx((1, 0.8, 0))
        await asyncio.sleep(0.002)
        assert board.colour == (0, 0, 0)
        board.close()

    run_virtual(main())


def test_pins_are_written_only_when_the_colour_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blink costs two writes a second, not fifty."""
    writes: list[float] = []
    write = MockPWMPin._set_state

    def noted(pin: MockPWMPin, duty: float) -> None:
        writes.append(duty)
        write(pin, duty)

    async def main() -> None:
        board = SimBoard(Clock())
        monkeypatch.setattr(MockPWMPin, "_set_state", noted)
        board.lights.show("yellow-blink", "closed")
        await asyncio.sleep(9.9)
        changes = board.pin_history(board.profile.rgb_pins[0])
        assert [change.monotonic_ms for change in changes] == list(range(0, 9501, 500))
        assert len(writes) == 3 * len(changes)
        board.close()

    run_virtual(main())


@pytest.mark.parametrize(
    ("pattern", "microphone", "complaint"),
    [
        ("blue-solit", "closed", "no Pattern called 'blue-solit'; did you mean one of blue-solid"),
        ("dim", "capturing", "no MicrophoneSign called 'capturing'; did you mean one of capture"),
        ("dim", "?", r"one of closed, sampling, capture\?"),
    ],
)
def test_an_unknown_name_is_refused_and_changes_nothing(
    pattern: str, microphone: str, complaint: str
) -> None:
    """The nearest name is given, and the light stays as it was."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.lights.show("green", "closed")
        with pytest.raises(MisuseError, match=complaint):
            board.lights.show(pattern, microphone)
        assert board.colour == (0, 1, 0)
        assert [shown.pattern for shown in board.light_history] == ["green"]
        board.close()

    run_virtual(main())


def test_closed_lights_are_dark_and_refuse_to_show() -> None:
    """Closing is final, and harmless when repeated."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.lights.show("rainbow-swirl", "capture")
        board.lights.close()
        board.lights.close()
        assert board.colour == (0, 0, 0)
        with pytest.raises(MisuseError, match="closed and cannot show 'green'"):
            board.lights.show("green", "closed")
        board.close()

    run_virtual(main())


def test_no_thread_is_ever_started() -> None:
    """gpiozero's blinking and pulsing threads are not used."""

    async def main() -> None:
        before = threading.enumerate()
        board = SimBoard(Clock())
        board.open_button(lambda _: None, lambda _: None)
        for pattern in Pattern:
            board.lights.show(pattern, "sampling")
            board.tap(10)
            await asyncio.sleep(1)
        assert threading.enumerate() == before
        board.close()
        assert threading.enumerate() == before

    run_virtual(main())
