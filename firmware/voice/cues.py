"""The toy's own sounds, by the names that `states.table` gives them.

A cue is an earcon, and of some a sentence after it. They are files in `sounds/`, made once by
`tools/sounds.py`, listed with their digests in its manifest; README.md there says how to replace
them. On a device nothing is synthesised, unless an earcon's file is missing or damaged: then that
one is made anew at the start. A sentence that is, is left out. So no cue is ever silence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import wave
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from firmware.voice.earcons import Note, synthesise
from firmware.voice.errors import MisuseError, SoundError
from firmware.voice.packet import duration_ms
from hardware.codec import OpusDecoder
from hardware.errors import CorruptFileError
from hardware.ogg import unpack
from hardware.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOUNDS: Final = Path(__file__).with_name("sounds")
MANIFEST: Final = "manifest.json"
FILE_BYTES_MAX: Final = 512 * 1024
"""Largest file of these; ten seconds of an earcon take 320 KB."""
CUE_MS_MAX: Final = 10_000
"""Longest cue, its sentence included (MACHINE.md: apologies and cues)."""
EARCON_MS_MAX: Final = 600
"""Longest earcon: somebody waits for it, to speak or to know."""
PAUSE_FRAMES: Final = 8
"""Silence between an earcon and its sentence: 160 ms."""
SENTENCE_MS_MAX: Final = CUE_MS_MAX - EARCON_MS_MAX - PAUSE_FRAMES * FRAME_MS
"""Longest sentence: 9.24 s."""

_A4, _B4, _C5, _D5, _E5, _G5, _A5 = 440.0, 493.9, 523.3, 587.3, 659.3, 784.0, 880.0
_REST: Final = Note(0, 40)

# Rising invites, falling ends, repeating refuses; the longer it is, the more it matters.
CUES: Final[Mapping[str, tuple[Note, ...]]] = {
    "listening": (Note(_E5, 80), Note(_A5, 120)),
    "end": (Note(_A5, 80), Note(_E5, 120)),
    "denied": (Note(_A4, 120), _REST, Note(_A4, 120)),
    "not_yet": (Note(_D5, 80), _REST, Note(_D5, 80), _REST, Note(_D5, 80)),
    "apology": (Note(_G5, 120), Note(_E5, 120), Note(_C5, 280)),
    "offline": (Note(_E5, 120), Note(_B4, 280)),
    "locked": (Note(_C5, 120), _REST, Note(_C5, 120), Note(_A4, 280)),
    "offer_setup": (Note(_C5, 120), Note(_E5, 120), Note(_G5, 120), Note(_A5, 120)),
    "offer_erase": (Note(_A5, 120), Note(_G5, 120), Note(_E5, 120), Note(_C5, 120)),
    "set_me_up": (Note(_C5, 120), Note(_G5, 120), Note(_C5, 120), Note(_G5, 120)),
    "fault": (Note(_B4, 120), Note(_A4, 120), _REST, Note(_B4, 120), Note(_A4, 120)),
    "low_volume": (Note(_G5, 80), Note(_G5, 80)),
}
"""Their earcons, as notes."""

SPOKEN: Final = frozenset(
    {"apology", "fault", "locked", "offer_erase", "offer_setup", "offline", "set_me_up"}
)
"""Those that a sentence explains: they tell somebody what to do now."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cue:
    """One sound.

    Attributes:
        earcon: Frames of PCM.
        sentence: Opus packets of a frame each; none where nothing is said.
    """

    earcon: tuple[bytes, ...]
    sentence: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        """Return how many frames it has."""
        return len(self.earcon) + (PAUSE_FRAMES + len(self.sentence) if self.sentence else 0)

    def frames(self) -> Iterator[bytes]:
        """Yield its frames of PCM; those of the sentence are decoded as they are asked for."""
        yield from self.earcon
        if self.sentence:
            yield from [bytes(FRAME_BYTES)] * PAUSE_FRAMES
            with OpusDecoder() as decoder:
                yield from map(decoder.decode, self.sentence)


class Cues:
    """All sounds, read from a folder. What cannot be used is logged, and replaced.

    Args:
        folder: Where they lie, with their manifest.
    """

    def __init__(self, folder: Path = SOUNDS) -> None:
        self.problems: list[SoundError] = []
        """What was the matter, a file each."""
        self._folder = folder
        self._digests = self._read_manifest()
        self._cues = {name: Cue(self._earcon(name), self._sentence(name)) for name in CUES}
        for problem in self.problems:
            _log.error("a sound of the toy's own cannot be used: %s", problem)

    def __getitem__(self, name: str) -> Cue:
        """Return a sound by its name.

        Raises:
            MisuseError: There is no such sound.
        """
        if name not in self._cues:
            raise MisuseError(f"there is no sound {name!r}, only {', '.join(sorted(CUES))}")
        return self._cues[name]

    async def test(self) -> bool:
        """Return whether all of them can be used: a `firmware.body.Probe`."""
        return not self.problems

    def _read_manifest(self) -> dict[str, str]:
        """Return the digest of each file."""
        path = self._folder / MANIFEST
        try:
            manifest: Any = json.loads(path.read_bytes())
            return {str(name): str(about["sha256"]) for name, about in manifest["files"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            problem = SoundError(path, f"cannot be read ({error!r}); install the firmware anew")
            self.problems.append(problem)
            return {}

    def _earcon(self, name: str) -> tuple[bytes, ...]:
        try:
            return read_earcon(self._folder / earcon_file(name), self._verified(earcon_file(name)))
        except SoundError as problem:
            self.problems.append(problem)
            return synthesise(CUES[name])

    def _sentence(self, name: str) -> tuple[bytes, ...]:
        if name not in SPOKEN:
            return ()
        try:
            file = sentence_file(name)
            return read_sentence(self._folder / file, self._verified(file))
        except SoundError as problem:
            self.problems.append(problem)
            return ()

    def _verified(self, file: str) -> bytes:
        """Return what is in a file, which is what was approved."""
        path = self._folder / file
        if file not in self._digests:
            raise SoundError(path, f"is not in {MANIFEST}; install the firmware anew")
        try:
            with path.open("rb") as opened:
                content = opened.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            reason = f"cannot be read ({error.strerror}); install the firmware anew"
            raise SoundError(path, reason) from error
        if hashlib.sha256(content).hexdigest() != self._digests[file]:
            raise SoundError(path, f"is not what {MANIFEST} says; approve it or install it anew")
        return content


@cache
def packaged() -> Cues:
    """Return the sounds that come with the firmware, which are read once."""
    return Cues()


def earcon_file(name: str) -> str:
    """Return where a cue's earcon lies: a WAV file of 16 kHz, mono, 16 bits."""
    return f"earcons/{name}.wav"


def sentence_file(name: str, language: str = "en") -> str:
    """Return where a cue's sentence lies: Ogg Opus, mono, in packets of 20 ms."""
    return f"{language}/{name}.opus"


def read_earcon(path: Path, content: bytes) -> tuple[bytes, ...]:
    """Return the frames of an earcon; silence fills up the last.

    Raises:
        SoundError: It is another kind of file, or longer than `EARCON_MS_MAX`.
    """
    try:
        with wave.open(BytesIO(content)) as wav:
            form = (wav.getframerate(), wav.getnchannels(), wav.getsampwidth())
            pcm = wav.readframes(wav.getnframes())
    except (wave.Error, EOFError) as error:
        raise SoundError(path, f"is no WAV file ({error})") from error
    if form != (SAMPLE_RATE_HZ, 1, SAMPLE_BYTES):
        raise SoundError(path, "is not of 16 kHz, mono, 16 bits")
    frames = tuple(
        pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        for at in range(0, len(pcm), FRAME_BYTES)
    )
    if not 0 < len(frames) * FRAME_MS <= EARCON_MS_MAX:
        raise SoundError(path, f"lasts {len(frames) * FRAME_MS} ms, not 20-{EARCON_MS_MAX}")
    return frames


def read_sentence(path: Path, content: bytes) -> tuple[bytes, ...]:
    """Return the packets of a sentence.

    Raises:
        SoundError: It is another kind of file, in other packets, or longer than `SENTENCE_MS_MAX`.
    """
    try:
        packets = unpack(content)
    except CorruptFileError as error:
        raise SoundError(path, f"is no Ogg Opus file ({error})") from error
    if any(duration_ms(packet) != FRAME_MS for packet in packets):
        raise SoundError(path, f"has packets that do not last {FRAME_MS} ms")
    if len(packets) * FRAME_MS > SENTENCE_MS_MAX:
        raise SoundError(path, f"lasts {len(packets) * FRAME_MS} ms, not up to {SENTENCE_MS_MAX}")
    return tuple(packets)
