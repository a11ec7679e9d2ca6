"""What the machine remembers beside its state.

Only what a rule reads is kept here. A variable that means nothing in a state is reset on the way
there (``states.derive``), so that two situations that cannot be told apart are one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from states.errors import TableError

PAUSE_MS: Final = 300_000
"""How long a pause lasts unless a server lengthens it."""


class Lock(NamedTuple):
    """The lock that is in force.

    ``id`` names it in a release; ``kind`` is ``pause`` (ends by itself after ``pause_ms``) or
    ``lock`` (held); ``cause`` is the event that locked; ``command`` the guardian's row to
    acknowledge once the lock is ``durable``, if a guardian locked.
    """

    id: str
    kind: str
    pause_ms: int
    cause: str
    command: str | None
    durable: bool = False


class Context(NamedTuple):
    """The machine's memory. Immutable; a step makes a new one."""

    # Who the toy is and whom it can reach.
    identity: bool | None = None
    """Has an identity; None until the records were read."""
    tokens: bool = False
    """Valid tokens for cloud and stream are held."""
    refused: bool = False
    """The credentials were refused since tokens were last granted; the guardian was told."""
    link: bool = True
    """The gateway can be reached; believed until something shows the contrary."""
    startup_press: bool = False
    """The button has been down since the service started."""

    # Availability, held in every state.
    consent: bool = False
    """The parent's consent ``listen``: no until a configuration says yes."""
    muted: bool = False
    """Muted by the guardian."""
    switched_off: bool = False
    """Muted by the privacy switch."""
    bedtime: bool = False
    """What quiet hours and budget say now."""
    asleep: bool = False
    """What is in force: ``bedtime``, latched while a turn lasts."""

    deaf: bool = False
    """The microphone does not work: the toy speaks and shows, and begins no turn."""

    # Configuration that a rule reads.
    version: int = 0
    """Of the configuration in force."""
    wake: bool = False
    wake_barge: bool = False
    continued: bool = False

    deferred: bool = False
    """Something waits for the next idle moment."""

    # The turn.
    turn: int = 0
    """The number of the present turn or of the last one."""
    connection: int = 0
    """The generation of the turn's stream connection; 0 while it has none."""
    speech: bool = False
    """The turn has speech: a voice was heard or the button was held."""
    push_to_talk: bool = False
    """The button is held: its release ends the utterance."""

    # The button.
    presses: int = 0
    """Presses in the chain so far, 0 to 2: the third acts and ends it."""
    barred: bool = False
    """The chain began where a second press means nothing."""

    # Safety.
    lock: Lock | None = None
    alarm: bool = False
    """The lock could not be written yet."""
    flooded: bool = False
    """The urgent queue filled up and has not been below half since."""

    # Timers that are armed: (name, id of the arming), by name.
    timers: tuple[tuple[str, int], ...] = ()
    armings: int = 0
    """Armings so far; the next id is one more."""

    @property
    def held(self) -> Lock:
        """The lock, for what only happens while there is one. Raises TableError without one."""
        if self.lock is None:
            raise TableError("a row outside safety_lockout uses the lock; only rows from there may")
        return self.lock

    @property
    def online(self) -> bool:
        """A turn can be carried: there is a link and there are tokens."""
        return self.link and self.tokens

    @property
    def hushed(self) -> bool:
        """No microphone: muted by guardian or switch, or without consent."""
        return self.muted or self.switched_off or not self.consent

    @property
    def may_hear(self) -> bool:
        """The microphone may be open at all."""
        return not (self.hushed or self.asleep or self.deaf)

    @property
    def availability(self) -> str:
        """``muted``, ``asleep`` or ``awake``; muted is the stronger."""
        if self.hushed:
            return "muted"
        return "asleep" if self.asleep else "awake"

    def armed(self, timer: str) -> int | None:
        """Return the id of ``timer``'s arming, or None when it is not armed."""
        for name, arming in self.timers:
            if name == timer:
                return arming
        return None
