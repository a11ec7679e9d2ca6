"""Speech that a guardian agreed to have stored, until the cloud has it: encrypted, and bounded.

What lies on the card
    One file an utterance: ``<sequence>-<random>.sealed``. The sequence orders them, since a toy's
    wall clock may be wrong; the rest of the name is drawn. A file is 12 bytes of nonce, drawn anew
    for each, and the Ogg Opus file sealed by AES-256-GCM (NIST SP 800-38D), which authenticates the
    name with it: a file that was changed, cut, renamed or sealed with another key is not opened.
    The key comes from the vault and is on no card.
"""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firmware.errors import AudioStoreError, SettingsError
from firmware.setting import setting
from firmware.store.files import sync_folder, write_durably

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
FILE_BYTES_MAX: Final = 1_000_000
"""Longest file: twenty times what half a minute takes."""

_SUFFIX: Final = ".sealed"
_SEQUENCE_DIGITS: Final = 10
_RANDOM_BYTES: Final = 16
_NAME: Final = re.compile(rf"[0-9]{{{_SEQUENCE_DIGITS}}}-[0-9a-f]{{{2 * _RANDOM_BYTES}}}")

_log = logging.getLogger(__name__)

KeyProvider = Callable[[], bytes]
"""Gives the key, `KEY_BYTES` long; called on a worker's thread, each time it is needed."""


@dataclass(frozen=True, slots=True)
class AudioSettings:
    """How much speech may wait for the cloud.

    Raises:
        SettingsError: A limit is not above 0.
    """

    audio_bytes_max: int = setting(
        20_000_000,
        "most stored speech that waits for the cloud; the oldest gives way",
        unit="bytes",
    )
    audio_files_max: int = setting(
        500, "most stored utterances that wait for the cloud; the oldest gives way", unit="files"
    )

    def __post_init__(self) -> None:
        for key in fields(self):
            value = getattr(self, key.name)
            if value <= 0:
                raise SettingsError(f"{key.name}: {value} {key.metadata['unit']}: must be above 0")


class AudioStore:
    """Stored speech, by name. It blocks on the card: call it on a worker's thread, or on several.

    Args:
        folder: Where files are kept; made where there is none.
        key: Gives the key.
        settings: The limits.
    """

    def __init__(self, folder: Path, key: KeyProvider, settings: AudioSettings) -> None:
        self.gave_way = 0
        """Utterances that were removed, unsent, to make room."""
        self.damaged = 0
        """Utterances that could not be opened and were removed."""
        self._folder = folder
        self._key = key
        self._settings = settings
        self._lock = threading.Lock()
        # Under the lock: whether `keep_only` was done, and what was put before.
        self._is_tidy = False
        self._put: set[str] = set()

    def keep_only(self, names: Collection[str]) -> int:
        """Remove what none of `names` asks for, and what was half written; once, after the start.

        What was put since the start is spared: the names may have been gathered before.

        Returns:
            How many files were removed.

        Raises:
            AudioStoreError: The folder cannot be made or cleared.
        """
        with self._lock, _told("cannot be cleared"):
            wanted = {f"{name}{_SUFFIX}" for name in {*names, *self._put}}
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unwanted = [path for path in self._folder.iterdir() if path.name not in wanted]
            for path in unwanted:
                path.unlink(missing_ok=True)
            self._is_tidy = True
            self._put.clear()
            return len(unwanted)

    def put(self, audio: bytes) -> str:
        """Store an Ogg Opus file and return its name; when this returns, it is on the card.

        The oldest files make room for it.

        Raises:
            AudioStoreError: It is too long, or cannot be written, or there is no key.
        """
        sealed_bytes = NONCE_BYTES + len(audio) + TAG_BYTES
        if sealed_bytes > min(FILE_BYTES_MAX, self._settings.audio_bytes_max):
            raise AudioStoreError(f"speech of {len(audio)} bytes is too long to be stored")
        with self._lock, _told("cannot be written"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stored = self._stored()
            name = _new_name(stored[-1] if stored else None)
            nonce = secrets.token_bytes(NONCE_BYTES)
            sealed = nonce + self._cipher().encrypt(nonce, audio, name.encode())
            self._make_room(stored, len(sealed))
            if not self._is_tidy:
                self._put = self._put.intersection(stored) | {name}
            write_durably(self._path(name), sealed)
            return name

    def get(self, name: str) -> bytes | None:
        """Return the Ogg Opus file of that name, or None where it is gone.

        What cannot be opened is removed, counted, and gone.

        Raises:
            AudioStoreError: It is there and cannot be read, or there is no key.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 7 MB: see `_cipher`

        if not _NAME.fullmatch(name):
            return None
        with self._lock, _told("cannot be read"):
            try:
                with self._path(name).open("rb") as file:
                    sealed = file.read(FILE_BYTES_MAX + 1)
            except FileNotFoundError:
                return None
            cipher = self._cipher()
            nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            if len(rest) >= TAG_BYTES:
                with contextlib.suppress(InvalidTag):
                    return cipher.decrypt(nonce, rest, name.encode())
            self.damaged += 1
            _log.warning("stored speech cannot be opened: it is damaged, or was sealed elsewhere")
            self._path(name).unlink(missing_ok=True)
            return None

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return _NAME.fullmatch(name) is not None and self._path(name).exists()

    def remove(self, name: str) -> None:
        """Remove a file; harmless when it is gone.

        Raises:
            AudioStoreError: It cannot be removed.
        """
        if not _NAME.fullmatch(name):
            return
        with self._lock, _told("cannot be removed"):
            self._path(name).unlink(missing_ok=True)

    def erase(self) -> None:
        """Remove everything; when this returns, the card has forgotten the files' names.

        Raises:
            AudioStoreError: Something cannot be removed; the rest is.
        """
        with self._lock, _told("cannot be erased"):
            if not self._folder.exists():
                return
            failure: OSError | None = None
            for path in list(self._folder.iterdir()):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    failure = error
            sync_folder(self._folder)
            if failure is not None:
                raise failure

    def _cipher(self) -> AESGCM:
        """Return the cipher with the present key.

        Its library is imported by the first call: it takes 7 MB, which a toy whose guardian stores
        nothing does not need.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        try:
            key = self._key()
        except Exception as error:  # noqa: BLE001 - whatever a vault raises
            raise AudioStoreError(f"there is no key for speech ({type(error).__name__})") from None
        if len(key) != KEY_BYTES:
            raise AudioStoreError(f"the key for speech must have {KEY_BYTES} bytes")
        return AESGCM(key)

    def _make_room(self, stored: list[str], needed_bytes: int) -> None:
        """Remove the oldest until one more file of that size fits."""
        lengths = {name: self._path(name).stat().st_size for name in stored}
        total = sum(lengths.values()) + needed_bytes
        count = len(stored) + 1
        for name in stored:
            if total <= self._settings.audio_bytes_max and count <= self._settings.audio_files_max:
                return
            self._path(name).unlink()
            total -= lengths[name]
            count -= 1
            self.gave_way += 1

    def _stored(self) -> list[str]:
        """Return the names there are, oldest first."""
        stems = (path.stem for path in self._folder.glob(f"*{_SUFFIX}"))
        return sorted(stem for stem in stems if _NAME.fullmatch(stem))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


def _new_name(last: str | None) -> str:
    sequence = 0 if last is None else int(last[:_SEQUENCE_DIGITS]) + 1
    return f"{sequence:0{_SEQUENCE_DIGITS}}-{secrets.token_hex(_RANDOM_BYTES)}"


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Raise AudioStoreError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise AudioStoreError(f"stored speech {what}: {error.strerror}") from error
