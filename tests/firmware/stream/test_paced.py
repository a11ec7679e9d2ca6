"""The connection that is fed in slices."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.uri import parse_uri

from firmware.stream.paced import SLICE_BYTES, UNSENT_BYTES_MAX, PacedConnection
from tests.firmware.stream.stage import on_loop

if TYPE_CHECKING:
    from collections.abc import Iterable

PONG = bytes([0x8A, 0])
EMPTY_TEXT = bytes([0x81, 0])


class Slices(ClientProtocol):
    """The protocol without its opening handshake; keeps how much it was given at a time."""

    def __init__(self) -> None:
        super().__init__(parse_uri("ws://localhost/"))
        self.sizes: list[int] = []

    def receive_data(self, data: bytes | bytearray) -> None:
        """Note the size, and take it."""
        self.sizes.append(len(data))
        super().receive_data(data)


class Wire(asyncio.Transport):
    """A transport whose other end a test plays; it delivers nothing while reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused = False
        self.is_aborted = False
        self.unsent_bytes = 0

    def pause_reading(self) -> None:
        """Stop delivering."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self.is_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignore them."""

    def get_write_buffer_size(self) -> int:
        """Return what was written: nothing ever leaves."""
        return self.unsent_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep its size."""
        self.unsent_bytes += len(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Keep their sizes."""
        self.unsent_bytes += sum(map(len, list_of_data))

    def abort(self) -> None:
        """Note it."""
        self.is_aborted = True


def a_connection() -> tuple[PacedConnection, Slices, Wire]:
    """Return an open connection on a wire."""
    protocol, wire = Slices(), Wire()
    connection = PacedConnection(protocol)
    connection.connection_made(wire)
    # The opening handshake is not the matter here.
    connection.response = Response(101, "", Headers())
    protocol.state = type(protocol.state).OPEN
    protocol.parser = super(ClientProtocol, protocol).parse()
    next(protocol.parser)
    return connection, protocol, wire


async def turns(count: int) -> None:
    """Let the loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


@on_loop
async def test_one_turn_of_the_loop_parses_one_slice() -> None:
    """However much one read brings; and nothing more is read meanwhile."""
    connection, protocol, wire = a_connection()
    connection.data_received(PONG * (5 * SLICE_BYTES))
    for slices in range(1, 10):
        assert protocol.sizes == [SLICE_BYTES] * slices
        assert wire.is_paused
        await turns(1)
    await turns(1)
    assert sum(protocol.sizes) == 10 * SLICE_BYTES
    assert not wire.is_paused


@on_loop
async def test_little_is_parsed_at_once() -> None:
    """An ordinary packet pays nothing for the floods of others."""
    connection, protocol, wire = a_connection()
    connection.data_received(EMPTY_TEXT)
    assert protocol.sizes == [2]
    assert not wire.is_paused
    assert await connection.recv() == ""


@on_loop
async def test_nothing_is_parsed_while_messages_wait_to_be_taken() -> None:
    """What is not parsed is kept as it came: frames are a hundred times as large."""
    connection, protocol, wire = a_connection()
    count = 2 * SLICE_BYTES
    connection.data_received(EMPTY_TEXT * count)
    await turns(5)
    assert protocol.sizes == [SLICE_BYTES]
    assert wire.is_paused
    for _ in range(count):
        assert await connection.recv() == ""
        await turns(2)
    assert sum(protocol.sizes) == 2 * count
    assert not wire.is_paused


@on_loop
async def test_what_is_delivered_in_spite_of_the_pause_waits_its_turn() -> None:
    """Some transports have more in hand when they are paused."""
    connection, protocol, _ = a_connection()
    connection.data_received(PONG * SLICE_BYTES)
    for digit in b"0123456789":
        connection.data_received(bytes([0x81, 1, digit]))
    assert protocol.sizes == [SLICE_BYTES]
    assert [await connection.recv() for _ in range(10)] == list("0123456789")


@on_loop
async def test_what_is_delivered_while_messages_wait_is_kept_as_it_came() -> None:
    """Until they have been taken."""
    connection, protocol, _ = a_connection()
    connection.data_received(EMPTY_TEXT * 100)
    connection.data_received(EMPTY_TEXT * 100)
    await turns(2)
    assert protocol.sizes == [200]
    for _ in range(200):
        await connection.recv()
        await turns(1)
    assert protocol.sizes == [200, 200]


@on_loop
async def test_what_is_left_of_a_lost_connection_is_forgotten() -> None:
    """It would be parsed for nobody."""
    connection, protocol, _ = a_connection()
    connection.data_received(PONG * SLICE_BYTES)
    connection.connection_lost(None)
    await turns(5)
    assert protocol.sizes == [SLICE_BYTES]


@on_loop
async def test_answers_that_pile_up_end_the_connection() -> None:
    """A peer that pings without reading does not fill the memory."""
    connection, _, wire = a_connection()
    for _ in range(UNSENT_BYTES_MAX // 125):
        assert wire.is_aborted == (wire.unsent_bytes > UNSENT_BYTES_MAX)
        connection.data_received(bytes([0x89, 125]) + bytes(125))
    assert wire.is_aborted
