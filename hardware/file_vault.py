"""The vault of a device without a TPM: files that nobody else may read.

Whoever takes the card out can read them. So the vault says of itself that it is not sealed, and a
device that uses it is reported as degraded.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hardware.errors import VaultError
from hardware.vault import KEY_BYTES, SECRET_CHARS_MAX, checked_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SUFFIX: Final = ".key"
_NEW_SUFFIX: Final = ".new"
_SECRET_BYTES_MAX: Final = SECRET_CHARS_MAX + 16
"""What is read of the secret's file: an editor may leave white space around it."""


class FileVault:
    """A `hardware.vault.Vault` in files: one for the secret, one a key in a folder of their own.

    The folder is made with mode 0700 and the keys' files with 0600. Whatever others may read, or
    somebody else owns, is refused. A key is either the old or the new one, whenever the power goes.

    Args:
        secret_path: The file that holds the secret; others write it, mode 0600.
        folder: Where the keys are; the folder above it must exist when the first key is made.
    """

    is_sealed: Final = False

    def __init__(self, secret_path: Path, folder: Path) -> None:
        self._secret_path = secret_path
        self._folder = folder
        self._lock = threading.Lock()  # two threads that need the same new key get one key

    def secret(self) -> str:
        """Return the secret, without white space around it: see `Vault`."""
        path = self._secret_path
        with _told(path, "be read", "write the secret into it and chmod 600 it"):
            content = _read(path, _SECRET_BYTES_MAX).strip()
        if not content.isascii():
            raise VaultError(f"{path}: holds no plain text: write it anew")
        if not 0 < len(content) <= SECRET_CHARS_MAX:
            raise VaultError(f"{path}: must hold 1 to {SECRET_CHARS_MAX} characters")
        return content.decode()

    def key(self, name: str) -> bytes:
        """Return a key, made at the first use: see `Vault`."""
        path = self._path(name)
        with self._lock, _told(path, "be used", "is the disk well?"):
            self._make_folder()
            try:
                key = _read(path, KEY_BYTES + 1)
            except FileNotFoundError:
                return self._make(path)
        if len(key) != KEY_BYTES:
            raise VaultError(f"{path}: is damaged: rotate the key")
        return key

    def rotate_key(self, name: str) -> None:
        """Replace a key: see `Vault`."""
        path = self._path(name)
        with self._lock, _told(path, "be written", "is the disk full?"):
            self._make_folder()
            self._make(path)

    def erase(self) -> None:
        """Forget the secret and every key: see `Vault`."""
        with self._lock:
            left = [path for path in self._kept() if not _forget(path)]
        if left:
            raise VaultError(f"cannot be erased: {', '.join(map(str, left))}")

    def _path(self, name: str) -> Path:
        return self._folder / (checked_name(name) + _SUFFIX)

    def _kept(self) -> list[Path]:
        """Return every file that holds something, the keys first: they are what must not stay."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - names, and an error that is raised now
        except FileNotFoundError:
            names = []
        except OSError:
            return [self._folder, self._secret_path]
        return [*(self._folder / name for name in sorted(names)), self._secret_path]

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700)
            _sync_folder(self._folder.parent)
        _check(self._folder, self._folder.stat(), 0o700)

    def _make(self, path: Path) -> bytes:
        """Write a new key durably and return it. Raises OSError."""
        key = secrets.token_bytes(KEY_BYTES)
        new = path.with_suffix(_NEW_SUFFIX)
        with contextlib.suppress(FileNotFoundError):
            new.unlink()  # what a power cut left
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(self._folder)
        return key


@contextlib.contextmanager
def _told(path: Path, what: str, advice: str) -> Iterator[None]:
    """Turn an OSError into a VaultError whose text is ours."""
    try:
        yield
    except OSError as error:
        raise VaultError(f"{path}: cannot {what}: {error.strerror}: {advice}") from None


def _read(path: Path, bytes_max: int) -> bytes:
    """Return what is in a file that is ours alone, or the beginning of it.

    Raises OSError, or VaultError where it is not ours alone.
    """
    with open(path, "rb", buffering=0, opener=_open) as file:
        _check(path, os.fstat(file.fileno()), 0o600)
        return file.read(bytes_max) or b""


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would be waited for


def _check(path: Path, found: os.stat_result, mode: int) -> None:
    """Refuse what others may read, or own. The superuser may do that anyway."""
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise VaultError(f"{path}: is neither a file nor a folder")
    if found.st_mode & _OTHERS:
        raise VaultError(f"{path}: others may read it: chmod {mode:o} it")
    if found.st_uid not in {0, os.geteuid()}:
        raise VaultError(f"{path}: belongs to somebody else: chown it")


def _forget(path: Path) -> bool:
    """Empty a file and remove it; say whether nothing is left of it.

    Emptied first, and synced: it may lie in a folder from which it cannot be removed.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
            _sync_folder(path.parent)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make what happened in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
