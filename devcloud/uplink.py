"""What a device says on one connection: its utterances, checked and decoded, without I/O.

One at a time, each numbered from 0, at most 35 s long. When something is wrong with an utterance,
that is said once and the rest of it is passed over, up to its end or to the next chunk number 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from devcloud.dialect import FRAME_MS, AudioChunk
from devcloud.errors import MalformedMessageError

if TYPE_CHECKING:
    from devcloud.opus import Decoder

UTTERANCE_MS_MAX: Final = 35_000
"""A device ends an utterance after 30 s; a little more makes room for what it had in store."""


class Uplink:
    """The utterances of one connection; ``decoder`` is for them alone."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._next_sequence: int | None = 0
        """None while an utterance is passed over."""
        self.chunks = 0
        """Chunks with audio in the present utterance, or in the last one."""

    @property
    def duration_ms(self) -> int:
        """How much audio the present utterance has, or the last one had."""
        return self.chunks * FRAME_MS

    @property
    def passing_over(self) -> bool:
        """Tell whether the rest of an utterance is being ignored."""
        return self._next_sequence is None

    def take(self, chunk: AudioChunk) -> bytes | None:
        """Take the next chunk.

        Returns its audio (16 kHz mono, signed 16 bit; empty if the chunk has none), or None if it
        belongs to an utterance that is passed over.

        Raises:
            MalformedMessageError: it is not the next chunk, is no audio, or is too much; the
                utterance it belongs to is passed over from now on.
        """
        if self.passing_over and chunk.sequence != 0:
            self.pass_over(chunk)
            return None
        try:
            pcm = self._take_in_order(chunk)
        except MalformedMessageError:
            self.pass_over(chunk)
            raise
        self._next_sequence = 0 if chunk.is_final else chunk.sequence + 1
        return pcm

    def pass_over(self, chunk: AudioChunk) -> None:
        """Ignore what is left of the utterance that ``chunk`` belongs to."""
        self._next_sequence = 0 if chunk.is_final else None

    def _take_in_order(self, chunk: AudioChunk) -> bytes:
        due = self._next_sequence or 0
        if chunk.sequence != due:
            raise MalformedMessageError(f"chunk {chunk.sequence} came where {due} was due")
        if chunk.sequence == 0:
            self.chunks = 0
        if not chunk.packet:
            return b""
        if self.duration_ms >= UTTERANCE_MS_MAX:
            raise MalformedMessageError(f"the utterance is longer than {UTTERANCE_MS_MAX} ms")
        pcm = self._decoder.decode(chunk.packet)
        self.chunks += 1
        return pcm
