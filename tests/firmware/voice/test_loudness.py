"""How loud a reply may be."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from firmware.voice.loudness import RECOVERY_DB_PER_S, Leveller
from firmware.voice.volume import Volume
from hardware.pcm import SAMPLE_MAX, from_bytes, read_wav, rms
from tests.firmware.voice.rig import CLIPS
from tests.hardware.voices import frames, tone

FULL = (SAMPLE_MAX, -SAMPLE_MAX)


def full_scale_noise(duration_ms: int) -> bytes:
    """As loud as samples can be."""
    chance = random.Random(1)  # noqa: S311 - the same noise every time
    return b"".join(
        chance.choice(FULL).to_bytes(2, "little", signed=True) for _ in range(16 * duration_ms)
    )


def levelled(pcm: bytes, dbfs_max: int = -12) -> list[bytes]:
    """A reply as loud as it may be."""
    leveller = Leveller(dbfs_max=dbfs_max)
    return [leveller.applied(frame) for frame in frames(pcm)]


def dbfs(pcm: bytes) -> float:
    """The loudness of PCM."""
    return 20 * math.log10(rms(pcm) / SAMPLE_MAX)


@pytest.mark.parametrize("name", ["goforward.raw", "numbers.raw"])
def test_speech_is_left_alone(name: str) -> None:
    """Not a bit of it changes, even where its peaks reach full scale."""
    pcm = read_wav(CLIPS / name)
    assert levelled(pcm) == frames(pcm)
    peak = max(map(abs, from_bytes(pcm)))
    loud = b"".join(
        int(sample / peak * 32_000).to_bytes(2, "little", signed=True) for sample in from_bytes(pcm)
    )
    same = sum(a == b for a, b in zip(levelled(loud), frames(loud), strict=True))
    assert same >= 0.9 * len(frames(loud))


def test_full_scale_noise_becomes_as_loud_as_may_be() -> None:
    """Within a frame it is half way down, and after half a second where it shall be."""
    heard = levelled(full_scale_noise(3_000))
    assert dbfs(heard[1]) < -5
    assert dbfs(b"".join(heard[-25:])) == pytest.approx(-12, abs=0.5)


def test_afterwards_it_grows_again_without_a_jump() -> None:
    """A word after a shout is heard, at first more softly."""
    volume = Volume(25, 100)
    quiet = b"".join(map(volume.applied, frames(tone(500, 4_000).tobytes())))
    heard = levelled(full_scale_noise(1_000) + quiet)[50:]
    levels = [dbfs(frame) for frame in heard[5:]]
    steps = [b - a for a, b in itertools.pairwise(levels)]
    assert levels[0] < dbfs(quiet) - 6
    assert levels[-1] == pytest.approx(dbfs(quiet), abs=0.1)
    assert max(steps) <= RECOVERY_DB_PER_S * 0.02 + 0.05


def test_silence_stays_silence() -> None:
    """Nothing is made louder."""
    assert levelled(bytes(640 * 50)) == [bytes(640)] * 50
