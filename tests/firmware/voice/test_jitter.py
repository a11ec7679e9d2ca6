"""The jitter buffer."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from firmware.voice.jitter import JitterBuffer
from firmware.voice.packet import Packet

PACKETS = [bytes([0b00001_000, n]) for n in range(100)]
"""Packets of 20 ms each, if their first byte is to be believed."""


def buffer(**limits: Any) -> JitterBuffer:  # noqa: ANN401 - any of its own arguments
    """Return an empty one with a target of 60 ms."""
    return JitterBuffer(**{"target_ms": 60, "ms_max": 1000, "bytes_max": 1000} | limits)


def drained(jitter: JitterBuffer, now_ms: int) -> list[Packet]:
    """Whatever it gives out at this time."""
    packets = []
    while (packet := jitter.pop(now_ms)) is not None:
        packets.append(packet)
    return packets


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
    assert [jitter.push(packet, 0) for packet in PACKETS[:4]] == [True, True, True, False]
    assert drained(jitter, 0) == PACKETS[:3]
    assert jitter.push(PACKETS[4], 0)
    jitter = buffer(bytes_max=4, target_ms=0)
    assert [jitter.push(packet, 0) for packet in PACKETS[:3]] == [True, True, False]
    assert drained(jitter, 0) == PACKETS[:2]
    assert [jitter.push(packet, 0) for packet in PACKETS[:3]] == [True, True, False]


def test_nothing_comes_after_the_end() -> None:
    """A packet after the final marker is refused, and nothing is awaited."""
    jitter = buffer(target_ms=0)
    jitter.push(PACKETS[0], 0)
    drained(jitter, 0)
    jitter.finish()
    assert not jitter.run_dry()
    assert not jitter.push(PACKETS[0], 0)
    assert not jitter.is_awaiting
    assert jitter.is_over


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
        if step == "push" and jitter.push(packet, now_ms):
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
