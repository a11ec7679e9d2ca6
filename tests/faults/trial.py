"""A toy that is put through a fault, and what came of it: the whole firmware, a cloud far away.

A trial is one toy from its first start: it gets ready, is pressed and spoken to; at some moment the
fault sets in, and from then on there is also much to report. When the turn has ended, so has the
fault, and nobody helps: the toy must come back by itself, deliver everything, hear its guardian and
answer the next turn.

Each lane of trials is a process with a loop and a cloud of its own: nobody else's work is measured.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing.util
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from firmware.app import JOURNAL, Toy
from firmware.cloud.settings import CloudSettings
from firmware.settings import DeviceSettings, IdentitySettings, Settings
from firmware.stream.settings import StreamSettings
from hardware.clock import Clock
from hardware.pcm import BYTES_PER_MS, read_wav
from hardware.sim.vault import VirtualVault
from simulator.cloud_process import CloudProcess
from simulator.demo import CLIPS_DIR
from simulator.watch import Watch, arrives_at
from states.journal import read
from states.machine import Step
from states.replay import replay
from tests.faults.lag import LoopLag

LIMIT_S: Final = 30.0
"""For whatever is waited for; everything here takes a fraction of it."""
URGENT: Final = 5
METRICS: Final = 12
LOGS: Final = 8
CLIP: Final = CLIPS_DIR / "goforward.raw"
NEXT_CLIP: Final = CLIPS_DIR / "numbers.raw"
NEXT_CLIP_MS: Final = 600
"""Of it is said in the turn after the fault: its answer is short."""
BREATH_MS: Final = 200
"""Between the press and the first word, and between the last word and the release."""

Moment = Literal["before", "speech", "waiting", "reply"]
"""When the fault sets in: before the turn, in the middle of the utterance, while the reply is
waited for, or in the middle of the reply."""

MOMENTS: Final[tuple[Moment, ...]] = ("before", "speech", "waiting", "reply")

_STATES: Final[Mapping[Moment, tuple[str, ...]]] = {
    "speech": ("streaming.sending",),
    "waiting": ("streaming.waiting",),
    "reply": ("speaking",),
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A fault, and when it sets in.

    Attributes:
        name: Of the trial, and the beginning of its records' ids.
        faults: What the cloud's control API is told (``devcloud.faults``); ended when the turn has.
        posts: What else it is told at that moment: paths and bodies.
        at: The moment.
        strikes: The faults that must have struck, as the control API counts them.
        ends: How the turn may end. One that the fault does not touch is answered.
    """

    name: str
    faults: Mapping[str, object] = field(default_factory=dict)
    posts: tuple[tuple[str, Mapping[str, object]], ...] = ()
    at: Moment = "before"
    strikes: tuple[str, ...] = ()
    ends: tuple[str, ...] = ("answered",)


class Row(NamedTuple):
    """A record as the cloud has it, and how often it was delivered."""

    record_id: str
    arguments: Mapping[str, Any]
    deliveries: int


class Held(NamedTuple):
    """What came of a trial.

    Attributes:
        lag_ms: The longest that the loop was held up, from the start of the toy to its end.
        outcome: How the turn in the fault ended.
        states: The states that it went through.
        back_ms: From the end of the fault until everything works again and nothing waits.
        next_outcome: How the turn after it ended.
        volume_outcomes: How a guardian's command after the fault was acknowledged, each time.
        struck: How often each fault was carried out, during the trial.
        put: The arguments of the urgent records, by id, in order.
        reports: The urgent records, in order of arrival.
        metrics: The bulk records that are joined to batches, likewise.
        logs: The other bulk records, likewise.
        set_aside: Records that were given up.
        failures: Effects that failed.
        dropped: Events that were dropped.
        differs: Where the journal and the table part, if anywhere.
        complaints: What the loop or the interpreter complained of.
    """

    lag_ms: float
    outcome: str
    states: list[str]
    back_ms: float
    next_outcome: str
    volume_outcomes: list[str]
    struck: dict[str, int]
    put: dict[str, Mapping[str, object]]
    reports: list[Row]
    metrics: list[Row]
    logs: list[Row]
    set_aside: int
    failures: dict[str, int]
    dropped: dict[str, int]
    differs: str
    complaints: list[str]


def begin_lane() -> None:
    """Make this process a lane: a loop, and a cloud beside it for as long as the process lives."""
    _lanes.append(_Lane())


def hold(trial: Trial, folder: Path) -> Held:
    """Hold a trial in this process's lane.

    Raises what went wrong, with a note of where the toy was.
    """
    (lane,) = _lanes
    return lane.hold(trial, folder)


class _Lane:
    """Where trials are held one after the other."""

    def __init__(self) -> None:
        self._complaints: list[str] = []
        self._secret = secrets.token_hex(8)
        self._cloud = CloudProcess(self._secret)
        self._runner = asyncio.Runner()
        loop = self._runner.get_loop()
        loop.set_exception_handler(lambda _, told: self._complaints.append(str(told)))
        sys.unraisablehook = self._note_unraisable
        # What `atexit` knows is not called in such a process.
        multiprocessing.util.Finalize(None, self._close, exitpriority=1)
        self._runner.run(self._cloud.__aenter__())
        # What a cloud can do to a toy is asked here. A wake word's thread takes the interpreter's
        # lock fifty times a second; where lanes share two cores the machine stops it while it has
        # the lock, and only a part of that can be told from what the firmware itself takes.
        self._runner.run(self._cloud.put("configuration", {"wakeWordEnabled": False}))

    def hold(self, trial: Trial, folder: Path) -> Held:
        """Hold a trial."""
        self._complaints.clear()
        held = self._runner.run(self._held(trial, folder))
        gc.collect()
        return held._replace(complaints=self._complaints[:])

    async def _held(self, trial: Trial, folder: Path) -> Held:
        course = _Course(trial, self._cloud, self._secret, folder)
        try:
            return await course.run()
        except Exception as error:
            error.add_note(course.situation)
            raise

    def _note_unraisable(self, told: sys.UnraisableHookArgs) -> None:
        self._complaints.append(f"{told.err_msg}: {told.exc_value!r}")

    def _close(self) -> None:
        self._runner.run(self._cloud.__aexit__(None, None, None))
        self._runner.close()


_lanes: Final[list[_Lane]] = []


def quick(cloud: CloudProcess, data: Path) -> Settings:
    """Return the settings of a toy that notices everything soon, and tries again soon."""
    return Settings(
        identity=IdentitySettings(device_id="dev-sim-1", toy_id="toy-sim-1"),
        device=DeviceSettings(board="sim", data_dir=str(data)),
        cloud=CloudSettings(
            url=cloud.convex_url,
            connect_timeout_ms=1_000,
            read_timeout_ms=2_500,
            call_deadline_ms=4_000,
            retry_delay_ms_min=100,
            retry_delay_ms_max=500,
            refused_delay_ms_min=200,
            refused_delay_ms_max=1_000,
            child_silence_ms_max=3_000,
            heartbeat_ms=300,
            renewal_interval_ms=1_000,
            poll_interval_ms=1_000,
        ),
        stream=StreamSettings(
            url=cloud.stream_url,
            retry_delay_ms_min=100,
            retry_delay_ms_max=500,
            keepalive_interval_ms=500,
            keepalive_timeout_ms=2_500,
            settled_after_ms=1_000,
        ),
    )


class _Course:
    """One trial on its way."""

    def __init__(self, trial: Trial, cloud: CloudProcess, secret: str, data: Path) -> None:
        self._trial = trial
        self._cloud = cloud
        self._data = data
        self._watch = Watch()
        self._put: dict[str, Mapping[str, object]] = {}
        self._clock = Clock()
        self._toy = Toy(quick(cloud, data), VirtualVault(secret))
        self._toy.loop.observers.append(self._watch)
        assert self._toy.backend is not None
        self._backend = self._toy.backend

    @property
    def situation(self) -> str:
        """Where the toy is, and how it got there, for whoever looks for the reason."""
        told = [f"{step.event.at_ms} {step.row} -> {step.to}" for step in self._watch.steps[-40:]]
        return "\n".join((*told, f"back: {self._working()}", str(self._backend.outbox.counts)))

    async def run(self) -> Held:
        """Hold the trial."""
        struck_before = await self._struck()
        lag = LoopLag()
        async with lag:
            self._toy.start()
            try:
                await self._until_it_works()
                outcome, states = await self._turn_in_fault()
                struck = await self._struck()
                ended_s = time.monotonic()
                await self._until_it_works()
                back_ms = (time.monotonic() - ended_s) * 1000
                command = await self._hear_guardian()
                next_outcome = await self._next_turn()
                await self._until_it_works()
            finally:
                await self._cloud.set_faults(_ended(self._trial.faults))
                await self._toy.close()
        return Held(
            lag.worst_ms,
            outcome,
            states,
            back_ms,
            next_outcome,
            await self._acknowledgements(command),
            {name: struck[name] - struck_before[name] for name in struck},
            self._put,
            await self._rows("reports"),
            await self._rows("metrics"),
            await self._rows("logs"),
            self._backend.outbox.counts.set_aside,
            dict(self._toy.loop.failures),
            dict(self._toy.loop.dropped),
            self._difference(),
            [],
        )

    async def _turn_in_fault(self) -> tuple[str, list[str]]:
        self._report()
        if self._trial.at == "before":
            await self._set_in()
        since = len(self._watch.steps)
        turn = asyncio.create_task(self._turn(read_wav(CLIP)))
        try:
            if self._trial.at != "before":
                await self._first(arrives_at(*_STATES[self._trial.at]), since)
                await self._set_in()
            outcome = await turn
        finally:
            turn.cancel()
        self._report()
        await self._cloud.set_faults(_ended(self._trial.faults))
        steps = self._watch.steps[since:]
        return outcome, [step.to for step in steps if step.to != step.source]

    async def _set_in(self) -> None:
        await self._cloud.set_faults(self._trial.faults)
        for path, body in self._trial.posts:
            await self._cloud.post(path, body)
        while len(self._put) < URGENT - 1:
            self._report()
        outbox, name = self._backend.outbox, self._trial.name
        for number in range(METRICS):
            outbox.put(
                "metrics:record",
                {"metrics": {"number": number}},
                urgent=False,
                record_id=f"{name}-m{number:02}",
            )
        for number in range(LOGS):
            outbox.put(
                "logs:create",
                {"level": "info", "code": "trial", "context": {"number": number}},
                urgent=False,
                record_id=f"{name}-l{number:02}",
            )

    def _report(self) -> None:
        number = len(self._put)
        arguments: Mapping[str, object] = {
            "eventType": f"trial_{number}",
            "details": {"number": number},
            "isUrgent": True,
        }
        record_id = f"{self._trial.name}-u{number}"
        self._put[record_id] = arguments
        self._backend.outbox.put(
            "guardian:reportEvent", arguments, urgent=True, record_id=record_id
        )

    async def _turn(self, said: bytes) -> str:
        """Press, speak, let go; return how the turn ended."""
        since = len(self._watch.steps)
        toy = self._toy
        toy.board.press()
        await self._first(arrives_at("listening.hearing", "offline.listening"), since)
        turn = toy.loop.core.situation.context.turn
        toy.microphone.speak(bytes(BREATH_MS * BYTES_PER_MS) + said)
        spoken_ms = toy.microphone.speaking_until_ms - self._clock.monotonic_ms()
        self._clock.call_later(spoken_ms + BREATH_MS, toy.board.release)
        step = await self._first(lambda step: _ends(step, turn) is not None, since)
        await self._first(lambda step: step.event.name == "release", since)
        return str(_ends(step, turn))

    async def _next_turn(self) -> str:
        """Have a turn once no press can be taken for the next of a chain."""
        await self._until(lambda: not self._toy.loop.core.situation.context.presses)
        return await self._turn(read_wav(NEXT_CLIP)[: NEXT_CLIP_MS * BYTES_PER_MS])

    async def _hear_guardian(self) -> str:
        """Let the guardian command something, and wait until the toy has done it."""
        since = len(self._watch.steps)
        command = await self._cloud.post("commands", {"kind": "volume", "percent": 60})
        await self._first(lambda step: step.row == "command.volume", since)
        return str(command["commandId"])

    async def _acknowledgements(self, command: str) -> list[str]:
        rows = await self._cloud.table("acks")
        told = [row["arguments"] for row in rows]
        return [row["outcome"] for row in told if row["commandId"] == command]

    async def _until_it_works(self) -> None:
        await self._until(lambda: all(self._working().values()))

    def _working(self) -> dict[str, bool]:
        """Tell what works: nothing is left to do when all of it does."""
        cloud, outbox = self._backend.cloud, self._backend.outbox
        return {
            "awake": self._toy.loop.core.situation.leaf == "idle.awake",
            "tokens": cloud.tokens is not None,
            "stream": self._backend.stream._link.is_open,
            "live queries": not (cloud._live.lost.is_set() or cloud._live._unanswered),
            "urgent delivered": outbox.is_empty("urgent"),
            "bulk delivered": outbox.is_empty("bulk"),
        }

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                await _next_moment()

    async def _first(self, predicate: Callable[[Step], bool], since: int) -> Step:
        return await self._watch.first(predicate, LIMIT_S, since=since)

    async def _struck(self) -> dict[str, int]:
        struck = (await self._cloud.get("faults"))["struck"]
        return {**struck, **struck["network"], "network": 0}

    async def _rows(self, table: str) -> list[Row]:
        rows = await self._cloud.table(table)
        return [
            Row(row["recordId"], row["arguments"], row["deliveries"])
            for row in rows
            if row["recordId"].rpartition("-")[0] == self._trial.name
        ]

    def _difference(self) -> str:
        """Return where what the toy did and what the table allows part."""
        lines = (self._data / JOURNAL).read_text(encoding="ascii").splitlines(keepends=True)
        replayed = replay(read(lines))
        return "" if replayed.difference is None else str(replayed.difference)


async def _next_moment() -> None:
    """Let a little time pass on the loop."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, passed.set)
    await passed.wait()


def _ended(faults: Mapping[str, object]) -> dict[str, object]:
    return {name: False if value is True else None for name, value in faults.items()}


def _ends(step: Step, turn: int) -> str | None:
    """Return how ``step`` ends ``turn``, or None where it does not."""
    for effect in step.effects:
        if effect.name == "end_turn" and effect.fields["turn"] == turn:
            return str(effect.fields["outcome"])
    return None
