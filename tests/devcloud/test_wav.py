from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud import wav
from devcloud.errors import BadPacketError

PCM = bytes(range(200))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_header_says_what_follows(channels: int) -> None:
    with wave.open(io.BytesIO(wav.header(len(PCM), 22_050, channels) + PCM)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (
            22_050,
            channels,
            2,
        )
        assert reader.readframes(1000) == PCM


def test_speech_is_taken_out_of_a_wav() -> None:
    assert wav.read_speech(wav.header(len(PCM), 16_000, 1) + PCM) == PCM


def test_a_wav_that_promises_more_than_it_has_is_read_to_its_end() -> None:
    assert wav.read_speech(wav.header(1 << 30, 16_000, 1) + PCM) == PCM


@pytest.mark.parametrize(
    "audio",
    [
        b"RIFF",
        wav.header(4, 8_000, 1) + b"abcd",
        wav.header(4, 16_000, 2) + b"abcd",
        wav.header(4, 16_000, 1)[:30],
        struct.pack("<4sI4s", b"RIFF", 4, b"AVI "),
    ],
    ids=repr,
)
def test_what_is_no_wav_of_speech_is_refused(audio: bytes) -> None:
    with pytest.raises(BadPacketError, match="WAV"):
        wav.read_speech(audio)


@given(st.binary(max_size=80).map(lambda tail: wav.header(4, 16_000, 1)[:20] + tail))
def test_any_bytes_are_speech_or_refused(audio: bytes) -> None:
    try:
        assert len(wav.read_speech(audio)) <= len(audio)
    except BadPacketError:
        return
