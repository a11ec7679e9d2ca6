"""The debouncer, and the button around it on gpiozero's mock pins."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.board import PROFILES, BoardProfile
from hardware.button import Debouncer
from hardware.clock import Clock
from hardware.errors import MisuseError
from hardware.sim.board import SimBoard
from hardware.sim.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_MS = 50

# Distances between the edges of a contact: bounce, taps, and just around the window's end.
EDGE_TRAINS = st.lists(
    st.one_of(
        st.integers(min_value=0, max_value=8),
        st.integers(min_value=WINDOW_MS - 2, max_value=WINDOW_MS + 2),
        st.integers(min_value=0, max_value=400),
    ),
    max_size=40,
)


class Contact:
    """Drives a debouncer as its user owes it: edges as they come, `settle` when it is due."""

    def __init__(self, *, down: bool = False) -> None:
        self.debouncer = Debouncer(WINDOW_MS, down=down)
        self.reports: list[tuple[int, bool]] = []
        self.down = down

    def advance(self, to_ms: int) -> None:
        """Let time pass, settling on the way."""
        while (due_ms := self.debouncer.settles_at_ms) is not None and due_ms <= to_ms:
            if self.debouncer.settle(due_ms, down=self.down):
                self._note(due_ms)

    def turn(self, at_ms: int, *, seen: bool = True) -> None:
        """Change the level at `at_ms`; an edge not `seen` was lost on its way."""
        self.advance(at_ms)
        self.down = not self.down
        if seen and self.debouncer.edge(at_ms, down=self.down):
            self._note(at_ms)

    def _note(self, at_ms: int) -> None:
        self.reports.append((at_ms, self.debouncer.is_down))


def _played(gaps_ms: list[int], *, down: bool = False) -> tuple[Contact, int]:
    contact, at_ms = Contact(down=down), 0
    for gap_ms in gaps_ms:
        at_ms += gap_ms
        contact.turn(at_ms)
    contact.advance(at_ms + 10 * WINDOW_MS)
    return contact, at_ms


@given(EDGE_TRAINS, st.booleans())
def test_once_settled_the_report_is_the_level(gaps_ms: list[int], down: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever the contact did, in the end what was reported is what it is."""
    contact, _ = _played(gaps_ms, down=down)
    assert contact.debouncer.is_down == contact.down
    assert contact.debouncer.settles_at_ms is None


@given(EDGE_TRAINS, st.booleans())
def test_reports_alternate(gaps_ms: list[int], down: bool) -> None:  # noqa: FBT001 - drawn
    """A press follows a release and a release a press, from the level at the start on."""
    contact, _ = _played(gaps_ms, down=down)
    levels = [level for _, level in contact.reports]
    assert levels == [(index % 2 == 0) != down for index in range(len(levels))]


@given(EDGE_TRAINS)
def test_two_reports_are_never_closer_than_the_window(gaps_ms: list[int]) -> None:
    """Bounce never becomes a second press."""
    contact, _ = _played(gaps_ms)
    times_ms = [at_ms for at_ms, _ in contact.reports]
    assert all(b - a >= WINDOW_MS for a, b in itertools.pairwise(times_ms))


@given(EDGE_TRAINS)
def test_the_leading_edge_is_reported_at_its_own_time(gaps_ms: list[int]) -> None:
    """No press waits for the window: the first edge is the first report."""
    contact, _ = _played(gaps_ms)
    if gaps_ms:
        assert contact.reports[0] == (gaps_ms[0], True)


@given(st.lists(st.integers(min_value=WINDOW_MS, max_value=1000), max_size=20))
def test_edges_further_apart_than_the_window_are_all_reported_at_once(gaps_ms: list[int]) -> None:
    """A clean contact is passed on as it is."""
    contact, _ = _played(gaps_ms)
    assert len(contact.reports) == len(gaps_ms)


@given(st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=30))
def test_a_lost_edge_within_a_window_does_no_lasting_harm(turns: list[tuple[int, bool]]) -> None:
    """The level is read again at the window's end, so only edges outside of one must be seen."""
    contact, at_ms = Contact(), 0
    for gap_ms, seen in turns:
        at_ms += gap_ms
        contact.advance(at_ms)
        contact.turn(at_ms, seen=seen or contact.debouncer.settles_at_ms is None)
    contact.advance(at_ms + 10 * WINDOW_MS)
    assert contact.debouncer.is_down == contact.down


@given(EDGE_TRAINS, st.integers(min_value=0, max_value=WINDOW_MS - 1))
def test_an_edge_that_arrives_after_its_window_is_not_counted_twice(
    gaps_ms: list[int], late_ms: int
) -> None:
    """A thread may hand an edge over only after the level it led to was read already."""
    contact, at_ms = _played(gaps_ms)
    contact.turn(at_ms + 1000)
    contact.down = not contact.down
    contact.advance(at_ms + 1000 + WINDOW_MS)
    reports = list(contact.reports)
    assert not contact.debouncer.edge(at_ms + 1000 + late_ms, down=contact.down)
    assert contact.reports == reports


def test_settling_too_early_changes_nothing() -> None:
    """A stray call does not end the window."""
    debouncer = Debouncer(WINDOW_MS, down=False)
    assert not debouncer.settle(0, down=True)
    assert debouncer.edge(0, down=True)
    assert not debouncer.settle(WINDOW_MS - 1, down=False)
    assert debouncer.settles_at_ms == WINDOW_MS


def test_a_window_without_length_is_refused() -> None:
    """Without a window nothing would be debounced."""
    with pytest.raises(MisuseError, match="at least 1 ms"):
        Debouncer(0, down=False)


def _reports_of(
    play: Callable[[SimBoard], None], board_profile: BoardProfile = PROFILES["sim"]
) -> list[tuple[str, int]]:
    """Press a board's button as `play` says; return what was reported within 10 s."""
    reports: list[tuple[str, int]] = []

    async def main() -> None:
        board = SimBoard(Clock(), board_profile)
        board.open_button(
            lambda at_ms: reports.append(("press", at_ms)),
            lambda at_ms: reports.append(("release", at_ms)),
        )
        await asyncio.sleep(0.1)
        play(board)
        await asyncio.sleep(10)
        board.close()

    run_virtual(main())
    return reports


def test_a_tap_is_one_press_and_one_release_at_their_own_times() -> None:
    """Nothing is added to a clean tap."""
    reports = _reports_of(lambda board: board.tap(120))
    assert reports == [("press", 100), ("release", 220)]


def test_a_bouncing_tap_is_one_press_and_one_release() -> None:
    """Twenty edges on each side are one edge."""
    reports = _reports_of(lambda board: board.tap(120, bounces=10))
    assert reports == [("press", 100), ("release", 220)]


def test_a_tap_shorter_than_the_window_ends_with_it() -> None:
    """The release is not lost, only late."""
    reports = _reports_of(lambda board: board.tap(7))
    assert reports == [("press", 100), ("release", 150)]


@pytest.mark.parametrize(
    ("pull", "active"),
    [("up", "low"), ("down", "high"), ("floating", "low"), ("floating", "high")],
)
def test_every_way_of_wiring_a_button_works(pull: str, active: str) -> None:
    """Pressed is pressed, with either resistor or with the board's own."""
    wired = dataclasses.replace(PROFILES["sim"], button_pull=pull, button_active=active)  # type: ignore[arg-type]
    reports = _reports_of(lambda board: board.tap(120, bounces=3), wired)
    assert reports == [("press", 100), ("release", 220)]


def test_a_button_held_at_start_is_down_and_reports_its_release_alone() -> None:
    """Whoever starts with the button down reads it, and hears no press."""

    async def main() -> None:
        board = SimBoard(Clock())
        board.press()
        reports: list[tuple[str, int]] = []
        button = board.open_button(
            lambda at_ms: reports.append(("press", at_ms)),
            lambda at_ms: reports.append(("release", at_ms)),
        )
        assert button.is_pressed
        await asyncio.sleep(3)
        board.release()
        await asyncio.sleep(1)
        assert not button.is_pressed
        assert reports == [("release", 3000)]
        board.close()

    run_virtual(main())


def test_is_pressed_is_the_debounced_level() -> None:
    """While the contact still bounces it already reads pressed."""

    async def main() -> None:
        board = SimBoard(Clock())
        button = board.open_button(lambda _: None, lambda _: None)
        board.press(bounces=1)
        await asyncio.sleep(0.0015)
        assert button.is_pressed
        board.close()

    run_virtual(main())


def test_a_press_is_still_seen_after_edges_were_lost() -> None:
    """gpiozero's own devices would drop it: it looks to them like a level they have seen."""

    async def main() -> None:
        board = SimBoard(Clock())
        presses: list[int] = []
        button = board.open_button(presses.append, lambda _: None)
        board.press()
        await asyncio.sleep(0.01)
        pin = board._pins[board.profile.button_pin]
        listener, pin.when_changed = pin.when_changed, None
        board.release()
        pin.when_changed = listener
        await asyncio.sleep(1)
        assert not button.is_pressed
        board.press()
        await asyncio.sleep(1)
        assert presses == [0, 1010]
        board.close()

    run_virtual(main())


def test_an_edge_from_another_thread_is_reported_in_the_loop() -> None:
    """On a Pi edges come on a thread of the GPIO library."""

    async def main() -> None:
        board = SimBoard(Clock())
        threads: list[int] = []
        board.open_button(lambda _: threads.append(threading.get_ident()), lambda _: None)
        await asyncio.to_thread(board.press)
        await asyncio.sleep(0)
        assert threads == [threading.get_ident()]
        board.close()

    run_virtual(main())


def test_a_closed_button_reports_nothing() -> None:
    """Neither edges under way nor a window's end are heard of after closing."""

    async def main() -> None:
        board = SimBoard(Clock())
        reports: list[int] = []
        button = board.open_button(reports.append, reports.append)
        board.tap(10)
        await asyncio.sleep(0.005)
        board.press()
        button.close()
        button.close()
        await asyncio.sleep(1)
        assert reports == [0]
        board.close()

    run_virtual(main())


def test_an_edge_handed_over_before_closing_is_dropped() -> None:
    """The loop may have it queued when the button closes."""

    async def main() -> None:
        board = SimBoard(Clock())
        reports: list[int] = []
        button = board.open_button(reports.append, reports.append)
        board.press()
        button.close()
        await asyncio.sleep(1)
        assert not reports
        board.close()

    run_virtual(main())
