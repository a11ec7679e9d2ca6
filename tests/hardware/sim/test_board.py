"""The simulated board."""

from __future__ import annotations

import asyncio

import pytest
from gpiozero import GPIOPinInUse

from hardware.clock import Clock
from hardware.errors import MisuseError
from hardware.sim.board import SimBoard
from hardware.sim.clock import run_virtual


def test_the_contact_bounces_as_told() -> None:
    """Two bounces are five edges, a millisecond apart, ending where the finger is."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.press(bounces=2)
        await asyncio.sleep(0.1)
        board.release()
        await asyncio.sleep(0.1)
        edges = board.pin_history(board.profile.button_pin)[-6:]
        assert edges == [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0), (100, 1)]
        board.close()

    run_virtual(main())


def test_the_last_gesture_counts() -> None:
    """A press in the middle of a tap is held: the tap's release does not come."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.tap(100)
        await asyncio.sleep(0.05)
        board.press()
        await asyncio.sleep(1)
        assert board.is_down
        board.close()

    run_virtual(main())


def test_a_tap_too_short_for_its_bounces_is_refused() -> None:
    """It would end before it had settled."""

    async def main() -> None:
        board = SimBoard(Clock())
        with pytest.raises(MisuseError, match="5 bounces do not fit into a tap of 10 ms"):
            board.tap(10, bounces=5)
        assert not board.is_down
        board.close()

    run_virtual(main())


def test_history_is_on_the_boards_own_clock() -> None:
    """gpiozero's mock pins read the wall clock; what is recorded does not."""

    async def main() -> None:
        board = SimBoard(Clock())
        await asyncio.sleep(86_400)
        board.lights.show("green", "sampling")
        assert board.light_history == [(86_400_000, "green", "sampling")]
        green = board.profile.rgb_pins[1]
        assert board.pin_history(green) == [(86_400_000, 1.0)]
        board.close()

    run_virtual(main())


def test_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of breathing do not fill the memory; the mock's own list neither."""
    monkeypatch.setattr("hardware.sim.board.PIN_CHANGES_MAX", 100)
    monkeypatch.setattr("hardware.sim.board.LIGHTS_SHOWN_MAX", 3)

    async def main() -> None:
        board = SimBoard(Clock())
        for _ in range(5):
            board.lights.show("blue-breathing", "closed")
        await asyncio.sleep(60)
        blue = board.profile.rgb_pins[2]
        assert len(board.light_history) == 3
        assert len(board.pin_history(blue)) == 100
        assert len(board._pins[blue].states) == 1
        board.close()

    run_virtual(main())


def test_history_outlives_the_board() -> None:
    """Whoever looks afterwards still finds it, to the LED's last going dark."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.lights.show("green", "closed")
        board.close()
        board.close()
        assert board.light_history == [(0, "green", "closed")]
        assert board.pin_history(board.profile.rgb_pins[1]) == [(0, 1.0), (0, 0.0)]

    run_virtual(main())


def test_a_pin_without_a_device_has_no_history() -> None:
    """The error says which pins there are."""

    async def main() -> None:
        board = SimBoard(Clock())
        with pytest.raises(MisuseError, match=r"nothing hangs on pin 4, only on \[5, 6, 13, 17\]"):
            board.pin_history(4)
        board.close()

    run_virtual(main())


def test_a_board_has_one_button_at_a_time() -> None:
    """A second one is refused as on a Pi, until the first is closed."""

    async def main() -> None:
        board = SimBoard(Clock())
        button = board.open_button(lambda _: None, lambda _: None)
        with pytest.raises(GPIOPinInUse):
            board.open_button(lambda _: None, lambda _: None)
        button.close()
        board.open_button(lambda _: None, lambda _: None)
        board.close()

    run_virtual(main())


def test_a_closed_board_is_not_touched_any_more() -> None:
    """A gesture under way ends with it."""

    async def main() -> None:
        board = SimBoard(Clock())
        reports: list[int] = []
        board.open_button(reports.append, reports.append)
        board.tap(100)
        await asyncio.sleep(0.01)
        board.close()
        await asyncio.sleep(1)
        assert reports == [0]

    run_virtual(main())


def test_two_boards_do_not_share_pins() -> None:
    """A simulation may run many in one process."""

    async def main() -> None:
        first, second = SimBoard(Clock()), SimBoard(Clock())
        first.press()
        first.lights.show("green", "closed")
        assert not second.is_down
        assert second.colour == (0, 0, 0)
        first.close()
        second.close()

    run_virtual(main())
