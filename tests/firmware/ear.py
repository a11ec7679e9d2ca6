"""A TLS server that counts what it is told once the handshake is over."""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from types import TracebackType

LIMIT_S: Final = 10
_PIECE_BYTES: Final = 65_536


class Visit(NamedTuple):
    """One connection, from its beginning to its end.

    `has_shaken` says whether the handshake came to an end on this side, and `heard` is all that was
    deciphered after it.
    """

    has_shaken: bool
    heard: bytes


class Ear:
    """Listens on a port of its own until the ``with`` ends; each connection becomes a `Visit`.

    Args:
        tls: Its certificate and versions; None for plain TCP.
        reply: Said after the first HTTP request, before it hangs up; nothing if empty.
    """

    def __init__(self, tls: ssl.SSLContext | None, reply: bytes = b"") -> None:
        self._tls = tls
        self._reply = reply
        self._visits: queue.SimpleQueue[Visit] = queue.SimpleQueue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_over = False
        self._thread = threading.Thread(target=self._listen, name="ear")
        self.port: Final = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._thread.join(LIMIT_S)
        self._listener.close()

    def visit(self) -> Visit:
        """Wait for the next connection to end, and return it."""
        return self._visits.get(timeout=LIMIT_S)

    def has_visits(self) -> bool:
        """Whether one has ended that nobody has asked for."""
        return not self._visits.empty()

    def _listen(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            if self._is_over:
                accepted.close()
                return
            accepted.settimeout(LIMIT_S)
            with accepted:
                self._visits.put(self._receive(accepted))

    def _receive(self, accepted: socket.socket) -> Visit:
        try:
            talk = accepted
            if self._tls is not None:
                talk = self._tls.wrap_socket(accepted, server_side=True)
        except OSError:
            return Visit(has_shaken=False, heard=b"")
        heard = b""
        with talk, contextlib.suppress(OSError):
            while piece := talk.recv(_PIECE_BYTES):
                heard += piece
                if self._reply and _is_whole(heard):
                    talk.sendall(self._reply)
                    break
        return Visit(has_shaken=True, heard=heard)


def _is_whole(request: bytes) -> bool:
    head, blank_line, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *([0-9]+)", head)
    return bool(blank_line) and len(body) >= (int(length[1]) if length else 0)
