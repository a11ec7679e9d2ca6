"""The microphone of a sound card: its frames, its lease, and what it does when the card fails."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hardware.card_microphone import LEASE_MS, WAITING_FRAMES_MAX, CardMicrophone
from hardware.microphone import Microphone
from hardware.pcm import FRAME_BYTES, rms
from hardware.sim.clock import VirtualTimeLoop, run_virtual
from tests.hardware.sound import Plugged, Room


class Desk:
    """A microphone of a fake card, what it heard, and what it told."""

    def __init__(self, room: Room, name: str = "usb") -> None:
        self.room = room
        self.frames: list[tuple[bytes, int, int]] = []
        """Each with when it was captured, and when it came."""
        self.told: list[tuple[int, str]] = []
        self.microphone = CardMicrophone(
            room.card,
            room.clock,
            name,
            self.hear,
            on_failed=lambda: self.tell("failed"),
            on_recovered=lambda: self.tell("recovered"),
        )

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.room.clock.monotonic_ms()

    def hear(self, frame: bytes, captured_ms: int) -> None:
        """Remember a frame."""
        self.frames.append((frame, captured_ms, self.now_ms))

    def tell(self, what: str) -> None:
        """Remember what was told."""
        self.told.append((self.now_ms, what))


def at_a_desk(
    claim: Callable[[Desk], Awaitable[None]], *devices: Plugged, name: str = "usb"
) -> None:
    """Run a claim about a microphone on virtual time; the card is closed at the end."""

    async def main() -> None:
        room = Room(list(devices)) if devices else Room()
        await claim(Desk(room, name))
        await room.card.close()
        assert room.open_sides == []
        assert "begin" not in room.history or room.history[-1] == "end"

    run_virtual(main())


def hang(ms: int) -> None:
    """Let time pass in which the loop does nothing at all."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop._now_s += ms / 1000


def in_a_thread(work: Callable[[], Any]) -> None:
    """Do something in another thread, while the loop does nothing."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_frames_come_every_20_ms_with_the_time_of_their_first_sample() -> None:
    async def claim(desk: Desk) -> None:
        microphone: Microphone = desk.microphone
        await asyncio.sleep(0.013)
        microphone.open()
        microphone.open()
        await asyncio.sleep(60)
        assert [captured for _, captured, _ in desk.frames] == list(range(13, 59_993, 20))
        assert all(came - captured == 20 for _, captured, came in desk.frames)
        assert {len(frame) for frame, _, _ in desk.frames} == {FRAME_BYTES}
        assert desk.told == []
        assert microphone.is_open

    at_a_desk(claim)


def test_the_card_is_asked_for_when_it_is_first_needed_and_never_on_the_loop() -> None:
    async def claim(desk: Desk) -> None:
        await asyncio.sleep(1)
        assert desk.room.history == []
        desk.microphone.open()
        await asyncio.sleep(1)
        assert desk.room.history == ["begin", "open input", "start input"]

    at_a_desk(claim)


def test_not_one_frame_comes_after_closing_though_many_wait() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(0.1)
        for _ in range(5):
            desk.room.stream.call()
        desk.microphone.close()
        assert not desk.microphone.is_open
        for _ in range(5):
            desk.room.stream.call()
        heard = len(desk.frames)
        await asyncio.sleep(1)
        assert len(desk.frames) == heard
        assert desk.room.open_sides == []

    at_a_desk(claim)


def test_it_may_be_closed_from_within_a_frame() -> None:
    async def claim(desk: Desk) -> None:
        def hear(_frame: bytes, captured_ms: int) -> None:
            desk.frames.append((b"", captured_ms, 0))
            if len(desk.frames) == 3:
                desk.microphone.close()

        desk.microphone._on_frame = hear
        desk.microphone.open()
        await asyncio.sleep(0.01)
        for _ in range(6):
            desk.room.stream.call()
        await asyncio.sleep(1)
        assert len(desk.frames) == 3

    at_a_desk(claim)


def test_opened_again_it_holds_nothing_of_before() -> None:
    """Neither a frame that waited nor one that the old stream still gives."""

    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(0.1)
        old, heard = desk.room.stream, len(desk.frames)
        old.call(b"\1\1" * 320)
        desk.microphone.close()
        desk.microphone.open()
        old.call(b"\1\1" * 320)
        await asyncio.sleep(0.1)
        assert old.is_closed
        assert desk.room.stream is not old
        assert len(desk.frames) > heard
        assert b"\1\1" * 320 not in [frame for frame, _, _ in desk.frames]
        assert min(captured for _, captured, _ in desk.frames[heard:]) >= 100

    at_a_desk(claim)


def test_what_the_card_held_back_is_as_old_as_it_is() -> None:
    """After a second without callbacks fifty frames come at once."""

    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1.99)
        desk.frames.clear()
        for delay_ms in range(1000, 0, -20):
            desk.room.stream.call(delay_ms=delay_ms)
        began_ms = desk.now_ms
        await asyncio.sleep(0.005)
        assert [captured for _, captured, _ in desk.frames[:50]] == list(
            range(began_ms - 1000, began_ms, 20)
        )
        assert desk.microphone.counters.frames_dropped == 0

    at_a_desk(claim)


def test_a_card_that_tells_nonsense_of_its_delay_is_not_believed() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1.99)
        desk.frames.clear()
        desk.room.stream.call(delay_ms=3_600_000)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [captured for _, captured, _ in desk.frames] == [1970]

    at_a_desk(claim)


def test_a_second_without_callbacks_is_survived_and_counted() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        desk.room.stream.is_hanging = True
        await asyncio.sleep(1)
        desk.room.stream.is_hanging = False
        await asyncio.sleep(1)
        assert desk.microphone.counters.stalls == 1
        assert desk.microphone.counters.glitches == 1
        assert desk.told == []
        assert desk.room.history.count("open input") == 1

    at_a_desk(claim)


def test_what_portaudio_says_was_lost_is_a_glitch() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        desk.room.stream.flags = 2  # input overflow
        await asyncio.sleep(1)
        desk.room.stream.flags = 16  # priming: nothing of ours
        await asyncio.sleep(1)
        assert (desk.microphone.counters.glitches, desk.microphone.counters.stalls) == (1, 0)

    at_a_desk(claim)


def test_a_callback_never_raises() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(0.1)
        stream = desk.room.stream
        assert stream._callback(None, 320, {}, 0) == (None, 0)
        assert stream._callback(b"odd", 320, {"current_time": float("nan")}, 0) == (None, 0)
        assert desk.microphone.counters.callbacks_failed == 2
        await asyncio.sleep(1)
        assert len(desk.frames) > 50

    at_a_desk(claim)


def test_whoever_hears_may_raise_and_the_next_frame_comes_all_the_same() -> None:
    async def claim(desk: Desk) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, found: reported.append(found))
        heard: list[int] = []

        def hear(_frame: bytes, captured_ms: int) -> None:
            heard.append(captured_ms)
            raise ZeroDivisionError

        desk.microphone._on_frame = hear
        desk.microphone.open()
        await asyncio.sleep(1.01)
        assert len(heard) == len(reported) == 50

    at_a_desk(claim)


def test_frames_that_a_busy_loop_leaves_are_bounded_and_the_oldest_are_dropped() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(0.01)
        for number in range(WAITING_FRAMES_MAX + 30):
            desk.room.stream.call(number.to_bytes(2, "little") * 320)
        await asyncio.sleep(0)
        assert len(desk.frames) == 10, "others have their turn in between"
        await asyncio.sleep(0.005)
        numbers = [int.from_bytes(frame[:2], "little") for frame, _, _ in desk.frames]
        assert numbers == list(range(30, WAITING_FRAMES_MAX + 30))
        assert desk.microphone.counters.frames_dropped == 30

    at_a_desk(claim)


# -- The lease ------------------------------------------------------------------------------------


def test_a_loop_that_hangs_loses_the_microphone_within_2_s_and_has_it_again_afterwards() -> None:
    """PortAudio's thread and the card's do it: the loop is not asked."""

    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        stream = desk.room.stream
        hung_ms = desk.now_ms
        while not desk.microphone._line.session.is_lapsed:  # type: ignore[union-attr]
            hang(20)
            in_a_thread(stream.call)
            assert desk.now_ms - hung_ms <= LEASE_MS
        in_a_thread(lambda: desk.room.card._thread.submit(lambda: None).result())
        assert stream.is_closed
        assert desk.now_ms - hung_ms <= LEASE_MS

        heard = len(desk.frames)
        await asyncio.sleep(2)
        assert desk.microphone.counters.lapses == 1
        assert desk.room.open_sides == ["input"]
        assert min(captured for _, captured, _ in desk.frames[heard:]) > hung_ms + 1_700
        assert desk.told == []

    at_a_desk(claim)


def test_a_lapsed_microphone_that_nobody_wants_any_more_stays_closed() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        hang(1_900)
        in_a_thread(desk.room.stream.call)
        heard = len(desk.frames)
        desk.microphone.close()
        await asyncio.sleep(5)
        assert desk.room.open_sides == []
        assert desk.room.history.count("open input") == 1
        assert len(desk.frames) == heard

    at_a_desk(claim)


def test_a_loop_that_is_alive_keeps_the_microphone_though_no_frame_comes() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        desk.room.stream.is_hanging = True
        await asyncio.sleep(2.2)
        desk.room.stream.is_hanging = False
        await asyncio.sleep(1)
        assert desk.microphone.counters.lapses == 0
        assert desk.room.history.count("open input") == 1

    at_a_desk(claim)


# -- A card that fails ----------------------------------------------------------------------------


def test_one_that_is_pulled_out_is_noticed_at_once_and_heard_again_when_it_is_back() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        device = desk.room.unplug("USB Mic")
        await asyncio.sleep(5)
        ((failed_ms, what),) = desk.told
        assert what == "failed"
        assert failed_ms <= 1_500
        assert not desk.frames[-1][2] > 1_000
        desk.room.devices.append(device)
        await asyncio.sleep(9)
        assert [what for _, what in desk.told] == ["failed", "recovered"]
        assert desk.frames[-1][2] > 14_900
        assert desk.microphone.counters.failures == 1

    at_a_desk(claim)


def test_one_whose_callbacks_just_stop_is_given_up_after_2500_ms() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        desk.room.stream.is_hanging = True
        await asyncio.sleep(10)
        assert [what for _, what in desk.told] == ["failed", "recovered"]
        assert 3_250 <= desk.told[0][0] <= 3_750
        assert desk.told[1][0] <= 4_500

    at_a_desk(claim)


def test_a_failed_one_that_was_closed_is_tried_without_taking_in_a_sample() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        device = desk.room.unplug("USB Mic")
        await asyncio.sleep(1)
        desk.microphone.close()
        desk.room.devices.append(device)
        desk.room.history.clear()
        await asyncio.sleep(9)
        assert [what for _, what in desk.told] == ["failed", "recovered"]
        assert "open input" in desk.room.history
        assert "start input" not in desk.room.history
        assert desk.room.open_sides == []

    at_a_desk(claim)


def test_a_failed_one_is_tried_less_and_less_often_and_spoken_of_once() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(0.5)
        desk.microphone.close()
        desk.room.devices.clear()
        desk.microphone.open()
        await asyncio.sleep(0.1)
        desk.microphone.close()
        desk.room.history.clear()
        await asyncio.sleep(80)
        assert 10 <= desk.room.history.count("begin") <= 15
        assert [what for _, what in desk.told] == ["failed"]

    at_a_desk(claim)


def test_one_that_cannot_be_opened_is_looked_for_among_the_devices_there_are_now() -> None:
    """It was plugged into another socket since: nobody is told of a failure."""

    async def claim(desk: Desk) -> None:
        assert await desk.microphone.test()
        desk.room.unplug("USB Mic")
        desk.room.devices.insert(0, Plugged("Another Mic, of USB", inputs=1))
        desk.microphone.open()
        await asyncio.sleep(1)
        assert desk.told == []
        assert len(desk.frames) > 40

    at_a_desk(claim)


def test_one_that_cannot_be_started_is_closed_and_has_failed() -> None:
    async def claim(desk: Desk) -> None:
        desk.room.cannot_start = True
        desk.microphone.open()
        await asyncio.sleep(0.3)
        assert [what for _, what in desk.told] == ["failed"]
        assert desk.room.open_sides == []
        desk.room.cannot_start = False
        await asyncio.sleep(1)
        assert [what for _, what in desk.told] == ["failed", "recovered"]

    at_a_desk(claim)


def test_a_test_takes_in_no_sample_and_its_failure_is_for_whoever_asked() -> None:
    async def claim(desk: Desk) -> None:
        assert await desk.microphone.test()
        assert "start input" not in desk.room.history
        device = desk.room.unplug("USB Mic")
        assert not await desk.microphone.test()
        assert not await desk.microphone.test()
        assert desk.told == []
        desk.room.devices.append(device)
        await asyncio.sleep(9)
        assert [what for _, what in desk.told] == ["recovered"]
        desk.microphone.open()
        await asyncio.sleep(1)
        assert await desk.microphone.test()

    at_a_desk(claim)


def test_a_test_that_succeeds_tells_of_a_recovery() -> None:
    async def claim(desk: Desk) -> None:
        device = desk.room.unplug("USB Mic")
        assert not await desk.microphone.test()
        desk.room.devices.append(device)
        assert await desk.microphone.test()
        assert [what for _, what in desk.told] == ["recovered"]

    at_a_desk(claim)


def test_the_line_may_be_gone_for_good_and_closing_does_not_mind() -> None:
    async def claim(desk: Desk) -> None:
        desk.microphone.open()
        await asyncio.sleep(1)
        desk.room.unplug("USB Mic")
        desk.microphone.close()
        await asyncio.sleep(1)
        assert desk.told == []

    at_a_desk(claim)


# -- Cards at other rates -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(48_000, 1), (48_000, 2), (44_100, 2), (16_000, 2), (8_000, 1)]
)
def test_a_card_at_another_rate_gives_frames_of_ours(rate_hz: int, channels: int) -> None:
    card = Plugged("USB", inputs=2, rates=(rate_hz,), channels=(channels,))

    async def claim(desk: Desk) -> None:
        desk.room.sound = lambda size: b"\xe8\x03" * (size // 2)  # type: ignore[method-assign]
        desk.microphone.open()
        await asyncio.sleep(2)
        assert (desk.room.stream.rate_hz, desk.room.stream.channels) == (rate_hz, channels)
        assert 97 <= len(desk.frames) <= 100
        assert {len(frame) for frame, _, _ in desk.frames} == {FRAME_BYTES}
        assert rms(desk.frames[-1][0]) == pytest.approx(1_000, abs=10)
        captured = [at_ms for _, at_ms, _ in desk.frames]
        steps = {after - before for before, after in itertools.pairwise(captured)}
        assert steps <= {19, 20, 21}
        assert all(0 <= came - at_ms - 20 <= 45 for _, at_ms, came in desk.frames)

    at_a_desk(claim, card)
