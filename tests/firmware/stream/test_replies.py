"""Replies as samples and WAV files, through a real server and the real playback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from firmware.stream.wav import Sound
from tests.firmware.stream.gateway import REPLY_END, bare, reply_packet, wrapped
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
    pcm = tone(440, 100, 44_100).tobytes()
    await scene.gateway.sessions[0].send(
        wrapped(wav(pcm, 44_100, declared=0xFFFF_FFFF)[:50], "wav"),
        wrapped(pcm[6:], "wav"),
        wrapped(wav(pcm, 8_000, 2), "wav"),
        wrapped(b"", "wav", is_final=True),
    )
    await scene.playback.until_end(1)
    assert [sound[1:] for _, _, sound in scene.playback.sounds] == [
        (44_100, 1),
        (8_000, 2),
        (8_000, 2),
    ]
    assert b"".join(sound.pcm for _, _, sound in scene.playback.sounds) == pcm * 2


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
        Sound(b"\x01\x02\x03\x04\x05\x06", 8_000, 1),
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
    frame = bytes(range(160)) * 4
    await scene.gateway.sessions[0].send(
        wrapped(wav(frame, declared=1_000), "wav"),
        wrapped(wav(b"\3\0", tag=85), "wav"),
        wrapped(b"ID3", "mp3"),
        wrapped(wav(b"\4\0"), "wav", is_final=True),
    )
    await scene.playback.until_end(1)
    assert [sound.pcm for _, _, sound in scene.playback.sounds] == [frame, b"\4\0"]
    assert "turn_failed" not in scene.loop.names
    assert scene.stream.counters.reply_pieces_unplayable == 2


@pytest.mark.parametrize(
    ("dialect", "end"),
    [
        ("seed", REPLY_END),
        ("gateway", wrapped(b"", is_final=True)),
        ("gateway", wrapped(wav(b""), "wav", is_final=True)),
        ("gateway", wrapped(b"\1", "pcm16", is_final=True)),
        ("binary", bare(5, 1)),
    ],
    ids=["seed", "gateway", "header only", "half a sample", "binary"],
)
def test_reply_without_a_sound_fails_the_turn(dialect: str, end: dict[str, Any] | bytes) -> None:
    """Else the child would wait for it, and nobody would ever say that it is over."""

    @on_loop
    async def scene_of_one_end() -> None:
        async with stage(dialect=dialect) as scene:
            await ask(scene)
            text = {"type": "text_response", "payload": {"text": "hi"}, "text": "hi"}
            await scene.gateway.sessions[0].send(text, end, end)
            await scene.gateway.sessions[0].is_heard()
            assert scene.loop.count("turn_failed", turn=1, connection=1, code="AUDIO_ERROR") == 1
            assert scene.playback.ends == []

    scene_of_one_end()


@pytest.mark.parametrize(
    ("numbers", "announced", "missing"),
    [
        ((0, 1, 2), 3, 0),
        ((0, 2, 5), 6, 3),
        ((0, 1), 5, 3),
        ((2, 3), 4, 2),
        ((0, 1, 2), 1, 0),
        ((7, 7, 7), 0, 0),
        ((7, 9), 0, 1),
    ],
)
def test_pieces_that_never_came_are_counted(
    numbers: tuple[int, ...], announced: int, missing: int
) -> None:
    """By their numbers and by what the end says; what did come is heard."""

    @on_loop
    async def scene_of_one_reply() -> None:
        async with stage(dialect="binary") as scene:
            await ask(scene)
            await scene.gateway.sessions[0].send(
                *(bare(3, 1, b"x", sequence=number, rate_hz=16_000) for number in numbers),
                bare(5, 1, sequence=announced),
            )
            await scene.playback.until_end(1)
            assert scene.stream.counters.reply_pieces_missing == missing
            assert len(scene.playback.packets) == len(numbers)

    scene_of_one_reply()


@on_loop
async def test_dialect_with_numbers_but_no_count_shows_gaps_all_the_same() -> None:
    """Wherever a gateway begins to count."""
    async with stage() as scene:
        await ask(scene)
        packets = (reply_packet(b"x", number) for number in (5, 6, 9))
        await scene.gateway.sessions[0].send(*packets, REPLY_END)
        await scene.playback.until_end(1)
        assert scene.stream.counters.reply_pieces_missing == 2


@on_loop
async def test_quality_tells_what_share_of_the_replies_never_came() -> None:
    """Smoothed over replies, across turns; None before the first."""
    async with stage(dialect="binary") as scene:
        session = await scene.gateway.session(1)
        for turn, lost, percent in ((1, {3, 7}, 10), (2, set(), 5), (3, set(), 2.5)):
            await scene.open_turn(turn)
            before = scene.stream.quality.loss_percent
            assert (before is None) == (turn == 1)
            scene.speak(b"speech")
            await session.utterances(turn)
            await scene.loop.until("uplink_flushed", turn=turn)
            await session.send(
                *(
                    bare(3, turn, b"x", sequence=number, rate_hz=16_000)
                    for number in range(20)
                    if number not in lost
                ),
                bare(5, turn, sequence=20),
            )
            await scene.playback.until_end(turn)
            scene.perform("end_turn", turn=turn, outcome="answered")
            assert scene.stream.quality.loss_percent == percent


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
