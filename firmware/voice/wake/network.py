"""A small network that tells a phrase from everything else, trained where it is used.

One hidden layer of rectified units on a stretch of spectrum; the answer is a log-odds. Training is
Adam (Kingma & Ba, https://arxiv.org/abs/1412.6980) on the logistic loss, with noise on what goes
in, so that it does not learn its examples by heart.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import numpy as np

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.spectrum import STRETCH_SIZE, Floats

UNITS: Final = 16

EPOCHS: Final = 8
BATCH: Final = 256
RATE: Final = 2e-3
WEIGHT_DECAY: Final = 1e-4
INPUT_NOISE: Final = 0.3
"""Standard deviation, of what goes in when it is brought to 1."""
SPREAD_MIN: Final = 0.3
"""Added to the standard deviation that inputs are brought from: some hardly vary."""
POSITIVE_SHARE: Final = 0.5
"""What all examples of the phrase count for together, of all others."""

_MOMENTA: Final = (0.9, 0.999)
_TINY: Final = 1e-8
_ODDS_MAX: Final = 30.0
_LEVELS: Final = 127
"""Weights of a unit are kept in steps of the largest of them: 8 bits each."""


@dataclass(frozen=True)
class Network:
    """What was learnt, in few bytes.

    Attributes:
        weights: Of each unit in steps of `steps`, (`STRETCH_SIZE`, `UNITS`) signed bytes.
        steps, biases, votes: Of each unit: the size of its steps, what is added, how it counts.
        bias: Of the answer.
    """

    weights: bytes = field(repr=False)
    steps: tuple[float, ...] = field(repr=False)
    biases: tuple[float, ...] = field(repr=False)
    votes: tuple[float, ...] = field(repr=False)
    bias: float = field(repr=False)

    def matrices(self) -> Matrices:
        """Return it as it is computed with."""
        weights = np.frombuffer(self.weights, np.int8).reshape(STRETCH_SIZE, UNITS)
        steps = np.array(self.steps, np.float32)
        return Matrices(
            weights * steps,
            np.array(self.biases, np.float32),
            np.array(self.votes, np.float32),
            np.array(self.bias, np.float32),
        )

    def to_facts(self) -> dict[str, object]:
        """Return what `from_facts` makes it from, plain as JSON has it: about 8 KB."""
        return {
            "weights": base64.b85encode(self.weights).decode(),
            "steps": list(self.steps),
            "biases": list(self.biases),
            "votes": list(self.votes),
            "bias": self.bias,
        }

    @classmethod
    def from_facts(cls, facts: object) -> Self:
        """Return it.

        Raises:
            WakeWordRefusedError: `outdated`: they are not what `to_facts` gives.
        """
        match facts:
            case {
                "weights": str(text),
                "steps": list(steps),
                "biases": list(biases),
                "votes": list(votes),
                "bias": float(bias),
            }:
                weights = _decoded(text)
                if len(weights) == STRETCH_SIZE * UNITS:
                    return cls(weights, _floats(steps), _floats(biases), _floats(votes), bias)
        raise WakeWordRefusedError("outdated")


class Matrices(NamedTuple):
    """A network as it is computed with; see `Network`."""

    weights: Floats
    biases: Floats
    votes: Floats
    bias: Floats

    def odds(self, stretches: Floats) -> Floats:
        """Return for each stretch the log-odds that it is the phrase."""
        hidden = np.maximum(stretches @ self.weights + self.biases, 0)
        return np.asarray(hidden @ self.votes + self.bias, np.float32)


def train(examples: Floats, others: Floats, chance: np.random.Generator) -> Network:
    """Return a network that tells `examples` of a phrase from `others`: stretches, as rows.

    About 1 s of computing for 3,000 rows on a desk, ten times that on a Pi.
    """
    rows = np.concatenate([examples, others])
    targets = np.zeros(len(rows), np.float32)
    targets[: len(examples)] = 1
    counts = np.ones(len(rows), np.float32)
    counts[: len(examples)] = POSITIVE_SHARE * len(others) / len(examples)
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + SPREAD_MIN
    rows -= mean
    rows /= spread
    learnt = _descended(rows, targets, counts, chance)
    weights = learnt.weights / spread[:, None]
    return _rounded(learnt._replace(weights=weights, biases=learnt.biases - mean @ weights))


def _descended(
    rows: Floats, targets: Floats, counts: Floats, chance: np.random.Generator
) -> Matrices:
    """Return what gradient descent finds."""
    size = rows.shape[1]
    learnt = Matrices(
        chance.standard_normal((size, UNITS), np.float32) / np.sqrt(size, dtype=np.float32),
        np.zeros(UNITS, np.float32),
        chance.standard_normal(UNITS, np.float32) / np.sqrt(UNITS, dtype=np.float32),
        np.zeros((), np.float32),
    )
    means = [np.zeros_like(part) for part in learnt]
    squares = [np.zeros_like(part) for part in learnt]
    first, second = _MOMENTA
    step = 0
    for _ in range(EPOCHS):
        order = chance.permutation(len(rows))
        for start in range(0, len(rows), BATCH):
            step += 1
            chosen = order[start : start + BATCH]
            noise = chance.standard_normal((len(chosen), size), np.float32)
            gradient = _gradient(
                learnt, rows[chosen] + INPUT_NOISE * noise, targets[chosen], counts[chosen]
            )
            rate = RATE * np.sqrt(1 - second**step) / (1 - first**step)
            moved = []
            for part, by, mean, square in zip(learnt, gradient, means, squares, strict=True):
                mean += (1 - first) * (by - mean)  # noqa: PLW2901 - in place
                square += (1 - second) * (by * by - square)  # noqa: PLW2901 - in place
                moved.append(np.asarray(part - rate * mean / (np.sqrt(square) + _TINY), np.float32))
            learnt = Matrices(*moved)
    return learnt


def _gradient(learnt: Matrices, rows: Floats, targets: Floats, counts: Floats) -> Matrices:
    """Return how the loss of some rows changes with each part."""
    hidden = np.maximum(rows @ learnt.weights + learnt.biases, 0)
    odds = np.clip(hidden @ learnt.votes + learnt.bias, -_ODDS_MAX, _ODDS_MAX)
    errors = (1 / (1 + np.exp(-odds)) - targets) * counts / np.float32(len(rows))
    back = np.outer(errors, learnt.votes) * (hidden > 0)
    return Matrices(
        rows.T @ back + WEIGHT_DECAY * learnt.weights,
        back.sum(axis=0),
        hidden.T @ errors + WEIGHT_DECAY * learnt.votes,
        errors.sum(),
    )


def _rounded(learnt: Matrices) -> Network:
    """Return it in few bytes."""
    steps = np.maximum(np.abs(learnt.weights).max(axis=0) / _LEVELS, _TINY)
    weights = np.rint(learnt.weights / steps).astype(np.int8)
    return Network(
        weights.tobytes(),
        tuple(map(float, steps)),
        tuple(map(float, learnt.biases)),
        tuple(map(float, learnt.votes)),
        float(learnt.bias),
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b85decode(text)
    except ValueError as error:
        raise WakeWordRefusedError("outdated") from error


def _floats(values: list[object]) -> tuple[float, ...]:
    floats = tuple(value for value in values if isinstance(value, float))
    if len(floats) != UNITS or len(values) != UNITS:
        raise WakeWordRefusedError("outdated")
    return floats
