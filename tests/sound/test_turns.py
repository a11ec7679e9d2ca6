"""A turn from mouth to ear: what is said is understood, and what is replied is heard."""

from __future__ import annotations

from tests.devcloud import clips
from tests.sound.household import Household

REPLY = "Once upon a time, a small bear found a lantern in the forest."
LOSSY: dict[str, object] = {
    "reply_loss_percent": 10,
    "reply_reorder_percent": 10,
    "reply_jitter_ms": 100,
}


def test_human_speech_is_understood_and_its_reply_heard_as_it_was_sent(
    household: Household,
) -> None:
    """The button begins the turn, silence ends it."""

    async def scenario() -> float:
        await household.cloud.post("stream-options", {"reply_text": REPLY})
        said, found = await household.press_say_and_compare(clips.load(clips.GO_FORWARD))
        assert "speech.over_sending" in said.rows
        return found.db if said.understood("go forward ten meters") else 0

    assert household.best_of(scenario, 20) >= 20


def test_a_reply_of_which_packets_get_lost_overtake_and_are_late_is_still_heard(
    household: Household,
) -> None:
    """One in ten is lost, one in ten comes behind the next, each up to 100 ms late."""

    async def scenario() -> float:
        await household.cloud.post("stream-options", {"reply_text": REPLY})
        await household.cloud.set_faults(LOSSY)
        said, found = await household.press_say_and_compare(clips.load(clips.SEVEN_OF_CLUBS))
        assert said.turn["reply_packets_sent"] < 0.95 * said.turn["reply_packets"]
        return found.db

    assert household.best_of(scenario, 8) >= 8


def test_a_reply_in_samples_is_heard_as_it_was_sent(household: Household) -> None:
    async def scenario() -> float:
        options = {"reply_text": "Hello, my friend.", "reply_format": "pcm16"}
        await household.cloud.post("stream-options", options)
        _, found = await household.press_say_and_compare(clips.load(clips.SEVEN_OF_CLUBS))
        return found.db

    assert household.best_of(scenario, 20) >= 20
