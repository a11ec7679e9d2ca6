"""The stream, against a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from firmware.ports import LinkQuality
from firmware.stream.dialler import KERNEL_BYTES_MAX
from firmware.stream.errors import PacketError
from firmware.stream.link import CLOSE_S_MAX
from firmware.stream.messages import ERROR_CODES, DropReason
from firmware.stream.stream import ACTING_PER_SECOND_MAX
from tests.firmware.stream.gateway import REPLY_END, reply_packet
from tests.firmware.stream.stage import Stage, on_loop, stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware.ports import Performer, ReplySink, Uplink


async def asked_and_waiting(scene: Stage) -> None:
    """Bring turn 1 to where its reply is awaited."""
    await scene.gateway.session(1)
    await scene.open_turn(1)
    scene.speak(b"old")
    await scene.gateway.sessions[0].utterances()
    await scene.loop.until("uplink_flushed", turn=1)


# Opening.


@on_loop
async def test_warm_connection_carries_a_turn_at_once() -> None:
    """With a token the stream connects by itself, and a turn finds it open."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.loop.until("link_up")
        scene.perform("open_stream", turn=1)
        assert scene.loop.events[-1] == ("stream_opened", {"turn": 1, "connection": 1})
        assert session.received == [
            {
                "type": "handshake",
                "deviceId": "device-1",
                "toyId": "toy-1",
                "capabilities": {"audio": ["opus"], "sampleRate": 16000, "frameMs": 20},
            }
        ]


@on_loop
async def test_cold_connection_is_made_for_the_turn() -> None:
    """A turn that finds no connection has one made, and waits for it."""
    async with stage() as scene:
        scene.perform("open_stream", turn=7)
        assert scene.loop.names == []
        await scene.loop.until("stream_opened")
        assert scene.loop.names == ["link_up", "stream_opened"]
        assert scene.loop.events[-1].fields == {"turn": 7, "connection": 1}


@on_loop
async def test_turn_does_not_wait_for_the_next_attempt() -> None:
    """However long the wait between attempts has become, a turn dials at once."""
    async with stage(retry_delay_ms_min=3_600_000, retry_delay_ms_max=3_600_000) as scene:
        await scene.gateway.stop()
        await scene.loop.until("link_down")
        await scene.gateway.start()
        await scene.open_turn(1)


@on_loop
async def test_turn_without_a_token_fails_at_once() -> None:
    """There is nothing to connect with, so nothing is waited for."""
    async with stage(token=None) as scene:
        scene.perform("open_stream", turn=1)
        assert scene.loop.events == [("stream_failed", {"turn": 1})]
        assert scene.gateway.attempts == 0


@on_loop
async def test_turn_fails_when_nobody_listens() -> None:
    """The turn fails, the link is said to be down once, and the stream goes on trying."""
    async with stage(token=None) as scene:
        await scene.gateway.stop()
        scene.stream.set_token("token")
        scene.perform("open_stream", turn=1)
        await scene.loop.until("stream_failed", turn=1)
        await scene.loop.until("link_down")
        await scene.gateway.start()
        await scene.loop.until("link_up")
        assert sorted(scene.loop.names) == ["link_down", "link_up", "stream_failed"]


@on_loop
async def test_turn_fails_when_the_gateway_does_not_answer_in_time() -> None:
    """A gateway that takes the call and says nothing is given up on."""
    async with stage(token=None, open_timeout_ms=50) as scene:
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("token")
        scene.perform("open_stream", turn=1)
        await scene.loop.until("stream_failed", turn=1)
        await scene.loop.until("link_down")
        assert scene.stream.counters.connections_failed == 1


@on_loop
async def test_turn_that_finds_an_attempt_under_way_gets_one_of_its_own() -> None:
    """An attempt that was begun before the turn may fail without failing the turn."""
    async with stage(token=None) as scene:
        scene.gateway.gate = asyncio.Event()
        scene.gateway.status = http.HTTPStatus(503)
        scene.stream.set_token("token")
        await scene.bell.until(lambda: scene.gateway.attempts == 1)
        scene.perform("open_stream", turn=1)
        scene.gateway.gate.set()
        await scene.loop.until("stream_failed", turn=1)
        assert scene.gateway.attempts == 2
        assert scene.loop.names == ["link_down", "stream_failed"]


@on_loop
async def test_turn_gives_up_in_time_on_an_attempt_that_goes_on() -> None:
    """The time that a turn waits counts from its beginning; the link comes up all the same."""
    async with stage(token=None, open_timeout_ms=200) as scene:
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("token")
        await scene.bell.until(lambda: scene.gateway.attempts == 2)
        scene.perform("open_stream", turn=1)
        await scene.loop.until("stream_failed", turn=1)
        scene.gateway.gate.set()
        await scene.loop.until("link_up")
        assert "stream_opened" not in scene.loop.names


@on_loop
async def test_turn_stops_waiting_when_its_stream_is_open_or_it_ends() -> None:
    """No timer is left that would fail the turn, or the next, later on."""
    async with stage(token=None, open_timeout_ms=4_001) as scene:
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("token")
        for turn in (1, 2):
            scene.perform("open_stream", turn=turn)
            assert 4_001 in scene.clock.armed()
            scene.perform("end_turn", turn=turn, outcome="nothing said")
            assert 4_001 not in scene.clock.armed()
        scene.perform("open_stream", turn=3)
        scene.gateway.gate.set()
        await scene.loop.until("stream_opened", turn=3)
        assert 4_001 not in scene.clock.armed()


@on_loop
async def test_turn_that_ends_while_opening_leaves_the_attempt_going() -> None:
    """Nothing was sent, so nothing need be fenced: the connection serves the next turn."""
    async with stage() as scene:
        scene.perform("open_stream", turn=1)
        scene.perform("end_turn", turn=1, outcome="nothing said")
        await scene.loop.until("link_up")
        await scene.open_turn(2)
        assert scene.loop.count("stream_opened") == 1
        assert scene.stream.counters.connections_fenced == 0


@on_loop
async def test_new_turn_replaces_one_that_nobody_ended() -> None:
    """At most one turn: the older one's events are over."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        scene.perform("open_stream", turn=2)
        await scene.loop.until("stream_opened", turn=2, connection=2)
        scene.perform("end_turn", turn=1, outcome="interrupted")
        assert scene.stream.counters.connections_fenced == 1


# Speech.


@on_loop
async def test_utterance_arrives_in_order_with_its_final_marker_last() -> None:
    """Packets are numbered from 0 in each utterance, and the marker has the next number."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        for turn in (1, 2):
            await scene.open_turn(turn)
            for number in range(100):
                scene.stream.send(bytes([number]), captured_ms=1_000 + 20 * number)
            scene.stream.finish()
            await session.utterances(turn)
            await session.reply(b"reply")
            await scene.playback.until_end(turn)
            scene.perform("end_turn", turn=turn, outcome="answered")
            utterance = session.chunks[-101:]
            assert [chunk["sequence"] for chunk in utterance] == list(range(101))
            assert [chunk["data"] for chunk in utterance[:-1]] == [
                bytes([number]).hex() for number in range(100)
            ]
            assert utterance[5]["timestamp"] == 1.1
            assert [chunk.get("isFinal", False) for chunk in utterance] == [False] * 100 + [True]
        assert len(scene.gateway.sessions) == 1


@on_loop
async def test_flushed_is_told_once_the_marker_is_out() -> None:
    """It names turn and connection; a second `finish` is nothing."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        scene.stream.finish()
        await scene.gateway.sessions[0].is_heard()
        assert scene.loop.count("uplink_flushed", turn=1, connection=1) == 1
        assert scene.gateway.sessions[0].finals == 1


@on_loop
async def test_slow_network_costs_the_oldest_speech() -> None:
    """What waits is bounded; the gap shows in the numbers, and the end arrives all the same."""
    async with stage(uplink_frames_max=10) as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.speak(*(bytes([number]) for number in range(50)))
        await session.utterances()
        assert [chunk["sequence"] for chunk in session.chunks] == list(range(40, 51))
        assert scene.stream.counters.uplink_overflowed == 40


@on_loop
async def test_stalled_gateway_does_not_stall_the_toy() -> None:
    """While the other side does not read, speech waits up to its limit, and nothing blocks."""
    async with stage(uplink_frames_max=10) as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        session.fall_silent()
        count = 0
        while not scene.stream.counters.uplink_overflowed:
            scene.stream.send(bytes(1_275), captured_ms=count)
            count += 1
            await asyncio.sleep(0)
        assert scene.stream.quality.backlog_ms == 200
        scene.stream.finish()
        session.listen_again()
        await session.utterances()
        assert session.chunks[-1]["sequence"] == count
        assert len(session.speech) == count - scene.stream.counters.uplink_overflowed


@on_loop
async def test_quality_tells_how_much_speech_waits_for_the_network() -> None:
    """None on a network that takes it; without a connection there is nothing to wait for."""
    async with stage(token=None) as scene:
        assert scene.stream.quality == LinkQuality(loss_percent=None, backlog_ms=0)
        scene.stream.set_token("token")
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.speak(b"one", b"two")
        assert scene.stream.quality.backlog_ms == 40
        await session.utterances()
        assert scene.stream.quality.backlog_ms == 0


@on_loop
async def test_kernel_holds_back_little_of_what_the_network_does_not_take() -> None:
    """It would take seconds of speech, which can neither be dropped then nor be seen to wait."""
    async with stage() as scene:
        await scene.gateway.session(1)
        await scene.open_turn(1)
        connection = scene.stream._link.connection
        assert connection is not None
        assert connection._socket is not None
        wire = connection._socket.transport.get_extra_info("socket")
        assert wire.getsockopt(socket.IPPROTO_TCP, 25) == KERNEL_BYTES_MAX


@on_loop
async def test_speech_without_an_open_turn_goes_nowhere() -> None:
    """Before the stream is open, after the final marker and after the turn it is counted."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        scene.stream.send(b"early", captured_ms=0)
        scene.stream.finish()
        await scene.open_turn(1)
        scene.speak(b"speech")
        scene.stream.send(b"late", captured_ms=20)
        await session.utterances()
        await session.reply(b"reply")
        await scene.playback.until_end(1)
        scene.perform("end_turn", turn=1, outcome="answered")
        scene.stream.send(b"later", captured_ms=40)
        await session.is_heard()
        assert session.speech == [b"speech"]
        assert scene.stream.counters.uplink_unsendable == 3


@pytest.mark.parametrize("packet", [b"", bytes(1277)])
def test_impossible_packet_is_refused(packet: bytes) -> None:
    """An empty packet would read as an end, and a longer one is not Opus."""

    @on_loop
    async def scene_of_one_packet() -> None:
        async with stage() as scene:
            await scene.open_turn(1)
            with pytest.raises(PacketError, match=f"{len(packet)} bytes"):
                scene.stream.send(packet, captured_ms=0)

    scene_of_one_packet()


# The reply.


@on_loop
async def test_reply_passes_in_order_to_its_end() -> None:
    """Packets reach playback with turn, connection and rate; a last one may come with the end."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        session = scene.gateway.sessions[0]
        await session.send(
            {"type": "handshake_ack", "dialect": "seed"},
            {"type": "transcript", "text": "hello"},
            {"type": "text_response", "text": "hello yourself"},
            reply_packet(b"one", 0),
            reply_packet(b"two", 1, sampleRate=24_000),
            reply_packet(b"three", 2, sampleRate=48_000, isFinal=True),
        )
        await scene.playback.until_end(1)
        assert scene.playback.packets == [
            (1, 1, b"one", 16_000),
            (1, 1, b"two", 24_000),
            (1, 1, b"three", 48_000),
        ]
        assert scene.playback.ends == [(1, 1)]


@on_loop
async def test_answered_turn_keeps_the_connection_warm() -> None:
    """The next turn uses the same one."""
    async with stage() as scene:
        await scene.gateway.session(1)
        for turn in (1, 2, 3):
            await scene.hold_turn(turn, 1, b"reply")
        assert len(scene.gateway.sessions) == 1
        assert scene.loop.count("stream_opened", connection=1) == 3


@on_loop
async def test_reply_before_the_final_marker_is_dropped() -> None:
    """Nobody has asked yet, so it is no answer."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await session.send(reply_packet(b"idle"))
        await session.is_heard()
        await scene.open_turn(1)
        await session.send(reply_packet(b"hearing"))
        await session.is_heard()
        scene.stream.send(b"speech", captured_ms=0)
        await session.send(reply_packet(b"sending"), REPLY_END)
        await session.is_heard()
        scene.stream.finish()
        await scene.loop.until("uplink_flushed")
        await session.reply(b"answer")
        await scene.playback.until_end(1)
        assert scene.playback.of_turn(1) == [b"answer"]
        assert scene.playback.ends == [(1, 1)]
        assert scene.stream.counters.reply_packets_dropped == 3


@on_loop
async def test_reply_after_its_end_is_dropped() -> None:
    """The end is the end, and comes once."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        session = scene.gateway.sessions[0]
        await session.reply(b"reply")
        await session.reply(b"more")
        await session.is_heard()
        assert scene.playback.of_turn(1) == [b"reply"]
        assert scene.playback.ends == [(1, 1)]


# The fence.


@on_loop
async def test_cancelled_turn_takes_its_connection_with_it() -> None:
    """The old socket is closed and another opened, without a word of the link being down."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        scene.perform("end_turn", turn=1, outcome="interrupted")
        await scene.gateway.sessions[0].end()
        await scene.gateway.session(2)
        await scene.loop.until("link_up", count=2)
        assert scene.loop.names == ["link_up", "stream_opened", "uplink_flushed", "link_up"]
        assert scene.stream.counters.connections_fenced == 1


@on_loop
async def test_late_old_audio_is_never_delivered() -> None:
    """Barge-in at the first packet: what the device has received already stays undelivered."""
    async with stage() as scene:
        await asked_and_waiting(scene)

        def barge_in() -> None:
            scene.playback.on_packet = lambda: None
            scene.perform("end_turn", turn=1, outcome="interrupted")
            scene.perform("open_stream", turn=2)

        scene.playback.on_packet = barge_in
        # In one segment, so that all of it is in the device before the first packet is.
        old = scene.gateway.sessions[0]
        for number in range(200):
            await old.send(reply_packet(b"old", number))
        await scene.loop.until("stream_opened", turn=2, connection=2)
        with contextlib.suppress(ConnectionClosed):
            await old.reply(b"older than old")
        scene.speak(b"new")
        await scene.gateway.sessions[1].utterances()
        await scene.gateway.sessions[1].reply(b"answer")
        await scene.playback.until_end(2)
        assert scene.playback.of_turn(1) == [b"old"]
        assert scene.playback.of_turn(2) == [b"answer"]


@on_loop
async def test_message_that_is_in_hand_when_the_fence_goes_up_is_not_delivered() -> None:
    """It was read from the socket before the turn ended, and stays where it is."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        connection = scene.stream._link.connection
        assert connection is not None
        socket = connection._socket
        assert socket is not None
        take = socket.data_received

        def take_and_end_turn(data: bytes) -> None:
            take(data)
            scene.perform("end_turn", turn=1, outcome="interrupted")

        socket.data_received = take_and_end_turn  # type: ignore[method-assign]
        await scene.gateway.sessions[0].send({"type": "command", "command": "stop"})
        await scene.gateway.session(2)
        assert "stop" not in scene.loop.names


@on_loop
async def test_interrupted_reply_is_fenced_even_when_it_is_complete() -> None:
    """Only a turn that was answered leaves a connection that is known to be quiet."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        await scene.gateway.sessions[0].reply(b"reply")
        await scene.playback.until_end(1)
        scene.perform("end_turn", turn=1, outcome="interrupted")
        await scene.gateway.session(2)


@on_loop
async def test_turn_of_which_nothing_was_sent_leaves_the_connection() -> None:
    """A cancel before the first packet owes no fence; nor does a turn given up on."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.perform("end_turn", turn=1, outcome="interrupted")
        await scene.open_turn(2)
        scene.perform("abandon_stream", turn=2)
        scene.stream.send(b"speech", captured_ms=0)
        await scene.hold_turn(3, 1, b"reply")
        assert session.speech == [b"speech"]
        assert scene.stream.counters.connections_fenced == 0


@on_loop
async def test_abandoned_turn_of_which_something_was_sent_is_fenced() -> None:
    """An answer to it can no longer come."""
    async with stage() as scene:
        await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.stream.send(b"speech", captured_ms=0)
        scene.perform("abandon_stream", turn=1)
        await scene.gateway.session(2)


@on_loop
async def test_answered_turn_without_its_replys_end_is_fenced() -> None:
    """More of that reply might come, and would be taken for the next turn's."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        scene.perform("end_turn", turn=1, outcome="answered")
        await scene.gateway.session(2)


@on_loop
async def test_effects_of_another_turn_change_nothing() -> None:
    """What names an older turn, or one that never was, is late."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        scene.perform("end_turn", turn=2, outcome="interrupted")
        scene.perform("abandon_stream", turn=2)
        await scene.gateway.sessions[0].reply(b"reply")
        await scene.playback.until_end(1)


@on_loop
async def test_speech_stops_with_the_turn() -> None:
    """Of what still waits for a slow network nothing is sent after the end."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        for number in range(100):
            scene.stream.send(bytes([number]), captured_ms=20 * number)
        scene.perform("end_turn", turn=1, outcome="interrupted")
        await session.end()
        assert session.speech == []


# Losses.


@on_loop
async def test_cut_in_mid_utterance_is_told_with_turn_and_connection() -> None:
    """Then the link is down, until another connection is there."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.stream.send(b"speech", captured_ms=0)
        await scene.bell.until(lambda: session.speech)
        session.cut()
        await scene.loop.until("link_up", count=2)
        assert scene.loop.names[2:] == ["stream_lost", "link_down", "link_up"]
        assert scene.loop.count("stream_lost", turn=1, connection=1) == 1
        scene.perform("end_turn", turn=1, outcome="stream cut")
        await scene.hold_turn(2, 2, b"reply")
        assert scene.stream.counters.connections_lost == 1
        assert scene.stream.counters.connections_fenced == 0


@on_loop
async def test_cut_in_mid_reply_delivers_what_had_come() -> None:
    """What was buffered plays out; the end never comes."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        session = scene.gateway.sessions[0]
        await session.send(reply_packet(b"one"), reply_packet(b"two", 1))
        await session.is_heard()
        session.cut()
        await scene.loop.until("stream_lost", turn=1, connection=1)
        assert scene.playback.of_turn(1) == [b"one", b"two"]
        assert scene.playback.ends == []


@on_loop
async def test_connection_closed_politely_is_lost_as_well() -> None:
    """A gateway that restarts says goodbye, and the device comes back."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await session.close()
        await scene.gateway.session(2)
        assert scene.loop.names[:2] == ["link_up", "link_down"]


@on_loop
async def test_silent_gateway_is_found_out_by_keep_alive() -> None:
    """A connection whose other end is gone without a word does not stay."""
    async with stage(keepalive_interval_ms=20, keepalive_timeout_ms=20) as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        session.fall_silent()
        await scene.loop.until("stream_lost", turn=1, connection=1)


@on_loop
async def test_keep_alive_lets_a_live_connection_be() -> None:
    """A gateway that answers pings keeps its connection, however little is said."""
    async with stage(keepalive_interval_ms=10, keepalive_timeout_ms=5_000) as scene:
        session = await scene.gateway.session(1)
        lasted = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, lasted.set)
        await lasted.wait()
        await session.is_heard()
        assert scene.loop.names == ["link_up"]


# What the gateway asks for.


@pytest.mark.parametrize("code", [c for c in ERROR_CODES if c != "AUTH_FAILED"])
def test_gateways_error_fails_the_turn(code: str) -> None:
    """Once for each turn, with a code from the known set; nothing of a reply passes afterwards."""

    @on_loop
    async def scene_of_one_error() -> None:
        async with stage() as scene:
            await asked_and_waiting(scene)
            session = scene.gateway.sessions[0]
            sent = "GATEWAY_ON_FIRE" if code == "OTHER" else code
            error = {"type": "error", "code": sent, "message": "no"}
            await session.send(error, error, reply_packet(b"reply"))
            await session.is_heard()
            assert scene.loop.count("turn_failed", turn=1, connection=1, code=code) == 1
            assert scene.playback.packets == []
            assert scene.loop.count("violation") == (2 if code == "SAFETY_VIOLATION" else 0)

    scene_of_one_error()


@on_loop
async def test_violation_counts_without_a_turn_too() -> None:
    """It is the safety rules' matter, whatever the toy is doing."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await session.send({"type": "error", "code": "SAFETY_VIOLATION", "message": ""})
        await session.is_heard()
        assert scene.loop.names == ["link_up", "violation"]


@on_loop
async def test_violation_stops_a_reply_that_is_already_complete() -> None:
    """It may still be playing."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        session = scene.gateway.sessions[0]
        await session.reply(b"reply")
        await session.send({"type": "error", "code": "SAFETY_VIOLATION", "message": ""})
        await scene.loop.until("turn_failed", turn=1)


@on_loop
async def test_failed_authentication_ends_connection_and_turn() -> None:
    """The stream waits for another token, and does not knock with the old one."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        session = scene.gateway.sessions[0]
        await session.send({"type": "error", "code": "AUTH_FAILED", "message": ""})
        await session.end()
        assert scene.loop.names[-2:] == ["turn_failed", "tokens_lost"]
        scene.perform("end_turn", turn=1, outcome="gateway failed")
        assert len(scene.gateway.sessions) == 1
        assert scene.stream.counters.connections_fenced == 0
        scene.stream.set_token("another")
        await scene.gateway.session(2)
        assert scene.gateway.tokens == ["token", "another"]


@on_loop
async def test_failed_authentication_of_an_older_token_loses_no_newer_one() -> None:
    """The token in hand is tried before it is given up."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        scene.stream.set_token("another")
        await session.send({"type": "error", "code": "AUTH_FAILED", "message": ""})
        await scene.gateway.session(2)
        assert scene.gateway.tokens == ["token", "another"]
        assert "tokens_lost" not in scene.loop.names


@pytest.mark.parametrize(
    ("duration", "pause_ms"),
    [
        (600, 600_000),
        (0.25, 250),
        (0, 0),
        (-1, 0),
        (1e300, 86_400_000),
        (10**30, 86_400_000),
        ("long", 0),
        (True, 0),
        (None, 0),
    ],
)
def test_safety_override_always_acts(duration: object, pause_ms: int) -> None:
    """Whatever the duration says, the toy stops; the range is held."""

    @on_loop
    async def scene_of_one_override() -> None:
        async with stage() as scene:
            session = await scene.gateway.session(1)
            await session.send(
                {"type": "safety_override", "action": ["?"], "duration": duration, "message": 1},
                {"type": "command", "command": "pause", "duration": duration},
            )
            await session.is_heard()
            assert scene.loop.events[1:] == [
                ("safety_override", {"pause_ms": pause_ms}),
                ("pause", {"command": None, "pause_ms": pause_ms}),
            ]

    scene_of_one_override()


@on_loop
async def test_only_what_tightens_acts_at_once() -> None:
    """Copies of all other commands, and of the configuration, are a hint to look."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        for command in ("stop", "lock", "emergency_stop", "unlock", "release", "say", "erase"):
            await session.send({"type": "command", "command": command, "lockId": "1"})
        await session.send({"type": "toy_config_update", "config": {"a": [1, 2, 3]}})
        await session.is_heard()
        assert scene.loop.events[1:] == [
            ("stop", {"command": None}),
            ("lock", {"command": None}),
            ("emergency_stop", {"command": None}),
        ]
        assert scene.hints == ["command"] * 4 + ["configuration"]
        assert scene.stream.counters.hints == 5


@on_loop
async def test_flood_of_one_kind_drowns_neither_the_loop_nor_another_kind() -> None:
    """So many of a kind may act in a second; a stop among a thousand hints gets through."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        for _ in range(200):
            await session.send(
                {"type": "command", "command": "lock"}, {"type": "toy_config_update"}
            )
        await session.send({"type": "command", "command": "emergency_stop"})
        await session.is_heard()
        assert scene.loop.count("emergency_stop") == 1
        # The flood may have met the border of two seconds, or of three on a busy machine.
        assert ACTING_PER_SECOND_MAX <= scene.loop.count("lock") <= 4 * ACTING_PER_SECOND_MAX
        assert len(scene.hints) <= 4 * ACTING_PER_SECOND_MAX
        assert scene.stream.counters.messages_limited == 200 - scene.loop.count("lock")
        assert scene.stream.counters.hints == 200


@on_loop
async def test_unusable_messages_are_counted_and_change_nothing() -> None:
    """The turn goes on around them."""
    async with stage() as scene:
        await asked_and_waiting(scene)
        session = scene.gateway.sessions[0]
        await session.send(
            "", "[]", b"\x00", {"type": "?"}, reply_packet(b"x", sampleRate=44_100), "{" * 10
        )
        await session.reply(b"reply")
        await scene.playback.until_end(1)
        assert scene.playback.of_turn(1) == [b"reply"]
        assert scene.stream.counters.messages_dropped == 6
        assert scene.stream.drops[DropReason.BAD_SAMPLE_RATE] == 1
        assert sum(scene.stream.drops.values()) == 6


@on_loop
async def test_traffic_is_counted() -> None:
    """Messages and their bytes, each way."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        await session.send('{"type":"transcript","text":"ä"}')
        await session.is_heard()
        counters = scene.stream.counters
        assert (counters.messages_down, counters.messages_up) == (2, 2)
        assert counters.bytes_down == 33 + 16
        assert counters.bytes_up > 15
        assert (counters.connections, counters.connections_lost) == (1, 0)


# Closing.


async def _nothing(_: Stage) -> None:
    pass


async def _dialling(scene: Stage) -> None:
    scene.gateway.gate = asyncio.Event()
    scene.perform("open_stream", turn=1)
    await scene.bell.until(lambda: scene.gateway.attempts)


async def _idle(scene: Stage) -> None:
    await scene.gateway.session(1)


async def _sending(scene: Stage) -> None:
    await scene.gateway.session(1)
    await scene.open_turn(1)
    scene.gateway.sessions[0].fall_silent()
    while not scene.stream.counters.uplink_overflowed:
        scene.stream.send(bytes(1_275), captured_ms=0)
        await asyncio.sleep(0)


async def _replying(scene: Stage) -> None:
    await asked_and_waiting(scene)
    await scene.gateway.sessions[0].send(*(reply_packet(b"x", n) for n in range(50)))


async def _waiting_to_retry(scene: Stage) -> None:
    await scene.gateway.stop()
    await scene.loop.until("link_down")


async def _refused(scene: Stage) -> None:
    scene.gateway.status = http.HTTPStatus(401)
    await scene.loop.until("tokens_lost")


async def _fenced(scene: Stage) -> None:
    await asked_and_waiting(scene)
    scene.perform("end_turn", turn=1, outcome="interrupted")


async def _withdrawn(scene: Stage) -> None:
    await asked_and_waiting(scene)
    scene.stream.set_token(None)


@pytest.mark.parametrize(
    "phase",
    [
        _nothing,
        _dialling,
        _idle,
        _sending,
        asked_and_waiting,
        _replying,
        _waiting_to_retry,
        _refused,
        _fenced,
        _withdrawn,
    ],
)
def test_close_ends_everything_in_every_phase(phase: Callable[[Stage], Awaitable[None]]) -> None:
    """Within a second, without a task left, and nothing is posted or begun afterwards."""

    @on_loop
    async def scene_of_one_phase() -> None:
        async with stage(retry_delay_ms_min=60_000, retry_delay_ms_max=60_000) as scene:
            await phase(scene)
            async with asyncio.timeout(CLOSE_S_MAX):
                await scene.stream.close()
            assert not [task for task in asyncio.all_tasks() if "stream" in task.get_name()]
            posted = len(scene.loop.events)
            scene.perform("open_stream", turn=9)
            scene.perform("end_turn", turn=9, outcome="interrupted")
            scene.stream.send(b"speech", captured_ms=0)
            scene.stream.finish()
            scene.stream.set_token("another")
            assert scene.stream._link.connection is None
            await scene.stream.close()
            assert len(scene.loop.events) == posted

    scene_of_one_phase()


def test_defect_elsewhere_is_shown_and_the_toy_goes_on() -> None:
    """What playback raises ends the connection like a loss, and reaches the loop's handler."""
    unseen: list[dict[str, Any]] = []

    def fail() -> None:
        scene_error = "playback is broken"
        raise RuntimeError(scene_error)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: unseen.append(what))
        async with stage() as scene:
            await asked_and_waiting(scene)
            scene.playback.on_packet = fail
            await scene.gateway.sessions[0].reply(b"reply")
            await scene.loop.until("stream_lost", turn=1)
            await scene.gateway.session(2)

    asyncio.run(main())
    assert [what["message"] for what in unseen] == ["a defect in the audio stream"]
    assert "playback is broken" in str(unseen[0]["exception"].exceptions)


def test_defect_in_what_hears_of_the_end_is_shown_as_well() -> None:
    """No exception ends in a task that nobody looks at."""
    unseen: list[dict[str, Any]] = []

    def fail(name: str, /, **_: object) -> None:
        raise RuntimeError(name)

    async def main() -> None:
        async with stage() as scene:

            def keep(_loop: object, what: dict[str, Any]) -> None:
                unseen.append(what)
                scene.bell.ring()

            asyncio.get_running_loop().set_exception_handler(keep)
            session = await scene.gateway.session(1)
            scene.stream._link._post = fail
            session.cut()
            await scene.bell.until(lambda: unseen)

    asyncio.run(main())
    assert str(unseen[0]["exception"]) == "link_down"


def test_stream_is_what_the_others_expect() -> None:
    """It performs effects and takes speech; the stand-in for playback takes replies."""

    def expect(_performer: Performer, _uplink: Uplink, _sink: ReplySink) -> None:
        pass

    @on_loop
    async def scene_of_ports() -> None:
        async with stage() as scene:
            expect(scene.stream, scene.stream, scene.playback)

    scene_of_ports()
