"""Opus through PyOgg."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.codec import DECODER_RATES_HZ, OpusDecoder, OpusEncoder
from hardware.errors import CorruptPacketError, MisuseError
from hardware.pcm import FRAME_BYTES
from tests.hardware.voices import frames, signal_to_noise_db, voice

ENCODER_DELAY_SAMPLES = 104  # libopus' look-ahead at 16 kHz: 6.5 ms
ROOT = Path(__file__).parents[2]


def _resident_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _packets(**settings: int) -> list[bytes]:
    with OpusEncoder(**settings) as encoder:  # type: ignore[arg-type]
        return [encoder.encode(frame) for frame in frames(voice())]


def _run(code: str, environment: dict[str, str]) -> str:
    """Run Python code in a process of its own, with just this environment."""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert not finished.stderr
    return finished.stdout


def test_speech_survives_the_round_trip() -> None:
    """At the bit rate in use a voice comes back recognisably itself, 6.5 ms late."""
    with OpusDecoder() as decoder:
        heard = b"".join(decoder.decode(packet) for packet in _packets())
    delay = ENCODER_DELAY_SAMPLES * 2
    assert len(heard) == len(voice())
    assert signal_to_noise_db(voice(), heard[delay:]) > 7


def test_the_bit_rate_is_kept() -> None:
    """On average over speech, within a fifth."""
    for bitrate_bps in (12_000, 24_000, 32_000):
        packets = _packets(bitrate_bps=bitrate_bps)
        found_bps = sum(map(len, packets)) * 8 / (len(packets) * 0.02)
        assert found_bps == pytest.approx(bitrate_bps, rel=0.2)


def test_silence_shrinks_to_almost_nothing() -> None:
    """With discontinuous transmission on, packets of silence have a byte or two."""
    with OpusEncoder() as encoder:
        lengths = [len(encoder.encode(bytes(FRAME_BYTES))) for _ in range(100)]
    assert sum(length <= 2 for length in lengths) > 70
    with OpusEncoder(dtx=False) as encoder:
        lengths = [len(encoder.encode(bytes(FRAME_BYTES))) for _ in range(100)]
    assert min(lengths) > 2


def test_packets_of_silence_decode_to_a_frame() -> None:
    """A 1-byte packet stands for 20 ms like any other."""
    with OpusEncoder() as encoder, OpusDecoder() as decoder:
        for _ in range(50):
            packet = encoder.encode(bytes(FRAME_BYTES))
            assert len(decoder.decode(packet)) == FRAME_BYTES


@pytest.mark.parametrize("rate_hz", DECODER_RATES_HZ)
def test_a_decoder_gives_whatever_rate_is_wanted(rate_hz: int) -> None:
    """The packet does not care what it is decoded to."""
    with OpusDecoder(rate_hz) as decoder:
        assert {len(decoder.decode(packet)) for packet in _packets()} == {rate_hz // 50 * 2}
        assert len(decoder.conceal()) == rate_hz // 50 * 2


def _heard_with_losses(packets: list[bytes], repair: str) -> bytes:
    """Decode with one packet in seven lost."""
    heard = b""
    with OpusDecoder() as decoder:
        for index, packet in enumerate(packets):
            if index % 7 != 3:
                heard += decoder.decode(packet)
            elif repair == "fec":
                heard += decoder.decode_fec(packets[index + 1])
            elif repair == "conceal":
                heard += decoder.conceal()
            else:
                heard += bytes(FRAME_BYTES)
    return heard


def test_correction_beats_concealment_beats_silence() -> None:
    """One packet in seven lost, compared with what would have been heard without a loss."""
    packets = _packets()[:98]
    with OpusDecoder() as decoder:
        intact = b"".join(decoder.decode(packet) for packet in packets)
    fec, conceal, zeros = (
        signal_to_noise_db(intact, _heard_with_losses(packets, repair))
        for repair in ("fec", "conceal", "zeros")
    )
    assert fec > conceal + 3
    assert conceal > zeros + 0.3


def test_without_correction_in_the_packet_the_gap_is_concealed() -> None:
    """Asking for what is not there still fills the gap."""
    packets = _packets(fec=False)
    with OpusDecoder() as decoder:
        decoder.decode(packets[0])
        assert len(decoder.decode_fec(packets[2])) == FRAME_BYTES


@pytest.mark.parametrize("duration_ms", [10, 20, 60, 120])
def test_a_gap_is_concealed_at_its_length(duration_ms: int) -> None:
    """In steps of 10 ms."""
    with OpusDecoder() as decoder:
        decoder.decode(_packets()[0])
        assert len(decoder.conceal(duration_ms)) == duration_ms * 32


@pytest.mark.parametrize("duration_ms", [0, -20, 15, 130])
def test_a_gap_of_another_length_is_refused(duration_ms: int) -> None:
    """The error says which lengths there are."""
    with OpusDecoder() as decoder, pytest.raises(MisuseError, match="10-120 ms in steps of 10"):
        decoder.conceal(duration_ms)


@pytest.mark.parametrize("length", [0, 2, 638, 641, 1280])
def test_a_frame_of_another_length_is_refused(length: int) -> None:
    """The encoder takes 20 ms and nothing else."""
    with OpusEncoder() as encoder, pytest.raises(MisuseError, match=f"640 bytes .*not {length}"):
        encoder.encode(bytes(length))


def test_an_empty_packet_is_refused() -> None:
    """Opus itself would take it for 120 ms of loss."""
    with OpusDecoder() as decoder:
        for decode in (decoder.decode, decoder.decode_fec):
            with pytest.raises(MisuseError, match=r"call conceal\(\)"):
                decode(b"")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("bitrate_bps", 5_999),
        ("bitrate_bps", 510_001),
        ("complexity", 11),
        ("complexity", -1),
        ("expected_loss_percent", 101),
    ],
)
def test_a_setting_out_of_range_is_named(setting: str, value: int) -> None:
    """With its range."""
    with pytest.raises(MisuseError, match=f"{setting} is {value}, must be "):
        OpusEncoder(**{setting: value})  # type: ignore[arg-type]


def test_a_rate_that_opus_does_not_know_is_refused() -> None:
    """44.1 kHz is the usual mistake."""
    with pytest.raises(MisuseError, match="not to 44100"):
        OpusDecoder(44_100)


def test_a_corrupt_packet_is_an_error_of_the_world_and_does_no_lasting_harm() -> None:
    """The decoder goes on as if it had been lost."""
    packets = _packets()
    with OpusDecoder() as decoder:
        decoder.decode(packets[0])
        for decode in (decoder.decode, decoder.decode_fec):
            with pytest.raises(CorruptPacketError, match="3 bytes is not Opus"):
                decode(b"\xff\xff\xff")
        assert len(decoder.decode(packets[1])) == FRAME_BYTES


def test_no_garbage_brings_the_decoder_down() -> None:
    """Any bytes give sound of at most 120 ms or a CorruptPacketError; speech decodes afterwards."""
    packet = _packets()[10]
    with OpusDecoder() as decoder:

        @given(st.binary(min_size=1, max_size=1500))
        def feed(garbage: bytes) -> None:
            for decode in (decoder.decode, decoder.decode_fec):
                try:
                    pcm = decode(garbage)
                except CorruptPacketError:
                    continue
                assert 0 < len(pcm) <= 120 * 32
                assert len(pcm) % 2 == 0
            assert len(decoder.decode(packet)) == FRAME_BYTES

        feed()


def test_a_closed_codec_says_so() -> None:
    """Instead of touching memory that is gone; closing twice is harmless."""
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for codec in (encoder, decoder):
        codec.close()
        codec.close()
    with pytest.raises(MisuseError, match="this OpusEncoder is closed; make a new one"):
        encoder.encode(bytes(FRAME_BYTES))
    with pytest.raises(MisuseError, match="this OpusDecoder is closed"):
        decoder.conceal()
    for decode in (decoder.decode, decoder.decode_fec):
        with pytest.raises(MisuseError, match="this OpusDecoder is closed"):
            decode(b"\0")


def test_codecs_that_nobody_closed_are_freed_when_collected() -> None:
    """300 forgotten pairs would hold some 15 MB."""
    for _ in range(20):
        OpusEncoder()
        OpusDecoder()
    gc.collect()
    before_kb = _resident_kb()
    for _ in range(300):
        OpusEncoder()
        OpusDecoder()
    gc.collect()
    assert _resident_kb() - before_kb < 3_000


def test_a_minute_of_speech_does_not_grow_the_process() -> None:
    """Neither coding nor corrupt packets leave anything behind."""
    with OpusEncoder(complexity=0) as encoder, OpusDecoder() as decoder:

        def turn() -> None:
            for frame in frames(voice()):
                decoder.decode(encoder.encode(frame))
                with pytest.raises(CorruptPacketError):
                    decoder.decode(b"\xff\xff\xff")

        turn()
        before_kb = _resident_kb()
        for _ in range(30):
            turn()
        assert _resident_kb() - before_kb < 1_500


ROUND_TRIP = """
import os
before = dict(os.environ)
from hardware.codec import OpusDecoder, OpusEncoder
assert dict(os.environ) == before
with OpusEncoder() as encoder, OpusDecoder() as decoder:
    print(len(decoder.decode(encoder.encode(bytes(640)))))
assert dict(os.environ) == before, "PATH was not put back"
"""


@pytest.mark.parametrize("environment", [{}, {"PATH": "/usr/bin:/bin"}], ids=["no PATH", "PATH"])
def test_it_loads_with_and_without_a_path_and_leaves_it_as_it_was(
    environment: dict[str, str],
) -> None:
    """A service manager may give none; PyOgg needs one and appends to it."""
    assert _run(ROUND_TRIP, environment) == "640\n"


MISSING = """
import ctypes.util
found = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if name == {missing!r} else found(name)
from hardware.codec import OpusDecoder
from hardware.errors import CodecLibraryError
for _ in range(2):
    try:
        OpusDecoder()
    except CodecLibraryError as error:
        print(error)
"""


@pytest.mark.parametrize("missing", ["ogg", "opus", "opusfile"])
def test_a_missing_library_is_answered_with_what_to_install(missing: str) -> None:
    """Each time one asks, not only the first."""
    said = _run(MISSING.format(missing=missing), {"PATH": os.environ["PATH"]})
    line = (
        "the Opus libraries cannot be loaded: install the Debian packages "
        "libogg0 libopus0 libopusfile0\n"
    )
    assert said == line * 2


NO_PYOGG = """
import sys
sys.modules["pyogg"] = None
from hardware.codec import OpusEncoder
from hardware.errors import CodecLibraryError
try:
    OpusEncoder()
except CodecLibraryError as error:
    print(error)
"""


def test_missing_bindings_are_answered_with_what_to_install() -> None:
    """The Python package is named."""
    assert _run(NO_PYOGG, {}).endswith("install the Python package pyogg\n")


def _adapted(bitrate_bps: int, expected_loss_percent: int) -> list[bytes]:
    """Return packets of a voice, the encoder being adapted after the first 25."""
    with OpusEncoder() as encoder:
        before = [encoder.encode(frame) for frame in frames(voice())[:25]]
        encoder.adapt(bitrate_bps, expected_loss_percent)
        return before + [encoder.encode(frame) for frame in frames(voice())[25:]]


def test_another_bit_rate_holds_from_the_next_frame_on() -> None:
    """Without a new encoder, and so without a click."""
    packets, unadapted = _adapted(12_000, 10), _packets()
    assert packets[:25] == unadapted[:25]
    assert sum(map(len, packets[25:])) < 0.7 * sum(map(len, unadapted[25:]))
    with OpusDecoder() as decoder:
        heard = b"".join(decoder.decode(packet) for packet in packets)
    assert signal_to_noise_db(voice(), heard[ENCODER_DELAY_SAMPLES * 2 :]) > 5


def test_without_an_expected_loss_packets_carry_no_copies() -> None:
    """What stands in for a lost packet is then a guess, with 10 % nearly what it was."""

    def repaired_db(expected_loss_percent: int) -> float:
        packets = _adapted(32_000, expected_loss_percent)
        with OpusDecoder() as decoder:
            whole = b"".join(decoder.decode(packet) for packet in packets)
        return signal_to_noise_db(whole, _heard_with_losses(packets, "fec"))

    assert repaired_db(10) > repaired_db(0) + 5


@pytest.mark.parametrize("wrong", [(5_999, 0), (510_001, 0), (24_000, -1), (24_000, 101)])
def test_what_cannot_be_adapted_to_is_refused(wrong: tuple[int, int]) -> None:
    """And changes nothing."""
    with OpusEncoder() as encoder:
        with pytest.raises(MisuseError, match="must be"):
            encoder.adapt(*wrong)
        assert encoder.encode(frames(voice())[0]) == _packets()[0]
    with pytest.raises(MisuseError, match="closed"):
        encoder.adapt(24_000, 10)
