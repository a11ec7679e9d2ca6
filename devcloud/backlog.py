"""Which utterance the recogniser works on next, without I/O.

There is one decoder and there may be several utterances. One that has ended goes before one that
still arrives, for somebody waits for its reply. Whoever is overtaken is decoded again from its
beginning: the audio of each utterance is kept until it is done, and decoding is faster than speech.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SLICE_BYTES: Final = 3200
"""How much is decoded before looking for new messages: 100 ms of audio, about 30 ms of work."""


@dataclass(slots=True)
class Utterance:
    """One utterance: 16 kHz mono, signed 16 bit."""

    number: int
    pcm: bytearray = field(default_factory=bytearray)
    decoded_bytes: int = 0
    ended: bool = False

    @property
    def has_work(self) -> bool:
        """Tell whether there is audio to decode or a result to give."""
        return self.ended or self.decoded_bytes < len(self.pcm)


class Backlog:
    """The utterances that have begun and are not done."""

    def __init__(self) -> None:
        self._utterances: dict[int, Utterance] = {}
        self._current: Utterance | None = None

    def append(self, number: int, pcm: bytes) -> None:
        """Add audio to an utterance; the first audio begins it."""
        self._utterances.setdefault(number, Utterance(number)).pcm += pcm

    def end(self, number: int) -> None:
        """Note that an utterance has all its audio."""
        self._utterances.setdefault(number, Utterance(number)).ended = True

    def drop(self, number: int) -> None:
        """Forget an utterance: it is done, or nobody wants it any more."""
        utterance = self._utterances.pop(number, None)
        if utterance is self._current:
            self._current = None

    def choose(self) -> Utterance | None:
        """Choose the utterance to work on; one that is chosen anew begins again at 0."""
        candidates = [u for u in self._utterances.values() if u.has_work]
        best = max(candidates, key=lambda u: (u.ended, u is self._current), default=None)
        if best is not None and best is not self._current:
            best.decoded_bytes = 0
            self._current = best
        return best
