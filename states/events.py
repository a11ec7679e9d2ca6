"""The vocabulary of events: everything that can happen to the toy, by name.

An event is a name, its fields and what the loop adds: a fresh ``id`` (which becomes the ``lockId``
when the event locks the toy) and the monotonic time. Two things are said of each event here:

origin  ``person``, ``guardian``, ``world`` come from outside; ``timer`` is a timer's firing;
        ``result`` is what came of an effect. Results are the *internal* events of MACHINE.md:
        they alone may never feed themselves in a circle.
fence   what the event must name to be heard at all. A fenced event that names anything but the
        present one is dropped before the table is asked, so no row can forget to ask:

        =============  ====================================================================
        ``arming``     the timer is armed, and by this very arming
        ``turn``       a turn is under way, and it is this one
        ``connection`` the same, over the stream connection that this turn opened
        ``lock``       the toy is locked, by this very lock
        ``version``    the configuration is not older than the one in force
        =============  ====================================================================

A field's domain is what the exhaustive exploration tries for it. Fields hold ids, durations, flags
and names from small sets; never audio, words or secrets, because events are journalled whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from states.errors import EventError

FieldValue = str | int | bool | None

Origin = Literal["person", "guardian", "world", "timer", "result"]
Fence = Literal["arming", "turn", "connection", "lock", "version"]

# Domains whose values depend on where the machine is: the exploration tries the present one and
# another; every other domain is the tuple of its values.
TURN: Final = "turn"
CONNECTION: Final = "connection"
NEW_CONNECTION: Final = "new connection"
TIMER: Final = "timer"
ARMING: Final = "arming"
LOCK: Final = "lock"
VERSION: Final = "version"

FLAG: Final = (False, True)
COMMAND: Final = ("command",)
OPTIONAL_COMMAND: Final = (None, "command")
VIA: Final = ("subscription", "stream", "unverified")
PAUSE_MS: Final = (300_000, 600_000)

Domain = str | tuple[FieldValue, ...]


class Event(NamedTuple):
    """One thing that happened.

    ``fields`` as the vocabulary gives them; ``id`` unique over the toy's life (letters and digits);
    ``at_ms`` monotonic milliseconds, for the journal only: no rule reads it.
    """

    name: str
    fields: Mapping[str, FieldValue] = {}
    id: str = ""
    at_ms: int = 0

    def get(self, field: str) -> FieldValue:
        """Return ``field``'s value; the vocabulary guarantees that it is there."""
        return self.fields[field]


class EventKind(NamedTuple):
    """What the vocabulary says of an event: its origin, fence and fields with their domains."""

    origin: Origin
    fence: Fence | None
    fields: Mapping[str, Domain]
    says: str


def _kind(origin: Origin, says: str, fence: Fence | None = None, **fields: Domain) -> EventKind:
    return EventKind(origin, fence, fields, says)


EVENTS: Final[Mapping[str, EventKind]] = {
    # The button. Edges are debounced; gestures are made of them in the table.
    "press": _kind("person", "the button goes down"),
    "release": _kind("person", "the button comes up"),
    "down_at_start": _kind("person", "the button was already down when the service started"),
    "privacy_switch": _kind("person", "the privacy switch was moved", on=FLAG),
    "wake_heard": _kind("person", "the wake word was heard while sampling"),
    "speech_started": _kind("person", "a voice began", "turn", turn=TURN),
    "speech_ended": _kind("person", "700 ms of silence after a voice", "turn", turn=TURN),
    # Timers. Each firing names its timer and the arming it belongs to.
    "state_elapsed": _kind("timer", "the state's time is up", "arming", timer=TIMER, arming=ARMING),
    "hold_elapsed": _kind(
        "timer", "the button is down for 400 ms", "arming", timer=TIMER, arming=ARMING
    ),
    "chain_elapsed": _kind(
        "timer", "500 ms up: the chain of presses ends", "arming", timer=TIMER, arming=ARMING
    ),
    "dry_elapsed": _kind("timer", "no reply frame for 3 s", "arming", timer=TIMER, arming=ARMING),
    "grace_elapsed": _kind(
        "timer", "no link or tokens for 10 s", "arming", timer=TIMER, arming=ARMING
    ),
    "violation_elapsed": _kind(
        "timer", "a violation is 5 minutes old", "arming", timer=TIMER, arming=ARMING
    ),
    "pause_elapsed": _kind("timer", "the pause is over", "arming", timer=TIMER, arming=ARMING),
    "lock_retry_elapsed": _kind(
        "timer", "time to write the lock again", "arming", timer=TIMER, arming=ARMING
    ),
    "auth_due": _kind("world", "back-off is over, or tokens are about to expire"),
    # Start and set-up.
    "started": _kind("world", "the service started: always the first event"),
    "records_read": _kind(
        "result",
        "identity and lock record were read",
        identity=FLAG,
        lock=("free", "pause", "lock", "unreadable", "missing"),
        lock_id=("stored",),
        pause_ms=PAUSE_MS[:1],
    ),
    "parts_tested": _kind("result", "the self-test is done", failed=("", "microphone")),
    "provisioned": _kind("world", "set-up gave the toy an identity, a network or both"),
    "erased": _kind("result", "all personal data is gone"),
    "erase_failed": _kind("result", "personal data could not be erased"),
    # Credentials and link.
    "tokens_granted": _kind("result", "tokens for cloud and stream are held"),
    "auth_failed": _kind("result", "no tokens", refused=FLAG),
    "tokens_lost": _kind("world", "a token expired or was revoked"),
    "link_up": _kind("world", "a connection to the gateway opened; told of every one"),
    "link_down": _kind("world", "the gateway cannot be reached"),
    # The stream, within a turn.
    "stream_opened": _kind(
        "result", "the turn's stream is open", "turn", turn=TURN, connection=NEW_CONNECTION
    ),
    "stream_failed": _kind("result", "the turn's stream could not be opened", "turn", turn=TURN),
    "stream_lost": _kind(
        "world", "the turn's stream was cut", "connection", turn=TURN, connection=CONNECTION
    ),
    "uplink_flushed": _kind(
        "result", "the utterance has left whole", "connection", turn=TURN, connection=CONNECTION
    ),
    "turn_failed": _kind(
        "world",
        "the gateway cannot answer",
        "connection",
        turn=TURN,
        connection=CONNECTION,
        code=("AUDIO_ERROR",),
    ),
    "reply_began": _kind(
        "world",
        "the reply's first frame after the utterance left, or the first after a gap",
        "connection",
        turn=TURN,
        connection=CONNECTION,
    ),
    "reply_dry": _kind("world", "the reply ran dry before its end", "turn", turn=TURN),
    "reply_played": _kind("result", "the reply was played out", "turn", turn=TURN),
    "nothing_kept": _kind("result", "there is no last reply to play again", "turn", turn=TURN),
    # Answers from the device.
    "answer_played": _kind("result", "the device's answer was played out", "turn", turn=TURN),
    "words_began": _kind(
        "result", "the guardian's words are heard", "turn", turn=TURN, command=COMMAND
    ),
    "answer_failed": _kind("result", "the device has no answer", "turn", turn=TURN),
    # Availability and configuration.
    "bedtime": _kind("world", "what quiet hours and play budget say now", asleep=FLAG),
    "configured": _kind(
        "guardian",
        "a configuration arrived, live or from the cache",
        "version",
        version=VERSION,
        consent=FLAG,
        wake=FLAG,
        wake_barge=FLAG,
        continued=FLAG,
    ),
    # Guardian commands. ``command`` is the row to acknowledge; a copy on the stream has none.
    "stop": _kind("guardian", "end the turn", command=OPTIONAL_COMMAND),
    "pause": _kind("guardian", "lock for a time", command=OPTIONAL_COMMAND, pause_ms=PAUSE_MS),
    "lock": _kind("guardian", "lock until released", command=OPTIONAL_COMMAND),
    "unlock": _kind(
        "guardian",
        "release the lock that it names",
        command=OPTIONAL_COMMAND,
        lock_id=LOCK,
        via=VIA,
    ),
    "mute": _kind("guardian", "close the microphone", command=COMMAND),
    "unmute": _kind("guardian", "open the microphone again", command=COMMAND),
    "say": _kind("guardian", "speak through the toy", command=COMMAND),
    "volume": _kind("guardian", "set the volume", command=COMMAND),
    "extend": _kind("guardian", "more play time", command=COMMAND),
    "export": _kind("guardian", "send what the toy holds", command=COMMAND),
    "erase": _kind("guardian", "erase personal data", command=COMMAND),
    "switch_toy": _kind("guardian", "become another toy", command=COMMAND),
    "reboot": _kind("guardian", "restart", command=COMMAND),
    "update": _kind("guardian", "install an update now", command=COMMAND),
    "update_ready": _kind(
        "world", "an update waits to be installed; told again whenever the toy falls asleep"
    ),
    # Safety.
    "safety_override": _kind("guardian", "the server stops the toy for a time", pause_ms=PAUSE_MS),
    "emergency_stop": _kind("guardian", "the server stops the toy", command=OPTIONAL_COMMAND),
    "violation": _kind("world", "something unsafe was said or heard"),
    "urgent_full": _kind("world", "the queue of urgent reports is full"),
    "urgent_low": _kind("world", "the queue of urgent reports is below half"),
    "lock_unreadable": _kind("world", "the lock record on disk is damaged or gone"),
    "lock_written": _kind("result", "the lock is durable", "lock", lock_id=LOCK),
    "lock_write_failed": _kind("result", "the lock could not be written", "lock", lock_id=LOCK),
    # The rest of the body.
    "part_failed": _kind("world", "a part stopped working", part=("microphone", "speaker")),
    "part_recovered": _kind("world", "a part works again", part=("microphone",)),
    "shutdown": _kind("world", "the service is told to stop"),
}
INTERNAL: Final = frozenset(name for name, kind in EVENTS.items() if kind.origin == "result")


_TYPES: Final = {
    TURN: int,
    CONNECTION: int,
    NEW_CONNECTION: int,
    ARMING: int,
    VERSION: int,
    TIMER: str,
    LOCK: str,
}


def _types_of(domain: Domain) -> frozenset[type]:
    return frozenset((_TYPES[domain],)) if isinstance(domain, str) else frozenset(map(type, domain))


_FIELD_TYPES: Final = {
    name: {field: _types_of(domain) for field, domain in kind.fields.items()}
    for name, kind in EVENTS.items()
}


def check(event: Event) -> EventKind | None:
    """Return the event's kind, or None for a name outside the vocabulary.

    Raises EventError when the name is known but a field is missing, unknown or of another type.
    """
    kind = EVENTS.get(event.name)
    if kind is None:
        return None
    types = _FIELD_TYPES[event.name]
    if event.fields.keys() != types.keys():
        raise EventError(
            f"event {event.name!r} carries {sorted(event.fields)}, "
            f"its vocabulary asks for {sorted(types)}"
        )
    for field, value in event.fields.items():
        if type(value) not in types[field]:
            wanted = " or ".join(sorted(one.__name__ for one in types[field]))
            raise EventError(
                f"event {event.name!r} carries {field}={value!r}, which must be {wanted}"
            )
    return kind
