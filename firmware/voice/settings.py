"""The configuration's section `voice`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from firmware.setting import setting
from firmware.voice.errors import SettingError

_RANGES: Final = {
    "preroll_ms": (0, 5_000),
    "speech_start_ms": (20, 1_000),
    "speech_start_window_ms": (20, 2_000),
    "speech_end_silence_ms": (100, 5_000),
    "gate_strictness": (0, 3),
    "gate_hold_ms": (20, 5_000),
    "voice_percent": (1, 100),
    "silence_percent": (1, 100),
    "speech_in_ram_ms_max": (1_000, 60_000),
    "offline_speech_in_ram_ms_max": (1_000, 60_000),
    "opus_bitrate_bps_min": (6_000, 64_000),
    "opus_bitrate_bps": (6_000, 64_000),
    "opus_bitrate_bps_max": (6_000, 64_000),
    "opus_complexity": (0, 10),
    "opus_expected_loss_percent": (0, 100),
    "backlog_ms_max": (40, 5_000),
    "jitter_target_ms": (0, 1_000),
    "jitter_target_ms_max": (0, 2_000),
    "jitter_ms_max": (1_000, 600_000),
    "last_reply_ms_max": (0, 600_000),
    "reply_bytes_max": (10_000, 16_000_000),
    "duck_db": (0, 40),
    "duck_ms": (100, 10_000),
    "volume_percent": (0, 100),
    "volume_percent_max": (0, 100),
    "loudness_dbfs_max": (-40, 0),
}

_AT_MOST: Final = (
    ("speech_start_ms", "speech_start_window_ms"),
    ("silence_percent", "voice_percent"),
    ("jitter_target_ms", "jitter_target_ms_max"),
    ("opus_bitrate_bps_min", "opus_bitrate_bps"),
    ("opus_bitrate_bps", "opus_bitrate_bps_max"),
)
"""Of each two, the first may not exceed the second."""


@dataclass(frozen=True, kw_only=True)
class VoiceSettings:
    """How speech is captured and replies are played.

    Raises:
        SettingError: A value is out of its range, or two contradict each other.
    """

    preroll_ms: int = setting(
        500, "kept of the time before a voice is recognised as one", unit="ms"
    )
    speech_start_ms: int = setting(80, "voice that makes the beginning of speech", unit="ms")
    speech_start_window_ms: int = setting(
        200, "time within which that much voice must be heard", unit="ms"
    )
    speech_end_silence_ms: int = setting(700, "silence that ends an utterance", unit="ms")
    gate_strictness: int = setting(
        1, "0 takes much for a possible voice, which is then judged; 3 takes little", unit="level"
    )
    gate_hold_ms: int = setting(300, "judged after what might be a voice", unit="ms")
    voice_percent: int = setting(50, "likelihood of speech that makes a voice", unit="%")
    silence_percent: int = setting(35, "likelihood below which a voice is silent", unit="%")
    speech_in_ram_ms_max: int = setting(
        5_000, "speech kept while the stream is not open yet", unit="ms"
    )
    offline_speech_in_ram_ms_max: int = setting(
        30_000, "speech kept for an answer of the toy's own", unit="ms"
    )
    opus_bitrate_bps_min: int = setting(
        12_000, "spent on speech where the network is slow", unit="bit/s"
    )
    opus_bitrate_bps: int = setting(24_000, "spent on speech that is sent", unit="bit/s")
    opus_bitrate_bps_max: int = setting(
        32_000, "spent on speech, with its copies, where packets are lost", unit="bit/s"
    )
    opus_complexity: int = setting(5, "0 is quick, 10 sounds best", unit="level")
    opus_expected_loss_percent: int = setting(
        10, "lost packets that error correction provides for, until they are counted", unit="%"
    )
    backlog_ms_max: int = setting(
        240, "speech that may wait for the network before less is spent on it", unit="ms"
    )
    jitter_target_ms: int = setting(
        60, "collected of a reply before it plays, and again after a gap, at least", unit="ms"
    )
    jitter_target_ms_max: int = setting(
        400, "collected of a reply where the network is uneven, at most", unit="ms"
    )
    jitter_ms_max: int = setting(120_000, "kept of a reply ahead of its playing", unit="ms")
    last_reply_ms_max: int = setting(120_000, "kept of the last reply, to play it again", unit="ms")
    reply_bytes_max: int = setting(
        6_000_000, "memory for either of these, however long they are", unit="bytes"
    )
    duck_db: int = setting(
        12, "how much quieter the toy is while somebody seems to talk over it", unit="dB"
    )
    duck_ms: int = setting(1_000, "how long it stays so after that", unit="ms")
    volume_percent: int = setting(60, "loudness: half the figure sounds half as loud", unit="%")
    volume_percent_max: int = setting(
        80,
        "no sample is louder than this, whoever asks: for children's ears; what it is in a room "
        "depends on amplifier and loudspeaker, and is the maker's to measure",
        unit="%",
    )
    loudness_dbfs_max: int = setting(
        -12,
        "louder sound is brought down to this before the volume; speech never is that loud",
        unit="dBFS",
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise SettingError(name, f"is {value}: give {lowest} to {highest}")
        for name, bound in _AT_MOST:
            value, highest = getattr(self, name), getattr(self, bound)
            if value > highest:
                raise SettingError(name, f"is {value}: give at most {bound} ({highest})")
