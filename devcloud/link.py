"""One connection through the relay: the client's end, the server's, and a pipe each way."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from devcloud.network_faults import NetworkBoard, NetworkFault

SEGMENT_BYTES: Final = 1448
"""What a TCP segment holds over Ethernet, with timestamps."""

RETRANSMIT_S: Final = 0.2
"""Linux' shortest time until a lost segment is sent again; doubled for each time it is lost."""

RETRANSMITS_MAX: Final = 6
"""So often one segment is lost at most, which takes 12.6 s."""

QUEUE_BYTES_MAX: Final = 1 << 18
"""So much waits in a pipe; then its source is not read any further, as on a slow network."""

REQUEST_LINE_BYTES_MAX: Final = 1024
"""Whoever has not ended its first line by then speaks no protocol of ours."""

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: the connection is reset instead of closed."""


def channel_of(head: bytes) -> str | None:
    """Tell a connection's channel by its first bytes; None if there are too few of them yet."""
    line, ended, _ = head.partition(b"\r\n")
    if not ended and len(head) < REQUEST_LINE_BYTES_MAX:
        return None
    words = line.split(b" ")
    path = words[1].partition(b"?")[0] if len(words) > 1 else b""
    if path == b"/audio-stream" or path.startswith(b"/ws/"):
        return "stream"
    if path.startswith(b"/api/") and path.endswith(b"/sync"):
        return "sync"
    return "http"


class Link:
    """One connection; made when it is accepted.

    ``channel`` is None as long as it is not known, and no rule for a single channel strikes.
    ``server_socket`` is what the server's end is made of.
    """

    def __init__(
        self,
        board: NetworkBoard,
        chance: Random,
        channel: str | None,
        server_socket: socket.socket,
    ) -> None:
        self.board = board
        self.chance = chance
        self.channel = channel
        self._server_socket = server_socket
        self.accepted = board.generation
        self.client, self.server = End(self), End(self)
        self.up = Pipe(self, "up", self.client, self.server)
        self.down = Pipe(self, "down", self.server, self.client)
        self.client.out, self.client.into = self.up, self.down
        self.server.out, self.server.into = self.down, self.up
        self.closed = asyncio.Event()
        self._head = b""
        self._is_cut = False
        self._silenced_by: set[str] = set()

    @property
    def is_silent(self) -> bool:
        """Tell whether nothing passes any more in one direction at least."""
        return self.up.is_silent or self.down.is_silent

    def apply_faults(self) -> None:
        """Take over the rules that are in force."""
        self.up.apply_faults()
        self.down.apply_faults()

    def received(self, end: End, data: bytes) -> None:
        """Pass bytes on, or find out first what the connection is for."""
        if end is self.client and self.channel is None:
            self._head += data
            self.channel = channel_of(self._head)
            if self.channel is None:
                return
            data, self._head = self._head, b""
            self.apply_faults()
        end.out.feed(data)

    def finished(self, end: End) -> None:
        """Pass on that an end sends nothing any more."""
        if end.out.is_silent:
            # The other end is never told; this one has nobody left to wait for.
            end.close()
        elif end is self.server:
            end.out.feed(None)
        else:
            head, self._head = self._head, b""
            if head:
                end.out.feed(head)
            end.out.feed(None)

    def lost(self, end: End) -> None:
        """Let go of the other end as well, unless it is never told of anything any more."""
        if end is self.client:
            if not self.up.is_silent:
                self.server.close()
        elif not self.down.is_silent:
            self._read_leftovers()
            self.down.feed(None)
        if self.client.is_gone and self.server.is_gone:
            self.up.drop()
            self.down.drop()
            self.closed.set()

    def silenced(self, fault: str) -> None:
        """Count a connection through which nothing passes any more, once."""
        if fault not in self._silenced_by:
            self._silenced_by.add(fault)
            self.board.struck(fault)

    def cut(self, rule: NetworkFault) -> None:
        """Reset the connection, as a rule says."""
        if self._is_cut:
            return
        self._is_cut = True
        self.board.cut(rule)
        self.client.reset()
        self.abort()

    def _read_leftovers(self) -> None:
        """Pass on what the server wrote before it went.

        Where it left something unread, writing to it fails before all it wrote has been read, and
        its transport reads no further.
        """
        with suppress(OSError):
            while data := self._server_socket.recv(QUEUE_BYTES_MAX):
                self.down.feed(data)

    def abort(self) -> None:
        """End it at once."""
        self.up.drop()
        self.down.drop()
        self.client.abort()
        self.server.abort()


class End(asyncio.Protocol):
    """One end of a connection; ``out`` is the pipe that it fills, ``into`` the one to it."""

    out: Pipe
    into: Pipe

    def __init__(self, link: Link) -> None:
        self._link = link
        self._transport: asyncio.Transport | None = None
        self._is_unwanted = False
        self.is_gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; or end, if the other end is gone already."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream's is one
        self._transport = transport
        if self._is_unwanted:
            transport.abort()
        elif self is self._link.client:
            self._link.apply_faults()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self._link.received(self, data)

    def eof_received(self) -> bool:
        """Pass on that there are no more; what comes the other way still arrives."""
        self._link.finished(self)
        return True

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the connection."""
        self.is_gone = True
        self._link.lost(self)

    def pause_writing(self) -> None:
        """Have no more read than can be written."""
        self.into.is_full = True

    def resume_writing(self) -> None:
        """Go on reading."""
        self.into.is_full = False

    def write(self, data: bytes) -> None:
        """Write bytes, unless it is gone."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """Say that no more bytes follow: to the server so, to the client by closing."""
        if self is self._link.client:
            self.close()
        elif self._transport and not self._transport.is_closing():
            with suppress(OSError):
                self._transport.write_eof()

    def set_reading(self, *, on: bool) -> None:
        """Read, or leave what comes to the kernel."""
        if self._transport:
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def close(self) -> None:
        """Close it when what was written has gone out."""
        self._is_unwanted = True
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        self._is_unwanted = True
        if self._transport:
            self._transport.abort()

    def reset(self) -> None:
        """Have its end, which must follow, be a reset."""
        if self._transport and not self._transport.is_closing():
            with suppress(OSError):
                self._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET
                )


class Pipe:
    """One direction of a connection. Without a fault every piece is passed on where it arrives."""

    def __init__(self, link: Link, direction: str, source: End, sink: End) -> None:
        self._link = link
        self._direction = direction
        self._source = source
        self._sink = sink
        self.is_silent = False
        self._latency_s = self._jitter_s = self._loss = 0.0
        self._bytes_left: dict[NetworkFault, int] = {}
        """How many bytes may pass until a rule cuts the connection."""
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._queue_bytes = 0
        self._sink_is_full = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        """Tell whether the source is to wait."""
        waits = self._sink_is_full or self._queue_bytes > QUEUE_BYTES_MAX
        return waits and not self.is_silent

    @is_full.setter
    def is_full(self, sink_is_full: bool) -> None:
        self._sink_is_full = sink_is_full
        self._source.set_reading(on=not self.is_full)

    def apply_faults(self) -> None:
        """Take over the rules that mean this direction of this connection."""
        board, link = self._link.board, self._link
        rules = [
            rule
            for rule in board.rules
            if rule.strikes(link.channel, self._direction, is_new=board.is_new(rule, link.accepted))
        ]
        stalls = [rule for rule in rules if rule.accept_and_stall]
        self._latency_s = max((rule.latency_ms for rule in rules), default=0) / 1000
        self._jitter_s = max((rule.jitter_ms for rule in rules), default=0) / 1000
        self._loss = max((rule.loss_percent for rule in rules), default=0) / 100
        for fault, struck in (
            ("half_open", any(rule.half_open for rule in rules)),
            ("accept_and_stall", any(board.is_new(rule, link.accepted) for rule in stalls)),
        ):
            if struck:
                link.silenced(fault)
                self.is_silent = True
                self.drop()
        self._bytes_left = {
            rule: self._bytes_left.get(rule, rule.cut_after_bytes)
            for rule in rules
            if rule.cut_after_bytes is not None
        }
        self._cut_if_due(b"")

    def feed(self, data: bytes | None) -> None:
        """Take a piece, or None for the end; it goes on now or later, or never."""
        if self.is_silent:
            return
        if self._bytes_left and data and self._cut_if_due(data):
            return
        delay_s = self._delay_s(data)
        if not (delay_s or self._queue):
            self._pass_on(data)
            return
        now_s = asyncio.get_running_loop().time()
        # Later than what went before: TCP keeps the order.
        due_s = max(now_s + delay_s, self._queue[-1][0] if self._queue else 0.0)
        self._queue.append((due_s, data))
        self._queue_bytes += len(data or b"")
        self._wait()
        if self.is_full:
            self._source.set_reading(on=False)

    def drop(self) -> None:
        """Forget what waits."""
        self._queue.clear()
        self._queue_bytes = 0
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._source.set_reading(on=not self.is_full)

    def _pass_on(self, data: bytes | None) -> None:
        if data is None:
            self._sink.write_eof()
        else:
            self._sink.write(data)

    def _wait(self) -> None:
        if self._queue and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._queue[0][0], self._pass_on_what_is_due)

    def _pass_on_what_is_due(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        while self._queue and self._queue[0][0] <= now_s:
            _, data = self._queue.popleft()
            self._queue_bytes -= len(data or b"")
            self._pass_on(data)
        if not self.is_full:
            self._source.set_reading(on=True)
        self._wait()

    def _delay_s(self, data: bytes | None) -> float:
        if self._latency_s or self._jitter_s:
            self._link.board.struck("latency")
        delay_s = self._latency_s + self._jitter_s * self._link.chance.random()
        if not (self._loss and data):
            return delay_s
        segments = -(-len(data) // SEGMENT_BYTES)
        # Those that are lost are sent again side by side; the last of them is waited for.
        return delay_s + max(self._resending_s() for _ in range(segments))

    def _resending_s(self) -> float:
        lost = 0
        while lost < RETRANSMITS_MAX and self._link.chance.random() < self._loss:
            lost += 1
        self._link.board.struck("loss", lost)
        return RETRANSMIT_S * ((1 << lost) - 1)

    def _cut_if_due(self, data: bytes) -> bool:
        """Cut the connection within these bytes if a rule says so; tell whether it was cut."""
        for rule, left in self._bytes_left.items():
            if len(data) >= left and self._link.board.may_cut(rule):
                self._sink.write(data[:left])
                self._link.cut(rule)
                return True
            self._bytes_left[rule] = max(0, left - len(data))
        return False
