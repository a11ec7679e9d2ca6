"""The audio stream: lets one turn at a time speak over the link, and passes its reply on.

The fence
    The seed and gateway dialects have no field for the turn. So a turn that ends otherwise than
    with its whole reply takes its connection with it, once anything of it was sent: the socket is
    closed, nothing that was under way on it is delivered, and another is opened. The number of the
    connection, its generation, stands in every event, so that what is already queued can be told
    apart as well. In the binary dialect every message names its turn: there a turn whose reply is
    interrupted is cancelled, the connection stays, and what still comes of the old turn is told by
    its number. But only where the other end has said that it has the whole utterance: one that is
    still on its way must be stopped, and a connection that may be dead must not outlive its turn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from firmware.ports import LinkQuality
from firmware.stream.codec import TURN_MAX
from firmware.stream.counters import Counters
from firmware.stream.dialects.choice import Dialects
from firmware.stream.dialler import Dialler
from firmware.stream.errors import SoundError
from firmware.stream.link import Link
from firmware.stream.losses import Losses
from firmware.stream.messages import (
    ConfigurationHint,
    FinalMarker,
    GatewayError,
    GuardianCommand,
    ReplyEnd,
    ReplyPacket,
    ReplyPcm,
    ReplyText,
    ReplyUnplayable,
    ReplyWav,
    SafetyOverride,
    SpeechPacket,
    Transcript,
)
from firmware.stream.rate_limit import RateLimit
from firmware.stream.turn import Turn

if TYPE_CHECKING:
    import ssl
    from random import Random

    from firmware.ports import PerformEffect, Post, ReplySink, SpeechFormat
    from firmware.stream.messages import DropReason, ErrorCode, Incoming, ReplyPiece
    from firmware.stream.settings import StreamSettings
    from firmware.stream.wav import Sound
    from hardware.clock import Clock
    from states.events import FieldValue

_log: Final = logging.getLogger(__name__)

ANSWERED: Final = "answered"
"""The outcome of a turn that heard its reply to the end."""

INTERRUPTED: Final = "interrupted"
"""The outcome of a turn that gave way to what the child did next; nobody has failed."""

ACTING_PER_SECOND_MAX: Final = 10
"""Messages of one kind that may act within a second: what they ask for has happened by then."""


OnWords: TypeAlias = Callable[[int, Literal["transcript", "reply"], str], None]
"""Takes a turn, whose words they are (the child's, or the reply's), and the words."""


WORDS_PER_TURN_MAX: Final = 64
"""Pieces of transcript and reply text that are passed on in one turn."""


class Stream:
    """The device's side of the stream: performs three effects, takes speech, passes replies on.

    It posts `stream_opened`, `stream_failed`, `stream_lost`, `uplink_flushed` and `turn_failed` of
    the turn; `link_up`, `link_down` and `tokens_lost` of the link; and what a server may ask for at
    once: `violation`, `safety_override`, `stop`, `pause`, `lock`, `emergency_stop`. All of it on
    the loop's thread, and nothing but `close` waits.

    Args:
        settings: How the gateway is reached.
        device_id: Who we are.
        toy_id: Which toy we are.
        clock: Whose time.
        post: Where events go.
        reply_sink: Where replies go.
        random: Draws the waits between attempts.
        on_hint: Called with ``command`` or ``configuration`` when the gateway sends a copy of
            something that only the cloud can tell authoritatively.
        on_words: Called with the words that the gateway sends for the present turn. They are kept
            nowhere here.
        tls: Whom to trust; see `Dialler`.

    Raises:
        AddressError: `settings.url` cannot be used.
        CredentialError: An id cannot be put into a request.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts it is composed of
        self,
        settings: StreamSettings,
        device_id: str,
        toy_id: str,
        clock: Clock,
        post: Post,
        reply_sink: ReplySink,
        random: Random,
        on_hint: Callable[[str], None] | None = None,
        *,
        on_words: OnWords | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.counters = Counters()
        """What has happened so far."""
        self._dialects = Dialects(settings)
        self._dialler = Dialler(settings, device_id, toy_id, tls)
        self._link = Link(
            self._dialler,
            self._dialects,
            self.counters,
            clock=clock,
            post=post,
            random=random,
            owner=self,
        )
        self._open_timeout_ms = settings.open_timeout_ms
        self._clock = clock
        self._post = post
        self._reply_sink = reply_sink
        self._on_hint = on_hint
        self._on_words = on_words
        self._limit = RateLimit(clock, ACTING_PER_SECOND_MAX)
        self._losses = Losses()
        self._turn: Turn | None = None
        self._is_closed = False

    @property
    def effects(self) -> Mapping[str, PerformEffect]:
        """The effects it performs, by name."""
        return {
            "open_stream": self.open_stream,
            "abandon_stream": self.abandon_stream,
            "end_turn": self.end_turn,
        }

    @property
    def drops(self) -> Mapping[DropReason, int]:
        """Messages that could not be used, by reason."""
        return self._dialects.drops

    def set_token(self, token: str | None) -> None:
        """Take the token to connect with from now on; with None, end what there is.

        A connection that is open stays so under the token that opened it. Does nothing once closed.

        Raises:
            CredentialError: The token cannot be put into a request; the one before stays.
        """
        self._link.set_token(token)

    def set_toy(self, toy_id: str) -> None:
        """Be that toy from the next connection on, which is made as soon as no turn is under way.

        Raises:
            CredentialError: The id cannot be put into a request; the one before stays.
        """
        self._dialler.set_toy(toy_id)
        self._catch_up()

    async def close(self) -> None:
        """End everything, within `link.CLOSE_S_MAX`; nothing is posted or delivered from now on."""
        self._is_closed = True
        if self._turn is not None:
            self._turn.stop_waiting()
            self._turn = None
        await self._link.close()

    # Effects.

    def open_stream(self, turn: int) -> None:
        """Bind the turn to the connection, or to the one that opens first within the time allowed.

        Posts `stream_opened` or `stream_failed`.
        """
        if self._is_closed:
            return
        self._leave_turn(keep=False)
        self._turn = present = Turn(turn)
        if self._link.is_open:
            self._bind(present)
            return
        present.has_dialled = self._link.connection is None
        if self._link.dial():
            present.deadline = self._clock.call_later(
                self._open_timeout_ms, lambda: self._fail_opening(present)
            )
        else:
            self._fail_opening(present)

    def abandon_stream(self, turn: int) -> None:
        """Leave the turn's connection: the turn goes on without it."""
        if self._turn is not None and self._turn.number == turn:
            self._leave_turn(keep=False)

    def end_turn(self, turn: int, outcome: str) -> None:
        """Let nothing more of the turn pass; see the module's text for when that takes a fence."""
        present = self._turn
        if present is None or present.number != turn:
            return
        is_quiet = outcome == ANSWERED and present.is_replied
        self._leave_turn(keep=is_quiet or (outcome == INTERRUPTED and self._cancelled(present)))

    # Speech (`firmware.ports.Uplink`).

    @property
    def speech_format(self) -> SpeechFormat:
        """In which format the present connection takes speech; without one, the next begins so."""
        connection = self._link.connection
        return (self._dialects.first if connection is None else connection.codec).speech_format

    @property
    def quality(self) -> LinkQuality:
        """How the network does: what is lost of the replies, and what waits of the speech."""
        connection = self._link.connection
        return LinkQuality(self._losses.percent, 0 if connection is None else connection.backlog_ms)

    def send(self, frame: bytes, captured_ms: int) -> None:
        """Queue one frame (20 ms, 16 kHz mono) in `speech_format` for the turn's connection.

        Without a connection, and after `finish`, it is counted and dropped.

        Raises:
            PacketError: It is no Opus packet, or no frame of PCM, as the case may be.
        """
        turn, connection = self._turn, self._link.connection
        if turn is None or connection is None or not turn.takes_speech:
            self.counters.uplink_unsendable += 1
            return
        speech = SpeechPacket(frame, captured_ms, turn.packets, turn.number)
        connection.speak(connection.codec.encode(speech))
        turn.packets += 1

    def finish(self) -> None:
        """Queue the final marker; `uplink_flushed` is posted once the socket has it.

        Without a connection, and the second time, it does nothing.
        """
        turn, connection = self._turn, self._link.connection
        if turn is None or connection is None or not turn.takes_speech:
            return
        turn.is_finished = True
        marker = FinalMarker(self._clock.monotonic_ms(), turn.packets, turn.number)
        connection.finish(turn.number, connection.codec.encode(marker))

    # What the link tells (`link.Owner`).

    def link_opened(self) -> None:
        """Let a turn begin that waited for the connection."""
        if self._turn is not None:
            self._bind(self._turn)

    def link_received(self, message: Incoming) -> None:
        """Do what the message asks for."""
        match message:
            case ReplyPacket() | ReplyPcm() | ReplyWav() | ReplyUnplayable():
                self._pass_piece(message)
            case ReplyEnd():
                if message.last is not None:
                    self._pass_piece(message.last)
                self._pass_end(message)
            case Transcript():
                self._pass_words("transcript", message.text, message.turn)
            case ReplyText():
                self._pass_words("reply", message.text, message.turn)
            case GatewayError():
                self._take_error(message)
            case SafetyOverride():
                self._act("safety_override", pause_ms=_ms(message.duration_s))
            case GuardianCommand():
                self._take_command(message)
            case ConfigurationHint():
                self._hint("configuration")

    def link_flushed(self, turn: int) -> None:
        """Open the way for the reply, unless the turn has ended meanwhile."""
        present = self._turn
        if present is not None and present.number == turn:
            present.is_flushed = True
            self._post("uplink_flushed", turn=turn, connection=present.connection)

    def link_ended(self) -> None:
        """Tell the turn, unless it may still get a connection, or has been told that it failed."""
        turn = self._turn
        if turn is None:
            return
        if turn.connection:
            self._turn = None
            if not turn.is_failed:
                self._post("stream_lost", turn=turn.number, connection=turn.connection)
        elif turn.has_dialled or not self._link.dial():
            self._fail_opening(turn)
        else:
            # The attempt that the turn found under way was made in worse times, perhaps.
            turn.has_dialled = True

    # The turn. One that has a connection has the present one.

    def _bind(self, turn: Turn) -> None:
        turn.stop_waiting()
        turn.connection = self._link.generation
        self._post("stream_opened", turn=turn.number, connection=turn.connection)

    def _fail_opening(self, turn: Turn) -> None:
        turn.stop_waiting()
        if turn is not self._turn:
            return
        self._turn = None
        self._post("stream_failed", turn=turn.number)
        self._catch_up()

    def _leave_turn(self, *, keep: bool) -> None:
        """Unbind the turn, and fence unless its connection is fit to keep."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        turn.stop_waiting()
        if turn.has_spoken and not keep:
            self._link.fence()
        self._catch_up()

    def _cancelled(self, turn: Turn) -> bool:
        """Cancel the turn over its connection, if that may stay; tell whether it may."""
        connection = self._link.connection
        if connection is None or not connection.codec.names_turns:
            return False
        if not connection.has_delivered(turn.number):
            return False
        self.counters.turns_cancelled += 1
        connection.cancel(turn.number)
        return True

    def _catch_up(self) -> None:
        """Connect as the toy that we have become, once nothing is under way as the old one."""
        if self._turn is None and self._link.is_outdated:
            self._link.renew()

    # The reply.

    def _present(self, number: int | None) -> Turn | None:
        """Return the turn, if it is the one that a message names; None names none in particular."""
        turn = self._turn
        is_other = turn is None or (number is not None and number != turn.number & TURN_MAX)
        return None if is_other else turn

    def _pass_piece(self, piece: ReplyPiece) -> None:
        turn = self._present(piece.turn)
        number = piece.sequence if isinstance(piece, ReplyPacket) else None
        if turn is None or not (turn.takes_reply or (number is not None and turn.takes_late)):
            self.counters.reply_packets_dropped += 1
            return
        turn.count(number)
        match piece:
            case ReplyPacket():
                turn.has_sounded = True
                self._reply_sink.reply_packet(
                    turn.number, turn.connection, piece.packet, piece.sample_rate_hz, number
                )
            case ReplyPcm():
                self._pass_sound(
                    turn, partial(turn.joiner.take_pcm, piece.pcm, piece.sample_rate_hz)
                )
            case ReplyWav():
                self._pass_sound(turn, partial(turn.joiner.take_wav, piece.data))
            case ReplyUnplayable():
                self._note_unplayable(turn, "in a format that is not played")

    def _pass_sound(self, turn: Turn, join: Callable[[], list[Sound]]) -> None:
        try:
            sounds = join()
        except SoundError as error:
            self._note_unplayable(turn, str(error))
            return
        for sound in sounds:
            turn.has_sounded = True
            self._reply_sink.reply_pcm(turn.number, turn.connection, *sound)

    def _note_unplayable(self, turn: Turn, why: str) -> None:
        """Play what can be played of a reply; where that is nothing, the turn has failed."""
        if not self.counters.reply_pieces_unplayable:
            _log.warning("dropped a piece of a reply: it is %s", why)
        self.counters.reply_pieces_unplayable += 1
        if not turn.has_sounded:
            self._fail(turn, "AUDIO_ERROR")

    def _pass_end(self, end: ReplyEnd) -> None:
        turn = self._present(end.turn)
        if turn is None or not turn.takes_reply:
            return
        missing = turn.pieces_missing(end.pieces)
        self.counters.reply_pieces_missing += missing
        if turn.pieces_numbered:
            self._losses.note(missing, turn.pieces + missing)
        self._pass_sound(turn, turn.joiner.finish)
        if turn.has_sounded:
            turn.is_replied = True
            turn.pieces_awaited = missing if turn.pieces_numbered else 0
            self._reply_sink.reply_end(turn.number, turn.connection, end.pieces)
        else:
            # Nobody would hear that the turn is over.
            self._fail(turn, "AUDIO_ERROR")

    def _pass_words(
        self, kind: Literal["transcript", "reply"], text: str, number: int | None
    ) -> None:
        turn = self._present(number)
        if turn is None or not turn.has_spoken or self._on_words is None:
            return
        turn.words += 1
        if turn.words <= WORDS_PER_TURN_MAX:
            self._on_words(turn.number, kind, text)
        else:
            self.counters.messages_limited += 1

    # What the gateway asks for.

    def _take_error(self, error: GatewayError) -> None:
        if error.code == "SAFETY_VIOLATION":
            self._act("violation")
        turn = self._present(error.turn)
        if turn is not None and turn.connection:
            self._fail(turn, error.code)
        if error.code == "AUTH_FAILED":
            self._link.refuse()
            self.link_ended()

    def _fail(self, turn: Turn, code: ErrorCode) -> None:
        if not turn.is_failed:
            turn.is_failed = True
            self._post("turn_failed", turn=turn.number, connection=turn.connection, code=code)

    def _take_command(self, command: GuardianCommand) -> None:
        """Act on what can only tighten; the rest is for the subscription to tell."""
        match command.command:
            case "stop" | "lock" | "emergency_stop" as name:
                self._act(name, command=None)
            case "pause":
                self._act("pause", command=None, pause_ms=_ms(command.duration_s))
            case _:
                self._hint("command")

    def _act(self, event: str, **fields: FieldValue) -> None:
        if self._limit.allows(event):
            self._post(event, **fields)
        else:
            self.counters.messages_limited += 1

    def _hint(self, kind: str) -> None:
        self.counters.hints += 1
        if self._on_hint is not None and self._limit.allows(kind):
            self._on_hint(kind)


def _ms(duration_s: float) -> int:
    return round(duration_s * 1000)
