"""The time of day, turned freely."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest

from firmware import version, wall_clock
from firmware.wall_clock import POLL_MS, WAIT_MS_MAX, WallClock, rfc3339, set_system_clock
from hardware.board import PROFILES
from hardware.clock import Clock
from hardware.sim.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

FLOOR_S = 1_795_000_000.0
YEAR_S = 365 * 86_400.0


class Hands:
    """A clock on the wall, which runs with virtual time and can be turned."""

    def __init__(self, clock: Clock, now_s: float, *, may_set: bool) -> None:
        self._clock = clock
        self._may_set = may_set
        self.sets: list[float] = []
        self.turn(now_s)

    def turn(self, now_s: float) -> None:
        """Set it, as time synchronisation would."""
        self._offset_s = now_s - self._clock.monotonic_ms() / 1000

    def now(self) -> float:
        """Read it."""
        return self._offset_s + self._clock.monotonic_ms() / 1000

    def set_now(self, now_s: float) -> None:
        """Set it, as the firmware would."""
        self.sets.append(now_s)
        if not self._may_set:
            raise PermissionError(1, "Operation not permitted")
        self.turn(now_s)


def on_virtual_time(
    test: Callable[[WallClock, Hands], Awaitable[None]],
    now_s: float,
    synchronized: Path,
    *,
    may_set: bool = False,
) -> None:
    """Run a test with a clock that says `now_s`."""

    async def main() -> None:
        clock = Clock()
        hands = Hands(clock, now_s, may_set=may_set)
        wall = WallClock(
            clock, FLOOR_S, now=hands.now, set_now=hands.set_now, synchronized=synchronized
        )
        await test(wall, hands)

    run_virtual(main())


@pytest.mark.parametrize("ahead_s", [0, 1, 10 * YEAR_S])
def test_a_clock_past_the_floor_is_believed(tmp_path: Path, ahead_s: float) -> None:
    """Nobody waits for it, and nobody turns it."""

    async def test(wall: WallClock, hands: Hands) -> None:
        before_s = hands.now()
        assert wall.is_set()
        assert await wall.wait_until_set()
        assert hands.now() == before_s
        assert hands.sets == []

    on_virtual_time(test, FLOOR_S + ahead_s, tmp_path / "none", may_set=True)


def test_a_clock_before_the_floor_is_put_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At once: a certificate can be judged. But that is a date, and not the time."""

    async def test(wall: WallClock, hands: Hands) -> None:
        began_s = hands._clock.monotonic_ms()
        assert not wall.is_set()
        assert await wall.wait_until_set()
        assert hands.sets == [FLOOR_S]
        assert hands._clock.monotonic_ms() == began_s
        assert not wall.is_set()
        await asyncio.sleep(YEAR_S)
        assert not wall.is_set()
        hands.turn(FLOOR_S + 3 * YEAR_S)
        assert wall.is_set()

    on_virtual_time(test, 9.0, tmp_path / "none", may_set=True)
    assert "the clock says 1970-01-01T00:00:09.000Z, which is before this build" in caplog.text


def test_time_synchronisation_that_agrees_with_the_floor_is_believed(tmp_path: Path) -> None:
    """The image was made a moment ago: the clock hardly moves, and yet it was set."""
    synchronized = tmp_path / "synchronized"

    async def test(wall: WallClock, _: Hands) -> None:
        assert await wall.wait_until_set()
        assert not wall.is_set()
        synchronized.touch()
        assert wall.is_set()

    on_virtual_time(test, 9.0, synchronized, may_set=True)


def test_a_file_that_may_not_be_looked_for_is_not_there(tmp_path: Path) -> None:
    """A service that is locked in sees less than others."""

    class Hidden(type(tmp_path)):  # type: ignore[misc]
        """Where one may not look."""

        def exists(self) -> bool:
            raise PermissionError(13, "Permission denied")

    async def test(wall: WallClock, hands: Hands) -> None:
        assert await wall.wait_until_set()
        assert not wall.is_set()
        hands.turn(FLOOR_S + YEAR_S)
        assert wall.is_set()

    on_virtual_time(test, 9.0, Hidden(tmp_path / "none"), may_set=True)


def test_a_clock_that_may_not_be_turned_is_waited_for(tmp_path: Path) -> None:
    """Until somebody who may has set it."""

    async def test(wall: WallClock, hands: Hands) -> None:
        waiting = asyncio.create_task(wall.wait_until_set())
        await asyncio.sleep(5)
        assert not waiting.done()
        hands.turn(FLOOR_S + YEAR_S)
        began_ms = hands._clock.monotonic_ms()
        assert await waiting
        assert hands._clock.monotonic_ms() - began_ms <= POLL_MS
        assert wall.is_set()

    on_virtual_time(test, 9.0, tmp_path / "none")


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    """The handshake may fail; the toy is there without it."""

    async def test(wall: WallClock, hands: Hands) -> None:
        began_ms = hands._clock.monotonic_ms()
        assert not await wall.wait_until_set()
        assert hands._clock.monotonic_ms() - began_ms == WAIT_MS_MAX
        assert not wall.is_set()

    on_virtual_time(test, 9.0, tmp_path / "none")


def test_a_network_that_lies_about_the_time_is_not_believed(tmp_path: Path) -> None:
    """What it says is before the build: a certificate of long ago would be good again."""
    synchronized = tmp_path / "synchronized"
    synchronized.touch()

    async def test(wall: WallClock, hands: Hands) -> None:
        assert not wall.is_set()
        hands.turn(FLOOR_S + 9)
        assert wall.is_set()
        hands.turn(FLOOR_S - YEAR_S)
        assert not wall.is_set()

    on_virtual_time(test, 9.0, synchronized)


def test_the_systems_clock_is_read_and_not_set_unless_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The floor is the build's date. Whoever runs a toy on a desk keeps the clock as it is."""
    set_to: list[tuple[int, float]] = []
    monkeypatch.setattr("time.clock_settime", lambda clock, now_s: set_to.append((clock, now_s)))

    async def main() -> None:
        wall = WallClock(Clock())
        assert wall.is_set() == (time.time() >= version.built_s())
        assert await WallClock(Clock(), 0.0).wait_until_set()
        assert not await WallClock(Clock(), time.time() + YEAR_S).wait_until_set(10)
        assert set_to == []
        set_system_clock(7.0)

    run_virtual(main())
    assert set_to == [(time.CLOCK_REALTIME, 7.0)]


@pytest.mark.parametrize(
    ("wall_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_572_893_123, "2026-11-25T02:14:53.123Z"),
        (-1_500, "1969-12-31T23:59:58.500Z"),
        (10**20, "9999-12-31T23:59:59.999Z"),
        (-(10**20), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_written_as_rfc_3339_has_it(wall_ms: int, text: str) -> None:
    """In UTC, to the millisecond, whatever the clock says."""
    assert rfc3339(wall_ms) == text
    assert dt.datetime.fromisoformat(text).tzinfo is dt.UTC


def test_a_clock_that_was_restored_from_a_card_is_not_believed(tmp_path: Path) -> None:
    """It is past the build and days behind: only the network's word counts, and no other turn."""
    synchronized = tmp_path / "synchronized"

    async def main() -> None:
        clock = Clock()
        hands = Hands(clock, FLOOR_S + 9 * 86_400, may_set=True)
        wall = WallClock(
            clock,
            FLOOR_S,
            now=hands.now,
            set_now=hands.set_now,
            synchronized=synchronized,
            must_be_synchronized=True,
        )
        assert not wall.is_set()
        assert await wall.wait_until_set(), "certificates can be judged all the same"
        assert hands.sets == []
        hands.turn(FLOOR_S + YEAR_S)
        assert not wall.is_set()
        synchronized.touch()
        assert wall.is_set()
        hands.turn(FLOOR_S - YEAR_S)
        assert not wall.is_set()

    run_virtual(main())


@pytest.mark.parametrize("keeps_time", [True, False])
def test_the_board_says_whose_the_clock_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keeps_time: bool
) -> None:
    """A desk's is believed past the build, and never turned; a device's is ours."""
    set_to: list[float] = []
    monkeypatch.setattr("time.clock_settime", lambda _, now_s: set_to.append(now_s))
    monkeypatch.setattr(wall_clock, "SYNCHRONIZED", tmp_path / "synchronized")
    monkeypatch.setattr(version, "built_s", lambda: 7.0)

    async def main() -> None:
        wall = WallClock.of_board(Clock(), keeps_time=keeps_time)
        assert wall.is_set() == keeps_time
        (tmp_path / "synchronized").touch()
        assert wall.is_set()
        monkeypatch.setattr(version, "built_s", lambda: time.time() + YEAR_S)
        await WallClock.of_board(Clock(), keeps_time=keeps_time).wait_until_set(10)
        assert bool(set_to) != keeps_time

    run_virtual(main())


def test_only_the_simulated_board_keeps_time() -> None:
    """No board of a Pi has a battery for its clock."""
    assert [profile.name for profile in PROFILES.values() if profile.keeps_time] == ["sim"]
