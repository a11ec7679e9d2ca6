"""Waits between tries."""

from __future__ import annotations

from random import Random

from firmware.backoff import Backoff
from tests.firmware.cloud.scripted import Fixed


def test_the_ceiling_doubles_up_to_its_limit() -> None:
    """1, 2, 4 … s, never above a minute."""
    backoff = Backoff(1_000, 60_000, Fixed())
    assert [backoff.next_delay_ms() for _ in range(8)] == [
        1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
    ]  # fmt: skip


def test_every_wait_is_drawn_from_zero_to_the_ceiling() -> None:
    """Full jitter: a share of nothing is a wait of nothing."""
    chance = Fixed(0.0)
    backoff = Backoff(1_000, 60_000, chance)
    assert [backoff.next_delay_ms(), backoff.next_delay_ms()] == [0, 0]
    assert chance.asked == [(0, 1_000), (0, 2_000)]


def test_success_begins_again_with_short_waits() -> None:
    """A good hour in between makes the next failure a first one."""
    backoff = Backoff(1_000, 60_000, Fixed())
    backoff.next_delay_ms()
    backoff.next_delay_ms()
    backoff.reset()
    assert backoff.next_delay_ms() == 1_000


def test_a_thousand_toys_do_not_come_back_in_step() -> None:
    """After the same failure at the same time, no tenth of a second gets more than 5 % of them."""
    waits_ms = []
    for seed in range(1_000):
        backoff = Backoff(1_000, 60_000, Random(seed))  # noqa: S311 - jitter
        waits_ms.append([backoff.next_delay_ms() for _ in range(5)][-1])
    tenths = [wait_ms // 100 for wait_ms in waits_ms]
    assert max(tenths.count(tenth) for tenth in set(tenths)) <= 50
