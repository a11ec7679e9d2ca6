"""What a device says on one connection: its utterances, checked and decoded, without I/O.

One at a time, each numbered from 0, at most 35 s long. Numbers may be missing, in every dialect and
from the first on, for a device whose link was too slow leaves out its oldest speech; a little is
made up for it. They never go back. When something is wrong with an utterance, that is said once and
the rest of it is passed over, up to its end or to the next chunk number 0, or, where chunks carry a
turn, to the next turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from devcloud import wav
from devcloud.audio import FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFormat
from devcloud.errors import BadPacketError, MalformedMessageError
from devcloud.opus import FRAME_BYTES

if TYPE_CHECKING:
    from devcloud.dialects.messages import AudioChunk
    from devcloud.opus import Decoder

UTTERANCE_MS_MAX: Final = 35_000
"""A device ends an utterance after 30 s; a little more makes room for what it had in store."""

GAP_CHUNKS_MAX: Final = UTTERANCE_MS_MAX // FRAME_MS
CONCEALED_CHUNKS_MAX: Final = 5
"""Of a longer gap no more than this is made up: a decoder that guesses on only hums."""

_BYTES_PER_MS: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES // 1000


class Uplink:
    """The utterances of one connection; ``decoder`` is for them alone."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._next_sequence: int | None = 0
        """None while an utterance is passed over."""
        self._bytes = 0
        self.chunks = 0
        """Chunks with audio in the present utterance, or in the last one."""
        self.missing_chunks = 0
        """Numbers that were left out of it."""

    @property
    def duration_ms(self) -> int:
        """How much audio the present utterance has, or the last one had."""
        return self._bytes // _BYTES_PER_MS

    @property
    def passing_over(self) -> bool:
        """Tell whether the rest of an utterance is being ignored."""
        return self._next_sequence is None

    def begin(self) -> None:
        """Expect a new utterance, whatever became of the last one."""
        self._next_sequence = 0

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
        gap = chunk.sequence - due
        if not 0 <= gap <= GAP_CHUNKS_MAX:
            raise MalformedMessageError(f"chunk {chunk.sequence} came where {due} was due")
        if due == 0:
            self._bytes = self.chunks = self.missing_chunks = 0
        self.missing_chunks += gap
        if not chunk.packet:
            return b""
        pcm = self._conceal(gap, chunk.format) + self._decode(chunk)
        self._bytes += len(pcm)
        if self.duration_ms > UTTERANCE_MS_MAX:
            raise MalformedMessageError(f"the utterance is longer than {UTTERANCE_MS_MAX} ms")
        self.chunks += 1
        return pcm

    def _conceal(self, gap: int, format_: AudioFormat) -> bytes:
        # Before the first packet there is nothing to go on from.
        frames = min(gap, CONCEALED_CHUNKS_MAX) if self.chunks else 0
        if format_ is not AudioFormat.OPUS:
            return bytes(frames * FRAME_BYTES)
        return b"".join(self._decoder.conceal() for _ in range(frames))

    def _decode(self, chunk: AudioChunk) -> bytes:
        if chunk.format is AudioFormat.OPUS:
            return self._decoder.decode(chunk.packet)
        if chunk.format is AudioFormat.WAV and chunk.packet.startswith(wav.MAGIC):
            return wav.read_speech(chunk.packet)
        if len(chunk.packet) % SAMPLE_BYTES:
            raise BadPacketError("the audio ends within a sample")
        return chunk.packet
