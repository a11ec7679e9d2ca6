"""Makes the toy's own sounds, which are then in the repository: `firmware/voice/sounds/`.

Run it as ``make sounds``. It writes every earcon out of its notes in `firmware/voice/cues.py`, lets
flite speak every sentence below that is new, and lists all files with their digests in the
manifest. A sentence counts as approved as it stands here: whoever changes one listens to it.

    tools/sounds.py                                        make what is not there or out of date
    tools/sounds.py --sentence locked mum.wav --text "..." --voice "Mum"
                                                           take one's own recording of a sentence
    tools/sounds.py --earcon listening chime.wav           take one's own earcon
    tools/sounds.py --ours locked                          go back to ours

Recordings are WAV files that `hardware.pcm.read_wav` can read. They are trimmed, brought to the
level of all others, and never synthesised over. It needs the Debian package flite.
Exit status: 0; 1 when a sound cannot be made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from firmware.voice.cues import (  # noqa: E402 - found by way of the line above
    CUES,
    MANIFEST,
    SOUNDS,
    SPOKEN,
    earcon_file,
    read_earcon,
    read_sentence,
    sentence_file,
)
from firmware.voice.earcons import PEAK_DBFS, synthesise  # noqa: E402
from firmware.voice.errors import VoiceError  # noqa: E402
from hardware.codec import OpusDecoder, OpusEncoder  # noqa: E402
from hardware.errors import HardwareError  # noqa: E402
from hardware.ogg import pack  # noqa: E402
from hardware.pcm import (  # noqa: E402
    BYTES_PER_MS,
    FRAME_BYTES,
    FRAME_MS,
    FRAME_SAMPLES,
    read_wav,
    write_wav,
)

LANGUAGE: Final = "en"
SENTENCES: Final = {
    "apology": "I am sorry. I lost my words. Please ask me again.",
    "fault": "My ears are not working. Please ask a grown-up to help me.",
    "locked": "I am taking a rest now. Please ask a grown-up to wake me up.",
    "offer_erase": "To make me forget everything, let go. Then press the button once. "
    "If not, let go, and wait.",
    "offer_setup": "To set me up, let go. Then press the button once. If not, let go, and wait.",
    "offline": "I cannot get online right now. Let us try again a little later.",
    "set_me_up": "Hello! I am new here. Please ask a grown-up to set me up.",
}
"""What is said, to a child of four and to whoever it fetches: what is the matter, what to do."""

NOTES, OWN = "notes", "own"
"""How an earcon was made: out of its notes, or by somebody."""

VOICE: Final = "flite slt"
"""Who says it: a voice of the Debian package, which is pleasanter than espeak-ng's."""
STRETCH: Final = 1.1
"""A tenth slower than it speaks by itself."""

LEVEL_DBFS: Final = -20.0
"""How loud a sentence is: the root mean square of the frames in which somebody speaks."""
SENTENCE_PEAK_DBFS: Final = -6.0
"""No sample of a sentence is louder than this, before the volume is applied."""
BITRATE_BPS: Final = 24_000
SILENCE_DBFS: Final = -45.0
"""What is fainter than this, against the loudest frame, is trimmed at both ends."""
MARGIN_FRAMES: Final = 2
"""Kept of the silence at both ends: consonants begin and end softly."""
SPEECH_DB: Final = 25.0
"""Frames that far below the loudest one count as pauses."""

_FULL_SCALE: Final = 32_768.0
_OVERSHOOT_DB: Final = 0.5
"""What Opus may add to a peak."""
_STEP_DB: Final = 0.5

Samples = NDArray[np.float64]


def main() -> int:
    """Do what the command line says."""
    args = _arguments()
    try:
        workshop = Workshop(args.folder)
        if args.sentence:
            name, path = args.sentence
            workshop.speak(name, args.text, args.voice, read_wav(path))
        elif args.earcon:
            name, path = args.earcon
            workshop.ring(name, OWN, read_wav(path))
        else:
            workshop.make(args.ours)
        workshop.write_manifest()
    except (VoiceError, HardwareError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"sounds: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--sentence", nargs=2, metavar=("CUE", "WAV"), help="take this recording")
    one.add_argument("--earcon", nargs=2, metavar=("CUE", "WAV"), help="take this sound")
    one.add_argument("--ours", metavar="CUE", help="make this cue's sounds anew, in our voice")
    parser.add_argument("--text", help="the words that a recorded sentence says")
    parser.add_argument("--voice", help="who says them")
    parser.add_argument("--folder", type=Path, default=SOUNDS, help="where the sounds lie")
    args = parser.parse_args()
    if args.sentence and not (args.text and args.voice):
        parser.error("--sentence needs --text and --voice: the manifest says what was approved")
    return args


class Workshop:
    """Writes sounds into a folder, and keeps account of them.

    Args:
        folder: Where they lie, with their manifest if there is one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifest = folder / MANIFEST
        self._files: dict[str, Any] = {}
        if self._manifest.exists():
            self._files = json.loads(self._manifest.read_bytes())["files"]

    def make(self, ours: str | None) -> None:
        """Make what is missing, out of date, or asked for; recordings of others stay."""
        if ours is not None:
            require(ours, set(CUES))
        for name, notes in CUES.items():
            about = self._files.get(earcon_file(name), {"made": NOTES})
            if about["made"] == NOTES or name == ours:
                self.ring(name, NOTES, b"".join(synthesise(notes)))
        for name, text in SENTENCES.items():
            about = self._files.get(sentence_file(name), {"voice": VOICE, "text": None})
            is_stale = about["voice"] == VOICE and about["text"] != text
            if is_stale or name == ours:
                self.speak(name, text, VOICE, spoken(text))

    def ring(self, name: str, made: str, pcm: bytes) -> None:
        """Write an earcon; one's own is trimmed, and as loud at its peak as any may be."""
        if made == OWN:
            sound = trimmed(floats(pcm))
            pcm = integers(sound * amplitude(PEAK_DBFS) / np.abs(sound).max())
        path = self._path(earcon_file(require(name, set(CUES))))
        content = wav(pcm)
        read_earcon(path, content)
        path.write_bytes(content)
        self._files[earcon_file(name)] = {"sha256": digest(path), "made": made}
        print(f"{path}: {len(pcm) // BYTES_PER_MS} ms")

    def speak(self, name: str, text: str, voice: str, pcm: bytes) -> None:
        """Write a sentence, and what was approved."""
        path = self._path(sentence_file(require(name, set(SPOKEN)), LANGUAGE))
        content = packed(trimmed(floats(pcm)))
        packets = read_sentence(path, content)
        path.write_bytes(content)
        self._files[sentence_file(name)] = {
            "sha256": digest(path),
            "language": LANGUAGE,
            "voice": voice,
            "text": text,
            "approved": approval(text, voice, digest(path)),
        }
        print(f"{path}: {len(packets) * FRAME_MS} ms, {voice}: {text}")

    def write_manifest(self) -> None:
        """Write what is known of each file, in order."""
        text = json.dumps({"files": dict(sorted(self._files.items()))}, indent=2)
        self._manifest.write_text(text + "\n", encoding="utf-8")

    def _path(self, file: str) -> Path:
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def approval(text: str, voice: str, sha256: str) -> str:
    """Return what ties a text to who says it, and to the very file in which it is said."""
    return hashlib.sha256(json.dumps([text, voice, sha256]).encode()).hexdigest()


def spoken(text: str) -> bytes:
    """Return a sentence as flite says it."""
    program = shutil.which("flite")
    if program is None:
        raise FileNotFoundError("flite is not installed: install the Debian package flite")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        options = ("-voice", VOICE.split()[1], "--setf", f"duration_stretch={STRETCH}")
        subprocess.run((program, *options, "-t", text, "-o", path), check=True, timeout=60)
        return read_wav(path)


def packed(sound: Samples) -> bytes:
    """Return an Ogg Opus file of a sentence as loud as it is to be, no sample above the peak."""
    sound = sound * amplitude(LEVEL_DBFS) / speech_level(sound)
    peak = amplitude(SENTENCE_PEAK_DBFS)
    sound *= min(1.0, amplitude(-_OVERSHOOT_DB) * peak / np.abs(sound).max())
    while True:
        packets = encoded(integers(sound))
        with OpusDecoder() as decoder:
            heard = floats(b"".join(map(decoder.decode, packets)))
        if np.abs(heard).max() <= peak:
            return pack(packets)
        sound = sound * amplitude(-_STEP_DB)


def wav(pcm: bytes) -> bytes:
    """Return a WAV file of PCM."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        write_wav(path, pcm)
        return path.read_bytes()


def encoded(pcm: bytes) -> list[bytes]:
    """Return the packets of a sound, and one more for what the encoder holds back."""
    pcm += bytes(-len(pcm) % FRAME_BYTES + FRAME_BYTES)
    with OpusEncoder(
        bitrate_bps=BITRATE_BPS, complexity=10, expected_loss_percent=0, fec=False, dtx=False
    ) as encoder:
        return [
            encoder.encode(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)
        ]


def trimmed(sound: Samples) -> Samples:
    """Return a sound without the silence before and after it."""
    levels = frame_levels(sound)
    heard = np.flatnonzero(levels > levels.max() * amplitude(SILENCE_DBFS))
    first = max(0, int(heard[0]) - MARGIN_FRAMES)
    return sound[first * FRAME_SAMPLES : (int(heard[-1]) + 1 + MARGIN_FRAMES) * FRAME_SAMPLES]


def speech_level(sound: Samples) -> float:
    """Return the root mean square of the frames that are no pause."""
    levels = frame_levels(sound)
    speech = levels[levels > levels.max() * amplitude(-SPEECH_DB)]
    return float(np.sqrt(np.mean(speech**2)))


def frame_levels(sound: Samples) -> Samples:
    """Return the root mean square of each frame."""
    filled = np.pad(sound, (0, -len(sound) % FRAME_SAMPLES))
    levels: Samples = np.sqrt(np.mean(filled.reshape(-1, FRAME_SAMPLES) ** 2, axis=1))
    if not levels.max():
        raise HardwareError("it is silent: record it again")
    return levels


def floats(pcm: bytes) -> Samples:
    """Return PCM as numbers of -1 to 1."""
    return np.frombuffer(pcm, np.int16) / _FULL_SCALE


def integers(sound: Samples) -> bytes:
    """Return numbers of -1 to 1 as PCM."""
    return np.rint(sound * _FULL_SCALE).astype(np.int16).tobytes()


def amplitude(dbfs: float) -> float:
    """Return decibels as a factor."""
    return float(10 ** (dbfs / 20))


def require(name: str, names: set[str]) -> str:
    """Return a cue's name, if it is one."""
    if name not in names:
        raise HardwareError(f"there is no cue {name!r} here, only {', '.join(sorted(names))}")
    return name


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
