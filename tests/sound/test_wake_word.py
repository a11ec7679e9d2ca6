"""The toy is called by its name, also while it speaks; its own voice does not call it."""

from __future__ import annotations

from firmware.voice.wake.micro import StockRecipe
from tests.devcloud import clips
from tests.hardware.voices import frames
from tests.sound.household import OVER_MS, WAKE_WORD, Household, pause, spoken

REPLY = "Once upon a time, a small bear found a lantern in the forest."
LONG_REPLY = f"{REPLY} He lit the way home for all his friends, and they shared a honey cake."
REPLY_WITH_WORD = "Alexa: come here. Alexa: go there. Alexa: stay."
BREATH_MS = 700


def calling(words: bytes) -> bytes:
    """Call the toy, breathe, and say something."""
    return spoken(WAKE_WORD) + pause(BREATH_MS) + words


def times_called(sound: bytes) -> int:
    """Return how often the name is heard in a sound."""
    engine = StockRecipe("alexa").make()
    try:
        return sum(map(engine.hear, frames(sound)))
    finally:
        engine.close()


def test_a_turn_is_held_by_sound_alone(household: Household) -> None:
    """The name begins it, silence ends it; a reply at 48 kHz is heard as it was sent."""

    async def scenario() -> float:
        options = {"reply_text": REPLY, "reply_rate_hz": 48_000}
        await household.cloud.post("stream-options", options)
        begin = len(household.toy.steps)
        async with household.sound.record() as heard:
            await household.sound.say(calling(clips.load(clips.SEVEN_OF_CLUBS)))
            said = await household.answered(begin)
            await heard.silence(heard.sample_at(said.steps[-1].at_ms), for_ms=100)
        assert said.rows[0] == "turn.wake"
        assert "speech.over_sending" in said.rows
        return said.aligned(heard).db if said.understood("seven of clubs") else 0

    assert household.best_of(scenario, 20) >= 20


def test_a_reply_is_interrupted_by_the_name_alone(household: Household) -> None:
    """What was replied falls silent, and the next turn is understood."""

    async def scenario() -> None:
        toy = household.toy
        await household.cloud.post("stream-options", {"reply_text": LONG_REPLY})
        begin = len(toy.steps)
        toy.type("tap")
        await toy.until(lambda step: step.to.startswith("listening"), begin)
        await household.sound.say(clips.load(clips.SEVEN_OF_CLUBS))
        speaking = await toy.until(lambda step: step.row == "reply.begins", begin)
        async with household.sound.record() as heard:
            began = await heard.sound()
            await household.cloud.post("stream-options", {"reply_text": "Hello, my friend."})
            await household.sound.say(calling(clips.load(clips.GO_FORWARD)))
            barged_in = await toy.until(lambda step: step.row == "wake.barges_in", speaking)
            at = heard.sample_at(toy.steps[barged_in].at_ms)
            assert at > began
            silent = await heard.silence(at, for_ms=OVER_MS)
            answered = await toy.until(lambda step: step.row == "reply.begins", barged_in)
            assert heard.heard_ms(silent) < toy.steps[answered].at_ms
        said = await household.answered(barged_in)
        turns = (await household.cloud.turns())[-2:]
        assert [turn["cancelled"] for turn in turns] == [True, False]
        assert said.turn["transcript"]

    household.run(scenario())


def test_a_reply_that_contains_the_name_interrupts_nothing(household: Household) -> None:
    """Although the microphone hears it: what it heard would have called the toy."""

    async def scenario() -> None:
        await household.cloud.post("stream-options", {"reply_text": REPLY_WITH_WORD})
        await household.sound.echo(on=True, gain_db=-6)
        async with household.sound.record("microphone") as echoed:
            said = await household.press_and_say(clips.load(clips.SEVEN_OF_CLUBS))
        assert "wake.barges_in" not in said.rows
        assert said.rows[-1] == "reply.ends"
        spoke = next(step for step in said.steps if step.row == "reply.begins")
        assert times_called(echoed.since(echoed.sample_at(spoke.at_ms))) >= 2

    household.run(scenario())
