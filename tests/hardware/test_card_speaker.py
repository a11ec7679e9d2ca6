"""The speaker of a sound card: silent at once, and a reply goes on though nobody can hear it."""

from __future__ import annotations

import array
import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hardware.card_speaker import CardSpeaker
from hardware.pcm import FRAME_BYTES, FRAME_SAMPLES, from_bytes
from hardware.sim.clock import run_virtual
from hardware.speaker import Speaker
from tests.hardware.sound import HELD_MS, Plugged, Room

LOUD = b"\x01\x02" * FRAME_SAMPLES
SILENCE = bytes(FRAME_BYTES)


class Desk:
    """A speaker of a fake card, when it was asked for sound, and what it told."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.pulled: list[tuple[int, int]] = []
        """When, and how long until it is heard."""
        self.told: list[tuple[int, str]] = []
        self.sound = LOUD
        self.speaker = CardSpeaker(
            room.card,
            room.clock,
            "usb",
            self.give,
            on_failed=lambda: self.tell("failed"),
            on_recovered=lambda: self.tell("recovered"),
        )

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.room.clock.monotonic_ms()

    def give(self, samples: int) -> bytes:
        """Give a frame."""
        assert samples == FRAME_SAMPLES
        self.pulled.append((self.now_ms, self.speaker.latency_ms))
        return self.sound

    def tell(self, what: str) -> None:
        """Remember what was told."""
        self.told.append((self.now_ms, what))

    def pulled_between(self, from_ms: int, to_ms: int) -> int:
        """Return how many frames were pulled in a time."""
        return sum(from_ms <= at_ms < to_ms for at_ms, _ in self.pulled)


def at_a_desk(claim: Callable[[Desk], Awaitable[None]], *devices: Plugged) -> None:
    """Run a claim about a speaker on virtual time; the card is closed at the end."""

    async def main() -> None:
        room = Room(list(devices)) if devices else Room()
        await claim(Desk(room))
        await room.card.close()
        assert room.open_sides == []

    run_virtual(main())


def test_it_pulls_a_frame_every_20_ms_and_gives_it_out_as_it_is() -> None:
    async def claim(desk: Desk) -> None:
        speaker: Speaker = desk.speaker
        assert (speaker.is_open, speaker.latency_ms) == (False, 0)
        speaker.open()
        speaker.open()
        await asyncio.sleep(9.99)
        assert desk.pulled == [(at_ms, HELD_MS) for at_ms in range(0, 10_000, 20)]
        assert desk.room.stream.played == [(at_ms, LOUD) for at_ms in range(0, 10_000, 20)]
        assert speaker.is_open
        speaker.close()
        await asyncio.sleep(1)
        assert (speaker.is_open, speaker.latency_ms) == (False, 0)
        assert len(desk.pulled) == 500
        assert desk.told == []

    at_a_desk(claim)


def test_from_its_closing_on_not_one_more_sample_is_pulled_or_given_out() -> None:
    """Though the card's thread has not ended the stream yet."""

    async def claim(desk: Desk) -> None:
        desk.speaker.open()
        await asyncio.sleep(0.1)
        pulled = len(desk.pulled)
        desk.speaker.close()
        desk.room.stream.call()
        assert desk.room.stream.played[-1][1] == SILENCE
        assert len(desk.pulled) == pulled
        await asyncio.sleep(0.001)
        assert desk.room.stream.is_closed

    at_a_desk(claim)


def test_what_is_pulled_while_it_is_closed_is_not_heard() -> None:
    async def claim(desk: Desk) -> None:
        def last_words(_samples: int) -> bytes:
            desk.speaker._line.session.is_live = False  # type: ignore[union-attr]
            return LOUD

        desk.speaker.open()
        await asyncio.sleep(0.1)
        assert desk.speaker._line.session is not None
        desk.speaker._line.session._source = last_words
        desk.room.stream.call()
        assert desk.room.stream.played[-1][1] == SILENCE

    at_a_desk(claim)


def test_closed_and_opened_at_once_it_begins_anew() -> None:
    """As a barge-in does, whose earcon follows the reply that it ends."""

    async def claim(desk: Desk) -> None:
        desk.speaker.open()
        await asyncio.sleep(0.1)
        old = desk.room.stream
        desk.speaker.close()
        desk.speaker.open()
        await asyncio.sleep(0.001)
        assert old.is_closed
        assert desk.room.stream is not old
        assert desk.room.stream.played == [(100, LOUD)]
        assert desk.room.open_sides == ["output"]

    at_a_desk(claim)


@pytest.mark.parametrize("given", [b"", LOUD[:-1], LOUD + LOUD])
def test_a_source_that_gives_the_wrong_amount_does_not_end_the_stream(given: bytes) -> None:
    async def claim(desk: Desk) -> None:
        desk.speaker.open()
        await asyncio.sleep(0.1)
        desk.sound = given
        desk.room.stream.call()
        desk.sound = LOUD
        await asyncio.sleep(0.1)
        assert desk.room.stream.played[-1][1] == LOUD
        assert desk.speaker.counters.callbacks_failed == 1

    at_a_desk(claim)


def test_a_source_that_raises_gives_silence_and_is_counted() -> None:
    async def claim(desk: Desk) -> None:
        def broken(_samples: int) -> bytes:
            raise KeyboardInterrupt

        desk.speaker.open()
        await asyncio.sleep(0.1)
        assert desk.speaker._line.session is not None
        desk.speaker._line.session._source = broken
        assert desk.room.stream.call() == 0
        assert desk.room.stream.played[-1][1] == SILENCE
        assert desk.speaker.counters.callbacks_failed == 1

    at_a_desk(claim)


def test_a_second_without_callbacks_is_survived_and_counted() -> None:
    async def claim(desk: Desk) -> None:
        desk.speaker.open()
        await asyncio.sleep(1)
        desk.room.stream.is_hanging = True
        await asyncio.sleep(1)
        desk.room.stream.is_hanging = False
        desk.room.stream.flags = 4  # output underflow
        await asyncio.sleep(1)
        assert (desk.speaker.counters.glitches, desk.speaker.counters.stalls) == (1, 1)
        assert desk.told == []

    at_a_desk(claim)


def test_a_latency_that_cannot_be_is_none() -> None:
    """While the buffer is filled for the first time ALSA tells nothing or nonsense."""

    async def claim(desk: Desk) -> None:
        desk.speaker.open()
        await asyncio.sleep(0.1)
        stream = desk.room.stream
        for held_s in (-5.0, 3_600.0):
            stream._callback(
                None, 320, {"current_time": 9.0, "output_buffer_dac_time": 9.0 + held_s}, 0
            )
            assert desk.speaker.latency_ms == 0

    at_a_desk(claim)


# -- A card that fails ----------------------------------------------------------------------------


def test_a_reply_goes_on_in_real_time_while_the_speaker_is_gone_and_is_heard_when_it_is_back() -> (
    None
):
    async def claim(desk: Desk) -> None:
        desk.speaker.open()
        await asyncio.sleep(1)
        device = desk.room.unplug("USB Horn")
        await asyncio.sleep(4)
        ((failed_ms, what),) = desk.told
        assert what == "failed"
        assert failed_ms <= 1_500
        assert desk.speaker.is_open
        assert desk.pulled_between(failed_ms, 5_000) == pytest.approx(
            (5_000 - failed_ms) / 20, abs=2
        )
        desk.room.devices.append(device)
        await asyncio.sleep(9)
        assert [what for _, what in desk.told] == ["failed", "recovered"]
        recovered_ms = desk.told[1][0]
        assert desk.pulled_between(5_000, 14_000) == pytest.approx(450, abs=4)
        assert desk.room.stream.played[0][0] == pytest.approx(recovered_ms, abs=20)
        assert not desk.speaker._void.is_running

    at_a_desk(claim)


def test_without_any_speaker_what_is_played_is_over_when_it_would_have_been() -> None:
    async def claim(desk: Desk) -> None:
        assert not await desk.speaker.test()
        assert desk.told == []
        desk.speaker.open()
        await asyncio.sleep(10)
        assert len(desk.pulled) == pytest.approx(500, abs=2)
        desk.speaker.close()
        pulled = len(desk.pulled)
        await asyncio.sleep(10)
        assert len(desk.pulled) == pulled
        assert desk.told == []
        assert (desk.speaker.latency_ms, desk.speaker.is_open) == (0, False)

    at_a_desk(claim, Plugged("USB Mic", inputs=1))


def test_one_that_hangs_is_given_up_and_nobody_waits_for_it() -> None:
    """Even the card's thread may hang with it: what is wanted is done when it goes on."""

    async def claim(desk: Desk) -> None:
        desk.speaker.open()
        await asyncio.sleep(0.99)
        desk.room.stream.is_hanging = True
        await asyncio.sleep(3)
        assert [what for _, what in desk.told][:1] == ["failed"]
        assert desk.pulled_between(1_000, 3_000) == 0
        await asyncio.sleep(2)
        assert desk.pulled_between(4_000, 6_000) == pytest.approx(100, abs=4)

    at_a_desk(claim)


# -- Both directions ------------------------------------------------------------------------------


def test_a_speaker_that_is_missing_interrupts_the_microphone_once_a_minute_at_most() -> None:
    """PortAudio finds what was plugged in only by ending every stream."""

    async def claim(desk: Desk) -> None:
        heard: list[int] = []
        told: list[str] = []
        from hardware.card_microphone import CardMicrophone  # noqa: PLC0415

        microphone = CardMicrophone(
            desk.room.card,
            desk.room.clock,
            "usb mic",
            lambda _, at_ms: heard.append(at_ms),
            on_failed=lambda: told.append("failed"),
            on_recovered=lambda: told.append("recovered"),
        )
        microphone.open()
        await asyncio.sleep(1)
        desk.speaker.open()
        await asyncio.sleep(59)
        assert desk.room.history.count("begin") == 2
        assert len(heard) >= 59 * 50
        desk.room.devices.append(Plugged("USB Horn", outputs=2))
        await asyncio.sleep(20)
        assert desk.room.history.count("begin") == 3
        assert [what for _, what in desk.told] == ["failed", "recovered"]
        assert told == []
        assert sorted(desk.room.open_sides) == ["input", "output"]
        assert len(heard) >= 78 * 50

    at_a_desk(claim, Plugged("USB Mic", inputs=1))


# -- Cards at other rates -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(48_000, 1), (48_000, 2), (44_100, 2), (16_000, 2), (8_000, 1)]
)
def test_a_card_at_another_rate_is_given_what_it_takes(rate_hz: int, channels: int) -> None:
    card = Plugged("USB", outputs=2, rates=(rate_hz,), channels=(channels,))

    async def claim(desk: Desk) -> None:
        desk.sound = array.array("h", [1_000] * FRAME_SAMPLES).tobytes()
        desk.speaker.open()
        await asyncio.sleep(1.99)
        assert (desk.room.stream.rate_hz, desk.room.stream.channels) == (rate_hz, channels)
        played = [from_bytes(sound) for _, sound in desk.room.stream.played]
        assert len(played) == 100
        assert len(desk.pulled) in {100, 101, 102}
        assert all(abs(sample - 1_000) <= 10 for sample in played[-1])
        if channels == 2:
            assert all(sound[0::2] == sound[1::2] for sound in played)
        assert all(HELD_MS - 21 <= late_ms <= HELD_MS + 21 for _, late_ms in desk.pulled)

    at_a_desk(claim, card)
