"""Wake words that a small neural network was trained for: microWakeWord's models.

The library and its numbers (`pymicro_wakeword`) are loaded with the first engine: a toy without a
wake word is spared their memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

from firmware.voice.errors import WakeWordRefusedError

if TYPE_CHECKING:
    from firmware.voice.wake.engine import Engine

StockWord = Literal["alexa", "hey_mycroft", "okay_nabu"]
"""The words whose models come with the library, and which 14 of 16 voices or more can say. Of its
`hey_jarvis` that is 9 to 13, at any cutoff: it is taken for a phrase like any other."""

STOCK_WORDS: Final[tuple[StockWord, ...]] = get_args(StockWord)

CUTOFFS: Final[Mapping[StockWord, float]] = {
    "alexa": 0.7,
    "hey_mycroft": 0.5,
    "okay_nabu": 0.65,
}
"""Mean probability above which each is taken for heard. Those of its makers (0.9, 0.95, 0.85) are
for rooms with a television: with them 15, 12 and 12 of 16 voices are heard, with these all. In
three hours of other speech these were mistaken once, twice and never."""

MODEL_BYTES_MAX: Final = 1_000_000
"""Largest file of a model; those of the library have 50 to 80 KB."""

_MAGIC_AT: Final = slice(4, 8)
_MAGIC: Final = b"TFL3"
"""Where TensorFlow Lite's files say what they are, and what they say."""

ANSWERS_AVERAGED: Final = 5
"""Of the network's last ones, as its makers set it for all their words."""

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


def load(model: Path, cutoff: float) -> MicroEngine:
    """Load a network. One that was never tried may end this process.

    Raises:
        WakeWordRefusedError: `unavailable`: the library cannot be loaded on this machine;
            `bad_model`: the library finds fault with the file.
    """
    try:
        import pymicro_wakeword  # noqa: PLC0415 - what it takes is spared without a wake word

        network = pymicro_wakeword.MicroWakeWord(
            id="",
            wake_word="",
            tflite_model=model,
            probability_cutoff=cutoff,
            sliding_window_size=ANSWERS_AVERAGED,
            trained_languages=[],
            libtensorflowlite_c_path=next(_library().glob("lib/*tensorflowlite_c.*")),
        )
        features = pymicro_wakeword.MicroWakeWordFeatures()
    except (ImportError, OSError, StopIteration) as error:
        raise WakeWordRefusedError("unavailable") from error
    except (RuntimeError, ValueError) as error:
        raise WakeWordRefusedError("bad_model") from error
    return MicroEngine(network, features, cutoff)


def _library() -> Path:
    """Return the library's folder.

    Raises:
        ImportError: It is not installed.
    """
    import pymicro_wakeword  # noqa: PLC0415 - as above

    return Path(pymicro_wakeword.__file__).parent


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
        try:
            model = _library() / "models" / f"{self.word}.tflite"
        except (ImportError, OSError) as error:
            raise WakeWordRefusedError("unavailable") from error
        return load(model, CUTOFFS[self.word])

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


@dataclass(frozen=True)
class ModelRecipe:
    """A network in a file, which was tried.

    Attributes:
        path: The file.
        sha256: Its digest, in hex: another file in its place was not tried.
        cutoff: Mean probability above which the word is taken for heard.
    """

    path: str = field(repr=False)
    sha256: str
    cutoff: float

    def make(self) -> Engine:
        """Return an engine for it.

        Raises:
            WakeWordRefusedError: `bad_model`: the file is no longer what it was; `unavailable`: the
                library cannot be loaded here.
        """
        if digest(Path(self.path)) != self.sha256:
            raise WakeWordRefusedError("bad_model")
        return load(Path(self.path), self.cutoff)

    def to_facts(self) -> dict[str, object]:
        """Return what `from_facts` makes it from."""
        return {"path": self.path, "sha256": self.sha256, "cutoff": self.cutoff}

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> Self:
        """Return it.

        Raises:
            WakeWordRefusedError: `outdated`.
        """
        match facts:
            case {"path": str(path), "sha256": str(sha256), "cutoff": float(cutoff)}:
                return cls(path, sha256, cutoff)
        raise WakeWordRefusedError("outdated")


def digest(model: Path) -> str:
    """Return the SHA-256 of a model's file.

    Raises:
        WakeWordRefusedError: `bad_model`: it cannot be read, or is longer than `MODEL_BYTES_MAX`.
    """
    try:
        with model.open("rb") as file:
            content = file.read(MODEL_BYTES_MAX + 1)
    except OSError as error:
        raise WakeWordRefusedError("bad_model") from error
    if len(content) > MODEL_BYTES_MAX or content[_MAGIC_AT] != _MAGIC:
        raise WakeWordRefusedError("bad_model")
    return hashlib.sha256(content).hexdigest()
