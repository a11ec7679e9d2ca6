"""Which dialect a connection speaks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firmware.stream.dialects.binary import BinaryCodec
from firmware.stream.dialects.gateway import GatewayCodec
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.messages import DropReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware.stream.codec import Codec
    from firmware.stream.messages import HandshakeAck
    from firmware.stream.settings import StreamSettings

_log: Final = logging.getLogger(__name__)


class Dialects:
    """The dialects that the toy speaks.

    Where the settings leave it open, the handshake is the seed's and offers the binary dialect; the
    gateway's answer decides. Where none comes in time, the gateway is taken to speak as it said the
    last time, or else the seed dialect; that is forgotten once a connection ends without an answer.
    What cannot be used is counted for all of them together.

    Args:
        settings: Which dialect, or ``auto``; and how long a message may be.
    """

    def __init__(self, settings: StreamSettings) -> None:
        self._drops = dict.fromkeys(DropReason, 0)
        limit = settings.message_bytes_max
        self._codecs: Mapping[str, Codec] = {
            "seed": SeedCodec(limit, self._drops),
            "gateway": GatewayCodec(limit, self._drops),
            "binary": BinaryCodec(limit, self._drops),
        }
        self.is_open_question = settings.dialect == "auto"
        """Whether the gateway is asked."""
        self.offers_binary = settings.dialect in {"auto", "binary"}
        """What the handshake says of it."""
        self.first = self._codecs["seed" if self.is_open_question else settings.dialect]
        """What every connection begins with."""
        self._presumed = self.first

    @property
    def drops(self) -> Mapping[DropReason, int]:
        """Messages that were not used, by reason; every reason is there."""
        return self._drops

    def agreed(self, answer: HandshakeAck | None) -> Codec:
        """Return what an open question has led to; None where there was no answer in time."""
        codec = self._presumed if answer is None else self._named(answer)
        _log.debug("the gateway is spoken to in the dialect of %s", type(codec).__name__)
        return codec

    def note(self, answer: HandshakeAck | None) -> None:
        """Take note of an answer, or of a connection that is over without one."""
        self._presumed = self.first if answer is None else self._named(answer)

    def _named(self, answer: HandshakeAck) -> Codec:
        return self._codecs["binary" if answer.dialect == "binary" else "seed"]
