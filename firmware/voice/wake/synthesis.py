"""Speech to learn from: what espeak-ng makes of a text, in voices as different as it has them."""

from __future__ import annotations

import io
import subprocess
import wave
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import soxr

from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.phrase import ESPEAK, ESPEAK_TIMEOUT_S
from firmware.voice.wake.surroundings import Samples, to_samples
from hardware.pcm import SAMPLE_RATE_HZ

PEAK: Final = 9_000.0
"""Loudest sample of every text."""
EDGE_LEVEL: Final = 200
"""What is quieter at either end is not yet, or no longer, speech."""
EDGE_SAMPLES: Final = 400


class Voice(NamedTuple):
    """A voice of espeak-ng: what it is called there, its words a minute, its pitch (0-99)."""

    name: str
    pace: int = 150
    pitch: int = 50

    def at(self, tempo: float) -> Voice:
        """Return it, so many times as quick."""
        return self._replace(pace=round(self.pace * tempo))


TEACHERS: Final = (
    Voice("en-us+m1"),
    Voice("en-us+f1", pitch=60),
    Voice("en-gb+f5", 170, 60),
    Voice("en-gb-x-rp+m4", 140, 45),
    Voice("en-us+klatt2"),
    Voice("en-us+f2", 180, 80),
    Voice("en-gb-scotland+m2", 160),
    Voice("en-us+belinda", pitch=60),
    Voice("en-us+adam", pitch=40),
    Voice("en-us+aunty", pitch=60),
    Voice("en-us+edward2", 160),
    Voice("en-gb+anika"),
)
"""Whose speech the watcher is trained with."""
EXAMINERS: Final = (
    Voice("en-us+f5", 160, 70),
    Voice("en-us+m6", 145, 40),
    Voice("en-gb+linda", 165, 55),
    Voice("en-us+zac", 155, 60),
    Voice("en-gb-x-gbclan+f1", 150, 65),
    Voice("en-us+Andy", 170, 45),
    Voice("en-029+m5", 150, 50),
    Voice("en-us+steph", 140, 60),
)
"""Whose speech it is tried with: others, and none of those that the project is measured with."""


def say(texts: Sequence[str], voice: Voice) -> Samples:
    """Return texts as a voice says them one after the other, between its first and last sound.

    Blocks: some hundredths of a second for a second of speech on a Pi.

    Raises:
        WakeWordRefusedError: `unavailable`: espeak-ng is not there or fails; `unspeakable`: it says
            nothing.
    """
    command = (ESPEAK, "-v", voice.name, "-s", str(voice.pace), "-p", str(voice.pitch))
    try:
        said = subprocess.run(  # noqa: S603 - fixed words; the text goes where nobody can list it
            (*command, "-b", "1", "--stdin", "--stdout"),
            input="\n\n".join(texts).encode(),
            capture_output=True,
            timeout=ESPEAK_TIMEOUT_S,
            check=True,
        )
        with wave.open(io.BytesIO(said.stdout)) as wav:
            rate_hz = wav.getframerate()
            sound = wav.readframes(len(said.stdout))
    except (OSError, EOFError, wave.Error, subprocess.SubprocessError) as error:
        raise WakeWordRefusedError("unavailable") from error
    samples = np.frombuffer(sound, "<i2").astype(np.float32)
    samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    loud = np.flatnonzero(np.abs(samples) > EDGE_LEVEL)
    if not len(loud):
        raise WakeWordRefusedError("unspeakable")
    samples = samples[max(0, loud[0] - EDGE_SAMPLES) : loud[-1] + EDGE_SAMPLES]
    return to_samples(samples * (PEAK / np.abs(samples).max()))
