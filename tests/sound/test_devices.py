"""A microphone or a speaker that is pulled out, and put back."""

from __future__ import annotations

import pytest

from simulator.sound_server import Device
from simulator.toy_process import ToyProcess
from tests.devcloud import clips
from tests.sound.household import Household


async def told(toy: ToyProcess, event: str, part: str, since: int) -> int:
    """Wait for a step that tells of a part."""
    return await toy.until(
        lambda step: step.event == event and step.fields.get("part") == part, since
    )


@pytest.mark.parametrize("device", ["microphone", "speaker"])
def test_a_device_that_is_pulled_out_is_missed_and_used_again_when_it_is_back(
    household: Household, device: Device
) -> None:
    async def scenario() -> None:
        begin = len(household.toy.steps)
        await household.sound.remove(device)
        if device == "speaker":
            household.toy.type("tap")  # a speaker is missed when it has something to say
        failed = await told(household.toy, "part_failed", device, begin)
        await household.sound.restore(device)
        await told(household.toy, "part_recovered", device, failed)
        await household.settle()
        await conversation(household)

    household.run(scenario())


def test_a_toy_whose_sound_server_dies_speaks_again_when_there_is_another(
    household: Household,
) -> None:
    async def scenario() -> None:
        begin = len(household.toy.steps)
        await household.sound.kill()
        failed = await told(household.toy, "part_failed", "microphone", begin)
        await household.sound.start()
        await told(household.toy, "part_recovered", "microphone", failed)
        await household.settle()
        await conversation(household)

    household.run(scenario())


async def conversation(household: Household) -> None:
    """Speak and be answered, audibly."""
    await household.cloud.post("stream-options", {"reply_text": "Hello, my friend."})
    async with household.sound.record() as heard:
        said = await household.press_and_say(clips.load(clips.SEVEN_OF_CLUBS))
        await heard.silence(heard.sample_at(said.steps[-1].at_ms), for_ms=100)
    assert said.turn["transcript"] == "seven of clubs"
    assert said.aligned(heard).whole_db >= 20
