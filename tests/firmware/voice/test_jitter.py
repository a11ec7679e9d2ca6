"""The jitter buffer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.voice.arrivals import Arrivals
from firmware.voice.jitter import JUMP_MAX, LOST_IN_A_ROW_MAX, STRETCHES_MAX, JitterBuffer
from firmware.voice.packet import Lost, Packet

PACKETS = [bytes([0b00001_000, n]) for n in range(100)]
"""Packets of 20 ms each, if their first byte is to be believed."""


def buffer(target_ms: int = 60, ms_max: int = 1000, bytes_max: int = 1000) -> JitterBuffer:
    """Return an empty one, whose target stays as it is."""
    arrivals = Arrivals(start_ms=target_ms, ms_max=target_ms)
    return JitterBuffer(arrivals, ms_max=ms_max, bytes_max=bytes_max)


def drained(
    jitter: JitterBuffer, now_ms: int = 0, *, is_urgent: bool = True
) -> list[Packet | Lost]:
    """Whatever it gives out at this time."""
    packets = []
    while (packet := jitter.pop(now_ms, is_urgent=is_urgent)) is not None:
        packets.append(packet)
    return packets


def numbered(jitter: JitterBuffer, *numbers: int) -> list[str]:
    """Let packets come that bear these numbers, and say what became of each."""
    return [jitter.push(PACKETS[number % 100], 0, number) for number in numbers]


def test_it_collects_until_the_target_is_there() -> None:
    """Then it gives out everything, in order."""
    jitter = buffer()
    jitter.push(PACKETS[0], 0)
    jitter.push(PACKETS[1], 5)
    assert drained(jitter, 10) == []
    assert jitter.depth_ms == 40
    jitter.push(PACKETS[2], 10)
    assert drained(jitter, 10) == PACKETS[:3]
    assert jitter.depth_ms == 0


def test_it_waits_no_longer_than_the_target() -> None:
    """A single packet is played, however late its successor."""
    jitter = buffer()
    jitter.push(PACKETS[0], 100)
    assert jitter.pop(159) is None
    assert jitter.pop(160) == PACKETS[0]


def test_it_waits_for_nothing_once_the_reply_has_ended() -> None:
    """A reply shorter than the target is heard at once."""
    jitter = buffer()
    jitter.push(PACKETS[0], 0)
    jitter.finish()
    assert not jitter.is_over
    assert drained(jitter, 0) == PACKETS[:1]
    assert jitter.is_over


def test_while_it_flows_each_packet_goes_straight_through() -> None:
    """It collects at the beginning only: being empty is not being dry."""
    jitter = buffer(target_ms=20)
    for n, packet in enumerate(PACKETS[:10]):
        jitter.push(packet, 20 * n)
        assert drained(jitter, 20 * n) == [packet]
        assert not jitter.is_awaiting


def test_after_running_dry_it_collects_anew() -> None:
    """The first packet after the gap is told from the others."""
    jitter = buffer()
    assert jitter.is_awaiting
    for packet in PACKETS[:3]:
        jitter.push(packet, 0)
    drained(jitter, 0)
    assert jitter.run_dry()
    assert jitter.is_awaiting
    jitter.push(PACKETS[3], 1000)
    assert not jitter.is_awaiting
    assert not jitter.run_dry()
    assert jitter.pop(1059) is None
    assert jitter.pop(1060) == PACKETS[3]


def test_it_does_not_run_dry_while_packets_are_there() -> None:
    """A gap heard before the last packet came is no gap any more."""
    jitter = buffer(target_ms=0)
    jitter.push(PACKETS[0], 0)
    drained(jitter, 0)
    jitter.push(PACKETS[1], 0)
    assert not jitter.run_dry()
    assert drained(jitter, 0) == PACKETS[1:2]


def test_what_lies_too_far_ahead_is_refused() -> None:
    """By length or by size, and what was taken stays."""
    jitter = buffer(ms_max=60)
    assert [jitter.push(packet, 0) for packet in PACKETS[:4]] == ["taken"] * 3 + ["refused"]
    assert drained(jitter, 0) == PACKETS[:3]
    assert jitter.push(PACKETS[4], 0) == "taken"
    jitter = buffer(bytes_max=4, target_ms=0)
    assert [jitter.push(packet, 0) for packet in PACKETS[:3]] == ["taken", "taken", "refused"]
    assert drained(jitter, 0) == PACKETS[:2]
    assert [jitter.push(packet, 0) for packet in PACKETS[:3]] == ["taken", "taken", "refused"]


def test_nothing_comes_after_the_end() -> None:
    """A packet after the final marker is refused, and nothing is awaited."""
    jitter = buffer(target_ms=0)
    jitter.push(PACKETS[0], 0)
    drained(jitter, 0)
    jitter.finish()
    assert not jitter.run_dry()
    assert jitter.push(PACKETS[0], 0) == "refused"
    assert not jitter.is_awaiting
    assert jitter.is_over


def test_packets_are_put_in_order() -> None:
    """Also where the first to come is not the first of all."""
    jitter = buffer()
    assert numbered(jitter, 1, 0, 3, 2) == ["taken"] * 4
    assert drained(jitter) == PACKETS[:4]


def test_what_came_twice_or_too_late_is_told_and_dropped() -> None:
    """A packet is heard once, in its place or not at all."""
    jitter = buffer(target_ms=0)
    assert numbered(jitter, 0, 0, 1) == ["taken", "duplicate", "taken"]
    assert drained(jitter) == PACKETS[:2]
    assert numbered(jitter, 1, 0, 2) == ["late", "late", "taken"]
    assert drained(jitter) == PACKETS[2:3]


def test_a_missing_packet_is_waited_for_until_that_is_urgent() -> None:
    """Then the one after it stands in for it."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 0, 2, 3)
    assert drained(jitter, is_urgent=False) == PACKETS[:1]
    assert drained(jitter) == [Lost(PACKETS[2]), *PACKETS[2:4]]
    assert numbered(jitter, 1) == ["late"]


def test_a_missing_packet_that_comes_in_time_was_never_missing() -> None:
    """Whoever asks meanwhile gets nothing."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 0, 2)
    assert drained(jitter, is_urgent=False) == PACKETS[:1]
    numbered(jitter, 1)
    assert drained(jitter, is_urgent=False) == PACKETS[1:3]


def test_of_several_missing_the_last_alone_has_a_stand_in() -> None:
    """A packet carries a copy of the one before it, and of no other."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 0, 3)
    assert drained(jitter) == [PACKETS[0], Lost(None), Lost(PACKETS[3]), PACKETS[3]]


def test_the_rest_of_a_long_gap_is_left_out() -> None:
    """After a fifth of a second of it nothing is heard any more."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 0, 90)
    assert drained(jitter) == [PACKETS[0], *[Lost(None)] * LOST_IN_A_ROW_MAX, PACKETS[90]]


def test_a_gap_is_stretched_where_less_is_held_back_than_should_be() -> None:
    """What follows has more time, and nothing of it is given up."""
    jitter = buffer(target_ms=60)
    numbered(jitter, 0, 1, 2, 4)
    assert drained(jitter) == [*PACKETS[:3], Lost(PACKETS[4]), PACKETS[4]]
    jitter = buffer(target_ms=1000)
    numbered(jitter, 0, 2)
    assert drained(jitter, 1000) == [
        PACKETS[0],
        *[Lost(None)] * STRETCHES_MAX,
        Lost(PACKETS[2]),
        PACKETS[2],
    ]


@pytest.mark.parametrize("again", [0, 7_000_000, 2**32 - 1])
def test_who_counts_anew_is_followed(again: int) -> None:
    """An absurd number makes no hole of absurd size, nor is anything late by it."""
    jitter = buffer(target_ms=0, ms_max=100_000, bytes_max=100_000)
    assert numbered(jitter, 500, 501, again, again + 1) == ["taken"] * 4
    assert len(drained(jitter)) == 4
    assert jitter.depth_ms == 0


def test_a_loss_of_five_seconds_is_a_loss() -> None:
    """Just within what is believed."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 0, JUMP_MAX + 1)
    assert len(drained(jitter)) == 2 + LOST_IN_A_ROW_MAX


def test_the_end_may_overtake_the_last_packets() -> None:
    """They are taken, and what never comes is made up; then it is over."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 0, 1)
    jitter.finish(pieces=4)
    assert not jitter.is_complete
    assert drained(jitter, is_urgent=False) == PACKETS[:2]
    assert not jitter.is_over
    assert numbered(jitter, 3, 4) == ["taken", "refused"]
    assert drained(jitter) == [Lost(PACKETS[3]), PACKETS[3]]
    assert jitter.is_over
    assert jitter.is_complete


def test_a_missing_end_is_made_up_for_a_moment_only() -> None:
    """A reply that was cut ends."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 0)
    jitter.finish(pieces=100)
    assert drained(jitter) == [PACKETS[0], *[Lost(None)] * LOST_IN_A_ROW_MAX]
    assert jitter.is_over


@pytest.mark.parametrize("pieces", [0, 1, 10_000_000])
def test_a_count_that_cannot_be_ends_nothing_early_or_late(pieces: int) -> None:
    """The other end may count as it likes."""
    jitter = buffer(target_ms=0)
    numbered(jitter, 40, 41)
    jitter.finish(pieces)
    assert drained(jitter) == PACKETS[40:42]
    assert jitter.is_over


def test_what_is_left_is_given_out_at_once_for_whoever_keeps_it() -> None:
    """In order, with what is missing."""
    jitter = buffer(target_ms=500)
    numbered(jitter, 0, 3, 2)
    assert list(jitter.rest()) == [PACKETS[0], Lost(PACKETS[2]), *PACKETS[2:4]]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), st.booleans())
def test_each_packet_is_given_out_once_and_in_order(
    order: list[int],
    lost: set[int],
    is_known: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Whatever comes when, and whatever never comes."""
    jitter = buffer(target_ms=240)
    came = [number for number in order if number not in lost]
    assert numbered(jitter, *came) == ["taken"] * len(came)
    jitter.finish(12 if is_known else None)
    given_out = [one for one in drained(jitter) if not isinstance(one, Lost)]
    assert given_out == [PACKETS[number] for number in sorted(came)]
    assert jitter.is_over
    assert jitter.depth_ms == 0


@given(
    st.lists(st.sampled_from(["push", "pop", "dry", "wait"]), max_size=60),
    st.integers(0, 200),
    st.integers(20, 200),
)
def test_order_and_limits_hold_whatever_happens(
    steps: list[str], target_ms: int, ms_max: int
) -> None:
    """Packets come out once each, in order; the depth is what is inside."""
    jitter = buffer(target_ms=target_ms, ms_max=ms_max)
    now_ms, taken, given_out = 0, [], []
    for step, packet in zip(steps, PACKETS, strict=False):
        if step == "push" and jitter.push(packet, now_ms) == "taken":
            taken.append(packet)
        elif step == "pop" and (popped := jitter.pop(now_ms)) is not None:
            given_out.append(popped)
        elif step == "dry":
            jitter.run_dry()
        elif step == "wait":
            now_ms += 30
        assert jitter.depth_ms == 20 * (len(taken) - len(given_out)) <= ms_max
    jitter.finish()
    assert given_out + drained(jitter, now_ms) == taken
    assert jitter.is_over
