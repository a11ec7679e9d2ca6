"""Replies as samples and WAV files, through a real server and the real playback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from firmware.stream.wav import Sound
from tests.firmware.stream.gateway import bare, wrapped
from tests.firmware.stream.stage import Stage, on_loop, stage
from tests.firmware.stream.waves import wav
from tests.hardware.voices import tone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


async def ask(scene: Stage) -> None:
    """Bring turn 1 to where its reply is awaited."""
    session = await scene.gateway.session(1)
    await scene.open_turn(1)
    scene.speak(scene.frame)
    await session.utterances()
    await scene.loop.until("uplink_flushed", turn=1)


def asked(
    dialect: str,
) -> Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Run a test in a dialect once the reply is awaited."""

    def decorate(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        @on_loop
        async def run() -> None:
            async with stage(dialect=dialect) as scene:
                await ask(scene)
                await test(scene)

        run.__doc__ = test.__doc__
        return run

    return decorate


@asked("gateway")
async def test_wav_may_come_whole(scene: Stage) -> None:
    """In one message with its end, as most gateways send it."""
    pcm = tone(440, 10_000, 22_050).tobytes()
    await scene.gateway.sessions[0].send(wrapped(wav(pcm, 22_050), "wav", is_final=True))
    await scene.playback.until_end(1)
    assert scene.playback.sounds == [(1, 1, Sound(pcm, 22_050, 1))]
    assert scene.playback.ends == [(1, 1)]


@asked("gateway")
async def test_wav_may_come_in_pieces(scene: Stage) -> None:
    """A header with the first, bare samples or whole files after it, and an end by itself."""
    pcm = tone(440, 100).tobytes()
    await scene.gateway.sessions[0].send(
        wrapped(wav(pcm, 44_100, 2), "wav"),
        wrapped(pcm, "wav"),
        wrapped(wav(pcm, 8_000), "wav"),
        wrapped(b"", "wav", is_final=True),
    )
    await scene.playback.until_end(1)
    assert [sound for _, _, sound in scene.playback.sounds] == [
        Sound(pcm, 44_100, 2),
        Sound(pcm, 44_100, 2),
        Sound(pcm, 8_000, 1),
    ]


@asked("gateway")
async def test_samples_may_come_bare(scene: Stage) -> None:
    """At the rate that is told beside them; a sample may be cut in two."""
    await scene.gateway.sessions[0].send(
        wrapped(b"\x01\x02\x03", "pcm16", sampleRate=8_000),
        wrapped(b"\x04\x05\x06", "pcm16", sampleRate=8_000),
        wrapped(b"\x07\x08", "pcm16", sampleRate=48_000, is_final=True),
    )
    await scene.playback.until_end(1)
    assert [sound for _, _, sound in scene.playback.sounds] == [
        Sound(b"\x01\x02", 8_000, 1),
        Sound(b"\x03\x04\x05\x06", 8_000, 1),
        Sound(b"\x07\x08", 48_000, 1),
    ]


@asked("binary")
async def test_binary_replies_may_be_samples(scene: Stage) -> None:
    """At the three rates that its header can name."""
    await scene.gateway.sessions[0].send(
        *(bare(4, 1, b"\x01\x02", rate_hz=rate_hz) for rate_hz in (16_000, 24_000, 48_000)),
        bare(5, 1, sequence=3),
    )
    await scene.playback.until_end(1)
    assert [sound.sample_rate_hz for _, _, sound in scene.playback.sounds] == [
        16_000,
        24_000,
        48_000,
    ]


@pytest.mark.parametrize(
    "piece",
    [
        wrapped(b"ID3", "mp3"),
        wrapped(b"", "mp3", is_final=True, sampleRate=None)
        | {"payload": {"data": "49", "format": "mp3"}},
        wrapped(b"junk", "wav"),
        wrapped(wav(b"\0\0", tag=85), "wav", is_final=True),
        wrapped(wav(b"\0\0")[:40], "wav", is_final=True),
    ],
    ids=["mp3", "flat mp3", "not RIFF", "mp3 in WAV", "cut off"],
)
def test_reply_that_cannot_be_played_fails_the_turn(piece: dict[str, Any]) -> None:
    """With a code that says so, once; nothing of it is heard, and no end is told."""

    @on_loop
    async def scene_of_one_piece() -> None:
        async with stage(dialect="gateway") as scene:
            await ask(scene)
            await scene.gateway.sessions[0].send(piece, piece, wrapped(wav(b"\0\0"), "wav"))
            await scene.gateway.sessions[0].is_heard()
            assert scene.loop.count("turn_failed", turn=1, connection=1, code="AUDIO_ERROR") == 1
            assert scene.playback.sounds == []
            assert scene.playback.ends == []
            assert scene.stream.counters.reply_pieces_unplayable == 1

    scene_of_one_piece()


@asked("gateway")
async def test_what_can_be_played_of_a_broken_reply_is(scene: Stage) -> None:
    """A file that is shorter than it says, and a piece that is none after one that was."""
    await scene.gateway.sessions[0].send(
        wrapped(wav(b"\1\0\2\0", declared=1_000), "wav"),
        wrapped(wav(b"\3\0", tag=85), "wav"),
        wrapped(b"ID3", "mp3"),
        wrapped(wav(b"\4\0"), "wav", is_final=True),
    )
    await scene.playback.until_end(1)
    assert [sound.pcm for _, _, sound in scene.playback.sounds] == [b"\1\0\2\0", b"\4\0"]
    assert "turn_failed" not in scene.loop.names
    assert scene.stream.counters.reply_pieces_unplayable == 2


@on_loop
async def test_pieces_of_one_reply_are_not_joined_to_the_next() -> None:
    """Half a sample, or a header, of an old turn does not reach into a new one."""
    async with stage(dialect="binary") as scene:
        session = await scene.gateway.session(1)
        for turn in (1, 2):
            await scene.open_turn(turn)
            scene.speak(b"speech")
            await session.utterances(turn)
            await scene.loop.until("uplink_flushed", turn=turn)
            assert scene.stream._turn is not None
            assert scene.stream._turn.joiner._format is None
            await session.send(bare(4, turn, b"\x01\x02", rate_hz=24_000), bare(5, turn))
            await scene.playback.until_end(turn)
            scene.perform("end_turn", turn=turn, outcome="answered")
