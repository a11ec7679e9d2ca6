"""How loud everything is."""

from __future__ import annotations

from typing import Final

from hardware.pcm import FRAME_BYTES, FRAME_SAMPLES

_LOUDNESS_EXPONENT: Final = 0.6
_BIAS: Final = 0x8000
_BIASES: Final = int.from_bytes(_BIAS.to_bytes(2, "little") * FRAME_SAMPLES, "little")


def gain_of(percent: int) -> float:
    """Return the amplitude, 0..1, that sounds `percent` as loud as full amplitude does.

    Perceived loudness grows with the 0.6th power of sound pressure (S. S. Stevens, "The measurement
    of loudness", J. Acoust. Soc. Am. 27, 1955): half as loud is 10 dB less.
    """
    return float((percent / 100) ** (1 / _LOUDNESS_EXPONENT))


class Volume:
    """Scales frames of PCM, to within one step of a sample.

    A loop over the samples would take as long as decoding them does, so there is none. A sample is
    256 times its upper byte plus its lower byte, hence its scaled value the sum of two entries in
    tables of 256; a frame's bytes are looked up at once (`bytes.translate`) and its samples added
    at once, as one long number. For that no sample may carry over into the next: the upper entries
    are biased, so that every sum lies within 16 bits, unsigned. Flipping each sample's uppermost
    bit takes the bias away again.

    Args:
        percent: Loudness, 0-100.
        percent_max: What it cannot exceed, however much is asked for.
    """

    def __init__(self, percent: int, percent_max: int) -> None:
        gain = gain_of(min(percent, percent_max))
        upper = [
            _BIAS + round(gain * 256 * int.from_bytes([byte], "little", signed=True))
            for byte in range(256)
        ]
        self._upper_of_upper = bytes(scaled >> 8 for scaled in upper)
        self._lower_of_upper = bytes(scaled & 0xFF for scaled in upper)
        self._lower_of_lower = bytes(round(gain * byte) for byte in range(256))

    def applied(self, frame: bytes) -> bytes:
        """Return a frame of `hardware.pcm.FRAME_BYTES` as loud as it is to be."""
        lower, upper = frame[0::2], frame[1::2]
        scaled_upper, scaled_lower = bytearray(FRAME_BYTES), bytearray(FRAME_BYTES)
        scaled_upper[0::2] = upper.translate(self._lower_of_upper)
        scaled_upper[1::2] = upper.translate(self._upper_of_upper)
        scaled_lower[0::2] = lower.translate(self._lower_of_lower)
        biased = int.from_bytes(scaled_upper, "little") + int.from_bytes(scaled_lower, "little")
        return (biased ^ _BIASES).to_bytes(FRAME_BYTES, "little")
