"""Hostile gateways: whatever they send, the loop goes round and memory stays."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.faults.lag import LoopLag
from tests.firmware.stream.gateway import Dialect, bare, reply_end, reply_packet, wrapped
from tests.firmware.stream.stage import on_loop, stage
from tests.firmware.stream.waves import chunk, wav

LAG_MS_MAX = 100


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole WebSocket frame as a server sends it (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes([0x80 | opcode, length]) + payload
    if length < 65_536:
        return bytes([0x80 | opcode, 126]) + length.to_bytes(2) + payload
    return bytes([0x80 | opcode, 127]) + length.to_bytes(8) + payload


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

FLOODS = {
    "empty texts": frame(TEXT, b"") * 5_000,
    "binary": frame(BINARY, b"\xff") * 5_000,
    "pings": frame(PING, b"") * 20_000,
    "pongs": frame(PONG, b"") * 40_000,
    "own pings": frame(TEXT, b'{"type":"ping"}') * 1_000,
    "stops": frame(TEXT, b'{"type":"command","command":"stop"}') * 3_000,
    "packets": frame(TEXT, json.dumps(reply_packet(bytes(1275))).encode()) * 300,
    "nesting": frame(TEXT, b"[" * 999_999) * 3,
    "values": frame(TEXT, b'{"type":"ping","x":[' + b"{}," * 330_000 + b"0]}") * 3,
    "words": frame(TEXT, b'{"type":"ping","x":"' + b"\\u00e4" * 160_000 + b'"}') * 3,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_flood_does_not_hold_up_the_loop(flood: bytes) -> None:
    """No turn of the loop takes longer than a tenth of a second, and the toy is still there."""

    @on_loop
    async def scene_of_one_flood() -> None:
        async with stage() as scene:
            session = await scene.gateway.session(1)
            await scene.open_turn(1)
            async with LoopLag() as lag:
                session.write_raw(flood)
                await session.is_heard()
            assert lag.worst_ms < LAG_MS_MAX
            scene.speak(b"speech")
            await session.utterances()
            await session.reply(b"reply")
            await scene.playback.until_end(1)

    scene_of_one_flood()


OTHER_FLOODS: dict[str, tuple[Dialect, bytes]] = {
    "waves": (
        "gateway",
        frame(TEXT, json.dumps(wrapped(wav(bytes(480_000), 48_000, 2), "wav")).encode()) * 4,
    ),
    "chunks": (
        "gateway",
        frame(
            TEXT,
            json.dumps(wrapped(wav(b"", before=chunk(b"junk", b"") * 60_000), "wav")).encode(),
        )
        * 3,
    ),
    "wrapped": ("gateway", frame(TEXT, b'{"type":"status","payload":{}}') * 2_000),
    "late packets": ("binary", frame(BINARY, bare(3, 9, bytes(1_275), rate_hz=16_000)) * 500),
    "headers": ("binary", frame(BINARY, bytes(16)) * 4_000),
    "samples": ("binary", frame(BINARY, bare(4, 1, bytes(999_980), rate_hz=48_000)) * 4),
}


@pytest.mark.parametrize(("dialect", "flood"), OTHER_FLOODS.values(), ids=OTHER_FLOODS.keys())
def test_no_dialects_flood_holds_up_the_loop(dialect: Dialect, flood: bytes) -> None:
    """In the middle of a reply, which still comes to its end."""

    @on_loop
    async def scene_of_one_flood() -> None:
        async with stage(dialect=dialect) as scene:
            session = await scene.gateway.session(1)
            await scene.open_turn(1)
            scene.speak(scene.frame)
            await session.utterances()
            await scene.loop.until("uplink_flushed", turn=1)
            async with LoopLag() as lag:
                session.write_raw(flood)
                await session.is_heard()
            assert lag.worst_ms < LAG_MS_MAX
            await session.send(reply_end(dialect))
            await session.is_heard()
            assert len(scene.playback.ends) + scene.loop.count("turn_failed") == 1

    scene_of_one_flood()


@on_loop
async def test_ten_seconds_in_one_message_do_not_hold_up_the_loop() -> None:
    """As most gateways reply: a WAV file of 22,050 Hz, whole."""
    async with stage(dialect="gateway") as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.speak(scene.frame)
        await session.utterances()
        await scene.loop.until("uplink_flushed", turn=1)
        async with LoopLag() as lag:
            await session.send(wrapped(wav(bytes(441_000), 22_050), "wav", is_final=True))
            await scene.playback.until_end(1)
        assert lag.worst_ms < LAG_MS_MAX
        assert len(scene.playback.sounds) == 1


@on_loop
async def test_one_turn_of_the_loop_takes_one_message_and_sends_one() -> None:
    """A full queue, in either direction, leaves room for others."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        counters = scene.stream.counters
        most_down = most_up = 0
        seen = (counters.messages_down, counters.messages_up)

        def look() -> None:
            nonlocal most_down, most_up, seen
            most_down = max(most_down, counters.messages_down - seen[0])
            most_up = max(most_up, counters.messages_up - seen[1])
            seen = (counters.messages_down, counters.messages_up)
            asyncio.get_running_loop().call_soon(look)

        look()
        session.write_raw(frame(TEXT, b"") * 400)
        scene.speak(*[b"speech"] * 250)
        await session.utterances()
        await session.is_heard()
        assert (counters.messages_down, counters.messages_up) == (401, 253)
        assert (most_down, most_up) == (1, 1)


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"x" * 1_000_001),
        frame(TEXT, b"\xff"),
        frame(3, b""),
        bytes([0xC1, 0]),
        frame(PING, b"x" * 126),
        bytes([TEXT, 0]) + bytes(2) * 10_000,
    ],
    ids=["too long", "not UTF-8", "no such opcode", "compressed", "long ping", "fragments"],
)
def test_breach_of_the_protocol_ends_the_connection(data: bytes) -> None:
    """It is lost like any other, and another is made."""

    @on_loop
    async def scene_of_one_breach() -> None:
        async with stage() as scene:
            session = await scene.gateway.session(1)
            await scene.open_turn(1)
            session.write_raw(data)
            await scene.loop.until("stream_lost", turn=1, connection=1)
            await scene.gateway.session(2)

    scene_of_one_breach()


@on_loop
async def test_messages_before_the_end_are_taken_although_nothing_can_be_sent_any_more() -> None:
    """The answer to a ping is too late, which is no reason to lose what came with it."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.speak(b"speech")
        await session.utterances()
        await scene.loop.until("uplink_flushed")
        packet = frame(TEXT, json.dumps(reply_packet(b"reply")).encode())
        session.write_raw(frame(TEXT, b'{"type":"ping"}') + packet * 12 + frame(CLOSE, b"\x03\xe8"))
        await scene.loop.until("stream_lost", turn=1)
        assert scene.playback.of_turn(1) == [b"reply"] * 12


@on_loop
async def test_messages_after_a_flood_are_in_order() -> None:
    """Slices are no reason to mix anything up."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.speak(b"speech")
        await session.utterances()
        packets = [bytes([number % 256]) * (1 + 37 * number % 1275) for number in range(400)]
        session.write_raw(
            b"".join(
                frame(TEXT, json.dumps(reply_packet(packet, number)).encode())
                for number, packet in enumerate(packets)
            )
        )
        await session.reply()
        await scene.playback.until_end(1)
        assert scene.playback.of_turn(1) == packets
