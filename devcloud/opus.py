"""Opus, through PyOgg's bindings to libopus: mono, one 20 ms frame a packet.

Speech is at 16 kHz, where a frame is 320 samples of signed 16 bits in this machine's byte order; a
reply may be made at 24 or 48 kHz. Both codecs are context
managers: the library's memory is given back when they end.

Source: RFC 6716, and the API documentation of libopus.
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import TYPE_CHECKING, Final, Self

from devcloud.audio import FRAME_MS, FRAME_SAMPLES, PACKET_BYTES_MAX, SAMPLE_RATE_HZ
from devcloud.errors import BadPacketError, MissingPartError

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

BITRATE_BITS_PER_S: Final = 24_000
COMPLEXITY: Final = 5
EXPECTED_LOSS_PERCENT: Final = 10
FRAME_BYTES: Final = 2 * FRAME_SAMPLES

DECODED_SAMPLES_MAX: Final = SAMPLE_RATE_HZ * 120 // 1000
"""The longest packet there is holds 120 ms. Room for it all shows a wrong length for what it is."""


@functools.cache
def load() -> ModuleType:
    """Load the bindings. The first call takes about 0.1 s, for it looks for the libraries.

    Raises:
        MissingPartError: libopus, or another library that PyOgg wants beside it, is missing.
    """
    path = os.environ.get("PATH")
    # PyOgg appends to PATH, separated by semicolons, and fails where there is none.
    os.environ.setdefault("PATH", os.defpath)
    try:
        from pyogg import opus  # noqa: PLC0415 - slow, and only where there is audio
    finally:
        if path is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = path
    # Without libopusfile PyOgg leaves out every binding of libopus as well.
    if not (opus.PYOGG_OPUS_AVAIL and opus.PYOGG_OPUS_FILE_AVAIL):
        raise MissingPartError(
            "libopus cannot be loaded: install the packages libogg0 libopus0 libopusfile0"
        )
    bindings: ModuleType = opus
    return bindings


class Encoder:
    """Makes packets for voice: 24 kbit/s, with error correction, silence all but left out (DTX).

    ``rate_hz`` is one of ``devcloud.audio.OPUS_RATES_HZ``.
    """

    def __init__(self, rate_hz: int = SAMPLE_RATE_HZ) -> None:
        self._opus = load()
        self._frame_samples = rate_hz * FRAME_MS // 1000
        error = ctypes.c_int()
        self._state = self._opus.libopus.opus_encoder_create(
            rate_hz, 1, self._opus.OPUS_APPLICATION_VOIP, ctypes.byref(error)
        )
        for request, value in (
            (self._opus.OPUS_SET_BITRATE_REQUEST, BITRATE_BITS_PER_S),
            (self._opus.OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY),
            (self._opus.OPUS_SET_INBAND_FEC_REQUEST, 1),
            (self._opus.OPUS_SET_PACKET_LOSS_PERC_REQUEST, EXPECTED_LOSS_PERCENT),
            (self._opus.OPUS_SET_DTX_REQUEST, 1),
        ):
            self._opus.libopus.opus_encoder_ctl(self._state, request, ctypes.c_int(value))
        self._packet = (ctypes.c_ubyte * PACKET_BYTES_MAX)()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opus.libopus.opus_encoder_destroy(self._state)

    def encode(self, frame: bytes) -> bytes:
        """Encode one frame."""
        # libopus would read past the end of a shorter one.
        assert len(frame) == 2 * self._frame_samples  # noqa: S101 - ours, never a client's
        length = self._opus.libopus.opus_encode(
            self._state,
            ctypes.cast(ctypes.c_char_p(frame), self._opus.opus_int16_p),
            self._frame_samples,
            self._packet,
            PACKET_BYTES_MAX,
        )
        return bytes(self._packet[:length])


class Decoder:
    """Turns packets back into frames."""

    def __init__(self) -> None:
        self._opus = load()
        error = ctypes.c_int()
        self._state = self._opus.libopus.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        self._samples = (ctypes.c_int16 * DECODED_SAMPLES_MAX)()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opus.libopus.opus_decoder_destroy(self._state)

    def conceal(self) -> bytes:
        """Make up one frame in place of a packet that never came."""
        self._opus.libopus.opus_decode(self._state, None, 0, self._samples, FRAME_SAMPLES, 0)
        return ctypes.string_at(self._samples, FRAME_BYTES)

    def decode(self, packet: bytes) -> bytes:
        """Decode one packet to one frame. The packet must not be empty: see ``conceal``.

        Raises:
            BadPacketError: it is no Opus, or does not hold 20 ms.
        """
        assert packet  # noqa: S101 - the caller knows where there is no audio
        samples = self._opus.libopus.opus_decode(
            self._state,
            ctypes.cast(ctypes.c_char_p(packet), self._opus.c_uchar_p),
            len(packet),
            self._samples,
            DECODED_SAMPLES_MAX,
            0,
        )
        if samples < 0:
            reason = self._opus.libopus.opus_strerror(samples).decode("ascii")
            raise BadPacketError(f"a packet is no Opus: {reason}")
        if samples != FRAME_SAMPLES:
            duration_ms = samples * 1000 / SAMPLE_RATE_HZ
            raise BadPacketError(f"a packet holds {duration_ms:g} ms instead of 20")
        return ctypes.string_at(self._samples, FRAME_BYTES)
