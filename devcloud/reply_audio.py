"""The audio of a reply, cut and written as the options have it."""

from __future__ import annotations

import sys
from array import array
from itertools import islice
from typing import TYPE_CHECKING, Final

from devcloud import wav
from devcloud.audio import FRAME_MS, OPUS_RATES_HZ, SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFormat
from devcloud.dialects.messages import Piece
from devcloud.opus import Encoder
from devcloud.stream_options import StreamOptions, WavLayout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devcloud.speech import Speech

WAV_PIECE_MS: Final = 500
WAV_WHOLE_BYTES_MAX: Final = 500_000
"""In hex it is twice that, and a message has at most 1 MiB; a longer reply comes in pieces."""


def pieces(
    speech: Speech, dialect: str, default: AudioFormat, options: StreamOptions
) -> Iterator[Piece]:
    """Give a reply's pieces, each computed as it is asked for; none of them may be the final one.

    ``dialect`` and ``default`` are the name of the dialect and the format that it has by itself.
    """
    format_ = AudioFormat(options.reply_format) if options.reply_format else default
    if dialect == "binary" and format_ is AudioFormat.WAV:
        format_ = AudioFormat.PCM16
    rate_hz = options.rate_hz(format_, speech.rate_hz)
    if dialect == "binary" and rate_hz not in OPUS_RATES_HZ:
        rate_hz = SAMPLE_RATE_HZ
    match format_:
        case AudioFormat.OPUS:
            return _opus(speech, rate_hz)
        case AudioFormat.PCM16:
            return _pcm16(speech, rate_hz)
        case AudioFormat.WAV:
            return _wav(speech, rate_hz, options, whole_is_final=dialect == "gateway")


def _opus(speech: Speech, rate_hz: int) -> Iterator[Piece]:
    with Encoder(rate_hz) as encoder:
        for number, frame in enumerate(speech.frames(rate_hz)):
            packet = encoder.encode(frame)
            yield Piece(packet, number, AudioFormat.OPUS, rate_hz, number * FRAME_MS)


def _pcm16(speech: Speech, rate_hz: int) -> Iterator[Piece]:
    samples_per_piece = rate_hz * FRAME_MS // 1000
    samples = speech.at(rate_hz)
    number = 0
    while pcm := _little_endian(array("h", islice(samples, samples_per_piece))):
        yield Piece(pcm, number, AudioFormat.PCM16, rate_hz, number * FRAME_MS)
        number += 1


def _wav(
    speech: Speech, rate_hz: int, options: StreamOptions, *, whole_is_final: bool
) -> Iterator[Piece]:
    channels = options.reply_channels
    layout = WavLayout(options.wav_layout)
    pcm_bytes = len(speech.samples) * rate_hz // speech.rate_hz * SAMPLE_BYTES * channels
    if layout is WavLayout.WHOLE and pcm_bytes > WAV_WHOLE_BYTES_MAX:
        layout = WavLayout.PIECES
    samples = speech.at(rate_hz)
    if layout is WavLayout.WHOLE:
        pcm = _interleaved(array("h", samples), channels)
        whole = wav.header(len(pcm), rate_hz, channels) + pcm
        yield Piece(whole, 0, AudioFormat.WAV, rate_hz, is_final=whole_is_final)
        return
    number = 0
    while piece := array("h", islice(samples, rate_hz * WAV_PIECE_MS // 1000)):
        pcm = _interleaved(piece, channels)
        if layout is WavLayout.FILES:
            pcm = wav.header(len(pcm), rate_hz, channels) + pcm
        elif number == 0:
            pcm = wav.header(pcm_bytes, rate_hz, channels) + pcm
        yield Piece(pcm, number, AudioFormat.WAV, rate_hz, number * WAV_PIECE_MS)
        number += 1


def _interleaved(samples: array[int], channels: int) -> bytes:
    if channels == 1:
        return _little_endian(samples)
    both = array("h", bytes(2 * SAMPLE_BYTES * len(samples)))
    both[0::2] = both[1::2] = samples
    return _little_endian(both)


def _little_endian(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
