"""A toy to tell stories with: events go in by short names, and what a person would notice is asked.

A scenario reads like the sentence of MACHINE.md that it stands for::

    toy = Toy.ready()
    toy.press().is_in("listening.hearing").hears_cue("listening")
    toy.fires("hold").release().is_in("listening.connecting")

``Toy`` performs nothing, but it keeps what a performer would hold after each step, from the
effects alone: the light, the microphone, the speaker, the armed timers, what was deferred. So an
effect that is missing is noticed even where the context says the right thing. The few claims that
hold of every step are asked at every step (``_holds_everywhere``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Self, TypedDict, Unpack

from states import lookup as lookup_module
from states.context import Context
from states.derive import Situation
from states.effects import Effect
from states.events import CONNECTION, EVENTS, LOCK, NEW_CONNECTION, TURN, Event, FieldValue
from states.lookup import Lookup, Rules
from states.machine import START, Core, Step

FIRED: Final[Counter[str]] = Counter()
"""How often each row fired in all scenarios so far, by its id."""

OPENNESS: Final = {"closed": 0, "sampling": 1, "capture": 2}
CAPTURING: Final = frozenset(("listening.hearing", "streaming.sending", "offline.listening"))
SAMPLING: Final = frozenset(("idle.awake", "offline.ready", "speaking"))
SERVER_SOUND: Final = frozenset(("say", "replay", "answer_offline"))


class Timer(NamedTuple):
    """An armed timer, as the effect that armed it told."""

    arming: int
    ms: int
    event: str


class Facts(TypedDict, total=False):
    """What a scenario may take for granted instead of telling how it came about."""

    barred: bool
    flooded: bool
    link: bool
    presses: int


_shared: list[tuple[Rules, Core]] = []


def stepped(situation: Situation, event: Event) -> tuple[Step, Situation]:
    """Take ``event`` in ``situation`` by the rules that ``states.lookup.OURS`` holds just now.

    All toys take turns with one core: building one costs 20 ms, the longest story 2.
    """
    rules = lookup_module.OURS
    if not _shared or _shared[0][0] is not rules:
        _shared[:] = [(rules, Core(lookup=Lookup(rules)))]
    core = _shared[0][1]
    core._position.state, core._position.context = situation
    return core.step(event), core.situation


class Toy:
    """Where a toy is, how it came there, and what its performers would hold."""

    def __init__(self) -> None:
        """Begin where the service has not started yet."""
        self.situation = START
        self.steps: list[Step] = []
        self.light = ""
        self.microphone = "closed"
        self.speaker = "closed"
        self.timers: dict[str, Timer] = {}
        self.deferred: list[Event] = []

    # Where stories begin.
    @classmethod
    def reading(cls) -> Self:
        """Return a toy that has just started."""
        return cls().happens("started").is_in("boot.reading")

    @classmethod
    def testing(cls) -> Self:
        """Return a toy with an identity and no lock, in its self-test."""
        return cls.reading().records().is_in("boot.testing")

    @classmethod
    def held(cls) -> Self:
        """Return a toy whose button has been down since the start."""
        return cls.reading().happens("down_at_start").records().is_in("boot.held")

    @classmethod
    def offering_setup(cls) -> Self:
        """Return a toy whose button has been down for 5 s."""
        return cls.held().fires("state").is_in("boot.offer_setup")

    @classmethod
    def offering_erase(cls) -> Self:
        """Return a toy whose button has been down for 15 s."""
        return cls.offering_setup().fires("state").is_in("boot.offer_erase")

    @classmethod
    def authenticating(cls) -> Self:
        """Return a toy that waits for its first tokens."""
        return cls.testing().happens("parts_tested", failed="").is_in("auth")

    @classmethod
    def unprovisioned(cls) -> Self:
        """Return a toy without identity."""
        return cls.reading().records(identity=False, lock="missing").is_in("boot.unprovisioned")

    @classmethod
    def ready(cls, **configuration: bool) -> Self:
        """Return a toy that is awake and online."""
        toy = cls.authenticating().happens("tokens_granted")
        return toy.configured(**configuration).is_in("idle.awake")

    @classmethod
    def asleep(cls, **configuration: bool) -> Self:
        """Return an online toy in quiet hours."""
        return cls.ready(**configuration).happens("bedtime", asleep=True).is_in("idle.asleep")

    @classmethod
    def muted(cls, **configuration: bool) -> Self:
        """Return an online toy that its guardian muted."""
        return cls.ready(**configuration).commands("mute").is_in("idle.muted")

    @classmethod
    def offline(cls, **configuration: bool) -> Self:
        """Return a toy that is awake and has not reached the gateway for a while."""
        toy = cls.ready(**configuration).happens("link_down").fires("grace")
        return toy.is_in("offline.ready")

    @classmethod
    def listening(cls, **configuration: bool) -> Self:
        """Return a toy that hears a child who tapped its button; the stream is not open yet."""
        return cls.ready(**configuration).tap().fires("chain").is_in("listening.hearing")

    @classmethod
    def connecting(cls) -> Self:
        """Return a toy whose child has spoken before the stream was open."""
        return cls.listening().voice().silence().is_in("listening.connecting")

    @classmethod
    def sending(cls, **configuration: bool) -> Self:
        """Return a toy that sends what a child says hands-free."""
        return cls.listening(**configuration).voice().stream_opens().is_in("streaming.sending")

    @classmethod
    def flushing(cls) -> Self:
        """Return a toy that sends the rest of an utterance."""
        return cls.sending().silence().is_in("streaming.flushing")

    @classmethod
    def waiting(cls, **configuration: bool) -> Self:
        """Return a toy that awaits the reply."""
        toy = cls.sending(**configuration).silence()
        return toy.happens("uplink_flushed").is_in("streaming.waiting")

    @classmethod
    def speaking(cls, **configuration: bool) -> Self:
        """Return a toy that plays the reply."""
        return cls.waiting(**configuration).happens("reply_began").is_in("speaking")

    @classmethod
    def listening_offline(cls, **configuration: bool) -> Self:
        """Return a toy without link that hears a child who tapped its button."""
        return cls.offline(**configuration).tap().fires("chain").is_in("offline.listening")

    @classmethod
    def answering(cls, **configuration: bool) -> Self:
        """Return a toy without link that answers by itself."""
        toy = cls.listening_offline(**configuration).voice().silence()
        return toy.is_in("offline.answering")

    @classmethod
    def paused(cls) -> Self:
        """Return a toy in a durable pause of 300 s that the server asked for."""
        toy = cls.ready().happens("safety_override", pause_ms=300_000)
        return toy.happens("lock_written").is_in("safety_lockout.pause")

    @classmethod
    def locked(cls) -> Self:
        """Return a toy in a durable lock that the server asked for."""
        toy = cls.ready().happens("emergency_stop", command=None)
        return toy.happens("lock_written").is_in("safety_lockout.lock")

    # What happens.
    def happens(self, name: str, /, **fields: FieldValue) -> Self:
        """Let ``name`` happen; what it must name to be heard is the present one unless given."""
        for field, domain in EVENTS[name].fields.items():
            if field not in fields and domain in (TURN, CONNECTION, NEW_CONNECTION, LOCK):
                fields[field] = self._present(str(domain))
        return self.takes(Event(name, fields, f"e{len(self.steps)}", len(self.steps)))

    def takes(self, event: Event) -> Self:
        """Let this very event happen."""
        before = self.microphone
        step, self.situation = stepped(self.situation, event)
        self.steps.append(step)
        FIRED[step.row] += 1
        for effect in step.effects:
            self._performs(effect, event)
        self._holds_everywhere(before)
        return self

    def press(self) -> Self:
        """Press the button."""
        return self.happens("press")

    def release(self) -> Self:
        """Let the button go."""
        return self.happens("release")

    def tap(self) -> Self:
        """Press the button and let it go within 400 ms."""
        return self.press().release()

    def wake(self) -> Self:
        """Say the wake word."""
        return self.happens("wake_heard")

    def voice(self) -> Self:
        """Begin to speak."""
        return self.happens("speech_started")

    def silence(self) -> Self:
        """Be silent for 700 ms after speaking."""
        return self.happens("speech_ended")

    def stream_opens(self) -> Self:
        """Let the turn's stream open."""
        return self.happens("stream_opened")

    def fires(self, timer: str) -> Self:
        """Let an armed timer fire, with the arming that it was armed with."""
        assert timer in self.timers, f"{timer} is not armed in {self.leaf}: {sorted(self.timers)}"
        armed = self.timers.pop(timer)
        return self.happens(armed.event, timer=timer, arming=armed.arming)

    def records(
        self,
        lock: str = "free",
        *,
        identity: bool = True,
        lock_id: str = "stored",
        pause_ms: int = 300_000,
    ) -> Self:
        """Let the records on disk be read."""
        return self.happens(
            "records_read", identity=identity, lock=lock, lock_id=lock_id, pause_ms=pause_ms
        )

    def configured(self, version: int = 1, **given: bool) -> Self:
        """Let a configuration arrive: consent and nothing else, unless given."""
        fields = {"consent": True, "wake": False, "wake_barge": False, "continued": False} | given
        return self.happens("configured", version=version, **fields)

    def commands(self, kind: str, command: str = "row", **fields: FieldValue) -> Self:
        """Let the guardian command something by subscription; ``command`` is its row."""
        return self.happens(kind, command=command, **fields)

    def recalls(self) -> Self:
        """Let what was deferred come back, as the last step asked."""
        self.does("recall")
        back, self.deferred = self.deferred, []
        for event in back:
            self.takes(event)
        return self

    def knowing(self, **facts: Unpack[Facts]) -> Self:
        """Let the toy remember this already, however it came about."""
        self.situation = Situation(self.leaf, self.context._replace(**facts))
        return self

    # What is asked of the last step, or of what holds after it.
    def is_in(self, leaf: str) -> Self:
        """Assert where the toy is."""
        assert self.leaf == leaf, f"{self._told()}: expected {leaf}"
        return self

    def by(self, prefix: str) -> Self:
        """Assert that a row whose id begins like this fired, or that it was ``ignored:``,
        ``refused:``.
        """
        assert self.last.row.startswith(prefix), f"{self._told()}: expected {prefix}"
        return self

    def does(self, name: str, **fields: FieldValue) -> Self:
        """Assert that the last step asked for this effect, with at least these fields."""
        assert self._found(name, fields), f"{self._told()}: expected {name} {fields}"
        return self

    def does_not(self, *names: str) -> Self:
        """Assert that the last step asked for none of these effects."""
        for name in names:
            assert not self._found(name, {}), f"{self._told()}: expected no {name}"
        return self

    def does_in_order(self, *names: str) -> Self:
        """Assert that the last step asked for these effects, each after the one before it."""
        rest = iter([effect.name for effect in self.last.effects])
        assert all(name in rest for name in names), f"{self._told()}: expected {names} in order"
        return self

    def does_nothing(self) -> Self:
        """Assert that the last event changed nothing and asked for nothing."""
        assert self.last.row.startswith(("ignored:", "refused:")), (
            f"{self._told()}: expected nothing"
        )
        assert not self.last.effects
        assert self.last.to == self.last.source
        return self

    def hears_cue(self, name: str) -> Self:
        """Assert that the last step played this sound of the device's own, and no other."""
        cues = [effect.fields["name"] for effect in self.last.effects if effect.name == "cue"]
        assert cues == [name], f"{self._told()}: expected the cue {name}"
        return self

    def hears_no_cue(self) -> Self:
        """Assert that the last step played no sound of the device's own."""
        return self.does_not("cue")

    def ends_turn(self, outcome: str) -> Self:
        """Assert that the last step ended the turn it found, with this outcome."""
        return self.does("end_turn", outcome=outcome)

    def goes_on(self) -> Self:
        """Assert that the last step ended no turn."""
        return self.does_not("end_turn")

    def reports(self, kind: str, *, urgent: bool, detail: FieldValue = None) -> Self:
        """Assert that the last step reported this to the guardian."""
        return self.does("report", kind=kind, urgent=urgent, detail=detail)

    def acknowledges(self, outcome: str, command: str = "row") -> Self:
        """Assert that the last step told the cloud what became of the command."""
        return self.does("acknowledge", command=command, outcome=outcome)

    def shows(self, light: str) -> Self:
        """Assert what the light shows."""
        assert self.light == light, (
            f"{self._told()}: the light shows {self.light}, expected {light}"
        )
        return self

    def has_microphone(self, mode: str) -> Self:
        """Assert what the microphone does."""
        assert self.microphone == mode, f"{self._told()}: the microphone is {self.microphone}"
        return self

    def has_speaker(self, mode: str) -> Self:
        """Assert what the speaker is open for."""
        assert self.speaker == mode, f"{self._told()}: the speaker is open for {self.speaker}"
        return self

    def has_armed(self, timer: str, ms: int) -> Self:
        """Assert that the last step armed a timer afresh, and for how long."""
        return self.does("arm", timer=timer, ms=ms)

    def awaits(self, timer: str, ms: int) -> Self:
        """Assert that a timer is armed, and for how long."""
        assert timer in self.timers, f"{self._told()}: {timer} is not armed"
        assert self.timers[timer].ms == ms, (
            f"{self._told()}: {timer} takes {self.timers[timer].ms} ms"
        )
        return self

    def awaits_no(self, *timers: str) -> Self:
        """Assert that none of these timers is armed."""
        for timer in timers:
            assert timer not in self.timers, f"{self._told()}: {timer} is armed"
        return self

    # What the toy is.
    @property
    def leaf(self) -> str:
        """Where it is."""
        return self.situation.leaf

    @property
    def context(self) -> Context:
        """What it remembers."""
        return self.situation.context

    @property
    def last(self) -> Step:
        """What the last event did."""
        return self.steps[-1]

    @property
    def lock_id(self) -> str:
        """The id of the lock in force, as it was written and reported."""
        lock = self.context.lock
        assert lock is not None, f"{self._told()}: not locked"
        return lock.id

    def _present(self, domain: str) -> FieldValue:
        context = self.context
        if domain == LOCK:
            return context.lock.id if context.lock else "no lock"
        if domain == NEW_CONNECTION:
            return 100 + len(self.steps)
        return context.turn if domain == TURN else context.connection

    def _found(self, name: str, fields: dict[str, FieldValue]) -> list[Effect]:
        return [
            effect
            for effect in self.last.effects
            if effect.name == name and fields.items() <= dict(effect.fields).items()
        ]

    def _performs(self, effect: Effect, event: Event) -> None:
        """Keep what the performer of ``effect`` would hold."""
        of = effect.fields
        if effect.name == "light":
            self.light = str(of["pattern"])
        elif effect.name == "microphone":
            self.microphone = str(of["mode"])
        elif effect.name == "speaker":
            self.speaker = str(of["mode"])
        elif effect.name == "arm":
            self.timers[str(of["timer"])] = Timer(
                int(of["arming"] or 0), int(of["ms"] or 0), str(of["event"])
            )
        elif effect.name == "disarm":
            self.timers.pop(str(of["timer"]), None)
        elif effect.name == "defer":
            self.deferred.append(event)
        elif effect.name == "forget":
            self.deferred.clear()

    def _holds_everywhere(self, microphone_before: str) -> None:
        """Assert what MACHINE.md says of every step."""
        context, told = self.context, self._told()
        assert self.last.row != "refused:undefined", told
        if self.leaf.startswith("safety_lockout"):
            assert self.microphone == "closed", f"{told}: locked with a microphone"
            assert self.speaker == "fixed", (
                f"{told}: locked with the speaker open for {self.speaker}"
            )
            assert not SERVER_SOUND & {effect.name for effect in self.last.effects}, told
        if any(effect.name == "cue" for effect in self.last.effects) and self.leaf != "boot.dark":
            assert self.speaker != "closed", f"{told}: a sound without a speaker"
        if self.microphone == "capture":
            assert self.leaf in CAPTURING, f"{told}: capture in {self.leaf}"
        if self.microphone == "sampling":
            assert self.leaf in SAMPLING, f"{told}: sampling in {self.leaf}"
        if context.muted or context.switched_off or context.asleep or not context.consent:
            assert self.microphone == "closed", f"{told}: {self.microphone} while it may not"
        if OPENNESS[self.microphone] > OPENNESS[microphone_before]:
            _microphone_opens_last(self.last.effects, told)
        armed = {name: timer.arming for name, timer in self.timers.items()}
        assert armed == dict(context.timers), (
            f"{told}: {armed} are armed, {context.timers} are believed"
        )

    def _told(self) -> str:
        """Tell the last step, as every failure begins."""
        if not self.steps:
            return "before the first event"
        event, source, row, to, effects = self.last
        asked = ", ".join(f"{effect.name}{list(effect.fields.values())}" for effect in effects)
        return f"{event.name} in {source}: {row} -> {to} does {asked}"


def _microphone_opens_last(effects: Sequence[Effect], told: str) -> None:
    """Assert the order that a person relies on: light, earcon, microphone."""
    names = [effect.name for effect in effects]
    opened = names.index("microphone")
    assert "light" in names[:opened], f"{told}: the microphone opens before its light"
    assert "cue" not in names[opened:], f"{told}: the microphone opens before its earcon"


EVERYWHERE: Final[Mapping[str, Callable[[], Toy]]] = {
    "boot.dark": Toy,
    "boot.reading": Toy.reading,
    "boot.held": Toy.held,
    "boot.offer_setup": Toy.offering_setup,
    "boot.offer_erase": Toy.offering_erase,
    "boot.confirm_setup": lambda: Toy.offering_setup().release(),
    "boot.confirm_erase": lambda: Toy.offering_erase().release(),
    "boot.erasing": lambda: Toy.ready().commands("erase"),
    "boot.testing": Toy.testing,
    "boot.setup": lambda: Toy.offering_setup().release().tap().fires("chain"),
    "boot.unprovisioned": Toy.unprovisioned,
    "auth": Toy.authenticating,
    "idle.awake": Toy.ready,
    "idle.asleep": Toy.asleep,
    "idle.muted": Toy.muted,
    "listening.hearing": Toy.listening,
    "listening.connecting": Toy.connecting,
    "streaming.sending": Toy.sending,
    "streaming.flushing": Toy.flushing,
    "streaming.waiting": Toy.waiting,
    "speaking": Toy.speaking,
    "offline.ready": Toy.offline,
    "offline.listening": Toy.listening_offline,
    "offline.answering": Toy.answering,
    "safety_lockout.pause": Toy.paused,
    "safety_lockout.lock": Toy.locked,
}
"""The shortest story that leads to each leaf."""

LOCKED: Final = tuple(leaf for leaf in EVERYWHERE if leaf.startswith("safety_lockout"))
FREE: Final = tuple(leaf for leaf in EVERYWHERE if leaf not in LOCKED)
TURNS: Final = (
    "listening.hearing",
    "listening.connecting",
    "streaming.sending",
    "streaming.flushing",
    "streaming.waiting",
    "speaking",
    "offline.listening",
    "offline.answering",
)
REST: Final = ("idle.awake", "idle.asleep", "idle.muted", "offline.ready")
STARTING: Final = tuple(leaf for leaf in EVERYWHERE if leaf.startswith("boot") or leaf == "auth")
SET_UP: Final = tuple(leaf for leaf in FREE if leaf in TURNS or leaf in REST)
"""Where the toy has an identity and its start is over."""


def at(leaf: str) -> Toy:
    """Return a toy in this leaf."""
    return EVERYWHERE[leaf]().is_in(leaf) if leaf != "boot.dark" else Toy()
