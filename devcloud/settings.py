"""What a development cloud is told when it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devcloud.errors import SettingsError, UnknownNameError

HOST: Final = "127.0.0.1"
"""The only address it listens on: it gives out test credentials and obeys whoever asks."""

DEFAULT_PORT: Final = 8210

PORT_MAX: Final = 65_535
ID_CHARS_MAX: Final = 128
TOKEN_LIFETIME_S_MAX: Final = 366 * 24 * 3600.0
UPLOAD_LIFETIME_S_MAX: Final = 24 * 3600.0

ALGORITHMS: Final = ("ES256", "RS256")
"""What tokens may be signed with: the two that Convex takes from an identity provider."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a development cloud is told when it starts.

    ``port`` 0 takes a free one. ``token_lifetime_s`` holds for both tokens of a device. The ids and
    the secret describe the one device, with its one toy, that is known from the start. ``binary``
    says whether the stream agrees to the binary dialect when a device offers it.

    ``data`` is the file that holds what was stored, from one run to the next; without it, all is in
    memory and gone afterwards. ``signing_algorithm`` is one of ``ALGORITHMS``. An upload URL lasts
    ``upload_lifetime_s``. ``tls`` serves https and wss with an authority of our own, which is kept
    in the folder ``authority``; without that, it is made anew each time.

    Raises:
        SettingsError: one of them cannot be; the text names it.
    """

    port: int = DEFAULT_PORT
    device_id: str = "dev-sim-1"
    device_secret: str = "sim-secret"  # noqa: S105 - a test credential that guards nothing
    toy_id: str = "toy-sim-1"
    token_lifetime_s: float = 3600.0
    binary: bool = True

    data: Path | None = None
    signing_algorithm: str = ALGORITHMS[0]
    upload_lifetime_s: float = 3600.0
    tls: bool = False
    authority: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= PORT_MAX:
            raise SettingsError(f"port {self.port}: must be 0 (any free one) to {PORT_MAX}")
        for name in ("device_id", "device_secret", "toy_id"):
            text: str = getattr(self, name)
            if not is_identifier(text):
                raise SettingsError(
                    f"{name}: must be 1 to {ID_CHARS_MAX} printable ASCII characters"
                )
        if self.signing_algorithm not in ALGORITHMS:
            raise UnknownNameError("signing algorithm", self.signing_algorithm, ALGORITHMS)
        if self.authority and not self.tls:
            raise SettingsError("authority: is for TLS, which is off")
        for name, most_s in _LIFETIMES_S_MAX.items():
            lifetime_s: float = getattr(self, name)
            if not (math.isfinite(lifetime_s) and 0 < lifetime_s <= most_s):
                raise SettingsError(
                    f"{name} {lifetime_s}: must be above 0 and at most {most_s:.0f} seconds"
                )


def is_identifier(text: str) -> bool:
    """Tell whether a text can be the id of a device or a toy, or a secret."""
    return 0 < len(text) <= ID_CHARS_MAX and text.isascii() and text.isprintable()


_LIFETIMES_S_MAX: Final = {
    "token_lifetime_s": TOKEN_LIFETIME_S_MAX,
    "upload_lifetime_s": UPLOAD_LIFETIME_S_MAX,
}
