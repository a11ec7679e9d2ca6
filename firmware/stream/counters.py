"""What the stream counts, for metrics and for the person who looks after the toy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Totals since the start. Bytes are those of the messages, without WebSocket and TLS."""

    connections: int = 0
    """Connections established; all but the first are reconnections."""
    connections_failed: int = 0
    """Attempts that did not get that far."""
    connections_lost: int = 0
    """Connections that ended although we did not end them."""
    connections_fenced: int = 0
    """Connections that we ended so that nothing of an older turn can come over them."""

    messages_up: int = 0
    bytes_up: int = 0
    messages_down: int = 0
    bytes_down: int = 0

    uplink_overflowed: int = 0
    """Packets of speech that gave way to younger ones on a slow network."""
    uplink_unsendable: int = 0
    """Packets of speech that came while no turn was open for them."""
    messages_dropped: int = 0
    """Messages that could not be used; the codec has them by reason."""
    messages_limited: int = 0
    """Messages that would have acted, or been passed on as words, had there not been too many of
    their kind."""
    reply_packets_dropped: int = 0
    """Pieces of a reply that came before the utterance's end, after the reply's, for another turn
    than the present one, or without one."""
    reply_pieces_missing: int = 0
    """Pieces of a reply that its numbers, or the count at its end, tell of and that never came."""
    reply_pieces_unplayable: int = 0
    """Pieces of a reply in a format, or with a header, that cannot be played."""
    turns_cancelled: int = 0
    """Turns that were cancelled over a connection that stayed."""
    hints: int = 0
    """Copies of commands and configuration that were no more than a hint to look."""
