"""The device's secret from a file, until the vault holds it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from firmware.errors import SettingsError

SECRET_CHARACTERS_MAX: Final = 1_024


def read_secret(path: Path) -> str:
    """Return the secret in ``path``, without the newline at its end.

    Raises SettingsError when it cannot be read, is empty or too long, or is readable by others;
    the secret is in no message.
    """
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            secret = file.read(SECRET_CHARACTERS_MAX + 1).strip()
    except OSError as error:
        raise SettingsError(
            f"identity.secret_file {path}: cannot be read: {error.strerror}: "
            "write the secret into it and chmod 600 it"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(
            f"identity.secret_file {path}: holds no plain text: write it anew"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"identity.secret_file {path}: others may read it: chmod 600 it")
    if not 0 < len(secret) <= SECRET_CHARACTERS_MAX:
        raise SettingsError(
            f"identity.secret_file {path}: must hold 1 to {SECRET_CHARACTERS_MAX} characters"
        )
    return secret
