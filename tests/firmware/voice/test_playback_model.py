"""Playback against a simple model of it, under whatever can happen in whatever order.

The model knows no jitter buffer, no decoding ahead and no time. It says which frames may be heard
next, which events may be posted, and what must have happened once everything is quiet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from hardware.pcm import FRAME_SAMPLES
from hardware.sim.clock import VirtualTimeLoop
from tests.firmware.voice.rig import (
    SILENCE,
    PlaybackRig,
    Posted,
    cue_frames,
    decoded,
    encoded,
    loud,
)
from tests.hardware.voices import frames, tone

if TYPE_CHECKING:
    from collections.abc import Callable

    from hardware.speaker import Source
    from states.events import FieldValue
    from tests.firmware.voice.rig import HoldingSpeaker

REPLY_MODES = ("reply", "answers")
MODES = ("closed", "cues", "fixed", *REPLY_MODES)
PACKETS_PER_CLIP = 30
STEPS = 30
QUIET_S = 10.0
CUES = ("denied", "end", "offline")
"""Two earcons, and one with a sentence."""


@cache
def clip(turn: int) -> tuple[list[bytes], dict[bytes, int]]:
    """The packets of the reply to a turn, and the number of each frame that is heard of it."""
    packets = encoded(tone(310.7 + 13.3 * turn, 20 * PACKETS_PER_CLIP).tobytes())
    sounds = loud(frames(decoded(packets)))
    numbers = {frame: number for number, frame in enumerate(sounds)}
    assert len(numbers) == PACKETS_PER_CLIP
    return packets, numbers


@cache
def cue_sounds(name: str) -> list[bytes]:
    """What is heard of a cue."""
    return [frame for frame in loud(list(cue_frames(name))) if frame != SILENCE]


@dataclass(eq=False)
class Piece:
    """A reply, or a replay of one."""

    turn: int
    packets: int = 0
    heard: int = 0
    is_ended: bool = False
    is_dry: bool = False
    is_replay: bool = False


class TappedRig(PlaybackRig):
    """A rig that shows each frame and each event to the model at the moment it happens."""

    def __init__(
        self, on_frame: Callable[[bytes], None], on_event: Callable[[str, dict[str, Any]], None]
    ) -> None:
        self._on_frame = on_frame
        super().__init__()

        class Shown(Posted):
            def __call__(self, name: str, /, **fields: FieldValue) -> None:
                super().__call__(name, **fields)
                on_event(name, fields)

        self.playback._post = Shown()

    def _make_speaker(self, source: Source) -> HoldingSpeaker:
        def shown(samples: int) -> bytes:
            assert samples == FRAME_SAMPLES
            frame = source(samples)
            self._on_frame(frame)
            return frame

        return super()._make_speaker(shown)


class PlaybackModel(RuleBasedStateMachine):
    """What may be heard and told, and what must be."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.turn = 0
        self.mode = "closed"
        self.takes_packets = False
        self.piece: Piece | None = None
        self.kept: set[Piece | None] = {None}
        self.cues: deque[bytes] = deque()
        self.began: list[int] = []
        self.failures: list[str] = []

    # -- What happens -----------------------------------------------------------------------------

    @initialize()
    def start(self) -> None:
        """Make the rig inside the loop."""

        async def main() -> TappedRig:
            return TappedRig(self.hear, self.note)

        self.rig = self.runner.run(main())
        self.change_turn("cues")

    @rule(mode=st.sampled_from(MODES))
    def change_turn(self, mode: str) -> None:
        """A turn begins, and the old one ends after that, as in a barge-in."""
        self.drop_piece()
        self.cues.clear()
        self.turn += 1
        self.mode, self.takes_packets = mode, True
        self.do("speaker", mode=mode, turn=self.turn)
        self.do("end_turn", turn=self.turn - 1, outcome="interrupted")

    @rule(mode=st.sampled_from(MODES))
    def change_mode(self, mode: str) -> None:
        """The turn goes on elsewhere."""
        if mode != self.mode:
            self.cues.clear()
            if self.mode in REPLY_MODES:
                self.takes_packets = False
                self.drop_piece()
        self.mode = mode
        self.do("speaker", mode=mode, turn=self.turn)

    @rule(count=st.integers(1, 12), is_late=st.booleans())
    def receive(self, count: int, is_late: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        """Packets arrive, of this turn or of the last one."""
        if is_late or not self.takes_packets:
            stale = self.rig.playback.packets["stale"]
            self.call(self.rig.receive, self.turn - is_late, [clip(0)[0][0]] * count)
            assert self.rig.playback.packets["stale"] == stale + count
            return
        if self.piece is None:
            self.piece = Piece(self.turn)
        piece = self.piece
        for packet in clip(piece.turn)[0][piece.packets : piece.packets + count]:
            begins = not piece.packets or piece.is_dry
            piece.is_dry = False
            piece.packets += 1
            self.began.clear()
            self.call(self.rig.receive, self.turn, [packet])
            assert self.began == [self.turn] * begins

    @rule(count=st.integers(1, 12), is_slow=st.booleans())
    def answer(self, count: int, is_slow: bool) -> None:  # noqa: FBT001 - as above
        """A turn comes as far as its reply: chance alone would seldom lead there."""
        self.change_turn("cues")
        self.receive(count, is_late=False)
        self.change_mode("reply")
        if is_slow:
            self.be_quiet()

    @rule(is_late=st.booleans(), is_cut=st.booleans())
    def end_reply(self, is_late: bool, is_cut: bool) -> None:  # noqa: FBT001 - as above
        """The reply is complete or cut off; or an older one is."""
        if not is_late:
            self.takes_packets = False
            if self.piece is not None:
                self.piece.is_ended = True
        turn = self.turn - is_late
        if is_cut:
            self.do("end_reply", turn=turn)
        else:
            self.call(self.rig.end, turn)

    @rule()
    def end_turn(self) -> None:
        """The turn is over; the toy stays where it is."""
        self.takes_packets = False
        self.drop_piece()
        self.do("end_turn", turn=self.turn, outcome="stopped")
        self.cut_cues()

    @rule(name=st.sampled_from(CUES))
    def cue(self, name: str) -> None:
        """A sound of the toy's own."""
        dropped = self.rig.playback.cues_dropped
        self.cues += cue_sounds(name)
        self.do("cue", name=name)
        if self.rig.playback.cues_dropped > dropped:
            for _ in cue_sounds(name):
                self.cues.pop()

    @rule(mode=st.sampled_from(REPLY_MODES))
    def replay(self, mode: str) -> None:
        """The last reply again, in a turn of its own, as the machine asks for it."""
        self.change_turn(mode)
        self.takes_packets = False
        self.piece = Piece(self.turn, is_ended=True, is_replay=True)
        self.do("replay", turn=self.turn)

    @rule()
    def purge(self) -> None:
        """Consent is withdrawn."""
        self.takes_packets = False
        self.drop_piece()
        self.kept = {None}
        self.do("purge_speech")
        self.cut_cues()

    @rule(duration_ms=st.integers(0, 700))
    def wait(self, duration_ms: int) -> None:
        """Time passes."""
        self.runner.run(asyncio.sleep(duration_ms / 1000))
        self.check()

    @rule()
    def be_quiet(self) -> None:
        """After long enough, everything that can be heard was heard, and all of it told."""
        self.runner.run(asyncio.sleep(QUIET_S))
        self.check()
        assert not self.rig.speaker.is_open
        assert not self.cues
        if self.piece is not None and self.mode in REPLY_MODES and self.piece.packets:
            assert self.piece.heard == self.piece.packets
            assert self.piece.is_dry
            assert not self.piece.is_ended

    def teardown(self) -> None:
        """Close everything."""
        if hasattr(self, "rig"):
            self.be_quiet()
            self.call(self.rig.playback.close)
        self.runner.close()

    # -- What may be heard and told ---------------------------------------------------------------

    def hear(self, frame: bytes) -> None:
        """Judge a frame."""
        if frame == SILENCE:
            return
        if self.cues and frame == self.cues[0]:
            self.cues.popleft()
            self.expect(self.mode != "closed", "a cue while the speaker is closed")
            return
        piece = self.piece
        if piece is None or self.mode not in REPLY_MODES:
            self.failures.append("a sound where there is none")
            return
        if piece.is_replay and not piece.heard:
            self.find_what_was_kept(piece, frame)
        number = clip(piece.turn)[1].get(frame)
        self.expect(number == piece.heard, f"frame {number} where {piece.heard} should be")
        self.expect(piece.heard < piece.packets, "a frame that had not come")
        piece.heard += 1
        if not piece.is_replay:
            self.kept = {piece}

    def find_what_was_kept(self, replay: Piece, frame: bytes) -> None:
        """See by its first frame which of the possible replies is played again."""
        for kept in self.kept:
            if kept is not None and clip(kept.turn)[1].get(frame) == 0:
                replay.turn, replay.packets = kept.turn, kept.packets
                self.kept = {kept}
                return
        self.failures.append("a replay of something else")

    def note(self, name: str, fields: dict[str, Any]) -> None:
        """Judge an event."""
        self.expect(fields["turn"] == self.turn, f"{name} of another turn")
        piece = self.piece
        if piece is None:
            self.failures.append(f"{name} where there is no reply")
        elif name == "reply_began":
            self.began.append(fields["turn"])
        elif name == "reply_dry":
            self.expect(not piece.is_ended and not piece.is_dry, "dry twice or after the end")
            self.expect(0 < piece.heard == piece.packets, "dry with frames left")
            piece.is_dry = True
        elif name == "reply_played":
            self.expect(piece.is_ended, "played out before the end")
            self.expect(0 < piece.heard == piece.packets, "played out with frames left")
            self.piece = None
        elif name == "nothing_kept":
            self.expect(piece.is_replay and None in self.kept, "nothing kept, but there was")
            self.piece, self.kept = None, {None}

    # -- Help -------------------------------------------------------------------------------------

    def drop_piece(self) -> None:
        """Forget the reply; what was decoded of it, but not heard, may be kept."""
        piece, self.piece = self.piece, None
        if piece is None:
            return
        could_be_decoded = self.mode in REPLY_MODES and piece.packets > 0
        if not piece.is_replay and not piece.heard and could_be_decoded:
            self.kept.add(piece)

    def cut_cues(self) -> None:
        """Note that a reply which stops takes along the cues in the same queue, all or none."""
        if not self.rig.playback._cues and not len(self.rig.playback._output):
            self.cues.clear()

    def expect(self, holds: bool, what: str) -> None:  # noqa: FBT001 - an assertion
        """Note a failure; a speaker's source must not raise."""
        if not holds:
            self.failures.append(what)

    def check(self) -> None:
        """Raise what was noted."""
        assert not self.failures

    def do(self, effect: str, **fields: FieldValue) -> None:
        """Perform an effect on the loop."""
        self.call(lambda: self.rig.perform(effect, **fields))

    def call(self, function: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - passed on
        """Call something on the loop."""

        async def main() -> None:
            function(*args)

        self.runner.run(main())
        self.check()


PlaybackModel.TestCase.settings = settings(max_examples=40, stateful_step_count=STEPS)
TestPlaybackAgainstItsModel = PlaybackModel.TestCase
