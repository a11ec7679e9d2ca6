"""Learns a phrase, and finds out whether it can be told from everything else.

The watcher is trained with the phrase in the voices of `TEACHERS`, and with what they say
otherwise; what it takes for the phrase then is shown to it once more, twice. Then it and the judge
are tried together, as they will be used, with the voices of `EXAMINERS`, which say other things.

In half an hour of what they say no score may come nearer to the threshold than `MARGIN`. So phrases
of four syllables or more were mistaken once in three hours of other speech, synthesised and
recorded, that had no part in the calibration (a rate below 1.7 an hour with 95 % confidence); one
of three syllables, "hey pommai", never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.background import near_misses, sentences, vocabulary
from firmware.voice.wake.network import Network, train
from firmware.voice.wake.phrase import Phrase
from firmware.voice.wake.phrase_engine import (
    COLUMNS_MIN,
    LENGTH_COLUMNS_MAX,
    LENGTH_COLUMNS_MIN,
    LOOK_COLUMNS,
    TEMPI,
    PhraseEngine,
    PhraseRecipe,
)
from firmware.voice.wake.spectrum import STEP_MS, Floats, columns_of, edges_of, stretches
from firmware.voice.wake.surroundings import (
    LEAD_S,
    SURROUNDINGS,
    Samples,
    Surroundings,
    heard,
    pink,
    to_samples,
)
from firmware.voice.wake.synthesis import EXAMINERS, TEACHERS, Voice, say
from hardware.pcm import FRAME_BYTES, SAMPLE_RATE_HZ, SAMPLES_PER_MS

SEED: Final = 4
"""Of all chance: the same phrase comes to the same end."""

PACES: Final = (0.85, 1.0, 1.15)
"""How quickly each teacher says the phrase."""
ENDS_COLUMNS: Final = (-2, 9)
"""Where the phrase may end, counted from where its sound does."""
ENDS_EACH: Final = 2
SIZES: Final = (1.05, 1.1, 1.16)
"""How much longer than the phrase a stretch may be, for it to be an example of it."""
LENGTH_MORE: Final = 1.05
"""How much longer than the phrase is on average the watcher takes it for."""
CUT_OFF: Final = (-0.5, -0.4, 0.4, 0.5)
"""Ends, in lengths of the phrase, at which a stretch holds only half of it."""

BACKGROUND_NOISE: Final = 0.3
"""Background speech is heard a second time with so much noise, as a share of it."""
OTHERS_AT_RANDOM: Final = 10_000
ROUNDS: Final = 3
MISTAKEN_EACH: Final = 16
"""How many stretches are shown again after a round, of each tempo and piece of background."""

TEXTS_AT_ONCE: Final = 20
"""A minute of speech; more of it would take more memory than a Pi has to spare."""
THRESHOLD_MIN: Final = -2.5
"""Lowest sum of the watcher's odds and the judge's share that is taken for the phrase, however well
the trial went: it was one voice's, people have more."""
MARGIN: Final = 2.5
"""How far the threshold stays above all that was mistaken in the trial. Other speech than the
trial's, people's above all, came up to 2.2 higher."""
HITS_SHARE_MIN: Final = 0.75
"""Of the times that examiners say the phrase, in `NEAR` surroundings."""
NEAR: Final[tuple[Surroundings, ...]] = ("close",)

_PAUSE_SAMPLES: Final = SAMPLE_RATE_HZ * 3 // 10
_HISS: Final = 8.0
_COLUMN_SAMPLES: Final = SAMPLES_PER_MS * STEP_MS


class Effort(NamedTuple):
    """How much a calibration costs.

    Attributes:
        teachers: Whose speech the watcher is trained with.
        examiners: Whose speech it is tried with.
        sentences_each: What each teacher says beside the phrase.
        near_each: How many of its near misses.
        trial_sentences_each: What each examiner says beside the phrase.
    """

    teachers: Sequence[Voice]
    examiners: Sequence[Voice]
    sentences_each: int
    near_each: int
    trial_sentences_each: int


FULL: Final = Effort(TEACHERS, EXAMINERS, 55, 25, 80)
"""Forty minutes of speech to learn from, half an hour to be tried with."""


class _Example(NamedTuple):
    """The phrase, said once: columns of sound, where in them it ends, how long it is."""

    columns: Floats
    end: int
    length: int


def calibrate(phrase: Phrase, dictionary: Path, effort: Effort = FULL) -> PhraseRecipe:
    """Return what it takes to hear a phrase. Half a minute's work on a desk, minutes on a Pi.

    Raises:
        WakeWordRefusedError: `too_easily_mistaken` or `not_heard`; `unavailable` or `unspeakable`,
            if it cannot be tried.
    """
    chance = np.random.default_rng(SEED)
    words = vocabulary(dictionary)
    examples = [
        _example(phrase, voice.at(pace), where, chance)
        for voice in effort.teachers
        for pace in PACES
        for where in SURROUNDINGS
    ]
    length = float(np.mean([example.length for example in examples])) * LENGTH_MORE
    if not LENGTH_COLUMNS_MIN <= length <= LENGTH_COLUMNS_MAX:
        raise WakeWordRefusedError("unspeakable")
    background = list(_background(phrase, words, effort, chance))
    network = _taught(examples, background, length, chance)
    recipe = PhraseRecipe(phrase, network, length, THRESHOLD_MIN)
    threshold = _tried(recipe, tuple(words), effort, chance)
    return PhraseRecipe(phrase, network, length, threshold)


def _taught(
    examples: Sequence[_Example],
    background: Sequence[Floats],
    length: float,
    chance: np.random.Generator,
) -> Network:
    """Return a network that tells the phrase from its halves and from the background."""
    positives = np.concatenate([_stretches_of(example, chance) for example in examples])
    others = [_halves_of(example, length) for example in examples]
    others += [_at_random(columns, length, len(background), chance) for columns in background]
    for _ in range(ROUNDS - 1):
        network = train(positives, np.concatenate(others), chance)
        others += [_mistaken(network, columns, length) for columns in background]
    return train(positives, np.concatenate(others), chance)


def _tried(
    recipe: PhraseRecipe, words: Sequence[str], effort: Effort, chance: np.random.Generator
) -> float:
    """Return the threshold with which a phrase can be used."""
    engine = recipe.make()
    mistaken = max(_scores_of_background(engine, words, effort, chance), default=-np.inf)
    threshold = max(THRESHOLD_MIN, mistaken + MARGIN)
    sayings = [
        (voice.at(pace), where) for voice in effort.examiners for pace in PACES for where in NEAR
    ]
    hits = 0
    for voice, where in sayings:
        sound = heard(say([recipe.phrase.text], voice), where, chance)
        engine.reset()
        hits += max(_scores(engine, sound), default=-np.inf) >= threshold
    if hits < HITS_SHARE_MIN * len(sayings):
        is_mistaken = threshold > THRESHOLD_MIN
        raise WakeWordRefusedError("too_easily_mistaken" if is_mistaken else "not_heard")
    return float(threshold)


def _example(
    phrase: Phrase, voice: Voice, where: Surroundings, chance: np.random.Generator
) -> _Example:
    speech = say([phrase.text], voice)
    length = len(speech) // _COLUMN_SAMPLES
    columns = columns_of(heard(speech, where, chance))
    return _Example(columns, LEAD_S * SAMPLE_RATE_HZ // _COLUMN_SAMPLES + length, length)


def _background(
    phrase: Phrase, words: dict[str, str], effort: Effort, chance: np.random.Generator
) -> Iterator[Floats]:
    """Give what each teacher says besides the phrase, as columns: in silence, and in noise."""
    random = Random(SEED)  # noqa: S311 - repeatable, not secret
    near = near_misses(phrase, words, random)
    endless = sentences(tuple(words), random)
    for voice in effort.teachers:
        texts = list(islice(endless, effort.sentences_each))
        texts += random.sample(near, min(effort.near_each, len(near)))
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            sound = say(texts[start : start + TEXTS_AT_ONCE], voice).astype(np.float64)
            hiss = _HISS * chance.standard_normal(len(sound))
            noise = pink(len(sound), chance) * BACKGROUND_NOISE * np.sqrt(np.mean(sound**2))
            yield columns_of(to_samples(sound + hiss))
            yield columns_of(to_samples(sound + noise))


def _stretches(columns: Floats, ends: npt.NDArray[np.int64], length: float) -> Floats:
    return stretches(columns, edges_of(ends, length, len(columns)))


def _stretches_of(example: _Example, chance: np.random.Generator) -> Floats:
    """Return stretches that hold the phrase, as the watcher may come to see it."""
    found = []
    for size in SIZES:
        ends = example.end + chance.integers(*ENDS_COLUMNS, ENDS_EACH)
        found.append(_stretches(example.columns, ends, example.length * size))
    return np.concatenate(found)


def _halves_of(example: _Example, length: float) -> Floats:
    ends = [example.end + round(share * example.length) for share in CUT_OFF]
    return _stretches(example.columns, np.array(ends), length)


def _at_random(columns: Floats, length: float, pieces: int, chance: np.random.Generator) -> Floats:
    each = OTHERS_AT_RANDOM // (pieces * len(TEMPI))
    return np.concatenate(
        [
            _stretches(columns, chance.integers(COLUMNS_MIN, len(columns), each), length * tempo)
            for tempo in TEMPI
        ]
    )


def _mistaken(network: Network, columns: Floats, length: float) -> Floats:
    """Return the stretches that a network takes for the phrase most."""
    matrices = network.matrices()
    ends = np.arange(COLUMNS_MIN, len(columns), LOOK_COLUMNS)
    found = []
    for tempo in TEMPI:
        rows = _stretches(columns, ends, length * tempo)
        found.append(rows[np.argsort(-matrices.odds(rows))[:MISTAKEN_EACH]])
    return np.concatenate(found)


def _scores_of_background(
    engine: PhraseEngine, words: Sequence[str], effort: Effort, chance: np.random.Generator
) -> Iterator[float]:
    """Give the scores of all that is taken notice of where nobody says the phrase."""
    endless = sentences(words, Random(SEED + 1))  # noqa: S311 - repeatable, not secret
    for voice in effort.examiners:
        engine.reset()
        for _ in range(0, effort.trial_sentences_each, TEXTS_AT_ONCE):
            sound = say(list(islice(endless, TEXTS_AT_ONCE)), voice)
            hiss = chance.standard_normal(len(sound)) * _HISS
            yield from _scores(engine, to_samples(sound + hiss))


def _scores(engine: PhraseEngine, sound: Samples) -> Iterator[float]:
    pcm = sound.tobytes()
    for start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
        score = engine.score(pcm[start : start + FRAME_BYTES])
        if score is not None:
            yield score
