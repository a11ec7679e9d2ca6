"""The figure that a recording gets: known damage gets the figure that it must have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hardware import pcm
from simulator.alignment import Move, align
from tests.hardware.voices import voice

FRAMES = 150
SENT = voice(FRAMES * pcm.FRAME_MS)
PERFECT_DB = 60


def numbers(samples: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(samples, np.int16).astype(np.float64)


def as_pcm(samples: npt.NDArray[np.float64]) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16).tobytes()


def silence(ms: float) -> bytes:
    return bytes(round(ms * pcm.SAMPLES_PER_MS) * pcm.SAMPLE_BYTES)


def noise(db_below: float, samples: int) -> npt.NDArray[np.float64]:
    level = np.std(numbers(SENT)) * 10 ** (-db_below / 20)
    return np.random.default_rng(1).normal(0, level, samples)


def test_the_same_is_found_at_its_place_whatever_stands_around_it() -> None:
    around = voice(500, seed=2)
    found = align(SENT, silence(123.5) + around + silence(70) + SENT + silence(30) + around)
    assert found.delay_ms == 123.5 + 500 + 70
    assert min(found.whole_db, found.db) > PERFECT_DB
    assert found.segmental_db == 35
    assert found.gain == pytest.approx(1)
    assert found.moves == ()


def test_a_volume_is_no_damage() -> None:
    found = align(SENT, silence(50) + as_pcm(0.25 * numbers(SENT)))
    assert found.gain == pytest.approx(0.25, rel=0.01)
    assert found.db > 40


@pytest.mark.parametrize("db", [3, 8, 20, 30])
def test_noise_of_a_known_level_gets_that_figure(db: float) -> None:
    recorded = numbers(silence(200) + SENT + silence(200))
    found = align(SENT, as_pcm(recorded + noise(db, len(recorded))))
    assert found.whole_db == pytest.approx(db, abs=0.3)
    assert found.db == pytest.approx(db, abs=0.5)
    assert found.moves == ()


def test_a_pause_that_was_put_in_between_is_found_and_the_rest_still_matches() -> None:
    half = len(SENT) // 2
    found = align(SENT, silence(80) + SENT[:half] + silence(60) + SENT[half:] + silence(50))
    assert found.whole_db < 6
    assert found.db > PERFECT_DB
    assert found.moves == (Move(FRAMES // 2 * pcm.FRAME_MS, 60),)


def test_what_was_left_out_counts_as_missing() -> None:
    """One frame in ten is silent: what it had of the power is the noise."""
    samples = numbers(SENT).reshape(FRAMES, -1).copy()
    samples[::10] = 0
    found = align(SENT, silence(80) + as_pcm(samples.reshape(-1)))
    lost = (numbers(SENT).reshape(FRAMES, -1)[::10] ** 2).sum() / (numbers(SENT) ** 2).sum()
    assert found.whole_db == pytest.approx(10 * np.log10((1 - lost) / lost), abs=0.2)
    assert found.db == pytest.approx(found.whole_db, abs=0.2)


def test_what_was_cut_off_at_the_end_counts_as_missing() -> None:
    found = align(SENT, silence(20) + SENT[: len(SENT) * 9 // 10])
    assert 6 < found.db < 15


def test_something_else_gets_no_figure_to_be_proud_of() -> None:
    found = align(SENT, silence(100) + as_pcm(numbers(SENT)[::-1]) + silence(100))
    assert max(found.whole_db, found.db) < 3


def test_silence_is_nothing_to_compare() -> None:
    for sent, recorded in ((SENT, silence(1000)), (silence(100), SENT), (b"", SENT)):
        with pytest.raises(ValueError, match="silent"):
            align(sent, recorded)
