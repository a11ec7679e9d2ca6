"""Speech to measure with: sixteen voices that say what they are told, and others in the background.

Everything is made on demand by packaged synthesizers, or is a recording that Debian packages, and
is kept by what it is (text, voice, version) in a folder that may be removed at any time.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import soxr

from hardware import pcm
from hardware.errors import ClipError
from simulator import voices
from simulator.errors import ClipsMissingError
from simulator.sentences import everyday
from simulator.voices import VOICES, Voice

FOLDER: Final = Path("build/corpus")
VERSION: Final = "1"
"""Changed when a voice is made differently: what was kept before does not count."""

RECORDINGS_DIR: Final = Path("/usr/share/pocketsphinx/test/data")
RECORDINGS: Final = ("librivox/*.wav", "cards/*.wav", "goforward.raw", "numbers.raw")
"""Human speech from the package pocketsphinx-testdata (BSD)."""
PACES: Final = (0.8, 0.87, 0.94, 1.0, 1.07, 1.15, 1.25, 1.35)
"""Each recording is heard at all of these, higher where faster: as if by smaller people."""

MINUTES: Final = 60
PAUSE_MS: Final = (200, 900)
GAIN_DB: Final = (-14.0, 4.0)
"""Background speech is near and far."""
HISS: Final = 6.0
AHEAD: Final = 32
"""How many texts are made before the first of them is wanted."""

Progress = Callable[[int, int], None]
"""Told how many of how many are done."""


class Text(NamedTuple):
    """Something to say, and who says it."""

    text: str
    voice: Voice


class Corpus:
    """Speech, made when it is first wanted. Any number of processes may share a folder.

    Args:
        folder: Where it is kept; made when it is not there.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def spoken(self, text: str, voice: Voice) -> bytes:
        """Return ``text`` said by ``voice``: PCM from its first sound to its last.

        Slow when it is made. Raises SynthesizerError, or SynthesizerMissingError, which says what
        to install.
        """
        path = self._folder / f"{_digest(Text(text, voice))}.pcm"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            sound = voice.say(text)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, whoever else makes the same.
        mine = path.with_suffix(f".{os.getpid()}-{os.urandom(4).hex()}")
        mine.write_bytes(sound)
        mine.replace(path)
        return sound

    def all_spoken(self, texts: Sequence[Text], progress: Progress | None = None) -> list[bytes]:
        """Return all of them, made on all cores. Raises as `spoken` does."""
        made = []
        for sound in self._in_turn(texts):
            made.append(sound)
            if progress is not None:
                progress(len(made), len(texts))
        return made

    def background(
        self, minutes: float = MINUTES, progress: Progress | None = None
    ) -> Iterator[bytes]:
        """Give speech in which nobody means the toy: PCM, a sentence and a pause at a time.

        First the recordings, then everyday sentences by all voices, louder and quieter, the same
        every time. In all, so many minutes and at most a sentence more. Raises as `spoken` does,
        and ClipsMissingError when the recordings are not installed.
        """
        wanted = int(minutes * 60_000) * pcm.SAMPLES_PER_MS
        chance = random.Random(VERSION)  # noqa: S311 - repeatable, not secret
        given = 0
        for sound in self._others():
            piece = _in_background(sound, chance)
            given += len(piece) // pcm.SAMPLE_BYTES
            yield piece
            if progress is not None:
                progress(min(given, wanted), wanted)
            if given >= wanted:
                return

    def _others(self) -> Iterator[bytes]:
        for recording in _recordings():
            samples = voices.from_pcm(recording)
            for pace in PACES:
                slow_hz = pcm.SAMPLE_RATE_HZ * pace
                yield voices.to_pcm(soxr.resample(samples, slow_hz, pcm.SAMPLE_RATE_HZ))
        texts = map(Text, everyday(), cycle(VOICES))
        while True:
            yield from self._in_turn(list(islice(texts, AHEAD)))

    def _in_turn(self, texts: Sequence[Text]) -> Iterator[bytes]:
        with ThreadPoolExecutor(os.cpu_count()) as makers:
            made = [makers.submit(self.spoken, *text) for text in texts]
            try:
                for one in made:
                    yield one.result()
            finally:
                makers.shutdown(cancel_futures=True)


@functools.cache
def _recordings() -> tuple[bytes, ...]:
    paths = [path for found in RECORDINGS for path in sorted(RECORDINGS_DIR.glob(found))]
    try:
        recordings = tuple(pcm.read_wav(path) for path in paths)
    except ClipError as error:
        raise ClipsMissingError(str(error)) from None
    if not recordings:
        raise ClipsMissingError(
            f"no recordings in {RECORDINGS_DIR}: install the package pocketsphinx-testdata"
        )
    return recordings


def _digest(text: Text) -> str:
    voice = text.voice
    what = (VERSION, text.text, voice, voices.version(voice.synthesizer))
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


def _in_background(sound: bytes, chance: random.Random) -> bytes:
    pause_ms = chance.randint(*PAUSE_MS)
    gain = 10 ** (chance.uniform(*GAIN_DB) / 20)
    samples = np.pad(voices.from_pcm(sound) * gain, (0, pause_ms * pcm.SAMPLES_PER_MS))
    hiss = np.random.default_rng(chance.getrandbits(32)).standard_normal(len(samples)) * HISS
    return voices.to_pcm(samples + hiss)
