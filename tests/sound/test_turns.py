"""A turn from mouth to ear: what is said is understood, and what is replied is heard."""

from __future__ import annotations

import pytest

from simulator.alignment import Alignment
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

    async def scenario() -> Alignment:
        await household.cloud.post("stream-options", {"reply_text": REPLY})
        async with household.sound.record() as heard:
            said = await household.press_and_say(clips.load(clips.GO_FORWARD))
            await heard.silence(heard.sample_at(said.steps[-1].at_ms), for_ms=100)
            assert said.turn["transcript"] == "go forward ten meters"
            assert "speech.over_sending" in said.rows
            return said.aligned(heard)

    found = household.run(scenario())
    assert found.whole_db >= 20, found


@pytest.mark.parametrize("seed", [0])
def test_a_reply_of_which_packets_get_lost_overtake_and_are_late_is_still_heard(
    household: Household, seed: int
) -> None:
    """One in ten is lost, one in ten comes behind the next, each up to 100 ms late."""

    async def scenario() -> Alignment:
        await household.cloud.post("stream-options", {"reply_text": REPLY})
        await household.cloud.set_faults({**LOSSY, "reply_fault_seed": seed})
        async with household.sound.record() as heard:
            said = await household.press_and_say(clips.load(clips.SEVEN_OF_CLUBS))
            await heard.silence(heard.sample_at(said.steps[-1].at_ms), for_ms=100)
            assert said.turn["transcript"] == "seven of clubs"
            lost = said.turn["reply_packets"] - said.turn["reply_packets_sent"]
            assert lost > 0.05 * said.turn["reply_packets"]
            return said.aligned(heard)

    found = household.run(scenario())
    assert found.db >= 8, found
