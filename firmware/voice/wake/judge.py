"""The judge of a phrase: PocketSphinx, asked only where the phrase may have been.

Its keyphrase search compares how well the phrase's sounds explain what was heard with how well any
sounds do. It is slow (3 % of the sound's time on a desk, ten times that on a Pi), but its model was
trained with people, many more of them than the watcher has ever heard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.phrase import Phrase
from firmware.voice.wake.surroundings import pink, to_samples
from hardware.pcm import FRAME_BYTES, SAMPLE_RATE_HZ

SCORE_MIN: Final = -100.0
"""Where the phrase was not found at all; the decimal logarithm of a likelihood ratio, as all."""

_SEARCH: Final = "phrase"
_CONFIGURATION: Final[Mapping[str, object]] = {
    "samprate": SAMPLE_RATE_HZ,
    "lm": None,
    # The dictionary would take 20 MB, for two or three words of it.
    "dict": None,
    "loglevel": "FATAL",
    "kws_threshold": 1e-110,
    # Found among others, on 16 voices and two hours of other speech, with the threshold open.
    "beam": 1e-120,
    "kws_plp": 1e-3,
}

# How the search's own numbers are to be read: logarithms to this base, a shift of 10 bits, and 1500
# taken off so that they fit (kws_detections.c, kws_search.c).
_LOG_BASE: Final = 1.0001
_SHIFT: Final = 1 << 10
_TAKEN_OFF: Final = 1500

_MEAN: Final = "40,3,-1"
"""Cepstral mean to begin with, as the model's makers have it."""

NOISE_LEVEL: Final = 100.0
"""Of pink noise that is added: complete silence is nothing the model has learnt from."""
_NOISE_SEED: Final = 77


class Judge:
    """Tells how much a stretch of sound is like a phrase. It belongs to one thread.

    Args:
        phrase: What to listen for.

    Raises:
        WakeWordRefusedError: `unavailable`: PocketSphinx cannot be loaded.
    """

    def __init__(self, phrase: Phrase) -> None:
        try:
            from pocketsphinx import Decoder  # noqa: PLC0415 - spared without a wake word

            self._decoder: Any = Decoder(**_CONFIGURATION)
        except (ImportError, OSError, RuntimeError) as error:
            raise WakeWordRefusedError("unavailable") from error
        for word, sounds in phrase.sounds.items():
            self._decoder.add_word(word, sounds, True)  # noqa: FBT003 - takes no names
        self._decoder.add_keyphrase(_SEARCH, phrase.text)
        self._decoder.activate_search(_SEARCH)

    def score(self, pcm: bytes) -> float:
        """Return how likely the phrase is in so much sound, `SCORE_MIN` at least.

        It is heard twice: first for its cepstral mean, which the second time begins with. Python's
        other threads have their turns in between.
        """
        noisy = _with_noise(pcm)
        self._hear(noisy, _MEAN, is_searched=False)
        mean = self._decoder.get_cmn(True)  # noqa: FBT003 - takes no names
        self._hear(noisy, mean, is_searched=True)
        found = [_score(segment.prob) for segment in self._decoder.seg() or ()]
        return max(found, default=SCORE_MIN)

    def _hear(self, pcm: bytes, mean: str, *, is_searched: bool) -> None:
        self._decoder.reinit_feat()  # what it has learnt of the noise before is forgotten
        self._decoder.set_cmn(mean)
        self._decoder.start_utt()
        for start in range(0, len(pcm), FRAME_BYTES):
            self._decoder.process_raw(pcm[start : start + FRAME_BYTES], not is_searched, False)  # noqa: FBT003
        self._decoder.end_utt()


def _score(probability: float) -> float:
    steps = math.log(probability) / math.log(_LOG_BASE) + _TAKEN_OFF
    return max(SCORE_MIN, steps * _SHIFT * math.log10(_LOG_BASE))


def _with_noise(pcm: bytes) -> bytes:
    samples = np.frombuffer(pcm, "<i2")
    noise = pink(len(samples), np.random.default_rng(_NOISE_SEED)) * NOISE_LEVEL
    return to_samples(samples + noise).tobytes()
