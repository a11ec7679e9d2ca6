"""Speech from text: espeak-ng, one process for each reply, never on the event loop."""

from __future__ import annotations

import asyncio
import functools
import io
import shutil
import sys
import wave
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from devcloud.audio import FRAME_MS, SAMPLE_RATE_HZ
from devcloud.errors import MissingPartError, SpeechError
from devcloud.resampler import Resampler, frames

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = "espeak-ng"
VOICE: Final = "en-us"
WORDS_PER_MINUTE: Final = 160
TEXT_CHARS_MAX: Final = 1000
TIMEOUT_S: Final = 8.0
PROCESSES_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Speech:
    """Spoken text: mono samples of signed 16 bit at the synthesiser's own rate."""

    samples: array[int]
    rate_hz: int

    def at(self, rate_hz: int) -> Iterator[int]:
        """Give its samples at another rate, each computed as it is asked for."""
        if rate_hz == self.rate_hz:
            return iter(self.samples)
        return _resampler(self.rate_hz, rate_hz).resample(self.samples)

    def frames(self, rate_hz: int = SAMPLE_RATE_HZ) -> Iterator[bytes]:
        """Give it as 20 ms frames, each computed (in about 1 ms at 16 kHz) as it is asked for."""
        return frames(self.at(rate_hz), rate_hz * FRAME_MS // 1000)


class Speaker:
    """Speaks text, at most ``PROCESSES_MAX`` replies at a time.

    Raises:
        MissingPartError: espeak-ng is not installed.
    """

    def __init__(self) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise MissingPartError(f"{PROGRAM} cannot be found: install the package {PROGRAM}")
        # The text goes to standard input: what a child said is nobody's business who lists
        # processes, and no word of it can be taken for an option.
        self._command = (
            program,
            *("-v", VOICE),
            *("-s", str(WORDS_PER_MINUTE)),
            *("-b", "1"),  # UTF-8
            "--stdin",
            "--stdout",
        )
        self._places = asyncio.Semaphore(PROCESSES_MAX)

    async def speak(self, text: str) -> Speech:
        """Speak a text of at most ``TEXT_CHARS_MAX`` characters; the rest is left out.

        Raises:
            SpeechError: the synthesiser failed, or did not end in time.
        """
        async with self._places:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    sound, _ = await process.communicate(text[:TEXT_CHARS_MAX].encode())
            except TimeoutError:
                raise SpeechError(f"{PROGRAM} did not end within {TIMEOUT_S:g} s") from None
            finally:
                # Also when nobody waits for the reply any more.
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise SpeechError(f"{PROGRAM} ended with {process.returncode}")
        return _read_wav(sound)


@functools.cache
def _resampler(from_hz: int, to_hz: int) -> Resampler:
    return Resampler(from_hz, to_hz)


def _read_wav(sound: bytes) -> Speech:
    try:
        # Written to a pipe, the header claims 1 GiB; reading stops where the data does.
        with wave.open(io.BytesIO(sound)) as reader:
            if (reader.getnchannels(), reader.getsampwidth()) != (1, 2):
                raise SpeechError(f"{PROGRAM} gave something else than mono 16 bit sound")
            samples = array("h", reader.readframes(reader.getnframes()))
            rate_hz = reader.getframerate()
    except (wave.Error, EOFError, ValueError) as error:
        raise SpeechError(f"{PROGRAM} gave no sound: {error}") from None
    if sys.byteorder == "big":
        samples.byteswap()
    return Speech(samples, rate_hz)
