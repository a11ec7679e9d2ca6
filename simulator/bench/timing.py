"""How long things take, at the sound server and at the cloud, in turn after turn.

A turn: the button is pressed and held, which interrupts the reply of the turn before; bursts of the
tone are said into the microphone; the button is released, and the cloud replies with the tone. So
each turn shows how long bursts take to the cloud, a reply's first packet to the speaker, and a
press until the speaker is silent. In a stop, the cloud says `emergency_stop` in the middle of a
reply; the guardian releases the toy, and it goes on.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Final

from firmware.bench.section import Figure, Judged, Tell, spread
from hardware import pcm
from simulator.bench import tone
from simulator.bench.latency import Uplink, bursts_ms, to_wire_ms
from simulator.bench.rig import Rig

TURNS: Final = 40
STOPS: Final = 15

BURST_MS: Final = 60
BURST_GAPS_MS: Final = (150, 211, 307, 257, 293)
"""No two alike, and no multiples of a frame."""
AFTER_BURSTS_MS: Final = 100
REPLY_HEARD_MS: Final = (700, 1_300)
"""How much of a reply is heard before it is interrupted."""
LATE_MS: Final = 5_000.0
"""What does not come at all counts as that late."""
STOP: Final = {"type": "command", "command": "emergency_stop"}

SERVER_MS: Final = 50
"""What the sound server's own buffers may hold: 40 to 50."""
TO_WIRE_MS_MAX: Final = 20 + 10 + SERVER_MS
JITTER_TARGET_MS: Final = 60
TO_SPEAKER_MS_MAX: Final = JITTER_TARGET_MS + 80
SILENT_MS_MAX: Final = 80
CLOSED_MS_MAX: Final = 20 + SERVER_MS


@dataclass
class Timings:
    """All that was measured, in ms each."""

    to_wire: list[float] = field(default_factory=list)
    to_speaker: list[float] = field(default_factory=list)
    press_to_silence: list[float] = field(default_factory=list)
    stop_to_closed: list[float] = field(default_factory=list)
    stop_to_silence: list[float] = field(default_factory=list)
    bursts_lost: int = 0

    def figures(self) -> list[Figure]:
        """Return what is told of it."""
        lost = "bursts that the cloud did not hear"
        rows: tuple[tuple[str, list[float], int, Judged], ...] = (
            ("capture → wire", self.to_wire, TO_WIRE_MS_MAX, "p95"),
            ("wire → speaker", self.to_speaker, TO_SPEAKER_MS_MAX, "p95"),
            ("barge-in by button → silence", self.press_to_silence, SILENT_MS_MAX, "p99"),
            ("emergency stop → microphone closed", self.stop_to_closed, CLOSED_MS_MAX, "p99"),
            ("emergency stop → silence", self.stop_to_silence, SILENT_MS_MAX, "p99"),
        )
        return [
            *(
                spread("voice", what, "ms", taken, budget=budget, judged=judged)
                for what, taken, budget, judged in rows
            ),
            Figure("voice", lost, "", self.bursts_lost, None, 0),
        ]


async def measure(rig: Rig, tell: Tell, turns: int = TURNS, stops: int = STOPS) -> Timings:
    """Hold so many turns, and stop the toy so many times.

    Raises ToyLostError or SoundServerError when it does something else.
    """
    trial = _Trial(rig)
    for number in range(turns):
        if number % 10 == 0:
            tell(f"voice: turns, {number} of {turns}")
        await trial.turn()
    await trial.interrupt()
    for number in range(stops):
        if number % 10 == 0:
            tell(f"voice: emergency stops, {number} of {stops}")
        await trial.stop()
    return trial.timings


class _Trial:
    """Measures one turn or stop after the other."""

    def __init__(self, rig: Rig) -> None:
        self.timings = Timings()
        self._rig = rig
        self._chance = random.Random(1)  # noqa: S311 - repeatable, not secret
        self._replied_at: int | None = None
        """The sample of the speaker's recording from which the present reply is looked for."""

    async def turn(self) -> None:
        """Interrupt the reply of the last turn, speak, and hear the beginning of the next reply."""
        rig, begin = self._rig, self._rig.microphone.samples
        pressed_ms = await rig.speak(_bursts())
        self._note_silence(pressed_ms, self.timings.press_to_silence)
        self._replied_at = rig.speaker.samples
        await self._hear_reply()
        heard = (await rig.cloud.get("stream-heard"))[-1]
        turn = (await rig.cloud.turns())[-1]
        self._note_bursts(begin, Uplink.from_json(heard))
        self._note_reply(float(turn["first_packet_at_ms"]))

    async def interrupt(self) -> None:
        """Interrupt the last reply, and let the toy get ready."""
        rig, begin = self._rig, len(self._rig.toy.steps)
        pressed_ms = now_ms()
        rig.toy.type("tap")
        await rig.at("idle.awake", begin)
        self._note_silence(pressed_ms, self.timings.press_to_silence)
        self._replied_at = None

    async def stop(self) -> None:
        """Begin a reply, and have the cloud stop the toy in the middle of it."""
        rig, begin = self._rig, len(self._rig.toy.steps)
        await rig.speak(b"")
        self._replied_at = rig.speaker.samples
        await self._hear_reply()
        stopped_ms = now_ms()
        await rig.cloud.post("stream", {"message": STOP})
        closed_ms = await rig.streams.closed_ms(stopped_ms)
        self.timings.stop_to_closed.append(closed_ms - stopped_ms)
        at = await rig.toy.until(lambda step: step.event == "lock_written", begin)
        lock_id = rig.toy.steps[at].fields["lock_id"]
        await rig.cloud.post("commands", {"kind": "release", "lockId": lock_id})
        await rig.at("idle.awake", at)
        self._note_silence(stopped_ms, self.timings.stop_to_silence)

    async def _hear_reply(self) -> None:
        assert self._replied_at is not None  # noqa: S101 - a reply has begun
        await self._rig.speaker.sound(self._replied_at)
        await asyncio.sleep(self._chance.uniform(*REPLY_HEARD_MS) / 1000)

    def _note_silence(self, since_ms: float, taken_ms: list[float]) -> None:
        """Note how long after a moment the reply ended that was heard then."""
        if self._replied_at is None:
            return
        rig, begin = self._rig, self._replied_at
        ends_ms = [rig.speaker.heard_ms(begin + end) for end in tone.ends(rig.speaker.since(begin))]
        # The last of it, should it be torn; and not that of the reply after it.
        taken_ms.append(max(ends_ms, default=since_ms + LATE_MS) - since_ms)

    def _note_bursts(self, begin: int, uplink: Uplink) -> None:
        microphone = self._rig.microphone
        said = microphone.since(begin)
        said_ms = bursts_ms(said, lambda sample: microphone.heard_ms(begin + sample))
        arrived_ms = uplink.bursts_ms()
        self.timings.to_wire += to_wire_ms(said_ms, arrived_ms)
        self.timings.bursts_lost += abs(len(said_ms) - len(arrived_ms))

    def _note_reply(self, sent_ms: float) -> None:
        assert self._replied_at is not None  # noqa: S101 - a reply has begun
        rig, begin = self._rig, self._replied_at
        begins = tone.begins(rig.speaker.since(begin))
        heard_ms = rig.speaker.heard_ms(begin + begins[0]) if begins else sent_ms + LATE_MS
        self.timings.to_speaker.append(heard_ms - sent_ms)


def now_ms() -> float:
    """Return the time as recordings have it."""
    return time.monotonic() * 1000


def _bursts() -> bytes:
    """Return bursts of the tone."""
    gaps = [bytes(gap_ms * pcm.BYTES_PER_MS) for gap_ms in (*BURST_GAPS_MS, AFTER_BURSTS_MS)]
    return tone.make(BURST_MS).join(gaps)
