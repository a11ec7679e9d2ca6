"""The toy's own sounds."""

from __future__ import annotations

import array
import itertools
import json
import math
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest

from firmware.voice import earcons
from firmware.voice.cues import (
    CUE_MS_MAX,
    CUES,
    EARCON_MS_MAX,
    MANIFEST,
    SENTENCE_MS_MAX,
    SOUNDS,
    SPOKEN,
    Cues,
    earcon_file,
    packaged,
    read_earcon,
    sentence_file,
)
from firmware.voice.earcons import PEAK_DBFS, synthesise
from firmware.voice.errors import MisuseError, SoundError
from hardware.codec import OpusDecoder, OpusEncoder
from hardware.ogg import pack
from hardware.pcm import (
    BYTES_PER_MS,
    FRAME_BYTES,
    FRAME_MS,
    SAMPLE_RATE_HZ,
    from_bytes,
    rms,
    write_wav,
)
from states.table import ROWS, STATES
from tests.firmware.voice.rig import loud
from tests.hardware.voices import tone, voice

TOOL: Final = Path(__file__).resolve().parents[3] / "tools" / "sounds.py"
sounds: Final[Any] = SimpleNamespace(**runpy.run_path(str(TOOL)))
"""The script that made them."""

BAND_HZ = (400, 2000)
FAINT_LEVELS = 2
"""By which another machine's sine may differ, in steps of a sample."""


@cache
def manifest() -> dict[str, dict[str, Any]]:
    """What is known of each file."""
    files: dict[str, dict[str, Any]] = json.loads((SOUNDS / MANIFEST).read_bytes())["files"]
    return files


def earcon(name: str) -> array.array[int]:
    """The samples of a cue's earcon."""
    return from_bytes(b"".join(packaged()[name].earcon))


@cache
def sentence(name: str) -> bytes:
    """What is said, as it is heard."""
    with OpusDecoder() as decoder:
        return b"".join(map(decoder.decode, packaged()[name].sentence))


def level_dbfs(pcm: bytes) -> float:
    """The loudest sample."""
    return 20 * math.log10(max(map(abs, from_bytes(pcm))) / 32_768)


# -- Which there are ------------------------------------------------------------------------------


def test_every_sound_that_is_asked_for_is_there_and_no_other() -> None:
    """By the table; and one by playback, when the volume is set very low."""
    effects = [do for row in ROWS for do in row.do]
    effects += [do for state in STATES for do in state.enters + state.leaves]
    names = [do.__name__ for do in effects]
    asked = {name.removeprefix("cue:") for name in names if name.startswith("cue:")}
    assert asked | {"low_volume"} == set(CUES)


def test_every_sound_that_comes_with_the_firmware_is_whole() -> None:
    """None is missing, none is other than approved, and none is left that nobody plays."""
    assert packaged().problems == []
    files = {str(path.relative_to(SOUNDS)) for path in SOUNDS.rglob("*") if path.is_file()}
    assert files - {MANIFEST, "README.md"} == set(manifest())
    assert set(manifest()) == set(map(earcon_file, CUES)) | set(map(sentence_file, SPOKEN))


def test_an_unknown_sound_is_named() -> None:
    """And those that there are."""
    with pytest.raises(MisuseError, match=r"no sound 'fanfare', only apology, denied"):
        packaged()["fanfare"]


def test_no_two_sounds_are_alike() -> None:
    """Each says something else."""
    assert len({packaged()[name] for name in CUES}) == len(CUES)
    assert len({packaged()[name].earcon for name in CUES}) == len(CUES)


@pytest.mark.parametrize("name", CUES)
def test_a_sound_with_its_sentence_lasts_ten_seconds_at_most(name: str) -> None:
    """And is as long as it says."""
    cue = packaged()[name]
    frames = list(cue.frames())
    assert len(frames) == len(cue)
    assert len(cue) * FRAME_MS <= CUE_MS_MAX
    assert all(len(frame) == FRAME_BYTES for frame in frames)


# -- Earcons --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CUES)
def test_an_earcon_is_what_its_notes_make(name: str) -> None:
    """To within what sines differ by; if not, `make sounds` makes it anew."""
    if manifest()[earcon_file(name)]["made"] == "notes":
        made = from_bytes(b"".join(synthesise(CUES[name])))
        assert len(made) == len(earcon(name))
        off = (abs(a - b) for a, b in zip(made, earcon(name), strict=True))
        assert max(off) <= FAINT_LEVELS, "run make sounds"


@pytest.mark.parametrize("name", CUES)
def test_an_earcon_is_short_and_gentle(name: str) -> None:
    """At most 600 ms, never above -12 dBFS, and loud enough to be heard at the usual volume."""
    frames = packaged()[name].earcon
    assert len(frames) * FRAME_MS <= EARCON_MS_MAX
    assert level_dbfs(b"".join(frames)) <= PEAK_DBFS
    assert rms(b"".join(loud(list(frames)))) > 300


@pytest.mark.parametrize("name", CUES)
def test_an_earcon_begins_and_ends_in_silence(name: str) -> None:
    """No click: the first and last 2 ms are faint, and no step is steeper than its highest tone."""
    samples = earcon(name)
    assert max(map(abs, samples[:32])) < 1000
    assert max(map(abs, samples[-32:])) < 100
    steps = (abs(b - a) for a, b in itertools.pairwise(samples))
    assert max(steps) < max(map(abs, samples)) * 2 * math.pi * BAND_HZ[1] / SAMPLE_RATE_HZ


@pytest.mark.parametrize("name", CUES)
def test_an_earcon_lies_between_400_and_2000_hz(name: str) -> None:
    """99 % of its energy: small loudspeakers give it, and it is not sharp."""
    energy = np.abs(np.fft.rfft(earcon(name), 16_384)) ** 2
    lowest, highest = (bound * 16_384 // SAMPLE_RATE_HZ for bound in BAND_HZ)
    assert energy[lowest:highest].sum() > 0.99 * energy.sum()


# -- Sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SPOKEN))
def test_a_recording_belongs_to_the_words_that_were_approved(name: str) -> None:
    """Neither can be changed without the other; what our voice says is what the tool would say."""
    about = manifest()[sentence_file(name)]
    approved = sounds.approval(about["text"], about["voice"], about["sha256"])
    assert about["approved"] == approved, "run make sounds, or approve the recording again"
    assert about["language"] == "en"
    if about["voice"] == sounds.VOICE:
        assert about["text"] == sounds.SENTENCES[name], "run make sounds"


def test_every_sentence_that_is_spoken_has_words() -> None:
    """And none has words that nobody speaks."""
    assert set(sounds.SENTENCES) == SPOKEN


def test_makers_read_what_every_sound_is_and_says() -> None:
    """README.md beside the sounds has a row for each, with the very words."""
    rows = (SOUNDS / "README.md").read_text(encoding="utf-8").splitlines()
    for name in CUES:
        (row,) = (row for row in rows if row.startswith(f"| `{name}` |"))
        said = f'"{sounds.SENTENCES[name]}"' if name in SPOKEN else ""
        assert row.split("|")[4].strip() == said


def test_a_wheel_carries_every_sound() -> None:
    """They are data of the package."""
    project = tomllib.loads((TOOL.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    globs = project["tool"]["setuptools"]["package-data"]["firmware.voice"]
    carried = {path for glob in globs for path in SOUNDS.parent.glob(glob)}
    assert {SOUNDS / file for file in [*manifest(), MANIFEST]} <= carried


@pytest.mark.parametrize("name", sorted(SPOKEN))
def test_a_sentence_is_as_loud_as_all_others(name: str) -> None:
    """Its speech near -20 dBFS, as far as no sample exceeds -6; no silence at its ends."""
    pcm = sentence(name)
    assert level_dbfs(pcm) <= sounds.SENTENCE_PEAK_DBFS
    sound = sounds.floats(pcm)
    level = 20 * math.log10(sounds.speech_level(sound))
    assert sounds.LEVEL_DBFS - 3 <= level <= sounds.LEVEL_DBFS + 0.5
    assert len(sound) - len(sounds.trimmed(sound)) <= 3 * len(sound) / len(pcm) * FRAME_BYTES


# -- Files that are not what they should be -------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the sounds that may be spoilt."""
    return Path(shutil.copytree(SOUNDS, tmp_path / "sounds"))


def spoil(path: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [Path.unlink, spoil])
def test_a_lockout_is_heard_whatever_becomes_of_its_files(folder: Path, damage: Any) -> None:  # noqa: ANN401 - a function of a path
    """Its earcon is made anew, its sentence is left out, and both are named."""
    damage(folder / earcon_file("locked"))
    damage(folder / sentence_file("locked"))
    found = Cues(folder)
    assert [problem.path for problem in found.problems] == [
        folder / earcon_file("locked"),
        folder / sentence_file("locked"),
    ]
    assert list(found["locked"].frames()) == list(synthesise(CUES["locked"]))
    assert found["offline"] == packaged()["offline"]


def test_a_lost_sentence_leaves_its_earcon(folder: Path) -> None:
    """The sound still says what it said before there were words."""
    spoil(folder / sentence_file("locked"))
    assert Cues(folder)["locked"].earcon == packaged()["locked"].earcon


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]", b'{"files": [1]}', b'{"files": 3}'])
def test_without_a_manifest_every_earcon_is_heard(
    folder: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing can be trusted then, and the log says so."""
    (folder / MANIFEST).unlink()
    if content is not None:
        (folder / MANIFEST).write_bytes(content)
    found = Cues(folder)
    for name, notes in CUES.items():
        assert list(found[name].frames()) == list(synthesise(notes))
    assert found.problems[0].path == folder / MANIFEST
    assert str(folder / MANIFEST) in caplog.text


def test_where_there_is_no_folder_every_earcon_is_heard(tmp_path: Path) -> None:
    """The same."""
    assert all(Cues(tmp_path / "nowhere")[name].earcon for name in CUES)


def approve(folder: Path, file: str, content: bytes) -> None:
    """Put another file in a sound's place, and into the manifest."""
    (folder / file).write_bytes(content)
    known = json.loads((folder / MANIFEST).read_bytes())
    known["files"][file]["sha256"] = sounds.digest(folder / file)
    (folder / MANIFEST).write_text(json.dumps(known))


def test_a_file_of_another_kind_is_not_played_though_it_was_approved(folder: Path) -> None:
    """A stereo earcon, one cut short, a sentence that is a WAV file, others of a wrong length."""
    wav = (folder / earcon_file("end")).read_bytes()
    approve(folder, earcon_file("end"), wav[:22] + b"\x02" + wav[23:])
    approve(folder, earcon_file("not_yet"), b"RIFF")
    approve(folder, sentence_file("locked"), wav)
    with OpusEncoder() as encoder:
        packet = encoder.encode(bytes(FRAME_BYTES))
    approve(folder, sentence_file("offline"), pack([packet] * (SENTENCE_MS_MAX // FRAME_MS + 1)))
    approve(folder, sentence_file("apology"), pack([bytes([packet[0] | 1]) + packet[1:]]))
    found = {problem.path.name: str(problem) for problem in Cues(folder).problems}
    assert {name: text.partition(": ")[2][:16] for name, text in found.items()} == {
        "end.wav": "is not of 16 kHz",
        "not_yet.wav": "is no WAV file (",
        "locked.opus": "is no Ogg Opus f",
        "offline.opus": "lasts 9260 ms, n",
        "apology.opus": "has packets that",
    }


def test_an_earcon_that_is_too_long_is_refused(folder: Path) -> None:
    """Nobody waits for it."""
    path = folder / earcon_file("end")
    write_wav(path, bytes(620 * BYTES_PER_MS))
    with pytest.raises(SoundError, match=r"end.wav: lasts 620 ms"):
        read_earcon(path, path.read_bytes())


def test_nothing_is_synthesised_where_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start takes as long as reading the files does."""
    monkeypatch.delattr(earcons, "_sound")
    assert Cues().problems == []


# -- Sounds of one's own --------------------------------------------------------------------------


def take(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the tool, where no program can speak."""
    return subprocess.run(
        (sys.executable, TOOL, "--folder", folder, *arguments),
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_family_can_say_it_in_its_own_voice(folder: Path, tmp_path: Path) -> None:
    """A recording, however faint, is as loud as ours, and approved with its words."""
    recording = tmp_path / "mum.wav"
    faint = (sample // 30 for sample in from_bytes(voice(1_500)))
    write_wav(recording, bytes(32_000) + array.array("h", faint).tobytes() + bytes(32_000))
    text = "I need a rest. Please fetch Mum."
    done = take(folder, "--sentence", "locked", recording, "--text", text, "--voice", "Mum")
    assert (done.returncode, done.stderr) == (0, "")
    found = Cues(folder)
    assert found.problems == []
    cue = found["locked"]
    assert cue.earcon == packaged()["locked"].earcon
    assert len(cue.sentence) * FRAME_MS == pytest.approx(1_500, abs=160)
    with OpusDecoder() as decoder:
        pcm = b"".join(map(decoder.decode, cue.sentence))
    assert level_dbfs(pcm) <= sounds.SENTENCE_PEAK_DBFS
    assert 20 * math.log10(sounds.speech_level(sounds.floats(pcm))) > sounds.LEVEL_DBFS - 6
    about = json.loads((folder / MANIFEST).read_bytes())["files"][sentence_file("locked")]
    assert (about["voice"], about["text"]) == ("Mum", text)
    assert about["approved"] == sounds.approval(text, "Mum", about["sha256"])


def test_an_earcon_of_ones_own_stays_when_all_are_made_anew(folder: Path, tmp_path: Path) -> None:
    """Neither it nor what is up to date is made again: nobody needs a voice for that."""
    write_wav(tmp_path / "chime.wav", tone(700, 300).tobytes() + bytes(16_000))
    assert take(folder, "--earcon", "listening", tmp_path / "chime.wav").returncode == 0
    chime = (folder / earcon_file("listening")).read_bytes()
    assert take(folder).returncode == 0
    assert (folder / earcon_file("listening")).read_bytes() == chime
    assert Cues(folder).problems == []
    assert len(Cues(folder)["listening"]) * FRAME_MS == pytest.approx(300, abs=60)


@pytest.mark.parametrize(
    ("arguments", "duration_ms"),
    [
        (("--earcon", "end"), 700),
        (("--sentence", "locked", "--text", "A lot.", "--voice", "Mum"), 9_500),
    ],
)
def test_what_is_too_long_is_refused_and_what_was_there_stays(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], duration_ms: int
) -> None:
    """A toy with half of a sound would do without it."""
    write_wav(tmp_path / "long.wav", tone(700, duration_ms).tobytes())
    option, cue, *rest = arguments
    done = take(folder, option, cue, tmp_path / "long.wav", *rest)
    assert done.returncode == 1
    assert re.fullmatch(r"sounds: .*: lasts \d+ ms, not .*\n", done.stderr)
    assert Cues(folder).problems == []
    assert Cues(folder)[cue] == packaged()[cue]


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (("--sentence", "locked", "x.wav"), 2, "needs --text and --voice"),
        (("--earcon", "end", "nowhere.wav"), 1, "nowhere.wav: cannot be read"),
        (("--ours", "fanfare"), 1, "there is no cue 'fanfare'"),
        (("--ours", "locked"), 1, "flite is not installed"),
    ],
)
def test_what_cannot_be_made_is_said(
    folder: Path, arguments: tuple[str, ...], status: int, problem: str
) -> None:
    """And the manifest stays as it was."""
    before = (folder / MANIFEST).read_bytes()
    done = take(folder, *arguments)
    assert done.returncode == status
    assert problem in done.stderr
    assert (folder / MANIFEST).read_bytes() == before
