"""A reply to an utterance: what was heard, the words of the reply, and its audio in real time."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from devcloud import reply_audio
from devcloud.audio import SAMPLE_RATE_HZ, AudioFormat
from devcloud.dialects.messages import ErrorCode, Piece, due_s
from devcloud.packet_loss import PacketLoss
from devcloud.replies import choose_reply
from devcloud.tone import tone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from devcloud.connection import Connection, Services
    from devcloud.recognition import Utterance
    from devcloud.speech import Speech
    from devcloud.spoken import Spoken
    from devcloud.turns import Turn

REPEATED_PIECES: Final = 10


class Answer:
    """Gives the replies on one connection."""

    def __init__(self, services: Services, connection: Connection) -> None:
        self._services = services
        self._connection = connection
        self._last_pieces: deque[Piece] = deque(maxlen=REPEATED_PIECES)

    async def give(self, turn: Turn, utterance: Utterance) -> None:
        """Reply to an utterance that has ended.

        Raises:
            RecognitionError: it cannot be recognised.
            SpeechError: the reply cannot be spoken.
            ConnectionError: the device is gone, or was cut off on command.
        """
        ended_s = asyncio.get_running_loop().time()
        to, dialect, faults = self._connection, self._connection.dialect, self._services.faults
        if thinking := dialect.thinking():
            await to.send(thinking)
        turn.transcript = await utterance.finish()
        if faults.now.no_reply:
            faults.struck("no_reply")
            return
        if faults.now.reply_delay_ms:
            faults.struck("reply_delay_ms")
            await asyncio.sleep(faults.now.reply_delay_ms / 1000)
        await to.send(dialect.transcript(turn.transcript, turn.turn))
        if self._is_blocked(turn.transcript):
            turn.error = ErrorCode.SAFETY_VIOLATION.value
            text = "this is nothing to talk about with a toy"
            await to.send(dialect.error(ErrorCode.SAFETY_VIOLATION, text, turn.turn))
            return
        wanted = self._services.options.now.reply_text
        turn.reply = choose_reply(turn.transcript) if wanted is None else wanted
        await to.send(dialect.text_response(turn.reply, turn.turn))
        tone_ms = self._services.options.now.reply_tone_ms
        speech = tone(tone_ms) if tone_ms else await self._services.speaker.speak(turn.reply)
        await self._speak(speech, turn, ended_s)

    async def repeat(self, turn: int | None) -> None:
        """Send the last pieces of an earlier reply again, as that turn's; before any, silence.

        Raises:
            ConnectionError: the device is gone.
        """
        dialect = self._connection.dialect
        silence = Piece(bytes(640), 0, AudioFormat.PCM16, SAMPLE_RATE_HZ)
        for piece in tuple(self._last_pieces) or (silence,):
            await self._connection.send(dialect.audio(piece, turn))
            self._services.counters.late_packets += 1

    async def _speak(self, speech: Speech, turn: Turn, ended_s: float) -> None:
        to, dialect = self._connection, self._connection.dialect
        now_s = asyncio.get_running_loop().time
        begun_s = now_s()
        last = Piece(b"", -1, dialect.reply_format, SAMPLE_RATE_HZ)
        spoken = self._services.spoken.begin(turn, speech, dialect.reply_format)
        for piece, after_s in self._arriving(speech, spoken):
            to.cut_if_due("cut_reply_after_packets", turn.reply_packets_sent)
            await asyncio.sleep(begun_s + after_s - now_s())
            await to.send(dialect.audio(piece, turn.turn))
            await to.litter()
            self._last_pieces.append(piece)
            turn.reply_packets_sent += 1
            self._services.counters.late_packets += turn.cancelled
            if turn.first_packet_ms is None:
                turn.first_packet_ms = round((now_s() - ended_s) * 1000, 1)
                turn.first_packet_at_ms = round(time.monotonic() * 1000, 3)
            last = max(last, piece, key=lambda one: one.sequence)
        to.cut_if_due("cut_reply_after_packets", turn.reply_packets_sent)
        if not last.is_final:
            end = replace(last, data=b"", sequence=turn.reply_packets, is_final=True)
            await to.send(dialect.audio(end, turn.turn))
        turn.completed = True

    def _arriving(self, speech: Speech, spoken: Spoken) -> Iterator[tuple[Piece, float]]:
        """Give a reply's pieces as they are to arrive: when, in seconds after its beginning."""
        dialect, options = self._connection.dialect, self._services.options.now
        way = PacketLoss(self._services.faults)
        for piece in reply_audio.pieces(speech, dialect.name, dialect.reply_format, options):
            spoken.add(piece)
            spoken.turn.reply_packets = piece.sequence + 1
            if piece.format is AudioFormat.OPUS:
                yield from way.send(piece, due_s(piece.media_ms))
            else:
                yield piece, due_s(piece.media_ms)
        yield from way.rest()

    def _is_blocked(self, transcript: str) -> bool:
        blocked = self._services.deployment.configuration(self._connection.toy_id)["blockedTopics"]
        assert isinstance(blocked, list | tuple)  # noqa: S101 - as every configuration has it
        return touches(transcript, (topic for topic in blocked if isinstance(topic, str)))


def touches(transcript: str, topics: Iterable[str]) -> bool:
    """Tell whether one of the topics was spoken of: all its words, whole and in a row."""
    heard = f" {_words(transcript)} "
    return any(f" {words} " in heard for topic in topics if (words := _words(topic)))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.casefold()))
