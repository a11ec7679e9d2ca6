"""The small network that tells a phrase from everything else."""

from __future__ import annotations

import json

import numpy as np
import pytest

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.network import UNITS, Network, train
from firmware.voice.wake.spectrum import STRETCH_SIZE, Floats


def rows(count: int, seed: int, level: float) -> Floats:
    chance = np.random.default_rng(seed)
    found = chance.standard_normal((count, STRETCH_SIZE)).astype(np.float32)
    found[:, :20] += level
    return found


@pytest.fixture(scope="module")
def network() -> Network:
    return train(rows(200, 1, 2.0), rows(1_000, 2, 0.0), np.random.default_rng(3))


def test_what_was_learnt_holds_for_what_was_not_shown(network: Network) -> None:
    matrices = network.matrices()
    assert np.mean(matrices.odds(rows(100, 4, 2.0)) > 0) > 0.95
    assert np.mean(matrices.odds(rows(100, 5, 0.0)) < 0) > 0.95


def test_same_examples_and_chance_teach_the_same(network: Network) -> None:
    again = train(rows(200, 1, 2.0), rows(1_000, 2, 0.0), np.random.default_rng(3))
    assert again == network


def test_network_is_the_same_after_it_was_kept(network: Network) -> None:
    assert Network.from_facts(json.loads(json.dumps(network.to_facts()))) == network


def test_what_is_kept_of_it_fits_into_a_note(network: Network) -> None:
    assert len(json.dumps(network.to_facts())) < 10_000


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "x"},
        {"weights": "\x7f"},
        {"steps": []},
        {"votes": ["1"] * UNITS},
        {"biases": [0.0] * (UNITS + 1)},
        {"bias": None},
    ],
)
def test_damaged_facts_are_refused(network: Network, change: dict[str, object]) -> None:
    with pytest.raises(WakeWordRefusedError) as refused:
        Network.from_facts(network.to_facts() | change)
    assert refused.value.reason == "outdated"


def test_facts_that_are_none_are_refused() -> None:
    with pytest.raises(WakeWordRefusedError):
        Network.from_facts(None)
