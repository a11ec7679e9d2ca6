"""The stream and the development cloud over a network that is slow, stalls or dies."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from devcloud.tokens import Audience
from hardware.codec import OpusEncoder
from hardware.pcm import FRAME_BYTES
from tests.devcloud.running import RunningCloud
from tests.firmware.stream.gateway import DIALECTS
from tests.firmware.stream.stage import Stage, on_loop, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FRAMES = 40


@pytest.fixture(scope="module")
def running() -> Iterator[RunningCloud]:
    """Return a cloud on a loop of its own that is ready to listen."""
    with RunningCloud() as cloud:
        cloud.run(cloud.cloud.recogniser.ready())
        yield cloud


@pytest.fixture
def cloud(running: RunningCloud) -> RunningCloud:
    """Return it as it was at its start."""
    running.reset()
    return running


@asynccontextmanager
async def to_cloud(
    cloud: RunningCloud,
    dialect: str,
    **settings: Any,  # noqa: ANN401 - as the fields of the settings
) -> AsyncIterator[Stage]:
    """Set up a stream that the cloud knows."""
    url = cloud.cloud.convex_url.replace("http", "ws", 1)
    token = cloud.cloud.tokens.issue("dev-sim-1", Audience.STREAM, 600)
    names = ("dev-sim-1", "toy-sim-1")
    async with stage(
        dialect=dialect, token=token, names=names, **{"url": url, **settings}
    ) as scene:
        yield scene


def say(scene: Stage, frames: int = FRAMES) -> None:
    """Say nothing much, all at once."""
    with OpusEncoder() as encoder:
        for number in range(frames):
            frame = bytes(FRAME_BYTES)
            if scene.stream.speech_format == "opus":
                frame = encoder.encode(frame)
            scene.stream.send(frame, 20 * number)
    scene.stream.finish()


async def is_answered(scene: Stage, turn: int) -> bool:
    """Wait until a reply to a turn begins, or never will."""

    def has_begun() -> bool:
        playback = scene.playback
        return any(of == turn for of, *_ in (*playback.packets, *playback.sounds))

    await scene.bell.until(
        lambda: (
            has_begun()
            or scene.loop.count("turn_failed", turn=turn)
            or scene.loop.count("stream_lost", turn=turn)
        )
    )
    return has_begun()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_turn_whose_oldest_speech_was_dropped_is_answered(
    cloud: RunningCloud, dialect: str
) -> None:
    """A network that stalls costs the beginning of what was said, and not the turn."""

    @on_loop
    async def scene_of_a_gap() -> None:
        async with to_cloud(cloud, dialect, uplink_frames_max=10) as scene:
            await scene.open_turn(1)
            say(scene)
            assert scene.stream.counters.uplink_overflowed == FRAMES - 10
            assert await is_answered(scene, 1)

    scene_of_a_gap()


@on_loop
async def test_answer_to_the_handshake_that_is_always_late_costs_one_turn_at_most(
    cloud: RunningCloud,
) -> None:
    """Each connection begins with what was learned on the one before."""
    async with to_cloud(cloud, "auto", hello_timeout_ms=20) as scene:
        await scene.loop.until("link_up")
        cloud.post_faults(network={"channel": "stream", "latency_ms": 60})
        answered = []
        for turn in (1, 2, 3):
            connection = scene.stream._link.connection
            assert connection is not None
            connection._socket.transport.abort()  # type: ignore[union-attr]
            await scene.loop.until("link_up", count=scene.loop.count("link_up") + 1)
            await scene.open_turn(turn)
            say(scene)
            answered.append(await is_answered(scene, turn))
            scene.perform("end_turn", turn=turn, outcome="interrupted")
        assert answered[1:] == [True, True]


@pytest.mark.parametrize("dialect", ["seed", "gateway", "auto"])
def test_dead_connection_costs_one_turn(cloud: RunningCloud, dialect: str) -> None:
    """A router has forgotten it without a word; the next turn has another."""

    @on_loop
    async def scene_of_a_dead_connection() -> None:
        async with to_cloud(cloud, dialect) as scene:
            await scene.loop.until("link_up")
            cloud.post_faults(
                network={"channel": "stream", "half_open": True, "connections": "established"}
            )
            await scene.open_turn(1)
            say(scene)
            await scene.loop.until("uplink_flushed", turn=1)
            scene.perform("end_turn", turn=1, outcome="no answer")
            await scene.open_turn(2)
            say(scene)
            assert await is_answered(scene, 2)

    scene_of_a_dead_connection()
