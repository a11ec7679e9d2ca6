"""What the dialects beside the seed's do over a real socket; for that one see test_gateway."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devcloud.garbage import GARBAGE
from devcloud.replies import NOTHING_HEARD
from tests.devcloud import clips
from tests.devcloud.device import (
    CAPABILITIES,
    GATEWAY_HANDSHAKE,
    HANDSHAKE,
    Heard,
    chunks,
    connected,
    connected_to_gateway,
    frame,
    frames,
    payloads,
    welcomed,
    welcomed_by_gateway,
    welcomed_in_binary,
)
from tests.devcloud.running import TIMEOUT_S, RunningCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from tests.devcloud.device import StreamDevice
    from tests.devcloud.json_type import Json

SILENCE = bytes(32_000)

WELCOMED: Mapping[str, Callable[[RunningCloud, str], AbstractAsyncContextManager[StreamDevice]]] = {
    "seed": welcomed,
    "gateway": welcomed_by_gateway,
    "binary": welcomed_in_binary,
}


@pytest.fixture(scope="module")
def token(running_cloud: RunningCloud) -> str:
    websocket_token: str = running_cloud.authenticate()["websocketToken"]
    return websocket_token


def utterance(dialect: str, pcm: bytes) -> Sequence[dict[str, Json] | bytes]:
    match dialect:
        case "seed":
            return chunks(pcm)
        case "gateway":
            return payloads(pcm)
        case _:
            return frames(3, pcm)


def is_piece(message: str | bytes) -> bool:
    """Tell whether it is a piece of a reply, and none of what is told as text beside it."""
    return isinstance(message, bytes) or json.loads(message)["type"] == "audio_response"


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, TIMEOUT_S))


def test_an_utterance_in_binary_is_understood_and_answered_in_binary(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            await device.send(*frames(7, clips.load(clips.SEVEN_OF_CLUBS)))
            transcript = await device.expect("transcript")
            assert (transcript["text"], transcript["turn"]) == ("seven of clubs", 7)
            assert (await device.expect("text_response"))["turn"] == 7
            reply = await device.receive_reply()
            assert {(heard.kind, heard.flags, heard.turn) for heard in reply[:-1]} == {(3, 160, 7)}
            assert reply[-1] == Heard(5, 0, 7, len(reply) - 1, b"")
            assert [heard.sequence for heard in reply] == list(range(len(reply)))

    run(scenario())
    turn = cloud.get("turns")[-1]
    assert (turn["dialect"], turn["turn"], turn["completed"]) == ("binary", 7, True)


def test_the_binary_dialect_is_not_agreed_to_when_it_is_off(
    cloud: RunningCloud, token: str
) -> None:
    cloud.post("stream-options", binary=False)

    async def scenario() -> None:
        async with connected(cloud, token) as device:
            await device.send({**HANDSHAKE, "capabilities": {**CAPABILITIES, "binary": 1}})
            assert (await device.expect("handshake_ack"))["dialect"] == "seed"
            await device.send(*chunks(b""))
            await device.expect("transcript")

    run(scenario())


def test_a_cancel_ends_the_turn_at_once_and_the_connection_serves_the_next(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            await device.send(*frames(1, b""))
            await device.expect("transcript")
            await device.expect("text_response")
            await device.receive_frame()
            await device.send({"type": "cancel", "turn": 1}, *frames(2, b""))
            texts, heard = await device.receive_texts_and_frames(lambda last: last.kind == 5)
            assert [text["turn"] for text in texts] == [2, 2]
            # Of the first turn came what was under way, and no end.
            turns = [frame_.turn for frame_ in heard]
            assert turns == sorted(turns)
            assert heard[-1].turn == 2

    run(scenario())
    first, second = cloud.get("turns")[-2:]
    assert (first["cancelled"], first["completed"]) == (True, False)
    assert (second["cancelled"], second["completed"]) == (False, True)


def test_an_utterance_of_a_newer_turn_interrupts_the_older_one(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            spoken = frames(2**32 - 1, SILENCE)
            await device.send(*spoken[:5], *frames(0, b""), *spoken[5:], {"type": "ping"})
            while await device.socket.recv() != json.dumps({"type": "pong"}):
                pass

    before = cloud.get("counters")["outdated_messages"]
    run(scenario())
    first, second = cloud.get("turns")[-2:]
    assert (first["turn"], first["cancelled"], first["chunks"]) == (2**32 - 1, True, 5)
    assert second["turn"] == 0
    assert cloud.get("counters")["outdated_messages"] == before + 46


def test_what_comes_of_a_turn_that_is_over_is_dropped(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            await device.send(
                {"type": "cancel", "turn": 5},  # before any of its speech
                *frames(5, SILENCE),
                {"type": "cancel", "turn": 4},
                *frames(4, b""),
                {"type": "ping"},
            )
            await device.expect("pong")

    before = cloud.get("counters")["outdated_messages"]
    run(scenario())
    assert cloud.get("counters")["outdated_messages"] == before + 51 + 1 + 1


@pytest.mark.parametrize(
    "message", [b"", b"\2" + bytes(20), frame(9, 1, 0), frame(1, 1, 0)], ids=repr
)
def test_a_frame_that_is_not_for_us_is_counted_and_dropped(
    cloud: RunningCloud, token: str, message: bytes
) -> None:
    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            await device.send(message, {"type": "ping"})
            await device.expect("pong")

    before = cloud.get("counters")["malformed_messages"]
    run(scenario())
    assert cloud.get("counters")["malformed_messages"] == before + 1


def test_a_spoilt_utterance_is_told_with_its_turn_and_not_answered(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            spoken = frames(3, SILENCE)
            await device.send(spoken[0], frame(1, 3, 1, b"\xff\xff\xff"), *spoken[1:])
            error = await device.expect("error")
            assert (error["code"], error["turn"]) == ("AUDIO_ERROR", 3)
            await device.send("nonsense")
            assert "turn" not in await device.expect("error")
            await device.send(*frames(4, b""))
            assert (await device.expect("transcript"))["turn"] == 4

    run(scenario())


@pytest.mark.parametrize("dialect", ["seed", "gateway", "binary"])
def test_speech_that_a_slow_link_left_out_is_counted(
    cloud: RunningCloud, token: str, dialect: str
) -> None:
    spoken = utterance(dialect, SILENCE)

    async def scenario() -> None:
        async with WELCOMED[dialect](cloud, token) as device:
            await device.send(*spoken[10:20], *spoken[30:])
            if dialect == "gateway":
                await device.expect("status")
            await device.expect("transcript")

    run(scenario())
    turn = cloud.get("turns")[-1]
    assert (turn["dialect"], turn["chunks"], turn["missing_chunks"]) == (dialect, 30, 20)
    assert turn["utterance_ms"] == 20 * (30 + 5)


@pytest.mark.parametrize("dialect", WELCOMED)
@pytest.mark.parametrize("kind", GARBAGE)
def test_on_command_garbage_comes_between_the_pieces_of_a_reply(
    cloud: RunningCloud, token: str, dialect: str, kind: str
) -> None:
    cloud.post("stream-options", reply_format="pcm16")
    cloud.post_faults(garbage={"function": "stream", "kind": kind, "times": 2})
    garbage, copies = GARBAGE[kind](), 2 if dialect == "binary" else 1

    async def scenario() -> None:
        async with WELCOMED[dialect](cloud, token) as device:
            await device.send(*utterance(dialect, b""))
            for _ in range(2):
                while not is_piece(await device.socket.recv()):
                    pass
                for _ in range(copies):
                    assert await device.socket.recv(decode=False) == garbage
            assert is_piece(await device.socket.recv())

    run(scenario())


@pytest.mark.parametrize(
    ("options", "kind", "flags"),
    [
        ({"reply_rate_hz": 48_000}, 3, 480),
        ({"reply_rate_hz": 24_000}, 3, 240),
        ({"reply_format": "pcm16"}, 4, 160),
        ({"reply_format": "wav", "reply_rate_hz": 24_000}, 4, 240),
    ],
)
def test_a_binary_reply_comes_as_it_was_asked_for(
    cloud: RunningCloud, token: str, options: dict[str, Json], kind: int, flags: int
) -> None:
    cloud.post("stream-options", **options)

    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            await device.send(*frames(1, b""))
            await device.expect("transcript")
            await device.expect("text_response")
            heard = await device.receive_frame()
            assert (heard.kind, heard.flags) == (kind, flags)

    run(scenario())


@pytest.mark.parametrize("format_", ["pcm16", "wav", "opus"])
def test_a_utterance_in_the_gateway_dialect_is_understood_in_each_format(
    cloud: RunningCloud, token: str, format_: str
) -> None:
    async def scenario() -> None:
        async with welcomed_by_gateway(cloud, token) as device:
            await device.send(*payloads(clips.load(clips.GO_FORWARD), format_))
            await device.expect("status")
            assert (await device.expect("transcript"))["payload"] == {
                "text": "go forward ten meters"
            }
            assert "Off we go" in (await device.expect("text_response"))["payload"]["text"]

    run(scenario())


def test_a_reply_of_the_gateway_dialect_is_one_wav(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with welcomed_by_gateway(cloud, token) as device:
            await device.send(*payloads(b""))
            (reply,) = await device.receive_all("audio_response")
            assert reply["payload"]["metadata"] == {
                "format": "wav",
                "sampleRate": 22050,
                "isFinal": True,
                "sequence": 0,
            }
            with wave.open(io.BytesIO(bytes.fromhex(reply["payload"]["data"]))) as reader:
                assert reader.getnframes() > 22_050
            await device.send({"type": "ping"})
            await device.expect("pong")

    run(scenario())
    turn = cloud.get("turns")[-1]
    assert (turn["dialect"], turn["turn"], turn["reply"]) == ("gateway", None, NOTHING_HEARD)


def test_a_reply_of_the_gateway_dialect_may_be_opus_with_an_end_of_its_own(
    cloud: RunningCloud, token: str
) -> None:
    cloud.post("stream-options", reply_format="opus", reply_rate_hz=24_000)

    async def scenario() -> None:
        async with welcomed_by_gateway(cloud, token) as device:
            await device.send(*payloads(b""))
            *_, end = await device.receive_all("audio_response")
            assert end["payload"]["data"] == ""
            assert end["payload"]["metadata"]["format"] == "opus"
            assert end["payload"]["metadata"]["sampleRate"] == 24_000

    run(scenario())


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ws/another/toy-sim-1", 401), ("/ws/dev-sim-1/another", 400), ("/ws/dev-sim-1", 404)],
)
def test_the_address_must_name_the_device_and_the_toy(
    cloud: RunningCloud, token: str, path: str, status: int
) -> None:
    async def scenario() -> None:
        with pytest.raises(InvalidStatus, match=str(status)):
            async with connected_to_gateway(cloud, token, path):
                pytest.fail("it was accepted")

    run(scenario())


def test_a_percent_encoded_address_is_the_same_address(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with connected_to_gateway(cloud, token, "/ws/dev%2Dsim%2D1/toy%2Dsim-1") as device:
            await device.send(GATEWAY_HANDSHAKE)
            await device.expect("handshake_ack")

    run(scenario())


def test_the_gateway_dialect_is_told_of_errors_in_both_its_forms(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with connected_to_gateway(cloud, token) as device:
            await device.send({**GATEWAY_HANDSHAKE, "toyId": "another"})
            error = await device.expect("error")
            assert error["payload"]["error"] == "TOY_NOT_FOUND"
            assert error["error"] == error["payload"]["message"]
            with pytest.raises(ConnectionClosed, match="1008"):
                await device.receive()

    run(scenario())


def test_words_of_a_blocked_topic_are_a_violation_and_get_no_reply(
    cloud: RunningCloud, token: str
) -> None:
    cloud.put_configuration(blockedTopics=["of clubs"])

    async def scenario() -> None:
        async with welcomed(cloud, token) as device:
            await device.send(*chunks(clips.load(clips.SEVEN_OF_CLUBS)))
            await device.expect("transcript")
            error = await device.expect("error")
            assert error["code"] == "SAFETY_VIOLATION"
            assert "clubs" not in error["message"]
            await device.send({"type": "ping"})
            await device.expect("pong")

    try:
        run(scenario())
    finally:
        cloud.put_configuration(blockedTopics=[])
    turn = cloud.get("turns")[-1]
    assert (turn["error"], turn["reply"]) == ("SAFETY_VIOLATION", None)
