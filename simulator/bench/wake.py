"""How well wake words are heard, and how often they are heard where nobody said them.

The engines are those of the toy, prepared as on the toy, and hear the corpus faster than in real
time: each word by all voices in all conditions, and an hour of speech in which none of them occurs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firmware.bench.section import Figure, Tell
from firmware.voice.errors import WakeWordRefusedError
from firmware.voice.wake.prepared import Prepared
from firmware.voice.wake.preparing import prepare
from hardware.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE_HZ
from simulator.corpus import MINUTES, Corpus, Text
from simulator.room import Condition, heard
from simulator.voices import VOICES

if TYPE_CHECKING:
    from firmware.voice.wake.engine import Engine

STOCK_WORDS: Final = ("alexa", "hey mycroft", "okay nabu")
PHRASES: Final = ("hey pommai", "hey teddy bear")
"""Words of a family's own, of which the toy can tell that they will do."""
REFUSED_PHRASES: Final = ("teddy", "good morning robot")
"""And some that will not: one is too short, one is too easily mistaken."""

JUDGEMENTS: Final = ("too_short", "too_long", "unspeakable", "too_easily_mistaken", "not_heard")
"""Refusals that say something of the phrase, not of this machine."""

STOCK_HITS_MIN: Final = 14
FALSE_ACCEPTS_PER_HOUR_MAX: Final = 1
PORTION_BYTES: Final = 5 * 60 * SAMPLE_RATE_HZ * SAMPLE_BYTES
"""Of background, at a time."""
NICENESS: Final = 10

Facts = Mapping[str, object]


@dataclass
class Heard:
    """What one engine has heard in some sound.

    Attributes:
        hits: How often the word.
        cpu_s: How long that took of a core.
        sound_s: How long the sound was.
    """

    hits: int = 0
    cpu_s: float = 0.0
    sound_s: float = 0.0

    def add(self, other: Heard) -> None:
        """Add what was heard elsewhere."""
        self.hits += other.hits
        self.cpu_s += other.cpu_s
        self.sound_s += other.sound_s


@dataclass
class Word:
    """One wake word, what came of it when it was prepared, and what was heard.

    Attributes:
        phrase: As it is said.
        facts: What an engine is made from; none where it was refused.
        refusal: Why it was refused; empty where it was not.
        hits: In how many voices it was heard, by condition.
        background: What was heard in speech without it.
    """

    phrase: str
    facts: Facts = field(default_factory=dict)
    refusal: str = ""
    hits: dict[Condition, int] = field(default_factory=dict)
    background: Heard = field(default_factory=Heard)

    def figures(self, *, shall_be_refused: bool, clean_hits_min: int | None) -> list[Figure]:
        """Return what is told of it."""
        came = f"refused, {self.refusal}" if self.refusal else "accepted"
        is_right = self.refusal in JUDGEMENTS if shall_be_refused else not self.refusal
        verdict = Figure(
            "voice", f"{self.phrase!r}: {came}", "", float(is_right), None, 1, least=True
        )
        if self.refusal:
            return [verdict]
        name = f"{self.phrase!r} ({self.facts['kind']})"
        budgets = {Condition.CLEAN: clean_hits_min}
        hits = [
            Figure(
                "voice",
                f"{name}: hits, {condition}",
                f"of {len(VOICES)}",
                self.hits[condition],
                None,
                budgets.get(condition),
                least=True,
            )
            for condition in Condition
        ]
        background = self.background
        hours = background.sound_s / 3600
        false = background.hits / hours if hours else float("nan")
        load = 100 * background.cpu_s / background.sound_s if hours else float("nan")
        most = FALSE_ACCEPTS_PER_HOUR_MAX
        return [
            verdict,
            *hits,
            Figure("voice", f"{name}: false accepts", "an hour", false, None, most),
            Figure("voice", f"{name}: CPU", "% of a core", load, None, None),
        ]


def measure(tell: Tell, corpus: Corpus | None = None, minutes: float = MINUTES) -> list[Figure]:
    """Prepare all the words, and let their engines hear the corpus.

    Raises SynthesizerMissingError or ClipsMissingError, which say what to install.
    """
    corpus = corpus or Corpus()
    phrases = (*STOCK_WORDS, *PHRASES, *REFUSED_PHRASES)
    words = asyncio.run(_prepared(phrases, tell))
    accepted = [word for word in words if not word.refusal]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=context, initializer=os.nice, initargs=(NICENESS,)) as pool:
        _hear_words(accepted, corpus, pool, tell)
        _hear_background(accepted, corpus, minutes, pool, tell)
    return [
        figure
        for word in words
        for figure in word.figures(
            shall_be_refused=word.phrase in REFUSED_PHRASES,
            clean_hits_min=STOCK_HITS_MIN if word.phrase in STOCK_WORDS else None,
        )
    ]


async def _prepared(phrases: Sequence[str], tell: Tell) -> list[Word]:
    """Prepare some words, as many at a time as there are cores."""
    places = asyncio.Semaphore(os.cpu_count() or 1)

    async def prepared(phrase: str) -> Word:
        async with places:
            tell(f"voice: wake word {phrase!r} is tried")
            try:
                return Word(phrase, (await prepare(phrase)).to_facts())
            except WakeWordRefusedError as error:
                return Word(phrase, refusal=error.reason)

    return await asyncio.gather(*map(prepared, phrases))


def _hear_words(
    words: Sequence[Word], corpus: Corpus, pool: ProcessPoolExecutor, tell: Tell
) -> None:
    tell(f"voice: {len(words)} wake words by {len(VOICES)} voices")
    for word in words:
        said = corpus.all_spoken([Text(word.phrase, voice) for voice in VOICES])
        jobs = {
            condition: pool.submit(count, word.facts, [heard(one, condition) for one in said])
            for condition in Condition
        }
        word.hits = {condition: job.result() for condition, job in jobs.items()}


def _hear_background(
    words: Sequence[Word], corpus: Corpus, minutes: float, pool: ProcessPoolExecutor, tell: Tell
) -> None:
    facts = [word.facts for word in words]
    jobs: list[Future[list[Heard]]] = [
        pool.submit(listen, facts, portion) for portion in _portions(corpus.background(minutes))
    ]
    for done, job in enumerate(as_completed(jobs)):
        tell(f"voice: {minutes:.0f} minutes of other speech, part {done + 1} of {len(jobs)}")
        for word, one in zip(words, job.result(), strict=True):
            word.background.add(one)


def _portions(pieces: Iterator[bytes]) -> Iterator[bytes]:
    portion = b""
    for piece in pieces:
        portion += piece
        if len(portion) >= PORTION_BYTES:
            yield portion
            portion = b""
    if portion:
        yield portion


def count(facts: Facts, sounds: Sequence[bytes]) -> int:
    """Return in how many sounds an engine hears its word; in a process of the pool."""
    return sum(bool(listen([facts], sound)[0].hits) for sound in sounds)


def listen(facts: Sequence[Facts], sound: bytes) -> list[Heard]:
    """Return what an engine for each of the facts hears in a sound; in a process of the pool."""
    return [hear(Prepared.from_facts(one).make(), sound) for one in facts]


def hear(engine: Engine, sound: bytes) -> Heard:
    """Let an engine hear a sound, and close it."""
    ends = range(FRAME_BYTES, len(sound) + 1, FRAME_BYTES)
    began_s = time.process_time()
    hits = sum(engine.hear(sound[end - FRAME_BYTES : end]) for end in ends)
    cpu_s = time.process_time() - began_s
    engine.close()
    return Heard(hits, cpu_s, len(sound) / SAMPLE_BYTES / SAMPLE_RATE_HZ)
