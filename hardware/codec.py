"""Opus: 20 ms frames to packets and back (RFC 6716), through PyOgg's bindings of libopus.

PyOgg is loaded when the first codec is made, not on import: it looks for its shared libraries by
running `ldconfig`, which takes its time, and a machine without Opus can still say so nicely.
"""

from __future__ import annotations

import ctypes
import functools
import os
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from hardware.errors import CodecError, CodecLibraryError, CorruptPacketError, MisuseError
from hardware.pcm import FRAME_BYTES, FRAME_MS, FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

PACKET_BYTES_MAX = 1276
"""Longest packet of one frame: a table-of-contents byte and 1,275 more (RFC 6716, section 3.2)."""

PACKET_MS_MAX = 120
"""Longest duration that one packet can hold (RFC 6716, section 3.1)."""

DECODER_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Sample rates to which Opus decodes, whatever the packet was encoded from."""

_BITRATE_BPS_MIN = 6_000
_BITRATE_BPS_MAX = 510_000
_COMPLEXITY_MAX = 10
_CONCEAL_STEP_MS = 10

_LIBRARIES_MISSING = (
    "the Opus libraries cannot be loaded: install the Debian packages libogg0 libopus0 libopusfile0"
)


class _Codec:
    """Owns one libopus state: freed once, by `close` or else when it is collected."""

    def __init__(self, state: Any, destroy: Any) -> None:  # noqa: ANN401 - ctypes objects
        self._state = state
        self._free = weakref.finalize(self, destroy, state)

    def close(self) -> None:
        """Free the memory. Harmless when closed."""
        self._free()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the memory."""
        self.close()

    def _require_open(self) -> None:
        if not self._free.alive:
            raise MisuseError(f"this {type(self).__name__} is closed; make a new one")


class OpusEncoder(_Codec):
    """Turns frames of 16 kHz mono PCM into Opus packets, tuned for speech (VoIP).

    Args:
        bitrate_bps: 6,000-510,000; what is spent on average while somebody speaks.
        complexity: 0-10; time against quality.
        expected_loss_percent: 0-100; how much the in-band error correction provides for.
        fec: Whether a packet carries a coarse copy of the one before it.
        dtx: Whether silence shrinks to packets of 1 or 2 bytes (which need not be sent at all).

    Raises:
        MisuseError: A value is out of range.
        CodecLibraryError: Opus is not installed.
    """

    def __init__(
        self,
        *,
        bitrate_bps: int = 24_000,
        complexity: int = 5,
        expected_loss_percent: int = 10,
        fec: bool = True,
        dtx: bool = True,
    ) -> None:
        _require_within("bitrate_bps", bitrate_bps, _BITRATE_BPS_MIN, _BITRATE_BPS_MAX)
        _require_within("complexity", complexity, 0, _COMPLEXITY_MAX)
        _require_within("expected_loss_percent", expected_loss_percent, 0, 100)
        self._opus = load_bindings()
        lib = self._opus.libopus
        error = ctypes.c_int()
        state = lib.opus_encoder_create(
            SAMPLE_RATE_HZ, 1, self._opus.OPUS_APPLICATION_VOIP, ctypes.byref(error)
        )
        _require_success(self._opus, error.value, "making an encoder")
        super().__init__(state, lib.opus_encoder_destroy)
        for request, value in (
            (self._opus.OPUS_SET_BITRATE_REQUEST, bitrate_bps),
            (self._opus.OPUS_SET_COMPLEXITY_REQUEST, complexity),
            (self._opus.OPUS_SET_PACKET_LOSS_PERC_REQUEST, expected_loss_percent),
            (self._opus.OPUS_SET_INBAND_FEC_REQUEST, int(fec)),
            (self._opus.OPUS_SET_DTX_REQUEST, int(dtx)),
            (self._opus.OPUS_SET_SIGNAL_REQUEST, self._opus.OPUS_SIGNAL_VOICE),
        ):
            self._set(request, value)
        self._packet = (ctypes.c_ubyte * PACKET_BYTES_MAX)()

    def adapt(self, bitrate_bps: int, expected_loss_percent: int) -> None:
        """Spend another bit rate, and provide for another loss, from the next frame on.

        With an expected loss of 0 packets carry no copy of the one before them.

        Raises:
            MisuseError: A value is out of range, or the encoder is closed.
        """
        self._require_open()
        _require_within("bitrate_bps", bitrate_bps, _BITRATE_BPS_MIN, _BITRATE_BPS_MAX)
        _require_within("expected_loss_percent", expected_loss_percent, 0, 100)
        self._set(self._opus.OPUS_SET_BITRATE_REQUEST, bitrate_bps)
        self._set(self._opus.OPUS_SET_PACKET_LOSS_PERC_REQUEST, expected_loss_percent)

    def encode(self, frame: bytes) -> bytes:
        """Return the packet for one frame of exactly `FRAME_BYTES`.

        Raises:
            MisuseError: The frame has another length, or the encoder is closed.
            CodecError: libopus failed.
        """
        self._require_open()
        if len(frame) != FRAME_BYTES:
            raise MisuseError(f"a frame has {FRAME_BYTES} bytes ({FRAME_MS} ms), not {len(frame)}")
        length = self._opus.libopus.opus_encode(
            self._state,
            ctypes.cast(ctypes.c_char_p(frame), self._opus.opus_int16_p),
            FRAME_SAMPLES,
            self._packet,
            PACKET_BYTES_MAX,
        )
        _require_success(self._opus, length, "encoding")
        return ctypes.string_at(self._packet, length)

    def _set(self, request: int, value: int) -> None:
        status = self._opus.libopus.opus_encoder_ctl(self._state, request, ctypes.c_int(value))
        _require_success(self._opus, status, f"setting {request} to {value}")


class OpusDecoder(_Codec):
    """Turns Opus packets into mono s16le PCM, and fills in for packets that never came.

    For a lost packet call `decode_fec` with the packet after it, if that has come, else `conceal`;
    then go on. Packets must otherwise be given in order.

    Args:
        sample_rate_hz: One of `DECODER_RATES_HZ`: of what comes out, not of what goes in.

    Raises:
        MisuseError: No such rate.
        CodecLibraryError: Opus is not installed.
    """

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        if sample_rate_hz not in DECODER_RATES_HZ:
            raise MisuseError(f"Opus decodes to {DECODER_RATES_HZ} Hz, not to {sample_rate_hz}")
        self._opus = load_bindings()
        lib = self._opus.libopus
        error = ctypes.c_int()
        state = lib.opus_decoder_create(sample_rate_hz, 1, ctypes.byref(error))
        _require_success(self._opus, error.value, "making a decoder")
        super().__init__(state, lib.opus_decoder_destroy)
        self._samples_per_ms = sample_rate_hz // 1000
        self._pcm = (ctypes.c_int16 * (self._samples_per_ms * PACKET_MS_MAX))()

    def decode(self, packet: bytes) -> bytes:
        """Return the PCM of a packet, as long as the packet says: 2.5 to 120 ms.

        Raises:
            CorruptPacketError: It cannot be decoded; conceal the gap and go on.
            MisuseError: It is empty (Opus would take that for a loss), or the decoder is closed.
        """
        return self._decode(packet, PACKET_MS_MAX, from_fec=False)

    def decode_fec(self, next_packet: bytes) -> bytes:
        """Return 20 ms in place of a lost packet, out of the packet that followed it.

        Where the packet carries no copy of its predecessor, the gap is concealed instead. The
        packet itself must still be given to `decode` afterwards.

        Raises:
            CorruptPacketError: It cannot be decoded.
            MisuseError: It is empty, or the decoder is closed.
        """
        return self._decode(next_packet, FRAME_MS, from_fec=True)

    def conceal(self, duration_ms: int = FRAME_MS) -> bytes:
        """Return PCM that continues what was heard before, fading, in place of what was lost.

        Args:
            duration_ms: 10-120, in steps of 10.

        Raises:
            MisuseError: Another duration, or the decoder is closed.
        """
        self._require_open()
        if duration_ms % _CONCEAL_STEP_MS or not 0 < duration_ms <= PACKET_MS_MAX:
            raise MisuseError(
                f"a gap of {duration_ms} ms cannot be concealed in one go: "
                f"give {_CONCEAL_STEP_MS}-{PACKET_MS_MAX} ms in steps of {_CONCEAL_STEP_MS}"
            )
        samples = self._opus.libopus.opus_decode(
            self._state, None, 0, self._pcm, duration_ms * self._samples_per_ms, 0
        )
        _require_success(self._opus, samples, "concealing a loss")
        return ctypes.string_at(self._pcm, samples * SAMPLE_BYTES)

    def _decode(self, packet: bytes, duration_ms: int, *, from_fec: bool) -> bytes:
        self._require_open()
        if not packet:
            raise MisuseError("an empty packet is a loss, not a packet: call conceal() for it")
        samples = self._opus.libopus.opus_decode(
            self._state,
            ctypes.cast(ctypes.c_char_p(packet), self._opus.c_uchar_p),
            len(packet),
            self._pcm,
            duration_ms * self._samples_per_ms,
            int(from_fec),
        )
        if samples < 0:
            reason = _describe(self._opus, samples)
            raise CorruptPacketError(f"a packet of {len(packet)} bytes is not Opus ({reason})")
        return ctypes.string_at(self._pcm, samples * SAMPLE_BYTES)


@functools.cache
def load_bindings() -> Any:  # noqa: ANN401 - a module without type annotations
    """Return `pyogg.opus` with its libraries loaded.

    Raises:
        CodecLibraryError: PyOgg or a library it needs is not installed.
    """
    with _restored_path():
        try:
            from pyogg import opus  # noqa: PLC0415 - slow, and changes PATH
        except ImportError as error:
            raise CodecLibraryError(
                f"the Opus bindings cannot be imported ({error}): install the Python package pyogg"
            ) from error
        except NameError as error:  # what becomes of PyOgg where libogg alone is missing
            raise CodecLibraryError(_LIBRARIES_MISSING) from error
    # Without libopusfile PyOgg defines no Opus binding at all, though only libopus is used here.
    if not (opus.PYOGG_OPUS_AVAIL and opus.PYOGG_OPUS_FILE_AVAIL):
        raise CodecLibraryError(_LIBRARIES_MISSING)
    return opus


@contextmanager
def _restored_path() -> Iterator[None]:
    """Keep PATH as it is: PyOgg appends to it on import, and fails where there is none."""
    before = os.environ.get("PATH")
    os.environ.setdefault("PATH", os.defpath)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before


def _require_within(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise MisuseError(f"{name} is {value}, must be {lowest}-{highest}")


def _require_success(opus: Any, status: int, doing: str) -> None:  # noqa: ANN401 - as above
    if status < 0:
        raise CodecError(f"Opus failed at {doing}: {_describe(opus, status)}")


def _describe(opus: Any, status: int) -> str:  # noqa: ANN401 - as above
    text: bytes = opus.libopus.opus_strerror(status)
    return text.decode()
