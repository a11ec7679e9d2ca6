"""How much is spent on speech that is sent, and how much of that on what may get lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from firmware.ports import LinkQuality
    from firmware.voice.settings import VoiceSettings

LOSSY_FROM_PERCENT: Final = 2.0
LOSSY_UNTIL_PERCENT: Final = 1.0
"""Loss from which copies are worth their room, and below which they are not any more."""

BACKLOG_MS_CALM: Final = 60
"""Speech that waits on a network that could take more."""

CALM_LOOKS: Final = 3
"""Looks at a network without backlog, one after the other, before more is spent."""

RISE_BPS: Final = 4_000
CUT: Final = 0.75
"""Steps up are small and steps down large: a network that cannot keep up loses what was said."""

ROOMY_BPS: Final = 26_000
"""Bit rate from which a packet has room for a copy of the one before it and for the whole band of a
voice. Below, libopus would narrow the band to make room (measured: at 24 kbit/s and 10 % the
decoded speech is further from what was said than with 5 %, however much is lost)."""

EXPECTED_PERCENT_FREE: Final = 5
"""Expected loss up to which it leaves the band alone, with such copies as fit. At the usual rate
that costs nothing that could be measured, so it stays where nothing is lost."""


class Tuning(NamedTuple):
    """What the encoder is set to."""

    bitrate_bps: int
    expected_loss_percent: int


class BitrateControl:
    """Decides how to encode from how the network does: looks in, decisions out, about one a second.

    Speech that waits means that the network takes less than it is given: the bit rate is cut, at
    once. Where nothing waits for a while it rises again, to the usual, or beyond where packets are
    lost: the copies that make up for those need room. Until a loss has been measured, the usual is
    provided for.

    Args:
        settings: The usual, the bounds, and how much may wait.
    """

    def __init__(self, settings: VoiceSettings) -> None:
        self._settings = settings
        self._bitrate_bps = settings.opus_bitrate_bps
        self._is_lossy: bool | None = None
        self._calm_looks = 0

    @property
    def tuning(self) -> Tuning:
        """The present decision."""
        return Tuning(self._bitrate_bps, self._expected_loss_percent)

    def look(self, quality: LinkQuality) -> Tuning:
        """Take the next look at the network, and decide."""
        self._note_loss(quality.loss_percent)
        if quality.backlog_ms > self._settings.backlog_ms_max:
            self._calm_looks = 0
            self._bitrate_bps = max(
                self._settings.opus_bitrate_bps_min, round(self._bitrate_bps * CUT)
            )
        elif quality.backlog_ms > BACKLOG_MS_CALM:
            self._calm_looks = 0
        else:
            self._calm_looks += 1
            if self._calm_looks >= CALM_LOOKS:
                self._calm_looks = 0
                self._bitrate_bps += RISE_BPS
        self._bitrate_bps = min(self._bitrate_bps, self._usual_bps)
        return self.tuning

    @property
    def _usual_bps(self) -> int:
        settings = self._settings
        return settings.opus_bitrate_bps_max if self._is_lossy else settings.opus_bitrate_bps

    @property
    def _expected_loss_percent(self) -> int:
        usual = self._settings.opus_expected_loss_percent
        if self._is_lossy is None or (self._is_lossy and self._bitrate_bps >= ROOMY_BPS):
            return usual
        return min(usual, EXPECTED_PERCENT_FREE)

    def _note_loss(self, loss_percent: float | None) -> None:
        if loss_percent is not None:
            bound = LOSSY_UNTIL_PERCENT if self._is_lossy else LOSSY_FROM_PERCENT
            self._is_lossy = loss_percent >= bound
