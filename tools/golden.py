"""Records the golden journals: known incidents, played by the real core.

Run it as ``python tools/golden.py`` after a change of the table that is meant to change what a
child or a guardian notices; tests/journals/README.md says when that is allowed. Nothing in the
files depends on when or where they were made: time is what the stories say, and ids are numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(
    0, str(ROOT)
)  # the stories are told in the words of the tests, which nobody installs

from states import fingerprint, lookup  # noqa: E402 - the path comes first
from states.events import Event  # noqa: E402
from states.journal import FORMAT, Header, Recorder, read  # noqa: E402
from states.lookup import Rules  # noqa: E402
from states.machine import START, Step  # noqa: E402
from tests.states.scenario import Toy  # noqa: E402

JOURNALS: Final = ROOT / "tests" / "journals"
STEP_MS: Final = 100
"""What lies between two events of a story that says nothing of time."""


class Witness(Toy):
    """A toy whose steps carry the time: it goes on by itself, and jumps to a timer that fires."""

    def __init__(self) -> None:
        """Begin when the service starts."""
        super().__init__()
        self.now_ms = 0
        self.due_ms: dict[str, int] = {}

    def takes(self, event: Event) -> Self:
        """Let this very event happen, now."""
        self.now_ms += STEP_MS
        super().takes(event._replace(id=f"e{len(self.steps)}", at_ms=self.now_ms))
        for effect in self.last.effects:
            if effect.name == "arm":
                self.due_ms[str(effect.fields["timer"])] = self.now_ms + int(
                    effect.fields["ms"] or 0
                )
        return self

    def fires(self, timer: str) -> Self:
        """Let an armed timer fire when it is due."""
        self.now_ms = max(self.now_ms, self.due_ms[timer] - STEP_MS)
        return super().fires(timer)


def conversation() -> Toy:
    """A question, its answer, and a second question that interrupts a second answer."""
    toy = Witness.speaking().happens("reply_played").ends_turn("answered").is_in("idle.awake")
    toy.press().fires("hold").stream_opens().is_in("streaming.sending").release()
    toy.happens("uplink_flushed").happens("reply_began").is_in("speaking")
    toy.press().ends_turn("interrupted").is_in("listening.hearing").release().fires("chain")
    toy.voice().stream_opens().silence().happens("uplink_flushed").happens("reply_began")
    return toy.happens("reply_played").is_in("idle.awake")


def late_reply() -> Toy:
    """The gateway goes on with an answer that the child interrupted."""
    toy = Witness.speaking()
    turn, connection = toy.context.turn, toy.context.connection
    toy.tap().is_in("listening.hearing")
    for name in ("reply_began", "stream_lost"):
        toy.happens(name, turn=turn, connection=connection).does_nothing()
    toy.happens("reply_played", turn=turn).does_nothing()
    return toy.is_in("listening.hearing")


def router_restarts() -> Toy:
    """The stream is cut while the answer is awaited; minutes later the network is back."""
    toy = Witness.waiting().happens("stream_lost").ends_turn("stream cut").is_in("offline.ready")
    toy.tap().is_in("offline.listening").fires("chain").voice().silence().is_in("offline.answering")
    toy.happens("link_up").is_in("offline.answering").happens("answer_played")
    return toy.is_in("idle.awake").press().is_in("listening.hearing")


def stream_never_opens() -> Toy:
    """The child has spoken and the gateway cannot be reached: the toy answers by itself."""
    toy = Witness.connecting().happens("stream_failed").does("abandon_stream")
    return toy.is_in("offline.answering").happens("answer_played").is_in("offline.ready")


def triple_press() -> Toy:
    """Three presses stop the toy in the middle of a sentence, for five minutes."""
    toy = Witness.speaking().tap().tap().press().is_in("safety_lockout.pause")
    toy.happens("lock_written").release().press().hears_cue("denied").release()
    return toy.fires("pause").is_in("idle.awake")


def power_cut_in_pause() -> Toy:
    """Somebody pulls the plug during a pause: it begins anew."""
    toy = Witness.reading().records("pause", lock_id="e17").is_in("safety_lockout.pause")
    toy.happens("lock_written").happens("tokens_granted").configured()
    return toy.fires("pause").is_in("idle.awake")


def disk_full() -> Toy:
    """A guardian locks, and the lock cannot be written at first."""
    toy = Witness.ready().commands("lock", "g1").is_in("safety_lockout.lock")
    toy.happens("lock_write_failed").shows("red-amber-alarm").does_not("acknowledge")
    toy.fires("lock_retry").does("write_lock").happens("lock_written").acknowledges("done", "g1")
    toy.commands("unlock", "g2", lock_id="older", via="subscription").acknowledges("refused", "g2")
    return toy.commands("unlock", "g3", via="subscription").is_in("idle.awake")


def bedtime() -> Toy:
    """Quiet hours begin while the toy speaks: it finishes, and no turn begins after."""
    toy = Witness.speaking().happens("bedtime", asleep=True).is_in("speaking")
    toy.happens("reply_played").is_in("idle.asleep").press().hears_cue("denied").release()
    return toy.press().does_not("replay").release().fires("chain").is_in("idle.asleep")


def consent_withdrawn() -> Toy:
    """A parent withdraws consent while the child speaks."""
    toy = Witness.sending().configured(2, consent=False).does("purge_speech").is_in("idle.muted")
    return toy.has_microphone("closed").press().hears_cue("denied").release().is_in("idle.muted")


def first_power_on() -> Toy:
    """A new toy is set up, and asks for tokens with its new identity."""
    toy = Witness.unprovisioned().tap().fires("chain").happens("provisioned").is_in("boot.reading")
    toy.records("free").happens("parts_tested", failed="").is_in("auth")
    return toy.happens("tokens_granted").configured().is_in("idle.awake")


def third_press_overlooked() -> Toy:
    """Three presses, told by a table that lacks the row which stops the toy."""
    return Witness.ready().tap().tap().press().is_in("speaking")


STORIES: Final[dict[str, Callable[[], Toy]]] = {
    story.__name__.replace("_", "-"): story
    for story in (
        bedtime,
        consent_withdrawn,
        conversation,
        disk_full,
        first_power_on,
        late_reply,
        power_cut_in_pause,
        router_restarts,
        stream_never_opens,
        third_press_overlooked,
        triple_press,
    )
}
OTHER_TABLES: Final[dict[str, Rules]] = {
    "third-press-overlooked": lookup.OURS._replace(
        rows=tuple(row for row in lookup.OURS.rows if row.id != "stop.press")
    )
}
"""Stories that are told by another table than ours; each must diverge."""


@contextmanager
def planted(rules: Rules) -> Iterator[None]:
    """Let toys play by other rules for a while."""
    ours, lookup.OURS = lookup.OURS, rules  # type: ignore[misc]
    try:
        yield
    finally:
        lookup.OURS = ours  # type: ignore[misc]


def told(name: str) -> tuple[Rules, list[Step]]:
    """Tell a story; return the rules it was told by and its steps."""
    rules = OTHER_TABLES.get(name, lookup.OURS)
    with planted(rules):
        return rules, STORIES[name]().steps


def journal(rules: Rules, steps: Iterable[Step]) -> str:
    """Return the text of a journal."""
    recorder = Recorder()
    rows = fingerprint.rows(rules)
    header = Header(FORMAT, "golden", fingerprint.table(rules), rows, "golden", START)
    return "\n".join([recorder.header(header), *map(recorder.line, steps)]) + "\n"


def recorded(path: Path) -> list[Step]:
    """Return the steps of a journal that is there already, or none."""
    if not path.exists():
        return []
    with path.open(encoding="ascii") as lines:
        return [entry.step for entry in read(lines).entries]


def main() -> int:
    """Write each journal whose steps changed, and say which; a header may name an older table."""
    for name in STORIES:
        path = JOURNALS / f"{name}.jsonl"
        rules, steps = told(name)
        changed = recorded(path) != steps
        if changed:
            path.write_text(journal(rules, steps), encoding="ascii")
        print(f"{'written' if changed else 'as it was':10} {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
