from __future__ import annotations

import io
import wave
from array import array

import pytest

from devcloud.audio import AudioFormat
from devcloud.dialects.messages import Piece
from devcloud.reply_audio import pieces
from devcloud.speech import Speech
from devcloud.stream_options import StreamOptions

SPEECH = Speech(array("h", range(22_050)), 22_050)
"""One second of something."""


def made(dialect: str, options: StreamOptions) -> list[Piece]:
    default = AudioFormat.WAV if dialect == "gateway" else AudioFormat.OPUS
    return list(pieces(SPEECH, dialect, default, options))


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_opus_comes_in_packets_of_20_ms_at_each_of_its_rates(rate_hz: int) -> None:
    made_ = made("seed", StreamOptions(reply_rate_hz=rate_hz))
    assert [piece.sequence for piece in made_] == list(range(50))
    assert made_[-1].media_ms == 980
    assert {(piece.format, piece.rate_hz) for piece in made_} == {(AudioFormat.OPUS, rate_hz)}


@pytest.mark.parametrize(
    ("rate_hz", "made_hz"), [(None, 16_000), (24_000, 24_000), (22_050, 16_000), (44_100, 16_000)]
)
def test_the_binary_dialect_has_no_wav_and_only_the_rates_of_opus(
    rate_hz: int | None, made_hz: int
) -> None:
    options = StreamOptions(reply_format="wav", reply_rate_hz=rate_hz)
    made_ = made("binary", options)
    wanted_hz = made_hz if rate_hz else 16_000
    assert {(piece.format, piece.rate_hz) for piece in made_} == {(AudioFormat.PCM16, wanted_hz)}
    assert sum(len(piece.data) for piece in made_) == 2 * wanted_hz


@pytest.mark.parametrize("channels", [1, 2])
def test_a_whole_wav_of_the_gateway_dialect_is_the_final_piece_itself(channels: int) -> None:
    (piece,) = made("gateway", StreamOptions(reply_channels=channels))
    assert piece.is_final
    with wave.open(io.BytesIO(piece.data)) as reader:
        assert (reader.getframerate(), reader.getnchannels()) == (22_050, channels)
        samples = array("h", reader.readframes(30_000))
    assert samples[::channels] == samples[channels - 1 :: channels] == SPEECH.samples


def test_a_whole_wav_of_the_seed_dialect_is_followed_by_an_end() -> None:
    (piece,) = made("seed", StreamOptions(reply_format="wav"))
    assert not piece.is_final


def test_a_wav_in_pieces_has_its_header_in_the_first() -> None:
    made_ = made("gateway", StreamOptions(wav_layout="pieces"))
    assert [piece.media_ms for piece in made_] == [0, 500]
    with wave.open(io.BytesIO(b"".join(piece.data for piece in made_))) as reader:
        assert array("h", reader.readframes(30_000)) == SPEECH.samples


def test_a_wav_in_files_has_a_header_in_each() -> None:
    made_ = made("gateway", StreamOptions(wav_layout="files", reply_rate_hz=8_000))
    for piece in made_:
        with wave.open(io.BytesIO(piece.data)) as reader:
            assert (reader.getframerate(), reader.getnframes()) == (8_000, 4_000)


def test_a_wav_too_long_for_a_message_comes_in_pieces() -> None:
    longer = Speech(array("h", bytes(600_000)), 22_050)
    made_ = list(pieces(longer, "gateway", AudioFormat.WAV, StreamOptions()))
    assert len(made_) > 1
