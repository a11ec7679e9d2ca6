"""The stream in all its dialects, against a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from firmware.stream.dialects.binary import BinaryCodec
from firmware.stream.dialects.choice import Dialects
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.errors import CredentialError, PacketError
from firmware.stream.messages import DropReason, HandshakeAck
from firmware.stream.settings import StreamSettings
from firmware.stream.stream import WORDS_PER_TURN_MAX
from firmware.stream.turn import Turn
from tests.firmware.stream.gateway import (
    DIALECTS,
    Dialect,
    bare,
    opus_piece,
    reply_end,
    reply_packet,
    wrapped,
)
from tests.firmware.stream.stage import Stage, on_loop, stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.client import ClientConnection

    from firmware.stream.codec import Codec


def in_every_dialect(
    **settings: Any,  # noqa: ANN401 - as the fields of the settings
) -> Callable[[Callable[[Stage, Dialect], Awaitable[None]]], Callable[[Dialect], None]]:
    """Run a test once in each dialect."""

    def decorate(test: Callable[[Stage, Dialect], Awaitable[None]]) -> Callable[[Dialect], None]:
        def run(dialect: Dialect) -> None:
            @on_loop
            async def main() -> None:
                async with stage(dialect=dialect, **settings) as scene:
                    await test(scene, dialect)

            main()

        run.__doc__ = test.__doc__
        return pytest.mark.parametrize("dialect", DIALECTS)(run)

    return decorate


async def ask(scene: Stage, turn: int = 1, session: int = 1) -> None:
    """Bring a turn to where its reply is awaited."""
    await scene.gateway.session(session)
    await scene.open_turn(turn)
    before = scene.gateway.sessions[session - 1].finals
    scene.speak(scene.frame)
    await scene.gateway.sessions[session - 1].utterances(before + 1)
    await scene.loop.until("uplink_flushed", turn=turn)
    # Its WebSocket has then also answered the ping that followed.
    await scene.gateway.sessions[session - 1].is_heard()


def codec_of(scene: Stage) -> Codec:
    """Return what is spoken."""
    assert scene.stream._link.connection is not None
    return scene.stream._link.connection.codec


def socket_of(scene: Stage) -> ClientConnection:
    """Return the device's own end."""
    connection = scene.stream._link.connection
    assert connection is not None
    assert connection._socket is not None
    return connection._socket


# A turn.


@in_every_dialect()
async def test_turns_are_held_on_one_connection(scene: Stage, dialect: Dialect) -> None:
    """Speech up in order with its final marker, a reply down; the connection stays warm."""
    session = await scene.gateway.session(1)
    for turn in (1, 2):
        await scene.open_turn(turn)
        scene.speak(*[scene.frame] * 5)
        await session.utterances(turn)
        await scene.loop.until("uplink_flushed", turn=turn)
        await session.reply(b"one", b"two", turn=turn)
        await scene.playback.until_end(turn)
        scene.perform("end_turn", turn=turn, outcome="answered")
        chunks = session.chunks[-6:]
        assert [chunk["sequence"] for chunk in chunks] == list(range(6))
        assert [chunk["timestamp"] for chunk in chunks[:5]] == [0.0, 0.02, 0.04, 0.06, 0.08]
        assert [bool(chunk.get("isFinal")) for chunk in chunks] == [False] * 5 + [True]
        assert [bytes.fromhex(chunk["data"]) for chunk in chunks] == [scene.frame] * 5 + [b""]
        assert scene.playback.of_turn(turn) == [b"one", b"two"]
        if dialect == "binary":
            assert {chunk["turn"] for chunk in chunks} == {turn}
    assert len(scene.gateway.sessions) == 1
    assert scene.stream.counters.turns_cancelled == 0


@on_loop
async def test_gateway_dialect_names_device_and_toy_in_its_address() -> None:
    """Below the address of the settings, whatever characters the names have."""
    async with stage(dialect="gateway") as scene:
        session = await scene.gateway.session(1)
        assert session.path == "/audio-stream/ws/device-1/toy-1"
        scene.stream.set_toy("a/b?c")
        session = await scene.gateway.session(2)
        assert session.path == "/audio-stream/ws/device-1/a%2Fb%3Fc"
        assert session.received[0]["toyId"] == "a/b?c"
        assert session.received[0]["capabilities"] == {
            "audio": True,
            "opus": True,
            "pcm16": True,
            "wav": True,
            "sampleRate": 16_000,
        }
        assert session.received[0]["timestamp"] > 0


@in_every_dialect()
async def test_what_is_no_frame_of_the_dialect_is_refused(scene: Stage, dialect: Dialect) -> None:
    """Opus where samples are due would be noise, and the other way round."""
    await scene.open_turn(1)
    wrong = b"packet" if dialect == "gateway" else bytes(1_277)
    with pytest.raises(PacketError, match=f"{len(wrong)} bytes"):
        scene.stream.send(wrong, captured_ms=0)


@pytest.mark.parametrize(
    ("dialect", "speech_format"),
    [("seed", "opus"), ("gateway", "pcm16"), ("binary", "opus"), ("auto", "opus")],
)
def test_format_of_speech_is_the_dialects(dialect: str, speech_format: str) -> None:
    """Samples for the gateways there are, Opus otherwise; also before anybody is there."""

    @on_loop
    async def scene_of_one_dialect() -> None:
        async with stage(token=None, dialect=dialect) as scene:
            assert scene.stream.speech_format == speech_format
            scene.stream.set_token("token")
            await scene.gateway.session(1)
            assert scene.stream.speech_format == speech_format

    scene_of_one_dialect()


# Which dialect.


@on_loop
async def test_open_question_is_put_to_the_gateway_and_its_answer_taken() -> None:
    """The link counts as open once that is settled, and a turn waits for it."""
    async with stage(dialect="auto", speaks="binary", token=None, hello_timeout_ms=60_000) as scene:
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("token")
        scene.perform("open_stream", turn=7)
        assert scene.loop.names == []
        scene.gateway.gate.set()
        await scene.loop.until("stream_opened", turn=7, connection=1)
        assert scene.gateway.sessions[0].received[0]["capabilities"]["binary"] == 1
        scene.speak(b"speech")
        await scene.gateway.sessions[0].utterances()
        assert isinstance(scene.gateway.sessions[0].raw[-1], bytes)
        assert scene.loop.names[:2] == ["link_up", "stream_opened"]


@pytest.mark.parametrize("answer", ["seed", "gateway", "?", 3])
def test_any_other_answer_means_seed(answer: object) -> None:
    """At once: an answer is an answer."""

    @on_loop
    async def scene_of_one_answer() -> None:
        async with stage(dialect="auto", token=None, hello_timeout_ms=60_000) as scene:
            scene.gateway.answer = {"type": "handshake_ack", "dialect": answer}
            scene.stream.set_token("token")
            await scene.loop.until("link_up")
            await scene.hold_turn(1, 1, b"reply")
            assert isinstance(scene.gateway.sessions[0].raw[-1], str)

    scene_of_one_answer()


@on_loop
async def test_no_answer_in_time_means_seed() -> None:
    """The oldest gateways say nothing."""
    async with stage(dialect="auto", hello_timeout_ms=20) as scene:
        session = await scene.gateway.session(1)
        await scene.loop.until("link_up")
        await scene.hold_turn(1, 1, b"reply")
        assert isinstance(session.raw[-1], str)


@on_loop
async def test_late_answer_is_taken_once() -> None:
    """On a slow network the gateway has been speaking so since the handshake came to it."""
    async with stage(dialect="auto", speaks="binary", token=None, hello_timeout_ms=20) as scene:
        scene.gateway.answer = None
        scene.stream.set_token("token")
        session = await scene.gateway.session(1)
        await scene.loop.until("link_up")
        for dialect in ("binary", "seed"):
            await session.send({"type": "handshake_ack", "dialect": dialect})
        await session.is_heard()
        await scene.hold_turn(1, 1, b"reply")
        assert isinstance(session.raw[-1], bytes)
        assert scene.playback.of_turn(1) == [b"reply"]
        assert scene.loop.count("link_up") == 1


@on_loop
async def test_speech_before_a_late_answer_costs_its_turn_at_most() -> None:
    """The gateway understood none of it. The next connection begins with what was learned."""
    async with stage(dialect="auto", speaks="binary", token=None, hello_timeout_ms=20) as scene:
        scene.gateway.answer = None
        scene.stream.set_token("token")
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        scene.stream.send(b"before", captured_ms=0)
        await session.send({"type": "handshake_ack", "dialect": "binary"})
        await scene.loop.until("stream_lost", turn=1)
        scene.perform("end_turn", turn=1, outcome="stream cut")
        await scene.gateway.session(2)
        await scene.hold_turn(2, 2, b"reply")
        assert scene.playback.of_turn(2) == [b"reply"]
        assert isinstance(scene.gateway.sessions[1].raw[-1], bytes)


def test_silent_gateway_is_taken_to_speak_as_it_said_once() -> None:
    """Until a connection is over on which it never said so: perhaps it is another by now."""
    dialects = Dialects(StreamSettings(url="ws://127.0.0.1/"))
    assert isinstance(dialects.agreed(None), SeedCodec)
    for name, codec in (("binary", BinaryCodec), ("seed", SeedCodec), ("binary", BinaryCodec)):
        dialects.note(HandshakeAck(name))
        assert isinstance(dialects.agreed(None), codec)
    dialects.note(None)
    assert isinstance(dialects.agreed(None), SeedCodec)


@on_loop
async def test_what_a_silent_gateway_said_once_is_forgotten_with_its_connection() -> None:
    """One turn at most is lost on a gateway that was replaced by an older one."""
    async with stage(dialect="auto", speaks="binary", token=None, hello_timeout_ms=20) as scene:
        scene.stream.set_token("token")
        await scene.loop.until("link_up")
        await scene.hold_turn(1, 1, b"reply")
        scene.gateway.answer, scene.gateway.dialect = None, "seed"
        scene.gateway.sessions[0].cut()
        await scene.loop.until("link_up", count=2)
        assert isinstance(codec_of(scene), BinaryCodec)
        scene.gateway.sessions[1].cut()
        await scene.loop.until("link_up", count=3)
        await scene.hold_turn(2, 3, b"reply")
        assert isinstance(codec_of(scene), SeedCodec)


@on_loop
async def test_refusal_while_the_dialect_is_open_leaves_no_timer_behind() -> None:
    """The turn that waited is told at once, and what it waited with does not fail the next one."""
    async with stage(dialect="auto", token=None, open_timeout_ms=4_001) as scene:
        scene.gateway.answer = {"type": "error", "code": "AUTH_FAILED", "message": ""}
        scene.stream.set_token("old")
        scene.perform("open_stream", turn=1)
        await scene.loop.until("tokens_lost")
        assert scene.loop.names == ["tokens_lost", "stream_failed"]
        assert 4_001 not in scene.clock.armed()
        scene.gateway.answer = {"type": "handshake_ack", "dialect": "seed"}
        scene.stream.set_token("new")
        await scene.open_turn(2)
        assert 4_001 not in scene.clock.armed()


@on_loop
async def test_refusal_while_the_dialect_is_open_with_a_newer_token_in_hand_costs_nothing() -> None:
    """The turn goes on waiting, for an attempt with that."""
    async with stage(dialect="auto", token=None) as scene:
        scene.gateway.gate = asyncio.Event()
        scene.gateway.answer = {"type": "error", "code": "AUTH_FAILED", "message": ""}
        scene.stream.set_token("old")
        await scene.bell.until(lambda: scene.gateway.attempts)
        scene.perform("open_stream", turn=1)
        scene.stream.set_token("new")
        scene.gateway.gate.set()
        await scene.gateway.session(1)
        scene.gateway.answer = {"type": "handshake_ack", "dialect": "seed"}
        await scene.loop.until("stream_opened", turn=1)
        assert scene.gateway.tokens == ["old", "new"]
        assert scene.loop.names == ["link_up", "stream_opened"]


@on_loop
async def test_deadline_of_a_turn_that_is_over_fails_no_other() -> None:
    """Should it fire all the same."""
    async with stage() as scene:
        await scene.open_turn(2)
        present = scene.stream._turn
        scene.stream._fail_opening(Turn(1))
        assert scene.stream._turn is present
        assert "stream_failed" not in scene.loop.names


@on_loop
async def test_refusal_that_names_another_turn_is_told_to_the_present_one() -> None:
    """It has lost its connection, and must not wait for an answer."""
    async with stage(dialect="binary") as scene:
        await ask(scene, turn=3)
        session = scene.gateway.sessions[0]
        await session.send({"type": "error", "code": "AUTH_FAILED", "turn": 2})
        await scene.loop.until("stream_lost", turn=3)
        assert scene.loop.names[-2:] == ["tokens_lost", "stream_lost"]


@on_loop
async def test_gateway_that_is_gone_before_it_answers_was_never_there() -> None:
    """The attempt has failed; the link was not up."""
    async with stage(dialect="auto", hello_timeout_ms=60_000) as scene:
        (await scene.gateway.session(1)).cut()
        await scene.loop.until("link_down")
        assert scene.loop.names == ["link_down"]
        assert scene.stream.counters.connections == 0
        assert scene.stream.counters.connections_failed == 1


@on_loop
async def test_what_stops_the_toy_does_so_before_the_dialect_is_settled() -> None:
    """Nothing that tightens waits for a handshake."""
    async with stage(dialect="auto", hello_timeout_ms=60_000) as scene:
        session = await scene.gateway.session(1)
        await session.send({"type": "command", "command": "lock"})
        await scene.loop.until("lock")
        assert scene.loop.names == ["lock"]


# The fence.


@in_every_dialect()
async def test_late_audio_of_a_cancelled_turn_is_dropped(scene: Stage, dialect: Dialect) -> None:
    """Barge-in at the first packet: neither what is on its way nor what is sent later passes."""
    await ask(scene)

    def barge_in() -> None:
        scene.playback.on_packet = lambda: None
        scene.perform("end_turn", turn=1, outcome="interrupted")
        scene.perform("open_stream", turn=2)

    scene.playback.on_packet = barge_in
    old = scene.gateway.sessions[0]
    for number in range(200):
        await old.send(opus_piece(dialect, b"old", number, turn=1))
    await scene.loop.until("stream_opened", turn=2)
    with contextlib.suppress(ConnectionClosed):
        await old.reply(b"older than old", turn=1)
    new = await scene.gateway.session(1 if dialect == "binary" else 2)
    before = new.finals
    scene.speak(scene.frame)
    await new.utterances(before + 1)
    await scene.loop.until("uplink_flushed", turn=2)
    with contextlib.suppress(ConnectionClosed):
        await old.reply(b"older still", turn=1)
    await new.reply(b"answer", turn=2)
    await scene.playback.until_end(2)
    assert scene.playback.of_turn(1) == [b"old"]
    assert scene.playback.of_turn(2) == [b"answer"]
    assert scene.playback.ends[-1][0] == 2
    assert len(scene.playback.ends) == 1
    counters = scene.stream.counters
    if dialect == "binary":
        assert counters.reply_packets_dropped == 199 + 2
        assert (counters.connections_fenced, counters.turns_cancelled) == (0, 1)
        assert [m for m in new.received if m["type"] == "cancel"] == [{"type": "cancel", "turn": 1}]
    else:
        assert (counters.connections_fenced, counters.turns_cancelled) == (1, 0)
        assert scene.loop.count("stream_opened", turn=2, connection=2) == 1


@in_every_dialect(uplink_frames_max=50)
async def test_speech_of_a_cancelled_turn_is_forgotten_at_once(
    scene: Stage, dialect: Dialect
) -> None:
    """Also what waits because the other side does not read; the next turn is heard all the same."""
    session = await scene.gateway.session(1)
    await scene.open_turn(1)
    session.fall_silent()
    while scene.stream.counters.uplink_overflowed < 5:
        scene.stream.send(bytes(640), captured_ms=0)
        await asyncio.sleep(0)
    scene.stream.finish()
    sent = scene.stream.counters.messages_up
    scene.perform("end_turn", turn=1, outcome="interrupted")
    scene.perform("open_stream", turn=2)
    session.listen_again()
    await scene.loop.until("stream_opened", turn=2)
    latest = await scene.gateway.session(2)
    scene.speak(scene.frame)
    await latest.utterances()
    await scene.loop.until("uplink_flushed", turn=2)
    assert scene.loop.count("uplink_flushed", turn=1) == 0
    assert scene.stream.counters.messages_up <= sent + 5, dialect


@in_every_dialect(uplink_frames_max=10)
async def test_stalled_network_costs_the_oldest_speech(scene: Stage, dialect: Dialect) -> None:
    """What waits is bounded, in frames and so in bytes; the gap shows in the numbers."""
    session = await scene.gateway.session(1)
    await scene.open_turn(1)
    session.fall_silent()
    count = 0
    while not scene.stream.counters.uplink_overflowed:
        scene.stream.send(bytes(640), captured_ms=count)
        count += 1
        await asyncio.sleep(0)
    for _ in range(10):
        scene.stream.send(bytes(640), captured_ms=count)
        count += 1
    scene.stream.finish()
    session.listen_again()
    await session.utterances()
    numbers = [chunk["sequence"] for chunk in session.chunks]
    assert numbers[-1] == count
    assert numbers[-11:-1] == list(range(count - 10, count))
    assert len(session.speech) == count - scene.stream.counters.uplink_overflowed
    assert scene.stream.counters.uplink_overflowed == 11, dialect


@in_every_dialect(uplink_frames_max=50)
async def test_no_speech_waits_beyond_reach(scene: Stage, dialect: Dialect) -> None:
    """What the kernel has not taken can still be dropped, and after the end of its turn it is."""
    session = await scene.gateway.session(1)
    await scene.open_turn(1)
    session.fall_silent()
    socket = socket_of(scene)
    while scene.stream.counters.uplink_overflowed < 5:
        scene.stream.send(bytes(640), captured_ms=0)
        await asyncio.sleep(0)
    longest_bytes = 2 * 640 + 300
    assert 0 < socket.transport.get_write_buffer_size() < longest_bytes
    scene.perform("end_turn", turn=1, outcome="interrupted")
    await asyncio.sleep(0)
    assert socket.transport.get_write_buffer_size() == 0
    assert scene.stream.counters.connections_fenced == 1, dialect
    session.listen_again()
    await session.end()


@on_loop
async def test_cancel_keeps_only_a_connection_that_has_delivered_the_utterance() -> None:
    """Silence after the last of it may be that of a connection that is dead."""
    async with stage(dialect="binary") as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        session.fall_silent()
        scene.speak(b"speech")
        await scene.loop.until("uplink_flushed", turn=1)
        scene.perform("end_turn", turn=1, outcome="interrupted")
        await ask(scene, turn=2, session=2)
        scene.perform("end_turn", turn=2, outcome="interrupted")
        assert scene.stream.counters.turns_cancelled == 1
        await scene.hold_turn(3, 2, b"reply")
        # A turn of which half was said has delivered nothing, whatever the one before had.
        await ask(scene, turn=4, session=2)
        scene.perform("end_turn", turn=4, outcome="interrupted")
        await scene.open_turn(5)
        scene.stream.send(b"half", captured_ms=0)
        await scene.gateway.sessions[1].is_heard()
        scene.perform("end_turn", turn=5, outcome="interrupted")
        await scene.gateway.session(3)
        session.listen_again()


@pytest.mark.parametrize("outcome", ["no answer", "reply ran dry", "gateway failed", "stream cut"])
def test_turn_that_failed_takes_its_connection_with_it(outcome: str) -> None:
    """In the binary dialect too: whoever was there when it spoke is not there now."""

    @on_loop
    async def scene_of_one_outcome() -> None:
        async with stage(dialect="binary") as scene:
            await ask(scene)
            scene.perform("end_turn", turn=1, outcome=outcome)
            await scene.gateway.session(2)
            await scene.hold_turn(2, 2, b"reply")
            assert scene.stream.counters.turns_cancelled == 0

    scene_of_one_outcome()


@on_loop
async def test_answer_of_another_turn_is_nobodys() -> None:
    """Numbers from the future, of no turn at all, and words and errors of an older one."""
    async with stage(dialect="binary") as scene:
        await ask(scene, turn=3)
        session = scene.gateway.sessions[0]
        for turn in (0, 2, 4, 2**32 - 1):
            await session.send(
                bare(3, turn, b"other", rate_hz=16_000),
                bare(4, turn, b"ot", rate_hz=16_000),
                bare(5, turn),
                {"type": "transcript", "text": "other", "turn": turn},
                {"type": "text_response", "text": "other", "turn": turn},
                {"type": "error", "code": "AUDIO_ERROR", "turn": turn},
            )
        await session.send({"type": "transcript", "text": "mine", "turn": 3})
        await session.send({"type": "text_response", "text": "mine too"})
        await session.reply(b"reply", turn=3)
        await scene.playback.until_end(3)
        assert scene.playback.packets == [(3, 1, b"reply", 16_000)]
        assert scene.playback.sounds == []
        assert scene.words == [(3, "transcript", "mine"), (3, "reply", "mine too")]
        assert "turn_failed" not in scene.loop.names
        assert scene.stream.counters.reply_packets_dropped == 8


@pytest.mark.parametrize("turn", [None, 3, "?", -1, 1.0, True])
def test_error_of_this_turn_or_of_none_fails_it(turn: object) -> None:
    """A malformed number is no reason to overhear it."""

    @on_loop
    async def scene_of_one_error() -> None:
        async with stage(dialect="binary") as scene:
            await ask(scene, turn=3)
            error = {"type": "error", "code": "SAFETY_VIOLATION", "turn": turn}
            await scene.gateway.sessions[0].send(error)
            await scene.loop.until("turn_failed", turn=3)
            assert scene.loop.count("violation") == 1

    scene_of_one_error()


@on_loop
async def test_error_about_safety_counts_whichever_turn_it_names() -> None:
    """The turn that it names is over, and so is not failed; what was violated was."""
    async with stage(dialect="binary") as scene:
        await ask(scene, turn=3)
        session = scene.gateway.sessions[0]
        await session.send({"type": "error", "code": "SAFETY_VIOLATION", "turn": 2})
        await scene.loop.until("violation")
        await session.is_heard()
        assert "turn_failed" not in scene.loop.names


# What the gateway asks for.


def control(kind: str, *, is_wrapped: bool, **fields: object) -> dict[str, Any]:
    """Return a message that asks for something."""
    return {"type": kind, "payload": fields} if is_wrapped else {"type": kind, **fields}


@pytest.mark.parametrize(
    ("dialect", "is_wrapped"),
    [("seed", False), ("gateway", False), ("gateway", True), ("binary", False)],
)
def test_only_what_tightens_acts_at_once(dialect: Dialect, *, is_wrapped: bool) -> None:
    """The rest is a hint to look, in every dialect; wrapped as well, where things are wrapped."""

    @on_loop
    async def scene_of_commands() -> None:
        async with stage(dialect=dialect) as scene:
            session = await scene.gateway.session(1)
            await scene.loop.until("link_up")
            for command in ("stop", "lock", "emergency_stop", "unlock", "say", "erase"):
                await session.send(control("command", is_wrapped=is_wrapped, command=command))
            await session.send(
                control("command", is_wrapped=is_wrapped, command="pause", duration=2),
                control("safety_override", is_wrapped=is_wrapped, duration=3),
                {"type": "config_update" if dialect == "gateway" else "toy_config_update"},
            )
            await session.is_heard()
            assert scene.loop.events[1:] == [
                ("stop", {"command": None}),
                ("lock", {"command": None}),
                ("emergency_stop", {"command": None}),
                ("pause", {"command": None, "pause_ms": 2_000}),
                ("safety_override", {"pause_ms": 3_000}),
            ]
            assert scene.hints == ["command"] * 3 + ["configuration"]

    scene_of_commands()


@in_every_dialect()
async def test_words_are_told_with_their_turn(scene: Stage, dialect: Dialect) -> None:
    """Of the present turn, once it has spoken; nobody else gets to hear them."""
    session = await scene.gateway.session(1)

    def words(kind: str, text: str) -> dict[str, Any]:
        return control(kind, is_wrapped=dialect == "gateway", text=text)

    await session.send(words("transcript", "nobody"))
    await session.is_heard()
    await ask(scene)
    await session.send(words("transcript", "hello"), words("text_response", "yourself"))
    await session.reply(b"reply")
    await scene.playback.until_end(1)
    scene.perform("end_turn", turn=1, outcome="answered")
    await session.send(words("text_response", "too late"))
    await session.is_heard()
    assert scene.words == [(1, "transcript", "hello"), (1, "reply", "yourself")]


@in_every_dialect()
async def test_flood_of_words_is_cut_off(scene: Stage, dialect: Dialect) -> None:
    """Who keeps them shall not be filled up; the turn goes on."""
    await ask(scene)
    session = scene.gateway.sessions[0]
    words = control("text_response", is_wrapped=dialect == "gateway", text="word")
    await session.send(*[words] * (WORDS_PER_TURN_MAX + 9))
    await session.reply(b"reply")
    await scene.playback.until_end(1)
    assert len(scene.words) == WORDS_PER_TURN_MAX
    assert scene.stream.counters.messages_limited == 9


@in_every_dialect()
async def test_garbage_is_counted_and_changes_nothing(scene: Stage, dialect: Dialect) -> None:
    """The turn goes on around it."""
    await ask(scene)
    session = scene.gateway.sessions[0]
    await session.send("", "[]", "{" * 10, '{"type":"\\ud800"}', b"", b"\x00" * 15, b"\x01\x09" * 9)
    await session.send(bare(3, 1, rate_hz=16_000), bare(3, 1, b"x", rate_hz=44_100))
    await session.send(bare(1, 1, b"x"), bare(2, 1), bare(5, 1, b"x"), bare(4, 1, b"x"))
    await session.reply(b"reply")
    await scene.playback.until_end(1)
    assert scene.playback.packets == [(1, 1, b"reply", 16_000)]
    assert scene.stream.counters.messages_dropped == 13
    assert sum(scene.stream.drops.values()) == 13
    assert scene.stream.drops[DropReason.NOT_TEXT] == (0 if dialect == "binary" else 9)


# Keep-alive.


@in_every_dialect(keepalive_interval_ms=20, keepalive_timeout_ms=200)
async def test_gateway_that_stops_answering_is_found_out(scene: Stage, dialect: Dialect) -> None:
    """Its WebSocket may still answer on its behalf; but it has answered before."""
    session = await scene.gateway.session(1)
    await scene.loop.until("link_up")
    await scene.bell.until(lambda: {"type": "ping"} in session.received)
    await session.send({"type": "pong"})
    await scene.loop.until("link_down")
    assert scene.stream.counters.connections_lost == 1, dialect


@in_every_dialect(keepalive_interval_ms=10, keepalive_timeout_ms=250)
async def test_gateway_that_never_answers_such_questions_is_let_be(
    scene: Stage, dialect: Dialect
) -> None:
    """Not every gateway has them; the WebSocket's own pings tell enough."""
    session = await scene.gateway.session(1)
    await scene.bell.until(lambda: session.received.count({"type": "ping"}) >= 3)
    await session.is_heard()
    assert scene.stream.counters.connections_lost == 0, dialect


@in_every_dialect(keepalive_interval_ms=20, keepalive_timeout_ms=200, uplink_frames_max=10)
async def test_network_that_takes_nothing_any_more_is_found_out(
    scene: Stage, dialect: Dialect
) -> None:
    """Also where no question of ours was ever answered: it cannot even be put."""
    session = await scene.gateway.session(1)
    await scene.open_turn(1)
    session.fall_silent()
    while not scene.stream.counters.uplink_overflowed:
        scene.stream.send(bytes(640), captured_ms=0)
        await asyncio.sleep(0)
    await scene.loop.until("stream_lost", turn=1)
    assert scene.stream.counters.connections_lost == 1, dialect
    session.listen_again()


# Another toy.


@in_every_dialect()
async def test_other_toy_connects_anew(scene: Stage, dialect: Dialect) -> None:
    """At once where no turn is under way; the same toy again is no news."""
    first = await scene.gateway.session(1)
    await scene.loop.until("link_up")
    scene.stream.set_toy("toy-1")
    await first.is_heard()
    scene.stream.set_toy("toy-2")
    second = await scene.gateway.session(2)
    assert second.headers["X-Toy-ID"] == "toy-2"
    assert second.received[0]["toyId"] == "toy-2"
    assert second.path.endswith("/ws/device-1/toy-2" if dialect == "gateway" else "/audio-stream")
    await first.end()
    await scene.loop.until("link_up", count=2)
    assert "link_down" not in scene.loop.names
    await scene.hold_turn(1, 2, b"reply")


@in_every_dialect()
async def test_turn_is_held_to_its_end_as_the_old_toy(scene: Stage, dialect: Dialect) -> None:
    """Then the new one connects, however the turn ended."""
    await ask(scene)
    scene.stream.set_toy("toy-2")
    await scene.gateway.sessions[0].reply(b"reply")
    await scene.playback.until_end(1)
    assert len(scene.gateway.sessions) == 1
    scene.perform("end_turn", turn=1, outcome="answered")
    assert (await scene.gateway.session(2)).headers["X-Toy-ID"] == "toy-2"
    await ask(scene, turn=2, session=2)
    scene.stream.set_toy("toy-3")
    scene.perform("end_turn", turn=2, outcome="interrupted")
    assert (await scene.gateway.session(3)).headers["X-Toy-ID"] == "toy-3"
    await scene.hold_turn(3, 3, b"reply")
    assert len(scene.gateway.sessions) == 3, dialect


@on_loop
async def test_toy_that_cannot_be_named_is_refused() -> None:
    """The one before stays, and so does the connection."""
    async with stage() as scene:
        session = await scene.gateway.session(1)
        with pytest.raises(CredentialError, match="toy's id cannot be sent"):
            scene.stream.set_toy("a b")
        await session.is_heard()
        assert len(scene.gateway.sessions) == 1


@on_loop
async def test_turn_that_waits_in_vain_gives_way_to_the_other_toy() -> None:
    """The attempt was made as the old one."""
    async with stage(token=None, open_timeout_ms=200) as scene:
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("token")
        await scene.bell.until(lambda: scene.gateway.attempts == 2)
        scene.perform("open_stream", turn=1)
        scene.stream.set_toy("toy-2")
        await scene.loop.until("stream_failed", turn=1)
        scene.gateway.gate.set()
        await scene.loop.until("link_up")
        assert scene.gateway.sessions[-1].headers["X-Toy-ID"] == "toy-2"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_connection_is_one_toys(dialect: Dialect) -> None:
    """Address, headers and handshake name the same, also if it changes before the first is sent."""

    @on_loop
    async def scene_of_a_change() -> None:
        async with stage(dialect=dialect, token=None) as scene:
            scene.stream.set_token("token")
            scene.perform("open_stream", turn=1)
            scene.stream.set_toy("toy-2")
            session = await scene.gateway.session(1)
            assert session.headers["X-Toy-ID"] == session.received[0]["toyId"] == "toy-1"
            assert dialect != "gateway" or session.path.endswith("/toy-1")

    scene_of_a_change()


@on_loop
async def test_other_toy_is_taken_up_by_the_next_attempt() -> None:
    """Where there is no connection there is none to replace; one under way is begun again."""
    async with stage(token=None) as scene:
        scene.stream.set_toy("toy-2")
        scene.gateway.gate = asyncio.Event()
        scene.stream.set_token("token")
        await scene.bell.until(lambda: scene.gateway.attempts == 1)
        scene.stream.set_toy("toy-3")
        await scene.bell.until(lambda: scene.gateway.attempts == 2)
        scene.gateway.gate.set()
        await scene.loop.until("link_up")
        assert scene.gateway.sessions[-1].headers["X-Toy-ID"] == "toy-3"


# The end of a reply that is wrapped otherwise.


@on_loop
async def test_last_piece_may_come_with_the_end() -> None:
    """In both dialects that write texts."""
    for dialect, piece in (
        ("seed", reply_packet(b"last", isFinal=True)),
        ("gateway", wrapped(b"last", is_final=True)),
    ):
        async with stage(dialect=dialect) as scene:
            await ask(scene)
            await scene.gateway.sessions[0].send(piece)
            await scene.playback.until_end(1)
            assert scene.playback.of_turn(1) == [b"last"]


@on_loop
async def test_reply_end_before_the_final_marker_is_nothing() -> None:
    """Nobody has asked yet."""
    async with stage(dialect="binary") as scene:
        session = await scene.gateway.session(1)
        await scene.open_turn(1)
        await session.send(reply_end("binary"))
        await session.is_heard()
        assert scene.playback.ends == []
