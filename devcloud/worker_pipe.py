"""What goes through the pipes between the cloud and its recogniser process.

To the process: a header of 9 bytes (kind, utterance number, length) and that many bytes of audio.
From the process: one line of JSON each, ``{"ready": true}`` once, then
``{"utterance": number, "text": words}`` for each utterance that was ended.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = struct.Struct("!BII")


class Kind(IntEnum):
    """What a message to the process says about an utterance."""

    AUDIO = 1
    END = 2
    DROP = 3


class Message(NamedTuple):
    """One message to the process."""

    kind: Kind
    utterance: int
    pcm: bytes = b""

    def pack(self) -> bytes:
        """Write it for the pipe."""
        return HEADER.pack(self.kind, self.utterance, len(self.pcm)) + self.pcm


class Unpacker:
    """Finds messages in bytes that arrive in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take what has arrived and give the messages that are complete with it."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            kind, utterance, length = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            yield Message(Kind(kind), utterance, bytes(self._buffer[HEADER.size : end]))
            del self._buffer[:end]
