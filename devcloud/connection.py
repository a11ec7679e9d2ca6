"""One device on one connection of the audio stream.

What the messages mean is in ``dialects``; what an utterance must be like, in ``uplink``; how a
reply is said, in ``answer``. Each connection has one reader and at most one reply at a time. In the
seed and gateway dialects the connection is the fence between turns, and speech during a reply is
refused. In the binary dialect a message of a newer turn ends the older one, and what comes of the
older one afterwards is counted and dropped.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from devcloud.answer import Answer
from devcloud.call_faults import STREAM
from devcloud.dialects.binary import BinaryDialect
from devcloud.dialects.messages import (
    AudioChunk,
    Cancel,
    ErrorCode,
    Handshake,
    Message,
    Ping,
    Wire,
    is_newer,
)
from devcloud.errors import (
    MalformedMessageError,
    RecognitionError,
    SpeechError,
    UnknownFrameError,
)
from devcloud.garbage import GARBAGE

if TYPE_CHECKING:
    from devcloud.counters import Counters
    from devcloud.deployment import Deployment
    from devcloud.dialects.dialect import Dialect
    from devcloud.faults import FaultBoard
    from devcloud.heard import Heard, HeardLog
    from devcloud.late_audio import LateAudio
    from devcloud.recognition import Recogniser, Utterance
    from devcloud.sockets import Sockets
    from devcloud.speech import Speaker
    from devcloud.spoken import SpokenLog
    from devcloud.stream_options import StreamOptionsBoard
    from devcloud.tokens import Identity, Tokens
    from devcloud.turns import Turn, TurnLog
    from devcloud.uplink import Uplink

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
    options: StreamOptionsBoard
    late_audio: LateAudio
    spoken: SpokenLog
    heard: HeardLog


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection, by the headers of its upgrade."""

    connection: int
    identity: Identity
    toy_id: str
    transport: asyncio.Transport | None

    @property
    def device_id(self) -> str:
        """Which device it is."""
        return self.identity.device_id


@dataclass(slots=True)
class _Reply:
    """A reply on its way, and the turn that it answers."""

    turn: Turn
    task: asyncio.Task[None]

    @property
    def under_way(self) -> bool:
        return not self.task.done()


class Connection:
    """One connection, from its upgrade to its end."""

    def __init__(
        self,
        services: Services,
        peer: Peer,
        socket: web.WebSocketResponse,
        dialect: Dialect,
        uplink: Uplink,
    ) -> None:
        self._services = services
        self._peer = peer
        self._socket = socket
        self.dialect = dialect
        self._uplink = uplink
        self._answer = Answer(services, self)
        self.welcomed = False
        self._malformed_messages = 0
        self._number: int | None = None
        """The turn that was last begun, in a dialect that numbers them."""
        self._turn_over = False
        self._turn: Turn | None = None
        self._utterance: Utterance | None = None
        self._heard: Heard | None = None
        self._reply: _Reply | None = None
        self._loop = asyncio.get_running_loop()
        self._dismissal: asyncio.Task[None] | None = None
        self._outdated: set[asyncio.Task[None]] = set()
        """Replies that go on on command although they are not wanted any more."""

    @property
    def device_id(self) -> str:
        """Which device it is."""
        return self._peer.device_id

    @property
    def toy_id(self) -> str:
        """Which toy the device carries."""
        return self._peer.toy_id

    async def run(self) -> None:
        """Read what the device sends until it is gone."""
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S) as patience:
                async for message in self._socket:
                    await self._receive(message)
                    if self.welcomed:
                        patience.reschedule(None)
        except TimeoutError:
            await self._close("no handshake")
        except ConnectionError:
            # Gone, or cut, while it was being answered.
            pass
        finally:
            await self._drop_utterance()
            replies = {*self._outdated, *([self._reply.task] if self._reply else [])}
            for reply in replies:
                await _stop(reply)
            if self._dismissal:
                await self._dismissal

    async def send(self, message: Wire) -> None:
        """Send one message.

        Raises:
            ConnectionError: the device is gone.
        """
        await self._send(message)
        if self._services.faults.strike("duplicate_delivery", STREAM):
            await self._send(message)

    async def litter(self) -> None:
        """Send what is no message, if there is a fault that says so; raises as ``send``."""
        if fault := self._services.faults.strike("garbage", STREAM):
            garbage = GARBAGE[fault.kind or ""]()
            # Whether it is text, UTF-8 that is, nobody looks.
            await self._socket.send_frame(garbage, WSMsgType.TEXT)
            if self.dialect.name == BinaryDialect.name:
                await self._socket.send_bytes(garbage)

    async def _send(self, message: Wire) -> None:
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def send_late(self, turn: int | None) -> None:
        """Send audio of an earlier reply again, as that turn's; raises as ``send``."""
        await self._answer.repeat(self._number if turn is None else turn)

    def look_at_token(self) -> None:
        """Find out whether the token was revoked, and end the connection if so; any thread."""
        if self._services.tokens.is_revoked(self._peer.identity):
            self._loop.call_soon_threadsafe(self._dismiss_revoked)

    async def dismiss(self, code: ErrorCode, reason: str) -> None:
        """Say why, and close the connection; raises as ``send``."""
        await self.send(self.dialect.error(code, reason, None))
        await self._close(code.value)

    def _dismiss_revoked(self) -> None:
        if self._dismissal is None:
            self._dismissal = self._loop.create_task(self._say_revoked())

    async def _say_revoked(self) -> None:
        with suppress(ConnectionError):
            await self.dismiss(ErrorCode.AUTH_FAILED, "the token was revoked")

    def cut_if_due(self, fault: str, count: int) -> None:
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

    async def _receive(self, message: WSMessage) -> None:
        if message.type is WSMsgType.ERROR:
            # Too long, or no WebSocket at all; the socket has closed itself.
            self._services.counters.malformed_messages += 1
            return
        turn = None
        try:
            told = self.dialect.read(message.data)
            turn = told.turn if isinstance(told, AudioChunk) else None
            await self._act_on(told)
        except MalformedMessageError as error:
            self._services.counters.malformed_messages += 1
            self._malformed_messages += 1
            if not isinstance(error, UnknownFrameError):
                await self.send(self.dialect.error(ErrorCode.AUDIO_ERROR, str(error), turn))
            if self._malformed_messages == MALFORMED_MESSAGES_MAX:
                await self._close("too many malformed messages")

    async def _act_on(self, message: Message) -> None:
        match message:
            case Ping():
                await self.send(self.dialect.pong())
            case Handshake():
                await self._welcome(message)
            case AudioChunk():
                await self._hear(message)
            case Cancel():
                await self._cancel(message.turn)

    async def _welcome(self, handshake: Handshake) -> None:
        if self.welcomed:
            raise MalformedMessageError("there has been a handshake already")
        peer = self._peer
        if handshake.device_id != peer.device_id:
            await self.dismiss(ErrorCode.AUTH_FAILED, "not the device of the token")
        elif handshake.toy_id != peer.toy_id or not self._services.deployment.toy(
            peer.toy_id, peer.device_id
        ):
            await self.dismiss(ErrorCode.TOY_NOT_FOUND, "the device has no such toy")
        else:
            if handshake.binary and self._services.options.now.binary:
                self.dialect = BinaryDialect()
            self.welcomed = True
            await self.send(self.dialect.handshake_ack(uuid.uuid4().hex))

    async def _hear(self, chunk: AudioChunk) -> None:
        if not self.welcomed:
            raise MalformedMessageError("the first message must be a handshake")
        if chunk.turn is None:
            wanted = await self._make_room(chunk)
        else:
            wanted = await self._follow(chunk.turn)
        if not wanted:
            return
        try:
            pcm = self._uplink.take(chunk)
        except MalformedMessageError:
            self._turn_over = True
            await self._drop_utterance()
            raise
        if pcm is not None:
            try:
                await self._feed(chunk, pcm)
            except RecognitionError as error:
                self._utterance = None
                self._uplink.pass_over(chunk)
                await self.send(self.dialect.error(ErrorCode.AUDIO_ERROR, str(error), chunk.turn))

    async def _make_room(self, chunk: AudioChunk) -> bool:
        """See to it that no reply is under way; tell whether the chunk is to be heard.

        Raises:
            MalformedMessageError: a reply is under way, which is said once for each utterance.
        """
        if not (self._reply and self._reply.under_way):
            return True
        if self._services.late_audio.strikes(self.device_id, None):
            await self._leave_turn()
            return True
        said_already = self._uplink.passing_over and chunk.sequence != 0
        self._uplink.pass_over(chunk)
        if said_already:
            return False
        raise MalformedMessageError(
            "a reply is under way: to interrupt it, open another connection"
        )

    async def _follow(self, number: int) -> bool:
        """Go on to a newer turn if the number says so; tell whether it is the present one's."""
        if self._number is None or is_newer(number, self._number):
            await self._leave_turn()
            self._number, self._turn_over = number, False
            self._uplink.begin()
        elif number != self._number or self._turn_over:
            self._services.counters.outdated_messages += 1
            return False
        return True

    async def _cancel(self, number: int) -> None:
        if self._number is not None and is_newer(self._number, number):
            self._services.counters.outdated_messages += 1
            return
        # Also one whose speech has not come yet, and now is not wanted any more.
        await self._leave_turn()
        self._number, self._turn_over = number, True

    async def _leave_turn(self) -> None:
        """End what is under way, unless it is to go on on command."""
        if self._utterance and self._turn:
            self._turn.cancelled = True
        await self._drop_utterance()
        reply, self._reply = self._reply, None
        if reply is None or not reply.under_way:
            return
        reply.turn.cancelled = True
        if self._services.late_audio.takes(self.device_id, reply.turn.turn):
            self._outdated.add(reply.task)
            reply.task.add_done_callback(self._outdated.discard)
        else:
            await _stop(reply.task)

    async def _feed(self, chunk: AudioChunk, pcm: bytes) -> None:
        begins = chunk.turn is None and chunk.sequence == 0
        if not (self._turn and self._utterance and self._heard) or begins:
            self._turn = self._services.turns.begin(
                self._peer.connection, self.dialect.name, chunk.turn
            )
            self._heard = self._services.heard.begin(self._turn)
            self._utterance = await self._services.recogniser.begin()
        self._heard.add(chunk, pcm)
        self._turn.chunks = self._uplink.chunks
        self._turn.missing_chunks = self._uplink.missing_chunks
        self._turn.utterance_ms = self._uplink.duration_ms
        if pcm:
            await self._utterance.feed(pcm)
            self.cut_if_due("cut_stream_after_chunks", self._uplink.chunks)
        if chunk.is_final:
            self._turn_over = True
            reply = self._reply_to(self._turn, self._utterance)
            self._reply = _Reply(self._turn, asyncio.create_task(reply))
            self._utterance = None

    async def _reply_to(self, turn: Turn, utterance: Utterance) -> None:
        # A device that is gone, or was cut off, is found out about by the reader as well.
        with suppress(ConnectionError):
            try:
                await self._answer.give(turn, utterance)
            except (RecognitionError, SpeechError) as error:
                turn.error = ErrorCode.AUDIO_ERROR.value
                await self.send(self.dialect.error(ErrorCode.AUDIO_ERROR, str(error), turn.turn))

    async def _drop_utterance(self) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance:
            await utterance.cancel()

    async def _close(self, reason: str) -> None:
        await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason.encode())


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
