"""One connection to the gateway, from dialling to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from firmware.stream.codec import utf8_bytes
from firmware.stream.messages import Cancel, Dropped, HandshakeAck, Ping, Pong, SignOfLife
from hardware.pcm import FRAME_MS

if TYPE_CHECKING:
    from asyncio import Future

    from websockets.asyncio.client import ClientConnection

    from firmware.stream.codec import Codec
    from firmware.stream.counters import Counters
    from firmware.stream.dialects.choice import Dialects
    from firmware.stream.dialler import Dialler
    from firmware.stream.messages import Handshake, Incoming

_log: Final = logging.getLogger(__name__)

_REFUSALS: Final = (401, 403)
"""HTTP statuses that are about the token (RFC 9110, sections 15.5.2 and 15.5.4)."""


class End(NamedTuple):
    """How a connection ended, where it was not we who ended it.

    `was_open` tells a lost connection from a failed attempt; `is_refused` is the refusal of the
    token; `cause` is for a person and holds no words of the gateway's own.
    """

    was_open: bool
    is_refused: bool
    cause: str


class Owner(Protocol):
    """Whom a connection tells what happens to it; never again after `fence`."""

    def connection_opened(self) -> None:
        """Note that the handshake has been sent, and the dialect is settled."""
        ...

    def connection_received(self, message: Incoming) -> None:
        """Take a message."""
        ...

    def connection_flushed(self, turn: int) -> None:
        """Note that the turn's utterance has been handed to the socket, final marker and all."""
        ...

    def connection_ended(self, end: End) -> None:
        """Note that it is over. The last call."""
        ...


class Connection:
    """One connection: begins to dial when it is made, lives in one task, ends for good.

    Args:
        dialler: How to get there.
        token: What to show there.
        handshake: Who we are.
        dialects: What can be spoken.
        counters: Where its traffic is counted.
        owner: Whom it tells.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts it is composed of
        self,
        dialler: Dialler,
        token: str,
        handshake: Handshake,
        dialects: Dialects,
        counters: Counters,
        owner: Owner,
    ) -> None:
        self.token = token
        self.toy_id = handshake.toy_id
        self.codec: Codec = dialects.first
        """The dialect that is spoken on it; settled once it is open, but for a late answer."""
        self._dialler = dialler
        self._handshake = handshake
        self._dialects = dialects
        self._counters = counters
        self._owner = owner
        self._cancel: str | bytes | None = None
        self._speech: deque[str | bytes] = deque()
        self._final: tuple[int, str | bytes] | None = None
        self._delivery: tuple[int, Future[float]] | None = None
        self._owes_pong = False
        self._owes_ping = False
        self._answers_pings = False
        self._ping_is_out = asyncio.Event()
        self._has_work = asyncio.Event()
        self._has_life = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._answer: HandshakeAck | None = None
        self._has_spoken = False
        self._is_fenced = False
        self._socket: ClientConnection | None = None
        self.task = asyncio.get_running_loop().create_task(self._run(), name="stream connection")
        """Done when nothing is left of the connection. It never fails."""

    @property
    def backlog_ms(self) -> int:
        """How much speech waits for the network to take it."""
        return FRAME_MS * len(self._speech)

    def speak(self, data: str | bytes) -> None:
        """Queue an encoded packet of speech; on a slow network the oldest gives way."""
        self._has_spoken = True
        if len(self._speech) >= self._dialler.settings.uplink_frames_max:
            self._speech.popleft()
            self._counters.uplink_overflowed += 1
        self._speech.append(data)
        self._has_work.set()

    def finish(self, turn: int, data: str | bytes) -> None:
        """Queue the turn's encoded final marker behind the speech."""
        self._has_spoken = True
        self._final = turn, data
        self._has_work.set()

    def has_delivered(self, turn: int) -> bool:
        """Tell whether the other end has said that it has all of the turn's utterance.

        So there is nothing of it on its way, and somebody is there.
        """
        if self._delivery is None:
            return False
        number, pong = self._delivery
        return number == turn and pong.done() and not pong.cancelled() and pong.exception() is None

    def cancel(self, turn: int) -> None:
        """Tell the gateway that a turn is over whose utterance was delivered."""
        self._cancel = self.codec.encode(Cancel(turn))
        self._has_work.set()

    def fence(self) -> None:
        """End it now, without a closing handshake; not one more message comes of it.

        What the kernel has not taken yet is not sent. Harmless at any time.
        """
        self._is_fenced = True
        self.task.cancel()
        if self._socket is not None:
            self._socket.transport.abort()

    async def _run(self) -> None:
        end = await self._lived()
        if self._is_fenced:
            return
        try:
            self._owner.connection_ended(end)
        except Exception as error:  # noqa: BLE001 - a defect elsewhere: shown, and no more
            self._show_defect(error)

    async def _lived(self) -> End:
        """Dial, talk, and return how that ended."""
        try:
            socket = await self._opened()
            await self._talk(socket)
            return self._end(f"closed with code {socket.close_code}")
        except InvalidStatus as error:
            status = error.response.status_code
            return self._end(f"refused with HTTP status {status}", is_refused=status in _REFUSALS)
        except OSError as error:
            return self._end(str(error) or type(error).__name__)
        except (InvalidHandshake, ConnectionClosed, EOFError, UnicodeError) as error:
            return self._end(type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a defect: shown, and the toy goes on
            self._show_defect(error)
            return self._end("a defect of the firmware")
        finally:
            if self._socket is not None:
                self._socket.transport.abort()
                await self._socket.wait_closed()

    def _end(self, cause: str, *, is_refused: bool = False) -> End:
        return End(self._is_settled.is_set(), is_refused, cause)

    async def _opened(self) -> ClientConnection:
        open_timeout_ms = self._dialler.settings.open_timeout_ms
        try:
            async with asyncio.timeout(open_timeout_ms / 1000):
                self._socket = await self._dialler.dial(self.token, self.toy_id)
                await self._send(self._socket, self.codec.encode(self._handshake))
                return self._socket
        except TimeoutError:
            raise TimeoutError(f"no answer within {open_timeout_ms} ms") from None

    async def _talk(self, socket: ClientConnection) -> None:
        """Read and write until the connection is closed."""
        if not self._dialects.is_open_question:
            self._settle(self.codec)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._await_answer(), name="stream dialect")
                tasks.create_task(self._keep_alive(socket), name="stream keep-alive")
                tasks.create_task(self._read(socket), name="stream reader")
                tasks.create_task(self._write(socket), name="stream writer")
        except* ConnectionClosed:
            pass
        finally:
            if self._is_settled.is_set() and self._answer is None:
                self._dialects.note(None)

    async def _await_answer(self) -> None:
        """Settle the dialect when the gateway has had its time to name one."""
        try:
            async with asyncio.timeout(self._dialler.settings.hello_timeout_ms / 1000):
                await self._is_settled.wait()
        except TimeoutError:
            # The answer may have come in this very moment.
            if not self._is_fenced and not self._is_settled.is_set():
                self._settle(self._dialects.agreed(None))

    def _settle(self, codec: Codec) -> None:
        self.codec = codec
        self._is_settled.set()
        self._owner.connection_opened()

    def _take_answer(self, answer: HandshakeAck, socket: ClientConnection) -> None:
        """Speak as the gateway does, from now on.

        On a slow network the answer comes when the dialect was settled without it. The gateway has
        been speaking as it said since then, and what it has heard meanwhile was noise to it: then
        nothing can come of this connection. The next one begins with what was learned.
        """
        self._answer = answer
        self._dialects.note(answer)
        if not self._dialects.is_open_question:
            return
        codec = self._dialects.agreed(answer)
        if not self._is_settled.is_set():
            self._settle(codec)
        elif codec is not self.codec:
            if self._has_spoken:
                socket.transport.abort()
            self.codec = codec

    async def _keep_alive(self, socket: ClientConnection) -> None:
        """Ask the gateway itself, beside the pings that its WebSocket answers on its behalf.

        One that has never answered such a question is not expected to. But the network must have
        taken the question: `websockets` asks its own only once it can, and waits for ever for that.
        """
        settings = self._dialler.settings
        while True:
            await asyncio.sleep(settings.keepalive_interval_ms / 1000)
            self._has_life.clear()
            self._ping_is_out.clear()
            self._owes_ping = True
            self._has_work.set()
            try:
                async with asyncio.timeout(settings.keepalive_timeout_ms / 1000):
                    await self._ping_is_out.wait()
                    await self._has_life.wait()
            except TimeoutError:
                is_silent = self._answers_pings and not self._has_life.is_set()
                if is_silent or not self._ping_is_out.is_set():
                    socket.transport.abort()
                    return

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            data = await socket.recv()
            if self._is_fenced:
                # It had come already when the fence went up; the task's end is still on its way.
                return
            self._counters.messages_down += 1
            self._counters.bytes_down += utf8_bytes(data)
            self._take(self.codec.receive(data), socket)
            # While messages are waiting `recv` does not give way to others.
            await asyncio.sleep(0)

    def _take(self, message: Incoming | Dropped, socket: ClientConnection) -> None:
        self._has_life.set()
        match message:
            case Dropped():
                self._counters.messages_dropped += 1
                if self.codec.drops[message.reason] == 1:
                    _log.warning(
                        "dropped a message from the gateway: %s %s", message.reason, message.field
                    )
            case Ping():
                self._owes_pong = True
                self._has_work.set()
            case Pong():
                self._answers_pings = True
            case SignOfLife():
                pass
            case HandshakeAck():
                if self._answer is None:
                    self._take_answer(message, socket)
            case _:
                self._owner.connection_received(message)

    async def _write(self, socket: ClientConnection) -> None:
        # That the connection is closed is for the reader to find, after the last message.
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                await self._write_all(socket)

    async def _write_all(self, socket: ClientConnection) -> None:
        while True:
            if self._owes_pong:
                self._owes_pong = False
                await self._send(socket, self.codec.encode(Pong()))
            elif self._owes_ping:
                self._owes_ping = False
                await self._send(socket, self.codec.encode(Ping()))
                self._ping_is_out.set()
            elif self._cancel is not None:
                cancel, self._cancel = self._cancel, None
                await self._send(socket, cancel)
            elif self._speech:
                await self._send(socket, self._speech.popleft())
            elif self._final is not None:
                (turn, final), self._final = self._final, None
                await self._send(socket, final)
                if not self._is_fenced:
                    self._owner.connection_flushed(turn)
                    # Whoever answers this has had all that came before.
                    self._delivery = turn, asyncio.ensure_future(await socket.ping())
            else:
                return
            # While the network takes it `send` does not give way to others.
            await asyncio.sleep(0)

    async def _send(self, socket: ClientConnection, data: str | bytes) -> None:
        await socket.send(data)
        self._counters.messages_up += 1
        self._counters.bytes_up += utf8_bytes(data)

    def _show_defect(self, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a defect in the audio stream", "exception": error}
        )
