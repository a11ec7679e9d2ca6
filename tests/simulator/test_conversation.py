"""A conversation with a toy that has no cloud: what it says when it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.errors import ClipError
from hardware.pcm import write_wav
from hardware.sim.clock import run_virtual
from simulator.conversation import BEGINNINGS, WHY, Clip, Conversation
from simulator.errors import TurnError
from states.table import ROWS
from tests.firmware.composed import Composed
from tests.hardware.voices import voice

NAME = Clip("alexa", voice(500))
"""A hum: no toy hears its name in it."""


def test_a_clip_is_read_before_anything_begins(tmp_path: Path) -> None:
    """Its name is what the summary tells."""
    write_wav(tmp_path / "hello.wav", voice(500))
    assert Clip.read(tmp_path / "hello.wav") == Clip("hello.wav", voice(500))
    with pytest.raises(ClipError):
        Clip.read(tmp_path / "none.wav")


def test_a_toy_that_does_not_get_ready_is_told_with_where_it_is(tmp_path: Path) -> None:
    """After a time with a name."""

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            conversation = Conversation(toy.toy, NAME, [], lambda _: None)
            with pytest.raises(TurnError) as caught:
                await conversation.get_ready()
            assert str(caught.value) == "the toy was not ready after 25 s: it is in offline.ready"

    run_virtual(main())


def test_a_turn_that_does_not_begin_is_told_with_where_the_toy_is(tmp_path: Path) -> None:
    """Without consent a press is denied: nothing is heard, and nothing is waited for any longer."""

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            told: list[str] = []
            conversation = Conversation(toy.toy, NAME, [Clip("hello.wav", voice(500))], told.append)
            await toy.arrives_at("offline.ready")
            with pytest.raises(TurnError) as caught:
                await conversation.hold()
            assert str(caught.value) == (
                "turn 1 (hello.wav), by press, did not begin: the toy is in offline.ready"
            )
            assert told == ["the child presses the button"]
            (turn,) = conversation.turns
            assert (turn.begun_by, turn.clip, turn.answered) == ("press", "hello.wav", False)

    run_virtual(main())


def test_a_name_that_is_not_heard_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was said, and nothing came of it."""
    monkeypatch.setattr("simulator.conversation.BEGINNINGS", ("wake word",))

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            told: list[str] = []
            conversation = Conversation(toy.toy, NAME, [Clip("hello.wav", NAME.pcm)], told.append)
            await toy.arrives_at("offline.ready")
            with pytest.raises(TurnError, match=r"by wake word, did not begin: .* offline\.ready$"):
                await conversation.hold()
            assert told == ['the child says "alexa", the wake word']
            assert conversation.turns[0].woken_ms is None

    run_virtual(main())


def test_a_turn_without_a_cloud_says_that_the_gateway_could_not_be_reached(
    tmp_path: Path,
) -> None:
    """With consent the toy listens; it has no answer of its own, and nobody waits a minute."""

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            conversation = Conversation(
                toy.toy, NAME, [Clip("hello.wav", voice(1_500))], lambda _: None
            )
            flags = {"wake": False, "wake_barge": False, "continued": False}
            toy.toy.loop.post("configured", version=1, consent=True, **flags)
            await toy.arrives_at("offline.ready")
            with pytest.raises(TurnError) as caught:
                await conversation.hold()
            assert str(caught.value) == (
                "turn 1 (hello.wav) was not answered: the gateway could not be reached, "
                "and the toy has no answer of its own"
            )
            (turn,) = conversation.turns
            assert turn.states[:2] == ["offline.listening", "offline.answering"]
            assert turn.light_ms == 0
            assert turn.first_sound_ms is None

    run_virtual(main())


def test_silence_is_told_as_silence(tmp_path: Path) -> None:
    """Within five seconds, since that is how long the toy waits."""

    async def main() -> None:
        async with Composed(tmp_path) as toy:
            conversation = Conversation(
                toy.toy, NAME, [Clip("none.wav", bytes(64_000))], lambda _: None
            )
            flags = {"wake": False, "wake_barge": False, "continued": False}
            toy.toy.loop.post("configured", version=1, consent=True, **flags)
            await toy.arrives_at("offline.ready")
            with pytest.raises(TurnError, match="the clip is silent, or too quiet to be speech"):
                await conversation.hold()
            ends = conversation.steps[-1].event.at_ms - conversation.steps[-3].event.at_ms
            assert ends < 5_100

    run_virtual(main())


def test_every_reason_that_is_explained_is_one_that_the_table_gives() -> None:
    """A renamed outcome would be told without its explanation."""
    assert WHY.keys() <= {row.ends for row in ROWS}


def test_turns_begin_in_three_ways() -> None:
    """By hand, by hand in the middle of a reply, and by the toy's name."""
    assert BEGINNINGS == ("press", "barge-in", "wake word")
