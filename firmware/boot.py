"""Which start of the computer this is."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id(path: Path = BOOT_ID) -> str:
    """Return a name for this start of the computer, from which the monotonic clock counts.

    Linux draws one (random(4)). Without it, each start of the process counts as one of the
    computer: that forgets ages, and believes nothing that a power cut may have spoilt.
    """
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        found = ""
    return found or secrets.token_hex(16)
