"""Tries a model of a wake word that somebody else made: that it works here, and is not mistaken."""

from __future__ import annotations

import time
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.background import sentences, vocabulary
from firmware.voice.wake.micro import MicroEngine, ModelRecipe, digest, load
from firmware.voice.wake.surroundings import to_samples
from firmware.voice.wake.synthesis import EXAMINERS, say
from hardware.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ

CUTOFFS: Final = (0.5, 0.7, 0.9, 0.97)
"""Of these the lowest is taken at which, and at the one below which, nothing was mistaken."""
TIME_SHARE_MAX: Final = 0.25
"""Most that an engine may take of the time that the sound lasts, here and now."""

_SEED: Final = 5
SENTENCES_EACH: Final = 70
_NOISE_S: Final = 5
_NOISE_LEVELS: Final = (0.0, 10.0, 3_000.0)


def try_model(model: Path, dictionary: Path) -> ModelRecipe:
    """Return what it takes to use a model. A bad one may end this process, or never end itself.

    Raises:
        WakeWordRefusedError: `bad_model`; `too_easily_mistaken`: it hears its word where nobody
            says anything, or in everyday speech; `unavailable`: it cannot be tried here.
    """
    sha256 = digest(model)
    engine = load(model, max(CUTOFFS))
    try:
        began_s = time.process_time()
        highest = [_highest(engine, _noise(level)) for level in _NOISE_LEVELS]
        took_s = time.process_time() - began_s
        if took_s > TIME_SHARE_MAX * _NOISE_S * len(_NOISE_LEVELS):
            raise WakeWordRefusedError("bad_model")
        endless = sentences(tuple(vocabulary(dictionary)), Random(_SEED))  # noqa: S311 - repeatable
        for voice in EXAMINERS:
            said = say(list(islice(endless, SENTENCES_EACH)), voice)
            highest.append(_highest(engine, said.tobytes()))
    except (RuntimeError, ValueError, OverflowError) as error:
        raise WakeWordRefusedError("bad_model") from error
    if not all(0 <= probability <= 1 for probability in highest):
        raise WakeWordRefusedError("bad_model")
    for lower, cutoff in pairwise(CUTOFFS):
        if max(highest) <= lower:
            return ModelRecipe(str(model), sha256, cutoff)
    raise WakeWordRefusedError("too_easily_mistaken")


def _highest(engine: MicroEngine, pcm: bytes) -> float:
    """Return the highest probability that a network gives to anything in a sound."""
    engine.reset()
    highest = 0.0
    for start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
        engine.hear(pcm[start : start + FRAME_BYTES])
        highest = max(highest, engine.probability)
    return highest


def _noise(level: float) -> bytes:
    chance = np.random.default_rng(_SEED)
    size = _NOISE_S * SAMPLE_RATE_HZ // FRAME_SAMPLES * FRAME_SAMPLES
    return to_samples(chance.standard_normal(size) * level).tobytes()
