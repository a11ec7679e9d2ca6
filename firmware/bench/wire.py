"""What an utterance costs on the wire, in each dialect of the stream.

Real speech through the real encoder and codecs, framed and masked by `websockets` as it leaves the
device. What lies below is not in it: TLS is an estimate of its own, TCP and IP depend on how many
messages share a segment.
"""

from __future__ import annotations

import array
import math
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from websockets.client import ClientProtocol
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from firmware.stream.codec import Codec
from firmware.stream.dialects.binary import BinaryCodec
from firmware.stream.dialects.gateway import GatewayCodec
from firmware.stream.dialects.seed import SeedCodec
from firmware.stream.messages import SpeechPacket
from firmware.voice.activity import WebRtcVoiceActivity
from firmware.voice.settings import VoiceSettings
from hardware.codec import OpusEncoder
from hardware.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, read_wav

DIALECTS: Final[Mapping[str, Callable[[], Codec]]] = {
    "binary": BinaryCodec,
    "seed": SeedCodec,
    "gateway": GatewayCodec,
}

CLIPS_DIR: Final = Path("/usr/share/pocketsphinx/test/data")
CLIPS: Final = ("goforward.raw", "numbers.raw", "something.raw")
"""Utterances of the package pocketsphinx-testdata, with the pauses around them."""

TLS_BYTES_PER_RECORD: Final = 22
"""Header, content type and authentication tag of a record (RFC 8446, section 5.2); each message
is one, because each frame leaves as soon as it is full."""

FRAMES_PER_S: Final = 1_000 // FRAME_MS

_STRICTNESS: Final = 2
"""Of the detector that tells where somebody speaks in clean recordings: the middle."""

_TURN: Final = 1_000
"""Some turn of a toy that has been on for a while: in texts, numbers have lengths."""

_VOICE_MS: Final = 2_500
_PAUSE_MS: Final = 600
_FORMANTS_HZ: Final = ((730, 1090), (270, 2290), (300, 870), (530, 1840), (570, 840))
_VOWEL_S: Final = 0.18
_HARMONICS_MAX: Final = 22


class Cost(NamedTuple):
    """Bytes per second: of whole utterances (the median of them), and where nobody pauses."""

    utterance: float
    voice: float


def costs(utterances: Sequence[bytes] | None = None) -> dict[str, Cost]:
    """Measure each dialect.

    Args:
        utterances: PCM; recordings if there are any on this machine, else made by arithmetic.
    """
    spoken = [_Spoken(pcm) for pcm in utterances or list(_recorded()) or [_made_up()]]
    return {name: _cost(make(), spoken) for name, make in DIALECTS.items()}


class _Spoken:
    """An utterance: its frames as samples and as packets, and in which of them somebody speaks."""

    def __init__(self, pcm: bytes) -> None:
        settings = VoiceSettings()
        ends = range(FRAME_BYTES, len(pcm) + 1, FRAME_BYTES)
        self.frames = [pcm[end - FRAME_BYTES : end] for end in ends]
        with OpusEncoder(
            bitrate_bps=settings.opus_bitrate_bps,
            complexity=settings.opus_complexity,
            expected_loss_percent=settings.opus_expected_loss_percent,
        ) as encoder:
            self.packets = [encoder.encode(frame) for frame in self.frames]
        activity = WebRtcVoiceActivity(_STRICTNESS)
        self.is_voice = [activity.is_voice(frame) for frame in self.frames]


def _cost(codec: Codec, spoken: Sequence[_Spoken]) -> Cost:
    wire = _Wire()
    rates, voiced = [], []
    for one in spoken:
        frames = one.packets if codec.speech_format == "opus" else one.frames
        sizes = [
            wire.size(codec.encode(SpeechPacket(frame, FRAME_MS * number, number, _TURN)))
            for number, frame in enumerate(frames)
        ]
        rates.append(statistics.fmean(sizes) * FRAMES_PER_S)
        voiced += [size for size, is_voice in zip(sizes, one.is_voice, strict=True) if is_voice]
    return Cost(statistics.median(rates), statistics.fmean(voiced or [0]) * FRAMES_PER_S)


class _Wire:
    """A WebSocket connection without a network."""

    def __init__(self) -> None:
        self._client = ClientProtocol(parse_uri("ws://localhost/audio-stream"))
        server = ServerProtocol()
        self._client.send_request(self._client.connect())
        server.receive_data(b"".join(self._client.data_to_send()))
        (request,) = server.events_received()
        assert isinstance(request, Request)  # noqa: S101 - what a server's first event is
        server.send_response(server.accept(request))
        self._client.receive_data(b"".join(server.data_to_send()))

    def size(self, message: str | bytes) -> int:
        """Return how many bytes a message takes, framed and masked."""
        if isinstance(message, str):
            self._client.send_text(message.encode())
        else:
            self._client.send_binary(message)
        return sum(map(len, self._client.data_to_send()))


def _recorded() -> Iterator[bytes]:
    for name in CLIPS:
        if (CLIPS_DIR / name).exists():
            yield read_wav(CLIPS_DIR / name)


def _made_up() -> bytes:
    """Return a pitch that glides through five vowels, between two pauses."""
    chance = random.Random(1)  # noqa: S311 - the same noise every time
    samples = array.array("h")
    phase = 0.0
    for n in range(SAMPLE_RATE_HZ * _VOICE_MS // 1_000):
        t = n / SAMPLE_RATE_HZ
        pitch_hz = 130 + 25 * math.sin(2 * math.pi * 0.7 * t)
        phase += 2 * math.pi * pitch_hz / SAMPLE_RATE_HZ
        formants_hz = _FORMANTS_HZ[int(t / _VOWEL_S) % len(_FORMANTS_HZ)]
        value = sum(
            math.exp(-((min(abs(order * pitch_hz - f) for f in formants_hz) / 220) ** 2))
            * math.sin(order * phase)
            for order in range(1, _HARMONICS_MAX)
        )
        samples.append(int(3_000 * value + chance.gauss(0, 20)))
    pause = bytes(_PAUSE_MS * SAMPLE_RATE_HZ // 1_000 * 2)
    return pause + samples.tobytes() + pause
