from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devcloud.opus import Decoder
from devcloud.tone import tone
from tests.devcloud.device import (
    Heard,
    chunks,
    frames,
    payloads,
    welcomed,
    welcomed_by_gateway,
    welcomed_in_binary,
)
from tests.devcloud.running import TIMEOUT_S, RunningCloud

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.devcloud.json_type import Json


@pytest.fixture
def token(cloud: RunningCloud) -> str:
    websocket_token: str = cloud.authenticate()["websocketToken"]
    return websocket_token


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, TIMEOUT_S))


async def post(cloud: RunningCloud, **body: Json) -> int:
    answer = await asyncio.to_thread(cloud.post, "stream", **body)
    sent: int = answer["connections"]
    return sent


def test_what_the_guardian_says_reaches_every_dialect_in_its_own_shape(
    cloud: RunningCloud, token: str
) -> None:
    override = {"type": "safety_override", "action": "pause", "duration": 60, "message": "enough"}

    async def scenario() -> None:
        async with (
            welcomed(cloud, token) as seed,
            welcomed_by_gateway(cloud, token) as gateway,
            welcomed_in_binary(cloud, token) as binary,
        ):
            assert await post(cloud, message=override) == 3
            assert await post(cloud, message={"type": "toy_config_update"}) == 3
            for device in (seed, binary):
                assert await device.receive() == override
                await device.expect("toy_config_update")
            del override["type"]
            assert (await gateway.expect("safety_override"))["payload"] == override
            await gateway.expect("config_update")

    run(scenario())


@pytest.mark.parametrize(
    "code", ["AUTH_FAILED", "TOY_NOT_FOUND", "RATE_LIMITED", "AUDIO_ERROR", "SAFETY_VIOLATION"]
)
def test_every_error_can_be_sent_on_command(cloud: RunningCloud, token: str, code: str) -> None:
    async def scenario() -> None:
        async with welcomed(cloud, token) as device:
            assert await post(cloud, error=code, deviceId="dev-sim-1") == 1
            assert (await device.expect("error"))["code"] == code

    run(scenario())


def test_garbage_is_sent_as_it_stands(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with welcomed(cloud, token) as device:
            await post(cloud, text='{"type":')
            await post(cloud, hex="00ff")
            assert [await device.socket.recv() for _ in range(2)] == ['{"type":', b"\0\xff"]

    run(scenario())


def test_only_the_device_that_is_named_is_meant(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with welcomed(cloud, token):
            assert await post(cloud, text="x", deviceId="another") == 0

    run(scenario())


def test_a_device_whose_tokens_are_revoked_is_sent_away(cloud: RunningCloud) -> None:
    earlier = cloud.authenticate()["websocketToken"]

    async def scenario() -> None:
        async with welcomed(cloud, earlier) as device:
            await asyncio.to_thread(cloud.post, "revoke", deviceId="dev-sim-1")
            assert (await device.expect("error"))["code"] == "AUTH_FAILED"
            with pytest.raises(ConnectionClosed, match=r"1008.*AUTH_FAILED"):
                await device.receive()
        with pytest.raises(InvalidStatus, match="401"):
            async with welcomed(cloud, earlier):
                pytest.fail("it was let in")
        later = (await asyncio.to_thread(cloud.authenticate))["websocketToken"]
        async with welcomed(cloud, later):
            pass

    run(scenario())


def test_a_device_can_be_expelled(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with welcomed(cloud, token) as device:
            assert await post(cloud, expel=True, deviceId="dev-sim-1") == 1
            assert (await device.expect("error"))["code"] == "AUTH_FAILED"
            with pytest.raises(ConnectionClosed, match=r"1008.*AUTH_FAILED"):
                await device.receive()

    run(scenario())


def test_in_binary_audio_of_a_cancelled_turn_goes_on_beside_the_next_one(
    cloud: RunningCloud, token: str
) -> None:
    cloud.post("stream-options", reply_tone_ms=400)

    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            await post(cloud, lateAudio={"turn": 1, "afterCancel": True})
            await device.send(*frames(1, b""))
            await device.expect("transcript")
            await device.expect("text_response")
            await device.receive_frame()
            await device.send({"type": "cancel", "turn": 1}, *frames(2, b""))
            _, heard = await device.receive_texts_and_frames(
                lambda last: (last.kind, last.turn) == (5, 2)
            )
            turns = [frame.turn for frame in heard]
            begun = turns.index(2)
            assert 1 in turns[begun:]

    before = cloud.get("counters")["late_packets"]
    run(scenario())
    assert cloud.get("counters")["late_packets"] > before


def test_a_late_turn_is_late_once_and_only_if_it_is_the_one(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            await post(cloud, lateAudio={"turn": 7, "afterCancel": True})
            await device.send(*frames(1, b""))
            await device.expect("transcript")
            await device.send({"type": "cancel", "turn": 1}, *frames(2, b""))
            _, heard = await device.receive_texts_and_frames(lambda last: last.turn == 2)
            assert not any(frame.kind == 5 for frame in heard)
            assert await post(cloud, lateAudio=None) == 0

    before = cloud.get("counters")["late_packets"]
    run(scenario())
    assert cloud.get("counters")["late_packets"] == before


def test_in_seed_an_old_reply_goes_on_while_another_utterance_is_answered(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with welcomed(cloud, token) as device:
            await post(cloud, lateAudio={"afterCancel": True})
            await device.send(*chunks(b""))
            await device.expect("transcript")
            await device.expect("text_response")
            await device.expect("audio_response")
            await device.send(*chunks(b""))
            kinds = [(await device.receive())["type"] for _ in range(60)]
            assert kinds.count("transcript") == 1
            assert "error" not in kinds
            assert "audio_response" in kinds[kinds.index("text_response") :]

    run(scenario())


def test_in_the_gateway_dialect_too(cloud: RunningCloud, token: str) -> None:
    cloud.post("stream-options", reply_format="pcm16")

    async def scenario() -> None:
        async with welcomed_by_gateway(cloud, token) as device:
            await post(cloud, lateAudio={"afterCancel": True})
            await device.send(*payloads(b""))
            await device.receive()
            for kind in ("transcript", "text_response", "audio_response"):
                await device.expect(kind)
            await device.send(*payloads(b""))
            kinds = [(await device.receive())["type"] for _ in range(60)]
            assert kinds.count("transcript") == 1
            assert "error" not in kinds

    run(scenario())


@pytest.mark.parametrize("spoken_before", [False, True])
def test_audio_of_an_old_turn_is_sent_at_once(
    cloud: RunningCloud, token: str, *, spoken_before: bool
) -> None:
    cloud.post("stream-options", reply_tone_ms=100)

    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            if spoken_before:
                await device.send(*frames(1, b""))
                await device.receive_texts_and_frames(lambda last: last.kind == 5)
            await post(cloud, lateAudio={"turn": 1, "afterCancel": False})
            heard = await device.receive_frame()
            assert (heard.turn, heard.kind) == (1, 3 if spoken_before else 4)

    run(scenario())


@pytest.mark.parametrize(
    ("what", "body", "says"),
    [
        ("stream", {}, "one of message, text, hex"),
        ("stream", {"text": "a", "hex": "00"}, "one of message, text, hex"),
        ("stream", {"txt": "a"}, "did you mean 'text'"),
        ("stream", {"hex": "0"}, "hex"),
        ("stream", {"error": "NO"}, "AUTH_FAILED"),
        ("stream", {"message": "stop"}, "an object"),
        ("stream", {"lateAudio": {"turn": -1, "afterCancel": True}}, "turn"),
        ("stream", {"lateAudio": {"turn": 1}}, "afterCancel"),
        ("stream", {"text": "a", "deviceId": 3}, "deviceId"),
        ("stream-options", {"reply_format": "mp3"}, "reply_format"),
    ],
)
def test_what_cannot_be_is_refused_with_400_and_a_reason(
    cloud: RunningCloud, what: str, body: dict[str, Json], says: str
) -> None:
    answer = requests.post(f"{cloud.cloud.control_url}/{what}", json=body, timeout=TIMEOUT_S)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_options_are_listed(cloud: RunningCloud) -> None:
    assert cloud.get("stream-options")["binary"] is True


async def reply_in_binary(cloud: RunningCloud, token: str) -> list[Heard]:
    async with welcomed_in_binary(cloud, token) as device:
        await device.send(*frames(1, b""))
        _, heard = await device.receive_texts_and_frames(lambda one: one.kind == 5)
        return heard


def test_a_reply_says_exactly_what_was_set_and_can_be_compared_with_what_arrived(
    cloud: RunningCloud, token: str
) -> None:
    cloud.post("stream-options", reply_text="one two three")

    async def scenario() -> None:
        packets = await reply_in_binary(cloud, token)
        spoken = (await asyncio.to_thread(cloud.get, "stream-replies"))[-1]
        assert (spoken["turn"], spoken["text"], spoken["format"]) == (1, "one two three", "opus")
        with Decoder() as decoder:
            decoded = b"".join(decoder.decode(packet.payload) for packet in packets[:-1])
        assert base64.b64decode(spoken["decoded"]) == decoded
        assert 0 <= len(decoded) - len(base64.b64decode(spoken["pcm"])) < 640

    run(scenario())
    assert cloud.get("turns")[-1]["reply"] == "one two three"


def test_a_reply_that_is_no_opus_is_as_it_was_spoken(cloud: RunningCloud, token: str) -> None:
    cloud.post("stream-options", reply_text="one two three", reply_format="pcm16")

    async def scenario() -> None:
        packets = await reply_in_binary(cloud, token)
        spoken = (await asyncio.to_thread(cloud.get, "stream-replies"))[-1]
        assert (spoken["format"], spoken["decoded"]) == ("pcm16", None)
        assert base64.b64decode(spoken["pcm"]) == b"".join(packet.payload for packet in packets)

    run(scenario())


@pytest.mark.parametrize("dialect", ["seed", "binary"])
def test_on_command_packets_of_a_reply_get_lost_and_its_end_tells_how_many_there_were(
    cloud: RunningCloud, token: str, dialect: str
) -> None:
    cloud.post("stream-options", reply_text="one two three")
    cloud.post_faults(reply_loss_percent=30, reply_reorder_percent=30, reply_jitter_ms=20)

    async def scenario() -> list[int]:
        if dialect == "binary":
            return [packet.sequence for packet in await reply_in_binary(cloud, token)]
        async with welcomed(cloud, token) as device:
            await device.send(*chunks(b""))
            packets = await device.receive_all("audio_response")
            return [packet["sequence"] for packet in packets]

    *numbers, end = asyncio.run(asyncio.wait_for(scenario(), TIMEOUT_S))
    turn = cloud.get("turns")[-1]
    assert (turn["reply_packets"], turn["reply_packets_sent"]) == (end, len(numbers))
    assert len(numbers) < end
    assert numbers != sorted(numbers)
    assert len(set(numbers)) == len(numbers)


def test_what_was_heard_is_told_with_the_time_at_which_each_chunk_arrived(
    cloud: RunningCloud, token: str
) -> None:
    cloud.post("stream-options", reply_tone_ms=100)

    async def scenario() -> None:
        async with welcomed_in_binary(cloud, token) as device:
            began_ms = time.monotonic() * 1000
            await device.send(*frames(1, bytes(3 * 640)))
            await device.receive_texts_and_frames(lambda one: one.kind == 5)
            ended_ms = time.monotonic() * 1000
        heard = (await asyncio.to_thread(cloud.get, "stream-heard"))[-1]
        assert (heard["turn"], len(base64.b64decode(heard["pcm"]))) == (1, 3 * 640)
        numbers, arrived_ms, samples = zip(*heard["chunks"], strict=True)
        assert numbers == tuple(range(len(numbers)))
        assert samples[-1] == 3 * 320
        assert began_ms - 1 <= min(arrived_ms) <= max(arrived_ms) <= ended_ms + 1
        assert list(arrived_ms) == sorted(arrived_ms)

    run(scenario())


def test_on_command_a_reply_is_a_tone_and_it_is_told_when_it_began_to_be_sent(
    cloud: RunningCloud, token: str
) -> None:
    cloud.post("stream-options", reply_tone_ms=400)

    async def scenario() -> None:
        began_ms = time.monotonic() * 1000
        packets = await reply_in_binary(cloud, token)
        ended_ms = time.monotonic() * 1000
        spoken = (await asyncio.to_thread(cloud.get, "stream-replies"))[-1]
        assert len(packets[:-1]) == 20
        assert base64.b64decode(spoken["pcm"]) == tone(400).samples.tobytes()
        turn = (await asyncio.to_thread(cloud.get, "turns"))[-1]
        assert began_ms - 1 <= turn["first_packet_at_ms"] <= ended_ms - 100

    run(scenario())
