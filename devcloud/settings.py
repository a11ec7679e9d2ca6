"""What a development cloud is told when it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from devcloud.errors import SettingsError

HOST: Final = "127.0.0.1"
"""The only address it listens on: it gives out test credentials and obeys whoever asks."""

DEFAULT_PORT: Final = 8210

PORT_MAX: Final = 65_535
ID_CHARS_MAX: Final = 128
TOKEN_LIFETIME_S_MAX: Final = 366 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a development cloud is told when it starts.

    ``port`` 0 takes a free one. ``token_lifetime_s`` holds for both tokens of a device. The ids and
    the secret describe the one device, with its one toy, that is known from the start. ``binary``
    says whether the stream agrees to the binary dialect when a device offers it.

    Raises:
        SettingsError: one of them cannot be; the text names it.
    """

    port: int = DEFAULT_PORT
    device_id: str = "dev-sim-1"
    device_secret: str = "sim-secret"  # noqa: S105 - a test credential that guards nothing
    toy_id: str = "toy-sim-1"
    token_lifetime_s: float = 3600.0
    binary: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.port <= PORT_MAX:
            raise SettingsError(f"port {self.port}: must be 0 (any free one) to {PORT_MAX}")
        for name in ("device_id", "device_secret", "toy_id"):
            text: str = getattr(self, name)
            if not (0 < len(text) <= ID_CHARS_MAX and text.isascii() and text.isprintable()):
                raise SettingsError(
                    f"{name}: must be 1 to {ID_CHARS_MAX} printable ASCII characters"
                )
        lifetime_s = self.token_lifetime_s
        if not (math.isfinite(lifetime_s) and 0 < lifetime_s <= TOKEN_LIFETIME_S_MAX):
            raise SettingsError(
                f"token_lifetime_s {lifetime_s}: must be above 0 and at most"
                f" {TOKEN_LIFETIME_S_MAX:.0f} seconds"
            )
