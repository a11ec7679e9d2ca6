from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from devcloud.errors import RecognitionError
from devcloud.recognition import Recogniser
from tests.devcloud import clips

if TYPE_CHECKING:
    from tests.devcloud.running import RunningCloud


async def recognise(recogniser: Recogniser, *sounds: bytes) -> list[str]:
    """Recognise several sounds that arrive at the same time, frame by frame."""

    utterances = [await recogniser.begin() for _ in sounds]
    for together in zip_longest(*map(clips.frames, sounds), fillvalue=b""):
        for utterance, frame in zip(utterances, together, strict=True):
            await utterance.feed(frame)
    return await asyncio.gather(*(utterance.finish() for utterance in utterances))


def test_two_people_who_speak_at_once_are_both_understood(cloud: RunningCloud) -> None:
    sounds = clips.load(clips.GO_FORWARD), clips.load(clips.SEVEN_OF_CLUBS)
    heard = cloud.run(recognise(cloud.cloud.recogniser, *sounds))
    assert heard[0] == "go forward ten meters"
    assert heard[1].startswith("seven of")


def test_what_was_heard_before_does_not_matter(cloud: RunningCloud) -> None:
    pcm = clips.load(clips.SEVEN_OF_CLUBS)
    heard = {cloud.run(recognise(cloud.cloud.recogniser, pcm))[0] for _ in range(2)}
    assert len(heard) == 1


@pytest.mark.parametrize(
    "pcm",
    [b"", bytes(32_000), bytes(641), b"\x00\x20" * 300],
    ids=["none", "zeros", "odd", "click"],
)
def test_where_nobody_speaks_nothing_is_heard(cloud: RunningCloud, pcm: bytes) -> None:
    assert cloud.run(recognise(cloud.cloud.recogniser, pcm)) == [""]


def test_an_utterance_that_is_dropped_does_not_disturb_the_next(cloud: RunningCloud) -> None:
    async def scenario() -> str:
        dropped = await cloud.cloud.recogniser.begin()
        await dropped.feed(clips.load(clips.GO_FORWARD))
        await dropped.cancel()
        heard = await recognise(cloud.cloud.recogniser, clips.load(clips.SEVEN_OF_CLUBS))
        return heard[0]

    assert cloud.run(scenario()).startswith("seven of")


def test_a_recogniser_that_was_killed_fails_its_utterance_and_comes_back() -> None:
    async def scenario() -> None:
        recogniser = Recogniser()
        try:
            await recogniser.ready()
            utterance = await recogniser.begin()
            first = recogniser.process_id
            assert first
            os.kill(first, signal.SIGKILL)
            with pytest.raises(RecognitionError, match="ended with -9"):
                await utterance.finish()
            with pytest.raises(RecognitionError, match="ended with -9"):
                await utterance.feed(bytes(640))
            await utterance.cancel()
            assert recogniser.process_id is None
            await recogniser.ready()
            assert recogniser.process_id not in {None, first}
        finally:
            await recogniser.close()

    asyncio.run(scenario())


def test_a_recogniser_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devcloud.recognition.RESULT_TIMEOUT_S", 0.01)

    async def scenario() -> None:
        recogniser = Recogniser((sys.executable, "-c", "import sys; sys.stdin.read()"))
        try:
            utterance = await recogniser.begin()
            with pytest.raises(RecognitionError, match=r"no words within 0\.01 s"):
                await utterance.finish()
        finally:
            await recogniser.close()

    asyncio.run(scenario())


def test_a_recogniser_that_cannot_load_says_so() -> None:
    async def scenario() -> None:
        recogniser = Recogniser((sys.executable, "-c", "raise SystemExit(3)"))
        with pytest.raises(RecognitionError, match="ended with 3"):
            await recogniser.ready()
        await recogniser.close()

    asyncio.run(scenario())


def test_a_recogniser_that_is_not_there_says_so() -> None:
    with pytest.raises(RecognitionError, match="cannot be started"):
        asyncio.run(Recogniser(("/nonexistent",)).start())


def test_the_process_ends_when_the_cloud_is_gone() -> None:
    """It sees the end of its input, whatever happened to whoever started it."""

    async def scenario() -> None:
        recogniser = Recogniser()
        await recogniser.ready()
        process = recogniser._process
        assert process
        process._stdin.close()
        async with asyncio.timeout(5):
            await process._results
        assert process._process.returncode == 0

    asyncio.run(scenario())
