"""Synthetic voices: what a packaged synthesizer makes of a text.

They differ in synthesizer, accent, sex, age, pitch and pace. None is a child's; the highest and
slowest are as near as these synthesizers come.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import soxr

from hardware import pcm
from simulator.errors import SynthesizerError, SynthesizerMissingError

Synthesizer = Literal["espeak-ng", "flite"]

TIMEOUT_S: Final = 60.0
EDGE_SHARE: Final = 0.02
"""Of the loudest sample: what is quieter at either end is not yet, or no longer, speech."""
EDGE_MS: Final = 30
"""How much of it is kept."""
LEVEL: Final = 2_300.0
"""The root mean square that every text is brought to, about -23 dB of full scale."""
PEAK_MAX: Final = 30_000.0

_POLITELY: Final = ("nice", "-n", "19")
"""Speech is made while other things are measured."""


@dataclass(frozen=True)
class Voice:
    """One voice.

    Attributes:
        name: What it is called here.
        synthesizer: The program that speaks.
        model: What the program calls it.
        words_per_minute: Its pace, where the synthesizer lets one choose.
        pitch: 0 to 99, likewise.
    """

    name: str
    synthesizer: Synthesizer
    model: str
    words_per_minute: int = 165
    pitch: int = 50

    def command(self, text: str, out: Path) -> tuple[str, ...]:
        """Return what makes it say ``text`` into the WAV file ``out``."""
        if self.synthesizer == "flite":
            return ("flite", "-voice", self.model, "-t", f" {text}", "-o", str(out))
        manner = ("-s", str(self.words_per_minute), "-p", str(self.pitch))
        return ("espeak-ng", "-v", self.model, *manner, "-w", str(out), "--", text)

    def say(self, text: str) -> bytes:
        """Return ``text`` as PCM, from its first sound to its last, at `LEVEL`.

        Slow (0.02 to 0.5 s). Raises SynthesizerMissingError, or SynthesizerError when there is no
        sound in what the synthesizer made.
        """
        with tempfile.TemporaryDirectory(prefix="voice-") as folder:
            out = Path(folder) / "said.wav"
            try:
                done = subprocess.run(  # noqa: S603 - fixed programs
                    (*_POLITELY, _found(self.synthesizer), *self.command(text, out)[1:]),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    timeout=TIMEOUT_S,
                )
                samples = _read(out)
            except (OSError, EOFError, wave.Error, subprocess.TimeoutExpired) as error:
                raise SynthesizerError(f"{self.synthesizer} cannot say {text!r}: {error}") from None
        if done.returncode or not samples.any():
            raise SynthesizerError(f"{self.synthesizer} says nothing for {text!r} as {self.name}")
        return to_pcm(_levelled(_trimmed(samples)))


VOICES: Final = (
    Voice("slt", "flite", "slt"),
    Voice("awb", "flite", "awb"),
    Voice("rms", "flite", "rms"),
    Voice("kal", "flite", "kal16"),
    Voice("american", "espeak-ng", "en-us"),
    Voice("american woman", "espeak-ng", "en-us+f2"),
    Voice("american girl", "espeak-ng", "en-us+f4", 150, 75),
    Voice("american boy", "espeak-ng", "en-us+f3", 140, 90),
    Voice("american, deep", "espeak-ng", "en-us+m3", 155, 35),
    Voice("american, hasty", "espeak-ng", "en-us+m7", 195, 50),
    Voice("new yorker", "espeak-ng", "en-us-nyc+m2"),
    Voice("english", "espeak-ng", "en-gb"),
    Voice("english woman", "espeak-ng", "en-gb+f3", 165, 60),
    Voice("english, received", "espeak-ng", "en-gb-x-rp+f5"),
    Voice("scottish", "espeak-ng", "en-gb-scotland+m4"),
    Voice("caribbean", "espeak-ng", "en-029+f1", 160, 55),
)
"""The sixteen of the bench. Chosen to differ, before any of them was heard by an engine."""


@functools.cache
def version(synthesizer: Synthesizer) -> str:
    """Return what a synthesizer says of its version. Raises SynthesizerMissingError."""
    done = subprocess.run(  # noqa: S603 - fixed programs
        (_found(synthesizer), "--version"), capture_output=True, check=False, timeout=TIMEOUT_S
    )
    return done.stdout.decode(errors="replace").strip()


def to_pcm(samples: npt.NDArray[np.float64]) -> bytes:
    """Return samples as PCM, clipped where they are too loud."""
    return np.clip(np.rint(samples), pcm.SAMPLE_MIN, pcm.SAMPLE_MAX).astype("<i2").tobytes()


def from_pcm(sound: bytes) -> npt.NDArray[np.float64]:
    """Return PCM as samples."""
    return np.frombuffer(sound, "<i2").astype(np.float64)


def _found(synthesizer: Synthesizer) -> str:
    program = shutil.which(synthesizer)
    if program is None:
        raise SynthesizerMissingError(
            f"{synthesizer} cannot be found: install the package {synthesizer}"
        )
    return program


def _read(path: Path) -> npt.NDArray[np.float64]:
    with wave.open(str(path)) as reader:
        samples = from_pcm(reader.readframes(reader.getnframes()))
        rate_hz = reader.getframerate()
    return np.asarray(soxr.resample(samples, rate_hz, pcm.SAMPLE_RATE_HZ), np.float64)


def _trimmed(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    loud = np.flatnonzero(np.abs(samples) > EDGE_SHARE * np.abs(samples).max())
    edge = EDGE_MS * pcm.SAMPLES_PER_MS
    return samples[max(0, loud[0] - edge) : loud[-1] + edge]


def _levelled(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    gain = LEVEL / np.sqrt(np.mean(samples**2))
    return np.asarray(samples * min(gain, PEAK_MAX / np.abs(samples).max()), np.float64)
