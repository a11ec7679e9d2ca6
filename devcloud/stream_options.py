"""How the stream's gateway behaves where several ways are right, changed while it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from devcloud.audio import FRAME_MS, OPUS_RATES_HZ, SAMPLE_RATE_HZ, AudioFormat
from devcloud.errors import SettingsError, UnknownNameError
from devcloud.speech import TEXT_CHARS_MAX
from devcloud.tone import TONE_MS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devcloud.json_text import JsonValue

RATES_HZ: Final = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
CHANNELS: Final = (1, 2)


class WavLayout(Enum):
    """How a WAV is divided: in one message, its header in the first only, or a WAV in each."""

    WHOLE = "whole"
    PIECES = "pieces"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How the stream's gateway behaves.

    - ``binary``: the binary dialect is agreed to when a device offers it.
    - ``reply_format``: opus, pcm16 or wav; null leaves it to the dialect (wav for the gateway
      dialect, opus for the others). The binary dialect has no WAV and gets pcm16 instead.
    - ``reply_rate_hz``: null is the synthesiser's own rate for wav and 16,000 for the others. A
      rate that cannot be (Opus, and the binary dialect: only 16, 24 and 48 kHz) is 16,000.
    - ``reply_channels``: 2 makes a stereo WAV; the other formats are mono.
    - ``wav_layout``: whole (as long as it fits into a message), pieces or files.
    - ``reply_text``: what every reply says, whatever was heard, in 1 to 1,000 characters; null
      leaves it to what was heard.
    - ``reply_tone_ms``: what every reply sounds like, whatever it says: so many ms of a tone
      (``devcloud.tone``); null is speech.
    """

    binary: bool = True
    reply_format: str | None = None
    reply_rate_hz: int | None = None
    reply_channels: int = 1
    wav_layout: str = WavLayout.WHOLE.value
    reply_text: str | None = None
    reply_tone_ms: int | None = None

    def rate_hz(self, format_: AudioFormat, own_rate_hz: int) -> int:
        """Tell the rate that a reply is written at; ``own_rate_hz`` is the synthesiser's."""
        wanted = self.reply_rate_hz
        if format_ is AudioFormat.WAV:
            return wanted or own_rate_hz
        if format_ is AudioFormat.OPUS and wanted not in OPUS_RATES_HZ:
            return SAMPLE_RATE_HZ
        return wanted or SAMPLE_RATE_HZ


class StreamOptionsBoard:
    """Where they are set and read."""

    def __init__(self, now: StreamOptions) -> None:
        self.now = now

    def set(self, changes: Mapping[str, JsonValue]) -> None:
        """Change the options that are named and leave the others.

        Raises:
            SettingsError: an unknown option, or a value that cannot be; nothing was changed.
        """
        for name, value in changes.items():
            if name not in _ALLOWED:
                raise UnknownNameError("stream option", name, _ALLOWED)
            if not _ALLOWED[name](value):
                raise SettingsError(f"{name}: cannot be {str(value)[:40]!r}")
        # Checked above, field by field.
        self.now = replace(self.now, **changes)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, object]:
        """Write them as the control API shows them."""
        return asdict(self.now)


def _one_of(*values: object) -> Callable[[JsonValue], bool]:
    # By type as well: True is equal to 1.
    kinds = {type(value) for value in values}
    return lambda value: type(value) in kinds and value in values


def _is_text_or_null(value: JsonValue) -> bool:
    return value is None or (isinstance(value, str) and 0 < len(value) <= TEXT_CHARS_MAX)


def _is_tone_or_null(value: JsonValue) -> bool:
    if value is None:
        return True
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and value in range(FRAME_MS, TONE_MS_MAX + 1)


_ALLOWED: Final[Mapping[str, Callable[[JsonValue], bool]]] = {
    "binary": _one_of(True, False),  # noqa: FBT003 - the values themselves
    "reply_format": _one_of(None, *(format_.value for format_ in AudioFormat)),
    "reply_rate_hz": _one_of(None, *RATES_HZ),
    "reply_channels": _one_of(*CHANNELS),
    "wav_layout": _one_of(*(layout.value for layout in WavLayout)),
    "reply_text": _is_text_or_null,
    "reply_tone_ms": _is_tone_or_null,
}
