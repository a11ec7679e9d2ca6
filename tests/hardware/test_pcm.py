"""Sound files and PCM."""

from __future__ import annotations

import array
import contextlib
import math
import struct
import wave
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware import pcm
from hardware.errors import (
    ClipEmptyError,
    ClipEncodingError,
    ClipError,
    ClipFormatError,
    ClipTooLongError,
    ClipTruncatedError,
    ClipUnreadableError,
    ClipUnwritableError,
    MisuseError,
)
from tests.hardware.voices import signal_to_noise_db, tone

if TYPE_CHECKING:
    from pathlib import Path

TONE_1_KHZ = tone(1000, 200)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that all examples of a property share."""
    return tmp_path_factory.mktemp("clips") / "clip.wav"


def _wav(  # noqa: PLR0913 - the fields of a WAV header
    data: bytes,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    declared: int | None = None,
    extra: bytes = b"",
) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits) + extra
    length = len(data) if declared is None else declared
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _read(tmp_path: Path, content: bytes, name: str = "clip.wav") -> bytes:
    path = tmp_path / name
    path.write_bytes(content)
    return pcm.read_wav(path)


def _level_db(samples: array.array[int], frequency_hz: float) -> float:
    """How loud one frequency is, away from the ends (a Goertzel filter with a Hann window)."""
    middle = samples[400:-400]
    turn = 2 * math.pi * frequency_hz / pcm.SAMPLE_RATE_HZ
    real = imaginary = total = 0.0
    for n, sample in enumerate(middle):
        window = 0.5 - 0.5 * math.cos(2 * math.pi * n / len(middle))
        real += window * sample * math.cos(turn * n)
        imaginary += window * sample * math.sin(turn * n)
        total += window
    return 20 * math.log10(max(2 * math.hypot(real, imaginary) / total, 1e-3))


def test_a_frame_is_20_ms_of_16_khz() -> None:
    """The unit everywhere."""
    assert (pcm.SAMPLE_RATE_HZ, pcm.FRAME_MS) == (16_000, 20)
    assert (pcm.FRAME_SAMPLES, pcm.FRAME_BYTES, pcm.BYTES_PER_MS) == (320, 640, 32)


def test_a_16_khz_mono_file_is_read_bit_for_bit(tmp_path: Path) -> None:
    """Nothing is done to what is right already."""
    assert _read(tmp_path, _wav(TONE_1_KHZ.tobytes())) == TONE_1_KHZ.tobytes()


@given(st.binary(max_size=2000).map(lambda data: data[: len(data) // 2 * 2]))
def test_what_is_written_is_read_again(clip: Path, data: bytes) -> None:
    """Writing and reading are inverse, and other programs can read it too."""
    pcm.write_wav(clip, data)
    with wave.open(str(clip)) as wav:
        assert wav.getparams()[:4] == (1, 2, 16_000, len(data) // 2)
    if data:
        assert pcm.read_wav(clip) == data
    else:
        with pytest.raises(ClipEmptyError):
            pcm.read_wav(clip)


@pytest.mark.parametrize("bits", [8, 24, 32])
def test_other_sample_widths_keep_their_upper_16_bits(tmp_path: Path, bits: int) -> None:
    """8-bit samples are unsigned, wider ones lose what 16 bits cannot hold."""
    samples = [0, 1000, -1000, 32_767, -32_768]
    if bits == 8:
        data = bytes((sample >> 8) + 128 for sample in samples)
        expected = [sample >> 8 << 8 for sample in samples]
    else:
        shift = bits - 16
        data = b"".join(
            ((sample << shift) + 5).to_bytes(bits // 8, "little", signed=True) for sample in samples
        )
        expected = samples
    found = pcm.from_bytes(_read(tmp_path, _wav(data, bits=bits)))
    assert list(found) == expected


def test_stereo_is_mixed_down(tmp_path: Path) -> None:
    """The mean of both sides."""
    sides = [100, 300, -5, -5, -5, -4, 32_767, 32_767, -32_768, -32_768]
    found = _read(tmp_path, _wav(array.array("h", sides).tobytes(), channels=2))
    assert list(pcm.from_bytes(found)) == [200, -5, -5, 32_767, -32_768]


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 12_345])
def test_any_sample_rate_becomes_ours(tmp_path: Path, rate_hz: int) -> None:
    """A tone comes out as the same tone, as long and as loud."""
    found = _read(tmp_path, _wav(tone(1000, 250, rate_hz).tobytes(), rate_hz=rate_hz))
    assert len(found) // 2 == pytest.approx(4000, abs=2)
    inner = slice(800, -800)
    assert signal_to_noise_db(tone(1000, 250).tobytes()[inner], found[inner]) > 55


def test_what_we_cannot_carry_is_removed_not_folded_down(tmp_path: Path) -> None:
    """A tone of 9.5 kHz at 48 kHz would fold to 6.5 kHz; it is gone instead."""
    content = _wav(tone(9500, 250, 48_000).tobytes(), rate_hz=48_000)
    found = pcm.from_bytes(_read(tmp_path, content))
    original_db = 20 * math.log10(10_000)
    assert max(_level_db(found, hz) for hz in (6000, 6500, 7000)) < original_db - 60


def test_no_mirror_image_appears_above_a_telephones_band(tmp_path: Path) -> None:
    """A tone of 3 kHz at 8 kHz does not come back at 5 kHz."""
    content = _wav(tone(3000, 250, 8000).tobytes(), rate_hz=8000)
    found = pcm.from_bytes(_read(tmp_path, content))
    assert _level_db(found, 3000) == pytest.approx(20 * math.log10(10_000), abs=0.3)
    assert _level_db(found, 5000) < _level_db(found, 3000) - 60


def test_resampling_at_full_scale_clips_and_does_not_wrap(tmp_path: Path) -> None:
    """A square wave overshoots; that must not turn into its opposite."""
    square = array.array("h", ([32_767] * 40 + [-32_768] * 40) * 20)
    found = pcm.from_bytes(_read(tmp_path, _wav(square.tobytes(), rate_hz=8000)))
    assert all(sample > 0 for sample in found[10:70])
    assert all(sample < 0 for sample in found[90:150])


def test_chunks_of_other_kinds_are_skipped(tmp_path: Path) -> None:
    """Titles and the like, of odd length too, do not disturb."""
    content = _wav(TONE_1_KHZ.tobytes())
    content = content[:12] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + content[12:]
    assert _read(tmp_path, content) == TONE_1_KHZ.tobytes()


def test_a_file_from_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """A program that wrote to a pipe did not know the length."""
    for unknown in (0xFFFF_FFFF, 0x7FFF_FFFF):
        content = _wav(TONE_1_KHZ.tobytes(), declared=unknown)
        assert _read(tmp_path, content) == TONE_1_KHZ.tobytes()


def test_an_extensible_header_is_understood(tmp_path: Path) -> None:
    """24-bit files have it, and Python's own reader knows it only since 3.12."""
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    extra = struct.pack("<HHI", 22, 16, 4) + guid
    content = _wav(TONE_1_KHZ.tobytes(), tag=0xFFFE, extra=extra)
    assert _read(tmp_path, content) == TONE_1_KHZ.tobytes()


def test_a_raw_file_is_taken_for_our_own_format(tmp_path: Path) -> None:
    """As Debian's pocketsphinx-testdata has them."""
    assert _read(tmp_path, TONE_1_KHZ.tobytes(), "numbers.RAW") == TONE_1_KHZ.tobytes()


FLOATS = _wav(bytes(8), bits=32, tag=3)
BAD_CLIPS = {
    "empty file": (b"", "clip.wav", ClipEmptyError, "empty file"),
    "no samples": (_wav(b""), "clip.wav", ClipEmptyError, "holds no sound"),
    "half a sample": (_wav(b"\0"), "clip.wav", ClipEmptyError, "holds no sound"),
    "empty raw": (b"", "clip.raw", ClipEmptyError, "holds no sound"),
    "text": (b"hello, world", "clip.wav", ClipFormatError, "not a WAV file; convert it"),
    "ogg": (b"OggS" + bytes(40), "clip.wav", ClipFormatError, "not a WAV file"),
    "avi": (b"RIFF\x04\0\0\0AVI ", "clip.wav", ClipFormatError, "not a WAV file"),
    "data first": (
        b"RIFF\x10\0\0\0WAVEdata\x02\0\0\0\0\0",
        "clip.wav",
        ClipFormatError,
        "before its format",
    ),
    "floats": (FLOATS, "clip.wav", ClipEncodingError, "floating point samples, not integers"),
    "mu-law": (_wav(bytes(8), bits=8, tag=7), "clip.wav", ClipEncodingError, "mu-law"),
    "unheard of": (_wav(bytes(8), tag=0x1234), "clip.wav", ClipEncodingError, "format 0x1234"),
    "12 bits": (_wav(bytes(8), bits=12), "clip.wav", ClipEncodingError, "12-bit samples"),
    "surround": (_wav(bytes(12), channels=6), "clip.wav", ClipEncodingError, "6 channels"),
    "no channels": (_wav(bytes(12), channels=0), "clip.wav", ClipEncodingError, "0 channels"),
    "too slow": (_wav(bytes(8), rate_hz=7999), "clip.wav", ClipEncodingError, "7999 Hz"),
    "too fast": (_wav(bytes(8), rate_hz=96_000), "clip.wav", ClipEncodingError, "96000 Hz"),
    "bad block": (
        _wav(bytes(8)).replace(b"\x02\0\x10\0data", b"\x07\0\x10\0data"),
        "clip.wav",
        ClipEncodingError,
        "contradicts itself",
    ),
    "cut in its name": (_wav(bytes(8))[:5], "clip.wav", ClipTruncatedError, "before any sound"),
    "cut in its format": (_wav(bytes(8))[:30], "clip.wav", ClipTruncatedError, "within its header"),
    "cut before its data": (_wav(bytes(8))[:36], "clip.wav", ClipTruncatedError, "before any"),
    "cut in its data": (_wav(bytes(8))[:-3], "clip.wav", ClipTruncatedError, "after 5 of 8 bytes"),
    "odd raw": (b"abc", "clip.raw", ClipTruncatedError, "half a sample"),
    "too long": (
        _wav(bytes(16_000 * 121), bits=8),
        "clip.wav",
        ClipTooLongError,
        "longer than 120 s",
    ),
}


@pytest.mark.parametrize(
    ("content", "name", "kind", "complaint"), BAD_CLIPS.values(), ids=BAD_CLIPS
)
def test_a_bad_clip_gives_one_clear_line(
    tmp_path: Path, content: bytes, name: str, kind: type[ClipError], complaint: str
) -> None:
    """The kind of error, the file, what is the matter: one line."""
    with pytest.raises(kind, match=complaint) as caught:
        _read(tmp_path, content, name)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_clip_is_named(tmp_path: Path) -> None:
    """With what the system says about it, and what to give instead."""
    with pytest.raises(
        ClipUnreadableError, match=r"no\.wav: cannot be read \(No such file.*give the"
    ):
        pcm.read_wav(tmp_path / "no.wav")


def test_a_folder_is_no_clip(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    with pytest.raises(ClipUnreadableError, match="Is a directory"):
        pcm.read_wav(tmp_path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Its size alone is enough; nothing of it comes into memory."""
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.truncate(pcm.CLIP_BYTES_MAX + 1)
    with pytest.raises(ClipTooLongError, match="larger than 48 MB"):
        pcm.read_wav(path)


@given(st.binary(max_size=300))
def test_no_garbage_brings_the_reader_down(clip: Path, garbage: bytes) -> None:
    """Whatever stands after a WAV file's first bytes, a clip or a ClipError comes of it."""
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    for head in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + form):
        clip.write_bytes(head + garbage)
        with contextlib.suppress(ClipError):
            assert len(pcm.read_wav(clip)) % 2 == 0


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(ClipUnwritableError, match=r"out\.wav: cannot be written \(No such file"):
        pcm.write_wav(tmp_path / "no" / "out.wav", b"\0\0")


def test_half_a_sample_is_not_written(tmp_path: Path) -> None:
    """That is the caller's mistake, and no file is left of it."""
    with pytest.raises(MisuseError, match="3 bytes are not whole"):
        pcm.write_wav(tmp_path / "out.wav", b"abc")
    assert not (tmp_path / "out.wav").exists()


def test_rms_of_a_tone_is_its_amplitude_over_root_two() -> None:
    """And silence, or nothing, has none."""
    assert pcm.rms(TONE_1_KHZ.tobytes()) == pytest.approx(10_000 / math.sqrt(2), rel=1e-3)
    assert pcm.rms(bytes(640)) == 0
    assert pcm.rms(b"") == 0


def test_mixing_adds_and_clips() -> None:
    """Two loud voices saturate, they do not wrap around."""
    one = array.array("h", [1, 32_000, -32_000]).tobytes()
    both = pcm.mix(one, one)
    assert list(pcm.from_bytes(both)) == [2, 32_767, -32_768]
