from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devcloud import connection, gateway
from devcloud.opus import Decoder
from devcloud.replies import NOTHING_HEARD
from devcloud.tokens import Audience, Tokens
from tests.devcloud import clips
from tests.devcloud.device import (
    FINAL,
    HANDSHAKE,
    StreamDevice,
    chunks,
    connected,
    headers,
    welcomed,
)
from tests.devcloud.running import TIMEOUT_S, RunningCloud

if TYPE_CHECKING:
    from tests.devcloud.json_type import Json

SILENCE = bytes(32_000)


@pytest.fixture(scope="module")
def token(running_cloud: RunningCloud) -> str:
    websocket_token: str = running_cloud.authenticate()["websocketToken"]
    return websocket_token


def answered(cloud: RunningCloud, token: str, pcm: bytes) -> tuple[str, str, dict[str, Json]]:
    """Say something; what was recognised, the reply's words, and its first packet."""

    async def scenario() -> tuple[str, str, dict[str, Json]]:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(*chunks(pcm))
            transcript = await device.expect("transcript")
            text = await device.expect("text_response")
            return transcript["text"], text["text"], await device.expect("audio_response")

    return asyncio.run(scenario())


def test_two_people_are_understood_and_each_gets_a_reply_of_their_own(
    cloud: RunningCloud, token: str
) -> None:
    heard, said, packet = answered(cloud, token, clips.load(clips.GO_FORWARD))
    assert heard == "go forward ten meters"
    assert said.startswith("I heard you say: go forward ten meters. Off we go!")
    assert (packet["sequence"], packet["format"], packet["sampleRate"]) == (0, "opus", 16000)
    heard, said, _ = answered(cloud, token, clips.load(clips.SEVEN_OF_CLUBS))
    assert heard == "seven of clubs"
    assert said.startswith("I heard you say: seven of clubs. What a good hand of cards!")


def test_silence_is_asked_about_and_the_reply_is_paced_to_its_end(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> tuple[list[dict[str, Json]], float]:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(*chunks(SILENCE))
            assert (await device.expect("transcript"))["text"] == ""
            assert (await device.expect("text_response"))["text"] == NOTHING_HEARD
            begun_s = time.monotonic()
            packets = await device.receive_all("audio_response")
            return packets, time.monotonic() - begun_s

    packets, duration_s = asyncio.run(scenario())
    assert [packet["sequence"] for packet in packets] == list(range(len(packets)))
    assert [packet["isFinal"] for packet in packets[-2:]] == [False, True]
    assert packets[-1]["data"] == ""
    assert duration_s > (len(packets) - 12) / 50
    with Decoder() as decoder:
        frames = [decoder.decode(bytes.fromhex(packet["data"])) for packet in packets[:-1]]
    assert {len(frame) for frame in frames} == {640}
    assert cloud.get("turns")[-1] == {
        "connection": cloud.get("counters")["connections"],
        "dialect": "seed",
        "turn": None,
        "transcript": "",
        "reply": NOTHING_HEARD,
        "chunks": 50,
        "missing_chunks": 0,
        "utterance_ms": 1000,
        "first_packet_ms": cloud.get("turns")[-1]["first_packet_ms"],
        "first_packet_at_ms": cloud.get("turns")[-1]["first_packet_at_ms"],
        "reply_packets": len(packets) - 1,
        "reply_packets_sent": len(packets) - 1,
        "completed": True,
        "cancelled": False,
        "error": None,
    }


def test_a_utterance_without_audio_is_asked_about(cloud: RunningCloud, token: str) -> None:
    assert answered(cloud, token, b"")[:2] == ("", NOTHING_HEARD)


def test_a_ping_is_answered_before_and_after_the_handshake(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), connected(cloud, token) as device:
            await device.send({"type": "ping"})
            await device.expect("pong")
            await device.send(HANDSHAKE, {"type": "pong"}, {"type": "ping"})
            await device.expect("handshake_ack")
            await device.expect("pong")

    asyncio.run(scenario())


async def upgrade_status(cloud: RunningCloud, changed: dict[str, str | None]) -> int:
    all_headers = {**headers(cloud.authenticate()["websocketToken"]), **changed}
    present = {name: value for name, value in all_headers.items() if value is not None}
    try:
        async with connect(cloud.cloud.stream_url, additional_headers=present):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 101),
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer forged"}, 401),
        ({"Authorization": "Basic eDp5"}, 401),
        ({"X-Device-ID": "another"}, 401),
        ({"X-Device-ID": None}, 401),
        ({"X-Device-Type": "toaster"}, 400),
        ({"X-Toy-ID": None}, 400),
    ],
)
def test_an_upgrade_needs_the_right_headers(
    cloud: RunningCloud, changed: dict[str, str | None], status: int
) -> None:
    assert asyncio.run(upgrade_status(cloud, changed)) == status


def test_a_token_of_the_cloud_does_not_open_the_stream(cloud: RunningCloud) -> None:
    convex_token = cloud.authenticate()["convexToken"]
    changed: dict[str, str | None] = {"Authorization": f"Bearer {convex_token}"}
    assert asyncio.run(upgrade_status(cloud, changed)) == 401


def test_a_token_of_another_cloud_does_not_open_the_stream(cloud: RunningCloud) -> None:
    foreign = Tokens().issue("dev-sim-1", Audience.STREAM, 60)
    changed: dict[str, str | None] = {"Authorization": f"Bearer {foreign}"}
    assert asyncio.run(upgrade_status(cloud, changed)) == 401


def test_only_so_many_connections_are_open(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "CONNECTIONS_MAX", 0)
    assert asyncio.run(upgrade_status(cloud, {})) == 503


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"deviceId": "another"}, "AUTH_FAILED"), ({"toyId": "another"}, "TOY_NOT_FOUND")],
)
def test_a_handshake_for_somebody_else_is_refused(
    cloud: RunningCloud, token: str, changed: dict[str, str], code: str
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), connected(cloud, token) as device:
            await device.send({**HANDSHAKE, **changed})
            assert (await device.expect("error"))["code"] == code
            with pytest.raises(ConnectionClosed, match="1008"):
                await device.receive()

    asyncio.run(scenario())


def test_a_toy_that_the_device_does_not_carry_is_refused(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        strange = {**headers(token), "X-Toy-ID": "another"}
        async with connect(cloud.cloud.stream_url, additional_headers=strange) as socket:
            device = StreamDevice(socket)
            await device.send({**HANDSHAKE, "toyId": "another"})
            assert (await device.expect("error"))["code"] == "TOY_NOT_FOUND"

    asyncio.run(scenario())


def test_who_never_shakes_hands_is_sent_away(
    cloud: RunningCloud, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_TIMEOUT_S", 0.01)

    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), connected(cloud, token) as device:
            with pytest.raises(ConnectionClosed, match=r"1008.*no handshake"):
                await device.receive()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        b"\0\1\2",
        json.dumps(HANDSHAKE).encode(),
        {"type": "nonsense"},
        {**HANDSHAKE},
        {"type": "audio_chunk", "data": "zz", "timestamp": 0, "sequence": 0},
        {"type": "audio_chunk", "data": "ffffff", "timestamp": 0, "sequence": 0},
        {"type": "audio_chunk", "data": "00", "timestamp": 0, "sequence": 2000},
    ],
    ids=str,
)
def test_a_malformed_message_is_answered_counted_and_survived(
    cloud: RunningCloud, token: str, message: dict[str, Json] | str | bytes
) -> None:
    before = cloud.get("counters")["malformed_messages"]

    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(message)
            assert (await device.expect("error"))["code"] == "AUDIO_ERROR"
            await device.send(*chunks(b""))
            await device.expect("transcript")

    asyncio.run(scenario())
    assert cloud.get("counters")["malformed_messages"] == before + 1


def test_audio_before_the_handshake_is_refused(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), connected(cloud, token) as device:
            await device.send({**FINAL, "sequence": 0})
            assert "handshake" in (await device.expect("error"))["message"]
            await device.send(HANDSHAKE)
            await device.expect("handshake_ack")

    asyncio.run(scenario())


def test_a_spoilt_utterance_is_told_once_and_not_answered(cloud: RunningCloud, token: str) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            spoken = chunks(SILENCE)
            await device.send(*spoken[:5], *spoken[4:], {"type": "ping"})
            assert "chunk 4 came where 5 was due" in (await device.expect("error"))["message"]
            await device.expect("pong")

    asyncio.run(scenario())


def test_a_message_that_is_too_long_closes_the_connection_and_is_counted(
    cloud: RunningCloud, token: str
) -> None:
    before = cloud.get("counters")["malformed_messages"]

    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(" " * ((1 << 20) + 1))
            with pytest.raises(ConnectionClosed, match="1009"):
                await device.receive()

    asyncio.run(scenario())
    assert cloud.get("counters")["malformed_messages"] == before + 1


def test_who_sends_nothing_but_nonsense_is_sent_away(
    cloud: RunningCloud, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MALFORMED_MESSAGES_MAX", 3)

    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(*["nonsense"] * 3)
            for _ in range(3):
                await device.expect("error")
            with pytest.raises(ConnectionClosed, match=r"1008.*malformed"):
                await device.receive()

    asyncio.run(scenario())


def test_audio_during_a_reply_is_refused_once_and_the_reply_goes_on(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(*chunks(b""))
            await device.expect("transcript")
            await device.send(*chunks(SILENCE)[:3])
            kinds = [(await device.receive())["type"] for _ in range(20)]
            assert kinds.count("error") == 1
            assert kinds[-1] == "audio_response"

    asyncio.run(scenario())


def test_who_leaves_in_the_middle_of_a_reply_leaves_nothing_behind(
    cloud: RunningCloud, token: str
) -> None:
    answered(cloud, token, b"")
    answered(cloud, token, b"")
    first, second = cloud.get("turns")[-2:]
    assert (first["completed"], second["completed"]) == (False, False)
    assert second["connection"] == first["connection"] + 1


def cut(cloud: RunningCloud, token: str, pcm: bytes) -> list[dict[str, Json]]:
    """Say something to a cloud that cuts the connection; what came before that."""
    received: list[dict[str, Json]] = []

    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            try:
                await device.send(*chunks(pcm))
                while True:
                    received.append(await device.receive())
            except ConnectionClosed as cut_off:
                if cut_off.rcvd:
                    pytest.fail(f"the connection was closed instead of cut: {cut_off.rcvd}")

    asyncio.run(scenario())
    return received


def test_on_command_the_stream_is_cut_in_the_middle_of_an_utterance(
    cloud: RunningCloud, token: str
) -> None:
    struck = cloud.post_faults(cut_stream_after_chunks=7)["struck"]["cut_stream_after_chunks"]
    assert cut(cloud, token, SILENCE) == []
    turn = cloud.get("turns")[-1]
    assert (turn["chunks"], turn["completed"], turn["transcript"]) == (7, False, None)
    assert cloud.get("faults")["struck"]["cut_stream_after_chunks"] == struck + 1


@pytest.mark.parametrize("packets", [0, 12])
def test_on_command_a_reply_is_cut_after_so_many_packets(
    cloud: RunningCloud, token: str, packets: int
) -> None:
    cloud.post_faults(cut_reply_after_packets=packets)
    received = cut(cloud, token, b"")
    kinds = [message["type"] for message in received]
    # What was still under way when the connection was cut is lost.
    assert kinds.count("audio_response") <= packets
    turn = cloud.get("turns")[-1]
    assert (turn["reply_packets_sent"], turn["completed"]) == (packets, False)


def test_on_command_nothing_is_replied(cloud: RunningCloud, token: str) -> None:
    struck = cloud.post_faults(no_reply=True)["struck"]["no_reply"]

    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(*chunks(b""))
            while cloud.get("faults")["struck"]["no_reply"] == struck:
                await device.send({"type": "ping"})
                await device.expect("pong")

    asyncio.run(scenario())
    turn = cloud.get("turns")[-1]
    assert (turn["transcript"], turn["reply"], turn["completed"]) == ("", None, False)


def test_on_command_a_reply_comes_late(cloud: RunningCloud, token: str) -> None:
    cloud.post_faults(reply_delay_ms=300)
    answered(cloud, token, b"")
    assert cloud.get("turns")[-1]["first_packet_ms"] >= 300


def test_on_command_every_token_is_refused(cloud: RunningCloud) -> None:
    tokens = cloud.authenticate()
    cloud.post_faults(refuse_auth=True)

    async def scenario() -> None:
        with pytest.raises(InvalidStatus, match="401"):
            async with connected(cloud, tokens["websocketToken"]):
                pytest.fail("it was accepted")

    asyncio.run(scenario())


def test_on_command_upgrades_get_a_status(cloud: RunningCloud, token: str) -> None:
    struck = cloud.get("faults")["struck"]["http_status"]
    refused = cloud.get("counters")["refused_upgrades"]
    cloud.post_faults(http_status={"function": "stream", "status": 502, "times": 1})
    assert cloud.authenticate()["convexToken"]

    async def scenario() -> None:
        with pytest.raises(InvalidStatus, match="502"):
            async with connected(cloud, token):
                pytest.fail("it was accepted")
        async with connected(cloud, token):
            pass

    asyncio.run(asyncio.wait_for(scenario(), TIMEOUT_S))
    assert cloud.get("faults")["struck"]["http_status"] == struck + 1
    assert cloud.get("counters")["refused_upgrades"] == refused + 1


@pytest.mark.parametrize("path", ["/audio-stream", "/ws/dev-sim-1/toy-sim-1"])
def test_on_command_upgrades_are_sent_elsewhere(cloud: RunningCloud, path: str) -> None:
    cloud.post_faults(redirect={"function": "stream", "to": "ws://127.0.0.1:9/", "status": 308})
    answer = requests.get(
        f"{cloud.cloud.convex_url}{path}", timeout=TIMEOUT_S, allow_redirects=False
    )
    assert (answer.status_code, answer.headers["Location"]) == (308, "ws://127.0.0.1:9/")


def test_a_fault_of_calls_that_does_not_name_the_stream_leaves_it_alone(
    cloud: RunningCloud, token: str
) -> None:
    cloud.post_faults(http_status=True, garbage=True, duplicate_delivery=True)
    assert answered(cloud, token, b"")[:2] == ("", NOTHING_HEARD)
    faults = cloud.get("faults")
    assert (faults["http_status"]["times"], faults["garbage"]["times"]) == (None, None)


def test_on_command_each_message_to_a_device_comes_twice(cloud: RunningCloud, token: str) -> None:
    fault = {"function": "stream", "times": 4}

    async def scenario() -> list[dict[str, Json]]:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await asyncio.to_thread(cloud.post_faults, duplicate_delivery=fault)
            await device.send(*chunks(b""))
            return [await device.receive() for _ in range(8)]

    messages = asyncio.run(scenario())
    assert messages[::2] == messages[1::2]
    assert [message["type"] for message in messages[::2]] == [
        *("transcript", "text_response"),
        *("audio_response", "audio_response"),
    ]


def test_a_recogniser_that_dies_is_told_as_an_audio_error_and_replaced(
    cloud: RunningCloud, token: str
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            spoken = chunks(SILENCE)
            await device.send(*spoken[:5], {"type": "ping"})
            await device.expect("pong")
            await asyncio.to_thread(cloud.run, cloud.cloud.recogniser.close())
            await device.send(*spoken[5:])
            error = await device.expect("error")
            assert (error["code"], error["message"]) == (
                "AUDIO_ERROR",
                "the recogniser ended with -9",
            )
            await device.send(*chunks(b""))
            assert (await device.expect("transcript"))["text"] == ""

    asyncio.run(scenario())


def test_a_synthesiser_that_fails_is_told_as_an_audio_error(
    cloud: RunningCloud, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devcloud.speech.TIMEOUT_S", 0.0)

    async def scenario() -> None:
        async with asyncio.timeout(TIMEOUT_S), welcomed(cloud, token) as device:
            await device.send(*chunks(b""))
            await device.expect("transcript")
            await device.expect("text_response")
            assert (await device.expect("error"))["code"] == "AUDIO_ERROR"

    asyncio.run(scenario())
