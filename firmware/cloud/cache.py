"""The last good configuration, on disk."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from firmware.cloud.errors import CacheError
from firmware.store.files import sync_folder, write_durably

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
FILE_BYTES_MAX: Final = 270_336
"""Longest file that is read: the longest configuration and its head."""

_HEAD_BYTES_MAX: Final = 4_096


class ConfigurationCache:
    """Keeps one configuration of one toy in one file, whole or not at all.

    The file has two lines of JSON: a head with format, toy, version and the SHA-256 of the second,
    and the configuration as the cloud sent it. It is replaced by renaming a finished copy, so a
    power cut leaves the old one or the new one.

    All methods block for as long as the card takes; what is written or removed is so on return.

    Args:
        path: The file. Its folder must exist; a copy that is being written stands beside it.
        toy_id: Whose configuration it is. A file of another toy's is as good as none.
    """

    def __init__(self, path: Path, toy_id: str) -> None:
        self._path = path
        self._toy_id = toy_id

    def load(self) -> dict[str, object] | None:
        """Return the configuration as the cloud sent it, unchecked; None if there is no file.

        Raises:
            CacheError: There is a file, but it cannot be read, is damaged, or is not this toy's.
        """
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheError(f"{self._path} cannot be read ({error.strerror})") from None
        start = content.find(b"\n", 0, _HEAD_BYTES_MAX) + 1
        head, body = content[:start], content[start:].removesuffix(b"\n")
        del content
        try:
            told = json.loads(head)
            # Before it is parsed: what is damaged may be anything.
            if told == self._head(told["version"], body):
                found = json.loads(body)
                if found["version"] == told["version"]:
                    return dict(found)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        raise CacheError(f"{self._path} is damaged, or is not that of this toy")

    def store(self, body: bytes, version: int) -> None:
        """Put a configuration on disk in place of what was there; it is durable on return.

        Args:
            body: The configuration as the cloud sent it: JSON, on one line.
            version: The version that stands in it.

        Raises:
            CacheError: It could not be written. What was there before is there still.
        """
        head = json.dumps(self._head(version, body), separators=(",", ":")).encode()
        try:
            write_durably(self._path, head + b"\n" + body + b"\n")
        except OSError as error:
            raise CacheError(f"{self._path} cannot be written ({error.strerror})") from None

    def remove(self) -> None:
        """Remove the file, whichever toy's it is; harmless where there is none.

        Raises:
            CacheError: It could not be removed.
        """
        try:
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except OSError as error:
            raise CacheError(f"{self._path} cannot be removed ({error.strerror})") from None

    def _head(self, version: object, body: bytes) -> dict[str, object]:
        digest = hashlib.sha256(body).hexdigest()
        return {"format": FORMAT, "toyId": self._toy_id, "version": version, "sha256": digest}
