"""The stream gateway: a device's speech comes in over a WebSocket, a spoken reply goes out.

What the messages mean is in ``dialect``; what an utterance must be like, in ``uplink``. Each
connection has one reader and at most one reply at a time. The token is looked at when a connection
is made; one that expires later does not end it.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from devcloud import dialect
from devcloud.dialect import AudioChunk, ErrorCode, Handshake, Ping
from devcloud.errors import MalformedMessageError, RecognitionError, SpeechError, TokenError
from devcloud.opus import Decoder, Encoder
from devcloud.replies import choose_reply
from devcloud.tokens import Audience, Tokens
from devcloud.uplink import Uplink

if TYPE_CHECKING:
    from devcloud.counters import Counters
    from devcloud.deployment import Deployment
    from devcloud.faults import FaultBoard
    from devcloud.recognition import Recogniser, Utterance
    from devcloud.sockets import Sockets
    from devcloud.speech import Speaker, Speech
    from devcloud.turns import Turn, TurnLog

PATH: Final = "/audio-stream"
DEVICE_TYPE: Final = "raspberry-pi-zero-2w"

CONNECTIONS_MAX: Final = 64
MALFORMED_MESSAGES_MAX: Final = 100
"""So many on one connection, and it is closed: nobody is learning anything any more."""

HANDSHAKE_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Services:
    """What every connection needs."""

    deployment: Deployment
    tokens: Tokens
    faults: FaultBoard
    turns: TurnLog
    counters: Counters
    recogniser: Recogniser
    speaker: Speaker
    sockets: Sockets


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection, by the headers of its upgrade."""

    connection: int
    device_id: str
    toy_id: str
    transport: asyncio.Transport | None


class Gateway:
    """The route that upgrades to the audio stream."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._numbers = itertools.count(1)

    def routes(self) -> list[web.RouteDef]:
        """List the routes to register."""
        return [web.get(PATH, self._serve)]

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        counters = self._services.counters
        try:
            peer = self._admit(request)
        except web.HTTPException:
            counters.refused_upgrades += 1
            raise
        socket = await self._services.sockets.accept(request)
        counters.connections += 1
        counters.connections_open += 1
        try:
            with Decoder() as decoder:
                await _Connection(self._services, peer, socket, Uplink(decoder)).run()
        finally:
            counters.connections_open -= 1
        return socket

    def _admit(self, request: web.Request) -> Peer:
        """Check the headers of an upgrade, and note who it is."""
        headers = request.headers
        if self._services.faults.now.refuse_auth:
            self._services.faults.struck("refuse_auth")
            raise web.HTTPUnauthorized(text="refused on command")
        try:
            identity = self._services.tokens.verify_header(
                headers.get("Authorization"), Audience.STREAM
            )
        except TokenError as error:
            raise web.HTTPUnauthorized(text=str(error)) from None
        if identity is None or identity.device_id != headers.get("X-Device-ID"):
            raise web.HTTPUnauthorized(text="X-Device-ID must be the device of the Bearer token")
        if headers.get("X-Device-Type") != DEVICE_TYPE or "X-Toy-ID" not in headers:
            raise web.HTTPBadRequest(text=f"X-Device-Type must be {DEVICE_TYPE}, X-Toy-ID is due")
        if self._services.counters.connections_open >= CONNECTIONS_MAX:
            raise web.HTTPServiceUnavailable(text=f"{CONNECTIONS_MAX} connections are open")
        return Peer(next(self._numbers), identity.device_id, headers["X-Toy-ID"], request.transport)


class _Connection:
    """One device on one connection, whose generation is the fence between turns."""

    def __init__(
        self,
        services: Services,
        peer: Peer,
        socket: web.WebSocketResponse,
        uplink: Uplink,
    ) -> None:
        self._services = services
        self._peer = peer
        self._socket = socket
        self._uplink = uplink
        self._welcomed = False
        self._malformed_messages = 0
        self._turn: Turn | None = None
        self._utterance: Utterance | None = None
        self._reply: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Read what the device sends until it is gone."""
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S) as patience:
                async for message in self._socket:
                    await self._receive(message)
                    if self._welcomed:
                        patience.reschedule(None)
        except TimeoutError:
            await self._close("no handshake")
        except ConnectionError:
            # Gone, or cut, while it was being answered.
            pass
        finally:
            await self._drop_utterance()
            if self._reply:
                self._reply.cancel()
                with suppress(asyncio.CancelledError):
                    await self._reply

    async def _receive(self, message: WSMessage) -> None:
        if message.type is WSMsgType.ERROR:
            # Too long, or no WebSocket at all; the socket has closed itself.
            self._services.counters.malformed_messages += 1
            return
        try:
            # Messages are texts: a binary one is none, whatever is in it.
            text = message.data if message.type is WSMsgType.TEXT else ""
            await self._act_on(dialect.parse(text))
        except MalformedMessageError as error:
            self._services.counters.malformed_messages += 1
            self._malformed_messages += 1
            await self._send(dialect.error(ErrorCode.AUDIO_ERROR, str(error)))
            if self._malformed_messages == MALFORMED_MESSAGES_MAX:
                await self._close("too many malformed messages")

    async def _act_on(self, message: dialect.Message) -> None:
        match message:
            case Ping():
                await self._send(dialect.pong())
            case Handshake():
                await self._welcome(message)
            case AudioChunk():
                await self._hear(message)

    async def _welcome(self, handshake: Handshake) -> None:
        if self._welcomed:
            raise MalformedMessageError("there has been a handshake already")
        peer = self._peer
        if handshake.device_id != peer.device_id:
            await self._send(dialect.error(ErrorCode.AUTH_FAILED, "not the device of the token"))
            await self._close("AUTH_FAILED")
        elif handshake.toy_id != peer.toy_id or not self._services.deployment.toy(
            peer.toy_id, peer.device_id
        ):
            await self._send(dialect.error(ErrorCode.TOY_NOT_FOUND, "the device has no such toy"))
            await self._close("TOY_NOT_FOUND")
        else:
            self._welcomed = True
            await self._send(dialect.handshake_ack())

    async def _hear(self, chunk: AudioChunk) -> None:
        if not self._welcomed:
            raise MalformedMessageError("the first message must be a handshake")
        if self._reply and not self._reply.done():
            said_already = self._uplink.passing_over and chunk.sequence != 0
            self._uplink.pass_over(chunk)
            if said_already:
                return
            raise MalformedMessageError(
                "a reply is under way: to interrupt it, open another connection"
            )
        try:
            pcm = self._uplink.take(chunk)
        except MalformedMessageError:
            await self._drop_utterance()
            raise
        if pcm is not None:
            try:
                await self._feed(chunk, pcm)
            except RecognitionError as error:
                self._utterance = None
                self._uplink.pass_over(chunk)
                await self._send(dialect.error(ErrorCode.AUDIO_ERROR, str(error)))

    async def _feed(self, chunk: AudioChunk, pcm: bytes) -> None:
        if chunk.sequence == 0 or not (self._turn and self._utterance):
            self._turn = self._services.turns.begin(self._peer.connection)
            self._utterance = await self._services.recogniser.begin()
        self._turn.chunks = self._uplink.chunks
        self._turn.utterance_ms = self._uplink.duration_ms
        if pcm:
            await self._utterance.feed(pcm)
            self._cut_if_due("cut_stream_after_chunks", self._uplink.chunks)
        if chunk.is_final:
            ended_s = asyncio.get_running_loop().time()
            self._reply = asyncio.create_task(self._answer(self._turn, self._utterance, ended_s))
            self._utterance = None

    async def _answer(self, turn: Turn, utterance: Utterance, ended_s: float) -> None:
        # A device that is gone, or was cut off, is found out about by the reader as well.
        with suppress(ConnectionError):
            try:
                await self._reply_to(turn, utterance, ended_s)
            except (RecognitionError, SpeechError) as error:
                await self._send(dialect.error(ErrorCode.AUDIO_ERROR, str(error)))

    async def _reply_to(self, turn: Turn, utterance: Utterance, ended_s: float) -> None:
        faults = self._services.faults
        turn.transcript = await utterance.finish()
        if faults.now.no_reply:
            faults.struck("no_reply")
            return
        if faults.now.reply_delay_ms:
            faults.struck("reply_delay_ms")
            await asyncio.sleep(faults.now.reply_delay_ms / 1000)
        turn.reply = choose_reply(turn.transcript)
        await self._send(dialect.transcript(turn.transcript))
        await self._send(dialect.text_response(turn.reply))
        speech = await self._services.speaker.speak(turn.reply)
        await self._speak(speech, turn, ended_s)

    async def _speak(self, speech: Speech, turn: Turn, ended_s: float) -> None:
        now_s = asyncio.get_running_loop().time
        begun_s = now_s()
        with Encoder() as encoder:
            for sequence, frame in enumerate(speech.frames()):
                self._cut_if_due("cut_reply_after_packets", sequence)
                packet = encoder.encode(frame)
                await asyncio.sleep(begun_s + dialect.packet_due_s(sequence) - now_s())
                await self._send(dialect.audio_response(packet, sequence))
                turn.reply_packets_sent = sequence + 1
                if sequence == 0:
                    turn.first_packet_ms = round((now_s() - ended_s) * 1000, 1)
        self._cut_if_due("cut_reply_after_packets", turn.reply_packets_sent)
        await self._send(dialect.audio_response(b"", turn.reply_packets_sent, is_final=True))
        turn.completed = True

    def _cut_if_due(self, fault: str, count: int) -> None:
        """Abort the connection if the fault says so after that many.

        Raises:
            ConnectionAbortedError: it was aborted. Messages that had arrived before are not looked
                at: a cut is a cut.
        """
        limit: int | None = getattr(self._services.faults.now, fault)
        if limit is not None and count >= limit:
            self._services.faults.struck(fault)
            if self._peer.transport:
                self._peer.transport.abort()
            raise ConnectionAbortedError("cut on command")

    async def _drop_utterance(self) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance:
            await utterance.cancel()

    async def _send(self, message: str) -> None:
        await self._socket.send_str(message)

    async def _close(self, reason: str) -> None:
        await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason.encode())
