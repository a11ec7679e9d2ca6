"""The engine for phrases: a watcher that hears everything, and a judge for what it takes notice of.

The watcher, a small network, costs next to nothing, and is wrong some tens of times in an hour of
speech. The judge is asked only then. Neither alone is good enough; what counts is the sum of what
the two say, since they are seldom wrong in the same place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.judge import Judge
from firmware.voice.wake.network import Network
from firmware.voice.wake.phrase import Phrase
from firmware.voice.wake.spectrum import BANDS, STEP_MS, Floats, Spectrum, edges_of, stretches
from hardware.pcm import FRAME_MS

TEMPI: Final = (0.8, 1.0, 1.25)
"""How long, in lengths of the phrase, it may take to say it."""
LOOK_COLUMNS: Final = 3
"""The watcher looks once in so many columns."""
COLUMNS_MIN: Final = 40
"""What must have been heard before it looks at all."""

NOTICE_ODDS: Final = 0.0
"""Log-odds of the watcher at which the judge is asked."""
SETTLE_MS: Final = 200
"""After the watcher was surest: by then the phrase is over."""
NOTICE_MS_MAX: Final = 1_000
"""The judge is asked after so long in any case."""
JUDGED_LENGTHS: Final = 1.35
JUDGED_MS_MORE: Final = 300
"""How much the judge hears, up to now: so many lengths of the phrase, and so much more."""
REST_MS: Final = 1_000
"""After the phrase was heard, nothing is taken notice of for so long."""
JUDGE_SHARE: Final = 0.12
"""How the judge's score counts beside the watcher's odds."""

LENGTH_COLUMNS_MIN: Final = 20
LENGTH_COLUMNS_MAX: Final = 400
"""Shortest and longest phrase."""

VERSION: Final = 1
"""Of what engines are made from: one of another version is not understood."""


class Watcher:
    """Looks at the last columns of sound for a phrase that takes about `length` of them."""

    def __init__(self, network: Network, length: float) -> None:
        self._matrices = network.matrices()
        self._lengths = np.array(TEMPI, np.float32) * length
        self.columns = int(length * max(TEMPI)) + 1
        """How many columns it looks at, when the phrase is said most slowly."""

    def odds(self, columns: Floats) -> float:
        """Return the log-odds that the phrase ends with them, at the likeliest tempo."""
        edges = edges_of(np.array([len(columns)]), self._lengths, len(columns))
        return float(self._matrices.odds(stretches(columns, edges)).max())


class PhraseEngine:
    """Hears one phrase; see `Engine`.

    Args:
        watcher: Takes notice.
        judge: Is asked then.
        length: Of the phrase, in columns.
        threshold: Score from which the phrase is taken for heard.
    """

    def __init__(self, watcher: Watcher, judge: Judge, length: float, threshold: float) -> None:
        self._watcher = watcher
        self._judge = judge
        self._threshold = threshold
        self._spectrum = Spectrum()
        judged_ms = round(length * STEP_MS * JUDGED_LENGTHS) + JUDGED_MS_MORE
        self._sound: deque[bytes] = deque(maxlen=-(-judged_ms // FRAME_MS))
        self._columns = np.empty((0, BANDS), np.float32)
        self._unseen = 0  # columns since the watcher looked last
        self._odds = -np.inf
        self._noticed_ms: int | None = None  # since the watcher took notice
        self._best = -np.inf  # the highest odds since then,
        self._best_ms = 0  # and when that was
        self._is_settled = False  # the judge has spoken, and the watcher has not let go yet
        self._rest_ms = 0

    @property
    def is_likely(self) -> bool:
        """Whether the watcher has taken notice."""
        return self._noticed_ms is not None

    def hear(self, frame: bytes) -> bool:
        """Take the next frame; whether the phrase ended shortly before its end."""
        score = self.score(frame)
        if score is None or score < self._threshold:
            return False
        self._rest_ms = REST_MS
        return True

    def score(self, frame: bytes) -> float | None:
        """Take the next frame; what the two say, if they have just come to say anything."""
        self._sound.append(frame)
        self._look(frame)
        if self._rest_ms > 0:
            self._rest_ms -= FRAME_MS
            return None
        if self._noticed_ms is None:
            is_noticed = self._odds > NOTICE_ODDS
            self._is_settled &= is_noticed
            if not is_noticed or self._is_settled:
                return None
            self._noticed_ms, self._best, self._best_ms = 0, self._odds, 0
        self._noticed_ms += FRAME_MS
        if self._odds > self._best:
            self._best, self._best_ms = self._odds, self._noticed_ms
        if self._noticed_ms < min(self._best_ms + SETTLE_MS, NOTICE_MS_MAX):
            return None
        self._noticed_ms, self._is_settled = None, True
        return self._best + JUDGE_SHARE * self._judge.score(b"".join(self._sound))

    def reset(self) -> None:
        """Begin anew."""
        self._spectrum.reset()
        self._sound.clear()
        self._columns = self._columns[:0]
        self._unseen = 0
        self._odds = -np.inf
        self._noticed_ms = None
        self._is_settled = False
        self._rest_ms = 0

    def close(self) -> None:
        """Do nothing: what it holds is freed with it."""

    def _look(self, frame: bytes) -> None:
        """Bring the watcher's odds up to date."""
        fresh = self._spectrum.feed(frame)
        self._columns = np.concatenate([self._columns, fresh])[-self._watcher.columns :]
        self._unseen += len(fresh)
        if self._unseen < LOOK_COLUMNS or len(self._columns) < COLUMNS_MIN:
            return
        self._unseen = 0
        self._odds = self._watcher.odds(self._columns)


@dataclass(frozen=True)
class PhraseRecipe:
    """A phrase of the family's own, and all that was found out about it."""

    phrase: Phrase
    network: Network
    length: float
    threshold: float

    def make(self) -> PhraseEngine:
        """Return an engine for it.

        Raises:
            WakeWordRefusedError: `unavailable`: the libraries cannot be loaded here.
        """
        watcher = Watcher(self.network, self.length)
        try:
            return PhraseEngine(watcher, Judge(self.phrase), self.length, self.threshold)
        except (ImportError, OSError) as error:
            raise WakeWordRefusedError("unavailable") from error

    def to_facts(self) -> dict[str, object]:
        """Return what `from_facts` makes it from."""
        return {
            "version": VERSION,
            "words": list(self.phrase.words),
            "sounds": dict(self.phrase.sounds),
            "network": self.network.to_facts(),
            "length": self.length,
            "threshold": self.threshold,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> Self:
        """Return it.

        Raises:
            WakeWordRefusedError: `outdated`: they are another version's, or were tampered with.
        """
        match facts:
            case {
                "version": version,
                "words": list(words),
                "sounds": dict(sounds),
                "network": network,
                "length": float(length),
                "threshold": float(threshold),
            } if (
                version == VERSION
                and words
                and all(isinstance(sounds.get(word), str) for word in words)
                and LENGTH_COLUMNS_MIN <= length <= LENGTH_COLUMNS_MAX
            ):
                phrase = Phrase(tuple(words), {word: sounds[word] for word in words})
                return cls(phrase, Network.from_facts(network), length, threshold)
        raise WakeWordRefusedError("outdated")
