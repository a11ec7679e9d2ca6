"""Files that hold what they should, whenever the power goes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``; when this returns, it is on the disk.

    A temporary file is written, synced and renamed over ``path``, and the folder is synced.
    Raises OSError; ``path`` then holds what it held or, where only the folder could not be synced,
    ``content``.
    """
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def append_durably(path: Path, length: int, content: bytes) -> None:
    """Put ``content`` behind the first ``length`` bytes of a file; it is then on the disk.

    What stands there already is cut off first. Raises OSError; what stands behind ``length`` is
    then unknown, as it is when the power goes meanwhile.
    """
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, length)
        os.lseek(descriptor, length, os.SEEK_SET)
        rest = memoryview(content)
        while rest:  # a full disk takes less than it is given before it says so
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_durably(path: Path) -> None:
    """Remove a file and what `write_durably` may have left of it at a power cut, for good.

    Harmless where there is none. Raises OSError.
    """
    path.unlink(missing_ok=True)
    clear_half_written(path)
    if path.parent.exists():
        sync_folder(path.parent)


def clear_half_written(path: Path) -> None:
    """Remove what a power cut left of a `write_durably`; not during one. Raises OSError."""
    _temporary(path).unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
