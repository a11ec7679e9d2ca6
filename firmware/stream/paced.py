"""A WebSocket connection that a flood cannot hold up the loop with.

`websockets` parses whatever one read brings before it lets the loop go on: up to 256 KB, in which a
hostile gateway can put 130,000 empty frames, and that is most of a second. Here it is given a slice
at a time, one in each turn of the loop, and reading rests meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from websockets.asyncio.client import ClientConnection

if TYPE_CHECKING:
    import asyncio

SLICE_BYTES: Final = 1_024
"""Parsed in one turn of the loop: 512 of the shortest frames, 2 to 5 ms on a desktop."""

WRITE_LIMIT: Final = (1, 0)
"""What may wait in a transport before `send` waits too, and when that goes on: as good as nothing,
for what waits there can no longer be dropped. With 0 the one of TLS would always be full."""

UNSENT_BYTES_MAX: Final = 262_144
"""What may wait to be sent. Speech waits elsewhere: so much can only be answers to pings, from a
peer that pings without reading."""


class PacedConnection(ClientConnection):
    """A `ClientConnection` that parses its input in slices."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on as they are
        super().__init__(*args, **kwargs)
        self._unparsed = b""
        self._parsed_bytes = 0
        self._is_held = False
        self._is_due = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with a transport whose reading two parties may pause."""
        self._socket = cast("asyncio.Transport", transport)
        _tell_below(transport)
        super().connection_made(cast("asyncio.Transport", _Valve(self._socket, self)))

    def data_received(self, data: bytes) -> None:
        """Parse a first slice of what was read, and the rest in the loop's next turns."""
        self._unparsed = self._unparsed[self._parsed_bytes :] + data
        self._parsed_bytes = 0
        if not self._is_due:
            self._parse_slice()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is left unparsed: nobody will ask for it."""
        self._unparsed = b""
        self._parsed_bytes = 0
        super().connection_lost(exc)

    def hold(self) -> None:
        """Rest until `go_on`: enough messages are waiting to be taken."""
        self._is_held = True
        self._socket.pause_reading()

    def go_on(self) -> None:
        """Parse again, and read again once that is done."""
        self._is_held = False
        self._continue()

    def _continue(self) -> None:
        if self._is_held:
            return
        if self._parsed_bytes < len(self._unparsed):
            self._is_due = True
            self.loop.call_soon(self._parse_slice)
        else:
            self._socket.resume_reading()

    def _parse_slice(self) -> None:
        self._is_due = False
        piece = self._unparsed[self._parsed_bytes : self._parsed_bytes + SLICE_BYTES]
        if self._is_held or not piece:
            return
        self._parsed_bytes += len(piece)
        super().data_received(piece)
        if self._socket.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self._socket.abort()
        elif self._parsed_bytes < len(self._unparsed):
            self._socket.pause_reading()
        self._continue()


def _tell_below(transport: asyncio.BaseTransport) -> None:
    """Set the limit for the transport below that of TLS too, which nobody else can reach.

    It would take 64 KB of its own: twenty seconds of speech.
    """
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if below is not None:
        below.set_write_buffer_limits(*WRITE_LIMIT)


class _Valve:
    """The transport as `websockets` sees it: pausing goes to the connection, all else through."""

    def __init__(self, transport: asyncio.Transport, connection: PacedConnection) -> None:
        self._transport = transport
        self.pause_reading = connection.hold
        self.resume_reading = connection.go_on

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)
