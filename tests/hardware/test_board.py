"""Board profiles."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hardware.board import PROFILES, BoardProfile, find_profile
from hardware.errors import MisuseError, UnknownBoardError


def test_every_profile_is_found_by_its_own_name() -> None:
    """The simulated board and the plain RGB one are known."""
    assert {"sim", "rgb-pwm"} <= set(PROFILES)
    assert all(find_profile(name).name == name for name in PROFILES)


def test_an_unknown_board_is_told_the_nearest_name() -> None:
    """A slip of the finger is answered with what was meant."""
    with pytest.raises(UnknownBoardError, match="did you mean 'rgb-pwm'"):
        find_profile("rgb_pwm")


def test_a_board_unlike_any_other_is_told_all_names() -> None:
    """Nothing near: the list."""
    with pytest.raises(UnknownBoardError, match="known boards: sim, rgb-pwm"):
        find_profile("zzz")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"button_pin": 28}, "different BCM numbers"),
        ({"button_pin": -1}, "different BCM numbers"),
        ({"button_pin": 5}, "different BCM numbers"),
        ({"rgb_pins": (5, 5, 13)}, "different BCM numbers"),
        ({"button_active": "high"}, "pulled up cannot be active high"),
        ({"button_pull": "down"}, "pulled down cannot be active low"),
        ({"debounce_ms": 0}, "debounce_ms is 0"),
        ({"debounce_ms": 201}, "debounce_ms is 201"),
    ],
)
def test_impossible_wiring_is_refused(change: dict[str, Any], complaint: str) -> None:
    """A profile that cannot be is refused when it is made, by name."""
    with pytest.raises(MisuseError, match=f"board 'sim': .*{complaint}"):
        dataclasses.replace(PROFILES["sim"], **change)


def test_a_floating_button_may_be_active_either_way() -> None:
    """A board with a resistor of its own says what pressed means."""
    for active in ("low", "high"):
        board: BoardProfile = dataclasses.replace(
            PROFILES["sim"], button_pull="floating", button_active=active
        )
        assert board.button_active == active
