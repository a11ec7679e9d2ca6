"""A microphone or a speaker that is pulled out, and put back."""

from __future__ import annotations

from simulator.toy_process import ToyProcess
from tests.devcloud import clips
from tests.sound.household import Household


async def told(toy: ToyProcess, event: str, part: str, since: int) -> int:
    """Wait for a step that tells of a part."""
    return await toy.until(
        lambda step: step.event == event and step.fields.get("part") == part, since
    )


def test_a_toy_whose_microphone_is_pulled_out_is_deaf_says_so_and_hears_again_when_it_is_back(
    household: Household,
) -> None:
    """Until then a press is answered by a sound, and the guardian is told of both."""

    async def scenario() -> None:
        toy, sound = household.toy, household.sound
        begin = len(toy.steps)
        await sound.remove("microphone")
        failed = await told(toy, "part_failed", "microphone", begin)
        async with sound.record() as heard:
            toy.type("tap")
            pressed = await toy.until(lambda step: step.event == "press", failed)
            assert toy.steps[pressed].row == "denied.deaf"
            await heard.sound(heard.sample_at(toy.steps[pressed].at_ms))
        await sound.restore("microphone")
        await told(toy, "part_recovered", "microphone", failed)

    household.run(scenario())
    talk(household)


def test_a_turn_ends_when_the_microphone_is_pulled_out_and_the_next_is_held_when_it_is_back(
    household: Household,
) -> None:
    async def scenario() -> None:
        toy, sound = household.toy, household.sound
        begin = len(toy.steps)
        toy.type("tap")
        listening = await toy.until(lambda step: step.to.startswith("listening"), begin)
        await sound.remove("microphone")
        failed = await told(toy, "part_failed", "microphone", listening)
        assert toy.steps[failed].row == "part.deaf"
        await sound.restore("microphone")
        await told(toy, "part_recovered", "microphone", failed)

    household.run(scenario())
    talk(household)


def test_a_speaker_that_is_pulled_out_is_missed_and_used_again_when_it_is_back(
    household: Household,
) -> None:
    async def scenario() -> None:
        toy, sound = household.toy, household.sound
        begin = len(toy.steps)
        await sound.remove("speaker")
        toy.type("tap")  # it is missed when there is something to play
        failed = await told(toy, "part_failed", "speaker", begin)
        await sound.restore("speaker")
        await told(toy, "part_recovered", "speaker", failed)

    household.run(scenario())
    talk(household)


def test_a_toy_whose_sound_server_dies_speaks_again_when_there_is_another(
    household: Household,
) -> None:
    async def scenario() -> None:
        toy, sound = household.toy, household.sound
        begin = len(toy.steps)
        await sound.kill()
        failed = await told(toy, "part_failed", "microphone", begin)
        await sound.start()
        await told(toy, "part_recovered", "microphone", failed)

    household.run(scenario())
    talk(household)


def talk(household: Household) -> None:
    """Speak and be answered, audibly."""

    async def scenario() -> float:
        await household.cloud.post("stream-options", {"reply_text": "Hello, my friend."})
        said, found = await household.press_say_and_compare(clips.load(clips.SEVEN_OF_CLUBS))
        assert said.turn["transcript"]
        return found.db

    assert household.best_of(scenario, 20) >= 20
