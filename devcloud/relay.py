"""The relay between the port and the server, where the network can be made to fail.

A connection to the port is joined to the server by a pair of sockets within the process, and bytes
are passed on as they come, before TLS is taken off. Without a fault that is all. What faults do is
in ``network_faults``; what happens on a connection, in ``link``.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from devcloud.link import Link
from devcloud.settings import HOST

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from random import Random

    from devcloud.network_faults import NetworkBoard

BACKLOG: Final = 128
CLOSE_TIMEOUT_S: Final = 0.5
"""How long connections may take to end by themselves once the server is gone."""


class Relay:
    """Listens on the port and joins each connection to the server.

    ``accept`` makes the server's protocol for a connection, and ``tls`` is what that is served
    with. ``chance`` decides what is lost and how late things come.
    """

    def __init__(
        self,
        board: NetworkBoard,
        accept: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        chance: Random,
    ) -> None:
        self._board = board
        self._accept = accept
        self._tls = tls
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._links: set[Link] = set()
        self._joining: set[asyncio.Task[None]] = set()
        self._port: socket.socket | None = None
        self._is_open = False

    def start(self, port: int) -> int:
        """Listen on a port, 0 for a free one; returns which it is.

        Raises:
            OSError: it cannot be had.
        """
        self._port = _bound(port)
        self._open(self._port)
        self._board.channels_can_be_told = self._tls is None
        self._board.watcher = self._faults_changed
        number: int = self._port.getsockname()[1]
        return number

    async def close(self) -> None:
        """Stop listening, and end what is still open. The server has closed its connections."""
        self._board.watcher = _nobody
        if self._port:
            self._shut(self._port)
            self._port.close()
        for link in tuple(self._links):
            if link.is_silent:
                link.abort()
        if self._joining:
            await asyncio.wait(self._joining, timeout=CLOSE_TIMEOUT_S)
        for link in tuple(self._links):
            link.abort()
        if self._joining:
            await asyncio.wait(self._joining)

    def _open(self, port: socket.socket) -> None:
        port.listen(BACKLOG)
        self._loop.add_reader(port, self._accept_one, port)
        self._is_open = True

    def _shut(self, port: socket.socket) -> None:
        if self._is_open:
            self._loop.remove_reader(port)
        self._is_open = False

    def _accept_one(self, port: socket.socket) -> None:
        try:
            client, _ = port.accept()
        except OSError:
            # Gone again before it was accepted.
            return
        client.settimeout(0)
        task = self._loop.create_task(self._join(client))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, client: socket.socket) -> None:
        # With TLS no line can be read, and no rule for a single channel is allowed.
        channel = None if self._tls is None else "http"
        ours, theirs = socket.socketpair()
        link = Link(self._board, self._chance, channel, ours)
        self._links.add(link)
        # The server's end first: what the client sends has somewhere to go.
        await self._loop.create_connection(lambda: link.server, sock=ours)
        await self._loop.connect_accepted_socket(lambda: link.client, client)
        # A client that does not like the certificate leaves in the middle of the handshake.
        with suppress(OSError):
            await self._loop.connect_accepted_socket(self._accept, theirs, ssl=self._tls)
        await link.closed.wait()
        self._links.discard(link)

    def _faults_changed(self) -> None:
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._apply_faults()
        else:
            self._loop.call_soon_threadsafe(self._apply_faults)

    def _apply_faults(self) -> None:
        refused = any(rule.refuse for rule in self._board.rules)
        if self._port and refused and self._is_open:
            number = self._port.getsockname()[1]
            self._shut(self._port)
            self._port.close()
            # Bound again, so that it stays ours; whoever connects is refused, for nobody listens.
            self._port = _bound(number)
            self._board.struck("refuse")
        elif self._port and not refused and not self._is_open:
            self._open(self._port)
        for link in tuple(self._links):
            link.apply_faults()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        # Connections of before may still be winding up on it.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.settimeout(0)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


def _nobody() -> None:
    """Hear of a change of the faults where there is no relay."""
