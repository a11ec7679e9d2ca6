"""Wake words that a small neural network was trained for: microWakeWord's models.

The library and its numbers (`pymicro_wakeword`) are loaded with the first engine: a toy without a
wake word is spared their memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

from firmware.voice.errors import WakeWordRefusedError

if TYPE_CHECKING:
    from firmware.voice.wake.engine import Engine

StockWord = Literal["alexa", "okay_nabu"]
"""The words whose models come with the library, and which are heard well enough."""

STOCK_WORDS: Final[tuple[StockWord, ...]] = get_args(StockWord)

CUTOFFS: Final[Mapping[StockWord, float]] = {
    "alexa": 0.7,
    "okay_nabu": 0.65,
}
"""Mean probability above which each is taken for heard."""

LIKELY_PART: Final = 0.5
"""Part of the cutoff above which a word is likely."""


class MicroEngine:
    """One network, its features and its recent answers; see `Engine`.

    Args:
        network: `pymicro_wakeword.MicroWakeWord`.
        features: `pymicro_wakeword.MicroWakeWordFeatures`.
        cutoff: Mean probability above which the word is taken for heard.
    """

    def __init__(self, network: Any, features: Any, cutoff: float) -> None:  # noqa: ANN401 - untyped
        self._network = network
        self._features = features
        self._cutoff = cutoff
        self._taken = 0
        self._probability = 0.0
        self._is_told = False

    @property
    def is_likely(self) -> bool:
        """Whether the network begins to believe in the word."""
        return self._probability > self._cutoff * LIKELY_PART

    @property
    def probability(self) -> float:
        """The mean of the network's last answers, 0..1."""
        return self._probability

    def hear(self, frame: bytes) -> bool:
        """Take the next frame; whether the word ends in it."""
        for feature in self._features.process_streaming(frame):
            probability = self._network.process_streaming_prob(feature)
            self._taken += 1
            # The network answers once in so many features; in between the library says 0.
            if self._taken % self._network.stride == 0:
                self._probability = probability
        is_heard = self._probability > self._cutoff
        is_news = is_heard and not self._is_told
        self._is_told = is_heard
        return is_news

    def reset(self) -> None:
        """Begin with a network that has heard nothing."""
        self._network.reset()
        self._features.reset()
        self._taken = 0
        self._probability = 0.0
        self._is_told = False

    def close(self) -> None:
        """Free the network."""
        self._network.close()


def make(word: StockWord, cutoff: float) -> MicroEngine:
    """Load a network of the library's.

    Raises:
        WakeWordRefusedError: `unavailable`: the library cannot be loaded on this machine.
    """
    try:
        import pymicro_wakeword  # noqa: PLC0415 - what it takes is spared without a wake word

        network = pymicro_wakeword.MicroWakeWord.from_builtin(pymicro_wakeword.Model(word))
        features = pymicro_wakeword.MicroWakeWordFeatures()
    except (ImportError, OSError) as error:
        raise WakeWordRefusedError("unavailable") from error
    return MicroEngine(network, features, cutoff)


def stock_word(phrase: str) -> StockWord | None:
    """Return the stock word that a phrase is, whatever its case, spacing and punctuation."""
    letters = _letters(phrase)
    return next((word for word in STOCK_WORDS if _letters(word) == letters), None)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.casefold()))


@dataclass(frozen=True)
class StockRecipe:
    """A word of the library's stock."""

    word: StockWord = field(repr=False)

    def make(self) -> Engine:
        """Return an engine for it.

        Raises:
            WakeWordRefusedError: `unavailable`: the library cannot be loaded here.
        """
        return make(self.word, CUTOFFS[self.word])

    def to_facts(self) -> dict[str, object]:
        """Return what `from_facts` makes it from."""
        return {"word": self.word}

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> Self:
        """Return it.

        Raises:
            WakeWordRefusedError: `outdated`.
        """
        word = facts.get("word")
        if word not in STOCK_WORDS:
            raise WakeWordRefusedError("outdated")
        return cls(word)
