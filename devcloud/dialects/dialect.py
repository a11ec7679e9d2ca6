"""What a dialect can do: read one message from a device, and write each of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from devcloud.audio import AudioFormat
    from devcloud.dialects.messages import ErrorCode, Message, Piece, Wire
    from devcloud.json_text import JsonObject


class Dialect(Protocol):
    """One of the three; it keeps nothing from one message to the next.

    ``turn`` is the turn that a message belongs to, written by the dialect that has such a field and
    left out by the others.
    """

    @property
    def name(self) -> str:
        """What the dialect is called: ``seed``, ``gateway`` or ``binary``."""

    @property
    def reply_format(self) -> AudioFormat:
        """How a reply's audio is written when nothing else was asked for."""

    def read(self, message: Wire) -> Message:
        """Read a message from the device.

        Raises:
            UnknownFrameError: the dialect's rule for it is to count and drop it.
            MalformedMessageError: the dialect has no such message; the text names what is wrong.
        """

    def handshake_ack(self, session: str) -> Wire:
        """Write the answer to a handshake; ``session`` names the connection."""

    def thinking(self) -> Wire | None:
        """Write that the utterance has been taken, where the dialect says so."""

    def transcript(self, text: str, turn: int | None) -> Wire:
        """Write what was recognised; empty when nothing was."""

    def text_response(self, text: str, turn: int | None) -> Wire:
        """Write the words of the reply."""

    def audio(self, piece: Piece, turn: int | None) -> Wire:
        """Write one piece of the reply, or its end."""

    def error(self, code: ErrorCode, message: str, turn: int | None) -> Wire:
        """Write that something is wrong, and what to do about it."""

    def pong(self) -> Wire:
        """Write the answer to a ping."""

    def push(self, message: JsonObject) -> Wire:
        """Write a message that nobody asked for, given in the seed's words: ``command`` and such.

        Fields that the seed does not know are written as they are given.
        """
