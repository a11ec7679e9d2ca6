"""The audio stream: lets one turn at a time speak over the link, and passes its reply on.

The fence
    The seed dialect has no field for the turn. So a turn that ends otherwise than with its whole
    reply takes its connection with it, once anything of it was sent: the socket is closed, nothing
    that was under way on it is delivered, and another is opened. The number of the connection, its
    generation, stands in every event, so that what is already queued can be told apart as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firmware.stream.codec import SeedCodec
from firmware.stream.counters import Counters
from firmware.stream.dialler import Dialler
from firmware.stream.link import Link
from firmware.stream.messages import (
    ConfigurationHint,
    FinalMarker,
    GatewayError,
    GuardianCommand,
    ReplyEnd,
    ReplyPacket,
    SafetyOverride,
    SpeechPacket,
)
from firmware.stream.rate_limit import RateLimit
from firmware.stream.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from firmware.ports import PerformEffect, Post, ReplySink
    from firmware.stream.messages import DropReason, ErrorCode, Incoming
    from firmware.stream.settings import StreamSettings
    from hardware.clock import Clock
    from states.events import FieldValue

ANSWERED: Final = "answered"
"""The outcome of a turn that heard its reply to the end."""

ACTING_PER_SECOND_MAX: Final = 10
"""Messages of one kind that may act within a second: what they ask for has happened by then."""


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
    ) -> None:
        self.counters = Counters()
        """What has happened so far."""
        self._codec = SeedCodec(settings.message_bytes_max)
        self._link = Link(
            Dialler(settings, device_id, toy_id),
            self._codec,
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
        self._limit = RateLimit(clock, ACTING_PER_SECOND_MAX)
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
        return self._codec.drops

    def set_token(self, token: str | None) -> None:
        """Take the token to connect with from now on; with None, end what there is.

        A connection that is open stays so under the token that opened it. Does nothing once closed.

        Raises:
            CredentialError: The token cannot be put into a request; the one before stays.
        """
        self._link.set_token(token)

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
        if self._turn is not None and self._turn.number == turn:
            self._leave_turn(keep=outcome == ANSWERED and self._turn.is_replied)

    # Speech (`firmware.ports.Uplink`).

    def send(self, packet: bytes, captured_ms: int) -> None:
        """Queue one Opus packet (20 ms, 16 kHz mono) for the present turn's connection.

        Without a connection, and after `finish`, it is counted and dropped.

        Raises:
            PacketError: It is empty or longer than an Opus packet can be.
        """
        turn, connection = self._turn, self._link.connection
        if turn is None or connection is None or not turn.takes_speech:
            self.counters.uplink_unsendable += 1
            return
        connection.speak(self._codec.encode(SpeechPacket(packet, captured_ms, turn.packets)))
        turn.packets += 1

    def finish(self) -> None:
        """Queue the final marker; `uplink_flushed` is posted once the socket has it.

        Without a connection, and the second time, it does nothing.
        """
        turn, connection = self._turn, self._link.connection
        if turn is None or connection is None or not turn.takes_speech:
            return
        turn.is_finished = True
        marker = FinalMarker(self._clock.monotonic_ms(), turn.packets)
        connection.finish(self._codec.encode(marker))

    # What the link tells (`link.Owner`).

    def link_opened(self) -> None:
        """Let a turn begin that waited for the connection."""
        if self._turn is not None:
            self._bind(self._turn)

    def link_received(self, message: Incoming) -> None:
        """Do what the message asks for; words and answers to pings ask for nothing."""
        match message:
            case ReplyPacket():
                self._pass_packet(message)
            case ReplyEnd():
                if message.last is not None:
                    self._pass_packet(message.last)
                self._pass_end()
            case GatewayError():
                self._take_error(message.code)
            case SafetyOverride():
                self._act("safety_override", pause_ms=_ms(message.duration_s))
            case GuardianCommand():
                self._take_command(message)
            case ConfigurationHint():
                self._hint("configuration")

    def link_flushed(self) -> None:
        """Open the way for the reply."""
        turn = self._turn
        if turn is not None:
            turn.is_flushed = True
            self._post("uplink_flushed", turn=turn.number, connection=turn.connection)

    def link_ended(self) -> None:
        """Tell the turn, unless it may still get a connection."""
        turn = self._turn
        if turn is None:
            return
        if turn.connection:
            self._turn = None
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
        self._turn = None
        self._post("stream_failed", turn=turn.number)

    def _leave_turn(self, *, keep: bool) -> None:
        """Unbind the turn, and fence unless its connection is fit to keep."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        turn.stop_waiting()
        if turn.has_spoken and not keep:
            self._link.fence()

    # The reply.

    def _pass_packet(self, packet: ReplyPacket) -> None:
        turn = self._turn
        if turn is None or not turn.takes_reply:
            self.counters.reply_packets_dropped += 1
            return
        self._reply_sink.reply_packet(
            turn.number, turn.connection, packet.packet, packet.sample_rate_hz
        )

    def _pass_end(self) -> None:
        turn = self._turn
        if turn is not None and turn.takes_reply:
            turn.is_replied = True
            self._reply_sink.reply_end(turn.number, turn.connection)

    # What the gateway asks for.

    def _take_error(self, code: ErrorCode) -> None:
        if code == "SAFETY_VIOLATION":
            self._act("violation")
        turn = self._turn
        if turn is not None and turn.connection and not turn.is_failed:
            turn.is_failed = True
            self._post("turn_failed", turn=turn.number, connection=turn.connection, code=code)
        if code == "AUTH_FAILED":
            self._turn = None
            self._link.refuse()

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
